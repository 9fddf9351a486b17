//! The demo's folder: the sample exports, a configuration, the log, the target.

use std::net::TcpListener;
use std::path::Path;

use throughline_config::pack;

use crate::catalog::BuiltIn;
use crate::commands::init;
use crate::exit::{Exit, Fail, Failure};
use crate::output::Format;
use crate::packs;

/// The sample exports, by their path inside the pack.
const EXPORTS: [&str; 4] = ["orders.csv", "inventory.csv", "customers.json", "channels.json"];

/// Makes the folder ready; returns whether it was there before. What is there is left as it is.
pub(crate) fn prepare(folder: &Path) -> Result<bool, Failure> {
    let config = folder.join("throughline.yaml");
    if config.exists() {
        return Ok(true);
    }
    let files = packs::get("sunrise").expect("the sample shop is part of the binary");
    let exports = folder.join("exports");
    std::fs::create_dir_all(&exports).exit(Exit::Unavailable)?;
    for name in EXPORTS {
        let path = format!("data/{name}");
        let bytes = files.read(&path).exit(Exit::Internal)?;
        let mut bytes = bytes.expect("the sample exports are part of the binary");
        // The export's last line has no line break, and in a file that grows such a line is not
        // finished: the next line that somebody appends would become part of it.
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        std::fs::write(exports.join(name), bytes).exit(Exit::Unavailable)?;
    }
    let pack = pack::load(files, &BuiltIn)
        .or_else(|report| crate::commands::refuse(&report, Format::Text))?;
    // A person watches: changes are looked for, and files finished, more often than by default.
    let text = init::configuration(&pack, &pack.name)
        .replace(init::BUS, &ports())
        .replace("    folder: ./exports\n", "    folder: ./exports\n    poll: 100ms\n")
        .replace("    format: jsonl\n", "    format: jsonl\n    roll: {max_age: 200ms}\n");
    init::write_schema(&config)?;
    // Written last: a folder with a configuration is complete.
    std::fs::write(&config, text).exit(Exit::Unavailable)?;
    Ok(false)
}

/// The usual ports where they are free; other tools then need no options.
fn ports() -> String {
    let port = |usual: u16| {
        let free = TcpListener::bind(("127.0.0.1", usual)).is_ok();
        if free { usual } else { 0 }
    };
    format!(
        "bus:\n  embedded:\n    kafka: 127.0.0.1:{}\n    registry: 127.0.0.1:{}\n\
         metrics: 127.0.0.1:{}\n",
        port(9092),
        port(8081),
        port(9464)
    )
}
