//! The pack of `docs/packs.md`, as it stands there.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::sandbox::Sandbox;

/// Writes each file that the page shows: a line that begins with its path, then a block.
fn write_files(page: &str, folder: &Path) -> usize {
    let mut files = 0;
    let mut name = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") && line.len() > 3 {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if let Some(name) = name.take() {
                let path = folder.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text.join("\n") + "\n").unwrap();
                files += 1;
            }
        } else if let Some(rest) = line.strip_prefix('`') {
            name = rest.split('`').next().filter(|name| name.contains('/'));
        }
    }
    files
}

#[test]
fn the_pack_of_the_documentation_runs() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/packs.md");
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.path("throughline.yaml")).unwrap();
    assert_eq!(write_files(&fs::read_to_string(page).unwrap(), &sandbox.path("")), 5);
    for arguments in [&["init", "--pack", "./my-pack"][..], &["validate"]] {
        let output = sandbox.output(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let untested = sandbox.output(&["test", "./my-pack"]);
    assert_eq!(untested.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&untested.stderr).contains("no fixtures"));
    let ports = "bus: {embedded: {kafka: '127.0.0.1:0', registry: '127.0.0.1:0'}}\n\
                 metrics: '127.0.0.1:0'\n";
    sandbox.configure(|yaml| yaml.replace("bus: embedded\n", ports));
    let up = sandbox.start(&["up"]);
    let records = |topic: &str| -> Vec<Value> {
        let output = sandbox.output(&["tail", topic, "--last", "all", "--exit"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        values.map(|record| record["value"].clone()).collect()
    };
    sandbox.until("the articles are not there", || {
        (records("canonical.inventory").len() == 2).then_some(()).ok_or("fewer records")
    });
    let prices = records("canonical.price");
    let kettle = prices.iter().find(|price| price["sku"] == "A-1").unwrap();
    assert_eq!(
        (&kettle["list"]["unscaled"], &kettle["list"]["scale"]),
        (&124_990.into(), &2.into())
    );
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}
