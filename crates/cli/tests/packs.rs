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

/// The pack of the documentation in a sandbox, with a configuration for it.
fn documented() -> Sandbox {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/packs.md");
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.path("throughline.yaml")).unwrap();
    assert_eq!(write_files(&fs::read_to_string(page).unwrap(), &sandbox.path("")), 5);
    let output = sandbox.output(&["init", "--pack", "./my-pack"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ports = "bus: {embedded: {kafka: '127.0.0.1:0', registry: '127.0.0.1:0'}}\n\
                 metrics: '127.0.0.1:0'\n";
    sandbox.configure(|yaml| yaml.replace("bus: embedded\n", ports));
    sandbox
}

#[test]
fn expectations_of_fixtures_are_written_and_then_hold() {
    let sandbox = documented();
    let case = sandbox.path("my-pack/fixtures/article/kettle.json");
    let after = r#"{"article": "A-1", "name": "Kettle", "price": "1.249,90", "stock": 7}"#;
    fs::create_dir_all(case.parent().unwrap()).unwrap();
    fs::write(&case, format!(r#"{{"about": "A price in Germany.", "after": {after}}}"#)).unwrap();
    let run = |arguments: &[&str]| {
        let output = sandbox.output(arguments);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = run(&["test", "./my-pack"]);
    assert!(code == Some(1) && told.contains("0 passed, 1 failed"), "{told}");
    assert!(told.contains("it says nothing yet"), "{told}");
    let (code, told) = run(&["test", "--update", "./my-pack"]);
    assert!(code == Some(0) && told.contains("1 written, 0 passed, 0 failed"), "{told}");
    let written: Value = serde_json::from_str(&fs::read_to_string(&case).unwrap()).unwrap();
    assert_eq!(written["about"], "A price in Germany.");
    assert_eq!(written["records"].as_array().unwrap().len(), 3);
    // The packs of the configuration, too.
    for arguments in [&["test", "./my-pack"][..], &["test"]] {
        let (code, told) = run(arguments);
        assert!(code == Some(0) && told.contains("1 passed, 0 failed"), "{told}");
    }
}

#[test]
fn a_changed_column_type_is_told_in_words_and_can_be_allowed() {
    let sandbox = documented();
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    let schemas = |arguments: &[&str]| {
        let output = sandbox.output(&[&["schemas"], arguments].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let subject = "cdc.shop.article-value";
    sandbox.until("the schema is not there", || match schemas(&["show", subject]) {
        (Some(0), _) => Ok(()),
        other => Err(other),
    });
    let (code, told) = schemas(&["show", "cdc.shop.article"]);
    assert!(code == Some(65) && told.contains("TL9019") && told.contains(subject), "{told}");
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
    let edit = |file: &str, from: &str, to: &str| {
        let file = sandbox.path(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(file, text.replace(from, to)).unwrap();
    };
    edit("my-pack/capture.yaml", "stock: {type: long", "stock: {type: boolean");
    edit("my-pack/schemas/article.avsc", r#"["null", "long"]"#, r#"["null", "boolean"]"#);
    edit("my-pack/mappings/article.vrl", "stock = .stock || 0", "stock = 0");
    let up = sandbox.start(&["up"]);
    let words = "`stock` was long or null and is boolean or null";
    sandbox.until("the change is not refused", || {
        let logs = sandbox.logs();
        (logs.contains("TL0504") && logs.contains(words)).then_some(()).ok_or(logs)
    });
    let check = || String::from_utf8(sandbox.output(&["check"]).stdout).unwrap();
    let told = check();
    assert!(told.contains("TL9015") && told.contains(words), "{told}");
    let (_, told) = schemas(&["compatibility", subject]);
    assert!(told.contains("BACKWARD"), "{told}");
    let (code, told) = schemas(&["compatibility", subject, "--set", "none"]);
    assert!(code == Some(0) && told.contains("NONE"), "{told}");
    assert!(!check().contains("TL9015"));
    assert_eq!(up.drain(), Some(1), "{}", sandbox.logs());
}

#[test]
fn the_pack_of_the_documentation_runs() {
    let sandbox = documented();
    let output = sandbox.output(&["validate"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let untested = sandbox.output(&["test", "./my-pack"]);
    assert_eq!(untested.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&untested.stderr).contains("no fixtures"));
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

#[test]
fn fixtures_that_nothing_would_run_fail_and_names_lead_to_files() {
    let sandbox = documented();
    let fixtures = sandbox.path("my-pack/fixtures");
    let write = |name: &str| {
        let path = fixtures.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let row = r#"{"after": {"article": "A", "name": "B", "price": "1,00", "stock": null}}"#;
        fs::write(path, row).unwrap();
    };
    let test = |more: &[&str]| {
        let output = sandbox.output(&[&["test"], more, &["./my-pack"]].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    write("article/new.json");
    let (code, told) = test(&["--update"]);
    assert_eq!(
        (code, told.lines().next()),
        (Some(0), Some("written ./my-pack/fixtures/article/new.json"))
    );
    assert_eq!(test(&[]).0, Some(0));
    write("artcle/other.json");
    write("lost.json");
    let (code, told) = test(&[]);
    assert_eq!(code, Some(1), "{told}");
    for part in [
        "./my-pack/fixtures/artcle\n",
        "TL9029: the pack has no entity `artcle`; did you mean `article`?",
        "./my-pack/fixtures/lost.json\n",
        "1 passed, 2 failed",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn init_says_that_it_wrote_nothing_for_a_pack_with_mistakes() {
    let sandbox = documented();
    let capture = sandbox.path("my-pack/capture.yaml");
    let text = fs::read_to_string(&capture).unwrap();
    fs::write(capture, text.replace("delimiter:", "delimeter:")).unwrap();
    let output = sandbox.output(&["--config", "new.yaml", "init", "--pack", "./my-pack"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{error}");
    assert!(error.contains("TL0110") && error.contains("new.yaml was not written"), "{error}");
    assert!(!sandbox.path("new.yaml").exists());
}
