//! Commands that need nothing to run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use crate::sandbox::Sandbox;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_init_writes_is_valid_and_never_overwritten() {
    let sandbox = Sandbox::new();
    for pack in ["sunrise", "retail-export"] {
        let file = format!("{pack}.yaml");
        let init = sandbox.output(&["--config", &file, "init", "--pack", pack]);
        assert!(init.status.success(), "{}", text(&init.stderr));
        let valid = sandbox.output(&["--config", &file, "validate"]);
        assert!(valid.status.success(), "{}", text(&valid.stderr));
        let again = sandbox.output(&["--config", &file, "init", "--pack", pack]);
        assert_eq!(again.status.code(), Some(78));
        assert!(text(&again.stderr).contains("TL9009"));
    }
}

#[test]
fn every_mistake_is_reported_with_its_line_and_a_fix() {
    let sandbox = Sandbox::new();
    let yaml = fs::read_to_string(sandbox.path("throughline.yaml")).unwrap();
    let broken = yaml.replace("poll: 20ms", "pol: 20ms").replace("currency: EUR", "curency: EUR");
    fs::write(sandbox.path("throughline.yaml"), broken).unwrap();
    let output = sandbox.output(&["validate"]);
    assert_eq!(output.status.code(), Some(78));
    let report = text(&output.stderr);
    assert!(report.contains("throughline.yaml:") && report.contains("fix:"), "{report}");
    for word in ["pol", "curency"] {
        assert!(report.contains(word), "{report}");
    }
    let json = sandbox.output(&["--output", "json", "validate"]);
    let findings: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(findings.as_array().unwrap().iter().all(|f| f["code"].is_string()));
}

#[test]
fn what_stands_under_entities_wins_over_the_pack_key_by_key() {
    let sandbox = Sandbox::new();
    let written = |entities: &str| {
        let file = sandbox.path("entities.yaml");
        let yaml = fs::read_to_string(sandbox.path("throughline.yaml")).unwrap();
        let to = format!("poll: 20ms, entities: {entities}");
        fs::write(file, yaml.replace("poll: 20ms", &to)).unwrap();
        let output = sandbox.output(&["--config", "entities.yaml", "--output", "json", "validate"]);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let told = |one: &serde_json::Value| {
            format!("{} {} {}", one["code"], one["file"], one["fix"]).replace('"', "")
        };
        found.as_array().unwrap().iter().map(told).collect::<Vec<_>>()
    };
    let nothing: [&str; 0] = [];
    assert_eq!(written("{inventory: {delimiter: ';'}, order: {path: 'o*.csv'}}"), nothing);
    assert_eq!(
        written("{inventry: {mode: replace}, inventory: {max_row: 1GiB}}"),
        ["TL0122 entities.yaml did you mean `inventory`?", "TL1001 entities.yaml use 1MiB"]
    );
    // What follows from a mistake is no second one.
    let found = written("{inventory: {columns: {sku: {type: int}, supplyChannel: {empty: ''}}}}");
    assert_eq!(
        found,
        ["TL1001 entities.yaml `throughline reference config` has what each type accepts"]
    );
    let schema = sandbox.output(&["reference", "schema"]).stdout;
    let published: serde_json::Value = serde_json::from_slice(&schema).unwrap();
    let entity = "/properties/producers/additionalProperties/oneOf/0/properties/entities";
    let entity = published.pointer(&format!("{entity}/additionalProperties")).unwrap();
    assert!(entity["properties"]["delimiter"].is_object() && entity.get("required").is_none());
}

#[test]
fn mistakes_in_the_file_the_captures_and_the_mappings_come_in_one_round() {
    let sandbox = Sandbox::new();
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systems/sunrise");
    let pack = sandbox.path("pack");
    let copied = std::process::Command::new("cp").arg("-r").arg(files).arg(&pack).status().unwrap();
    assert!(copied.success());
    let edit = |file: std::path::PathBuf, from: &str, to: &str| {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(file, text.replacen(from, to, 1)).unwrap();
    };
    sandbox.configure(|yaml| yaml.replace("pack: sunrise", "pack: ./pack"));
    let found = || {
        let output = sandbox.output(&["--output", "json", "validate"]);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let told = |one: &serde_json::Value| format!("{} {}", one["code"], one["file"]);
        found.as_array().unwrap().iter().map(|one| told(one).replace('"', "")).collect::<Vec<_>>()
    };
    let order = pack.join("mappings/order.vrl");
    edit(order, "", "nothing = .no_such_column\n");
    assert_eq!(found(), ["TL2002 ./pack/mappings/order.vrl"]);
    sandbox.configure(|yaml| yaml.replace("poll: 20ms", "pol: 20ms"));
    assert_eq!(found(), ["TL0110 throughline.yaml", "TL2002 ./pack/mappings/order.vrl"]);
    edit(pack.join("capture.yaml"), "    mode: replace", "    delimeter: ','\n    mode: replace");
    assert_eq!(
        found(),
        [
            "TL0110 throughline.yaml",
            "TL0110 ./pack/capture.yaml",
            "TL2002 ./pack/mappings/order.vrl"
        ]
    );
}

#[test]
fn the_examples_beside_the_connectors_are_valid() {
    let sandbox = Sandbox::new();
    for connector in ["producers/files", "sinks/files"] {
        let repo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let example = repo.join(connector).join("config.example.yaml");
        let output = sandbox.output(&["--config", example.to_str().unwrap(), "validate"]);
        assert!(output.status.success(), "{connector}: {}", text(&output.stderr));
    }
}

#[test]
fn a_target_inside_the_watched_folder_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.configure(|yaml| yaml.replace("folder: ./target", "folder: ./exports/done"));
    let output = sandbox.output(&["validate"]);
    assert_eq!(output.status.code(), Some(78));
    let error = text(&output.stderr);
    assert!(error.contains("TL9018") && error.contains("sinks.lake.folder"), "{error}");
}

#[test]
fn an_answer_that_cannot_be_written_has_its_code() {
    let sandbox = Sandbox::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = sandbox.command(&["version"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains("TL9020"), "{}", text(&output.stderr));
}

#[test]
fn a_demo_whose_exports_are_gone_ends_with_the_reason() {
    let sandbox = Sandbox::new();
    fs::remove_dir(sandbox.path("exports")).unwrap();
    let output = sandbox.output(&["demo", "--once", "--folder", "."]);
    assert_eq!(output.status.code(), Some(69));
    let error = text(&output.stderr);
    assert!(error.contains("TL1002") && error.contains("--folder"), "{error}");
}

#[test]
fn options_that_a_command_does_not_read_are_not_shown() {
    let sandbox = Sandbox::new();
    for command in ["demo", "explain", "completions"] {
        let help = text(&sandbox.output(&[command, "--help"]).stdout);
        assert!(!help.contains("--config") && help.contains("--log"), "{command}: {help}");
    }
    assert!(text(&sandbox.output(&["validate", "--help"]).stdout).contains("--config"));
    let anyway = sandbox.output(&["explain", "--output", "json", "502"]);
    assert!(anyway.status.success(), "{}", text(&anyway.stderr));
}

#[test]
fn the_fixtures_of_the_built_in_packs_pass_and_a_broken_one_fails() {
    let sandbox = Sandbox::new();
    for pack in ["sunrise", "retail-export"] {
        let output = sandbox.output(&["test", pack]);
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        assert!(text(&output.stdout).contains(", 0 failed"));
    }
    let built_in = sandbox.output(&["test", "--update", "sunrise"]);
    assert_eq!(built_in.status.code(), Some(64));
    assert!(text(&built_in.stderr).contains("TL9021"), "{}", text(&built_in.stderr));
    let unknown = sandbox.output(&["test", "nowhere"]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(text(&unknown.stderr).contains("TL9007"));
    let pack = sandbox.path("sunrise");
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systems/sunrise");
    let copied = std::process::Command::new("cp").arg("-r").arg(files).arg(&pack).status().unwrap();
    assert!(copied.success());
    let settings = pack.join("fixtures/settings.json");
    let kept = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, kept.replace("EUR", "USD")).unwrap();
    let other = sandbox.output(&["test", pack.to_str().unwrap()]);
    assert_eq!(other.status.code(), Some(1), "{}", text(&other.stdout));
    std::fs::write(&settings, "[1]").unwrap();
    let wrong = sandbox.output(&["test", pack.to_str().unwrap()]);
    assert!(!wrong.status.success());
    let error = text(&wrong.stderr);
    assert!(error.contains("TL9017") && error.contains("fixtures/settings.json"), "{error}");
}

#[test]
fn a_mapping_that_only_vrl_runs_is_named_with_the_construct() {
    let sandbox = Sandbox::new();
    assert!(!text(&sandbox.output(&["validate"]).stderr).contains("interpreter"));
    let pack = sandbox.path("pack");
    let files = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systems/sunrise");
    let copied = std::process::Command::new("cp").arg("-r").arg(files).arg(&pack).status().unwrap();
    assert!(copied.success());
    let mapping = pack.join("mappings/inventory.vrl");
    let good = std::fs::read_to_string(&mapping).unwrap();
    let first = "if split(\"a,b\", \",\")[0] == \"b\" { abort \"no\" }";
    std::fs::write(&mapping, format!("{first}\n{good}")).unwrap();
    let yaml = sandbox.path("throughline.yaml");
    let written = std::fs::read_to_string(&yaml).unwrap();
    std::fs::write(&yaml, written.replace("pack: sunrise", "pack: ./pack")).unwrap();
    let output = sandbox.output(&["validate"]);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    assert!(error.contains("inventory.vrl:1") && error.contains("split"), "{error}");
}

#[test]
fn a_command_that_needs_a_running_bus_says_how_to_start_one() {
    let sandbox = Sandbox::new();
    for arguments in [&["topics"][..], &["lag"], &["dlq", "list"], &["tail", "canonical.order"]] {
        let output = sandbox.output(arguments);
        assert_eq!(output.status.code(), Some(69), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains("TL9002") && error.contains("throughline up"), "{error}");
    }
}

#[test]
fn a_tail_whose_bus_is_gone_ends() {
    let sandbox = Sandbox::new();
    sandbox.replace("exports/inventory.csv", "sku,quantityOnStock,supplyChannel\nA,1,\n");
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    sandbox.until("nothing is published", || {
        let output = sandbox.output(&["tail", "canonical.inventory", "--last", "all", "--exit"]);
        if output.stdout.is_empty() { Err(text(&output.stderr)) } else { Ok(()) }
    });
    let mut tail = sandbox.command(&["tail", "canonical.inventory"]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // It follows when it has printed what there is.
    let mut line = String::new();
    BufReader::new(tail.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("canonical.inventory"), "{line}");
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
    assert_eq!(tail.wait().unwrap().code(), Some(69));
}

#[test]
fn an_unknown_worker_is_answered_with_the_known_ones() {
    let sandbox = Sandbox::new();
    let output = sandbox.output(&["run", "sink", "lak"]);
    assert!(!output.status.success());
    let bus = sandbox.start(&["run", "bus"]);
    sandbox.until("the bus never ran", || {
        sandbox.path("data/running.json").exists().then_some(()).ok_or("no running.json")
    });
    let output = sandbox.output(&["run", "sink", "lak"]);
    assert_eq!(output.status.code(), Some(64));
    let error = text(&output.stderr);
    assert!(error.contains("TL9004") && error.contains("lake"), "{error}");
    assert_eq!(bus.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn usage_errors_and_answers_have_their_exit_codes() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.output(&["tial"]).status.code(), Some(64));
    assert_eq!(sandbox.output(&["--help"]).status.code(), Some(0));
    let version = sandbox.output(&["--output", "json", "version"]);
    let version: serde_json::Value = serde_json::from_slice(&version.stdout).unwrap();
    assert_eq!(version["packs"], serde_json::json!(["retail-export", "sunrise"]));
    assert!(text(&sandbox.output(&["completions", "bash"]).stdout).contains("throughline"));
}

#[test]
fn a_taken_port_is_told_with_the_lines_that_choose_another() {
    let sandbox = Sandbox::new();
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [at, metrics] = taken.each_ref().map(|taken| taken.local_addr().unwrap());
    let ports = r#"bus: {embedded: {kafka: "127.0.0.1:0", registry: "127.0.0.1:0"}}"#;
    let yaml = fs::read_to_string(sandbox.path("throughline.yaml")).unwrap();
    let written = yaml.lines().find(|line| line.contains("kafka:")).unwrap().to_owned();
    sandbox.configure(|yaml| yaml.replace(&written, &format!("    kafka: {at}")));
    let up = text(&sandbox.output(&["up"]).stderr);
    assert!(up.contains("TL0302") && up.contains(ports), "{up}");
    sandbox.configure(|yaml| yaml.replace("metrics: 127.0.0.1:0", &format!("metrics: {metrics}")));
    let check = text(&sandbox.output(&["check"]).stdout);
    for part in ["TL9013: `bus.embedded.kafka` cannot", ports, r#"`metrics: "127.0.0.1:0"`"#] {
        assert!(check.contains(part), "{check}");
    }
    // The lines as they are printed, and those in the comments of `init`.
    let init = sandbox.output(&["--config", "new.yaml", "init"]);
    assert!(init.status.success(), "{}", text(&init.stderr));
    let file = fs::read_to_string(sandbox.path("new.yaml")).unwrap();
    let comments = ["bus: {", "metrics:"].map(|key| format!("# {key}"));
    assert!(comments.iter().all(|comment| file.contains(comment)), "{file}");
    let own = file.replace("bus: embedded\n", "").replace("# bus: {emb", "bus: {emb");
    fs::write(sandbox.path("own.yaml"), own.replace("# metrics:", "metrics:")).unwrap();
    let any = file.replace("bus: embedded\n", &format!("{ports}\nmetrics: \"127.0.0.1:0\"\n"));
    fs::write(sandbox.path("any.yaml"), any).unwrap();
    for name in ["own.yaml", "any.yaml"] {
        let valid = sandbox.output(&["--config", name, "validate"]);
        assert!(valid.status.success(), "{name}: {}", text(&valid.stderr));
    }
}
