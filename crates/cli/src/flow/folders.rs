//! Folders that must not be one another: what is written by one part would be taken for its own by
//! the other.

use std::path::{Component, Path as FilePath, PathBuf};

use serde_json::Value;
use throughline_event::{Path, Violations};

/// The code of a folder inside another one.
const NESTED: &str = "TL9018";

/// The folder of the embedded bus in the data folder.
pub(crate) const BUS: &str = "bus";

/// The folder of what workers keep in the data folder.
pub(crate) const STATE: &str = "state";

/// Checks the folders of sinks against those of producers, and of both against the data folder.
/// Links are not followed: nothing is looked at but the file.
pub(crate) fn check(file: &Value, found: &mut Violations) {
    let data = plain(file.get("data").and_then(Value::as_str).unwrap_or(throughline_config::DATA));
    let sinks = folders(file, "sinks");
    let producers = folders(file, "producers");
    // The folder of the file itself holds everything, and folders in it are not read.
    let watched = || producers.iter().filter(|(_, folder)| !folder.as_os_str().is_empty());
    for (at, folder) in sinks.iter().chain(&producers) {
        if [BUS, STATE].iter().any(|part| folder.starts_with(data.join(part))) {
            let message = "the folder lies inside the data folder, whose files are the log's own";
            found.add(NESTED, at, message, "name a folder outside of `data`");
        }
    }
    for (at, target) in &sinks {
        if let Some((producer, _)) = watched().find(|(_, from)| target.starts_with(from)) {
            let message = format!("the target lies inside the folder that `{producer}` watches");
            found.add(NESTED, at, message, "name a folder beside it");
        }
    }
}

/// The folders of the workers of a section, each with its place in the file.
fn folders(file: &Value, section: &str) -> Vec<(Path, PathBuf)> {
    let workers = file.get(section).and_then(Value::as_object).into_iter().flatten();
    let folder = |worker: &Value| Some(plain(worker.get("folder")?.as_str()?));
    workers
        .filter_map(|(name, worker)| Some((Path::from([section, name, "folder"]), folder(worker)?)))
        .collect()
}

/// A path without `.`, and with `..` applied as far as it goes.
fn plain(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in FilePath::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(data: &str, watched: &str, target: &str) -> Vec<String> {
        let file = serde_json::json!({
            "data": data,
            "producers": {"in": {"folder": watched}},
            "sinks": {"out": {"folder": target}},
        });
        let mut found = Violations::new();
        check(&file, &mut found);
        found.iter().map(|violation| violation.path.to_string()).collect()
    }

    #[test]
    fn a_target_inside_a_watched_folder_or_the_log_is_refused() {
        let nothing: [&str; 0] = [];
        assert_eq!(places("./data", "./exports", "./target"), nothing);
        assert_eq!(places("./data", "./exports", "./exports-done"), nothing);
        assert_eq!(places(".", ".", "target"), nothing);
        assert_eq!(places("./data", "exports", "./exports"), ["sinks.out.folder"]);
        assert_eq!(places("./data", "./exports", "x/../exports/done"), ["sinks.out.folder"]);
        assert_eq!(places("/data", "/exports", "/data/./bus/x"), ["sinks.out.folder"]);
        assert_eq!(places("data", "data/state", "target"), ["producers.in.folder"]);
    }
}
