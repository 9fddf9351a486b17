//! The packs that are part of the binary.

use std::io;
use std::path::Path;
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use throughline_config::pack::{Folder, PackFiles};

use crate::exit::{Exit, Failure};

/// Everything below `systems/`.
static SYSTEMS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../systems");

/// A pack that is part of the binary.
#[derive(Debug)]
struct BuiltIn(&'static Dir<'static>);

impl PackFiles for BuiltIn {
    fn place(&self) -> String {
        format!("built-in {}", self.0.path().display())
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let file = self.0.get_file(self.0.path().join(path));
        Ok(file.map(|file| file.contents().to_vec()))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let Some(folder) = self.0.get_dir(self.0.path().join(folder)) else { return Ok(vec![]) };
        let mut names: Vec<String> = folder
            .files()
            .filter_map(|file| Some(file.path().file_name()?.to_str()?.to_owned()))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn folders(&self, folder: &str) -> io::Result<Vec<String>> {
        let Some(folder) = self.0.get_dir(self.0.path().join(folder)) else { return Ok(vec![]) };
        let name = |dir: &Dir<'_>| Some(dir.path().file_name()?.to_str()?.to_owned());
        let mut names: Vec<String> = folder.dirs().filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// The names of the packs.
pub(crate) fn names() -> Vec<String> {
    let name = |dir: &Dir<'_>| dir.path().to_str().map(str::to_owned);
    let mut names: Vec<String> = SYSTEMS.dirs().filter_map(name).collect();
    names.sort_unstable();
    names
}

/// The files of a pack.
pub(crate) fn get(name: &str) -> Option<Arc<dyn PackFiles>> {
    SYSTEMS.get_dir(name).map(|dir| Arc::new(BuiltIn(dir)) as Arc<dyn PackFiles>)
}

/// The files of a pack that a person named: a folder, or one that is part of the binary.
pub(crate) fn find(name: &str) -> Result<Arc<dyn PackFiles>, Failure> {
    if Path::new(name).is_dir() {
        return Ok(Arc::new(Folder::new(name)));
    }
    get(name).ok_or_else(|| {
        let known = names().join(", ");
        let text = format!("TL9007: {name:?} is neither a folder nor a built-in pack ({known})");
        Failure::new(Exit::Usage, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_shop_is_part_of_the_binary() {
        assert!(names().contains(&"sunrise".to_owned()));
        let pack = get("sunrise").unwrap();
        assert!(pack.read("system.yaml").unwrap().is_some());
        assert!(pack.read("../sunrise/system.yaml").unwrap().is_none());
        assert!(pack.read("missing").unwrap().is_none());
        assert!(!pack.list("mappings").unwrap().is_empty());
    }
}
