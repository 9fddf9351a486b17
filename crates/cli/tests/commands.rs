//! Commands that need nothing to run.

use std::fs;

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
fn the_fixtures_of_the_built_in_packs_pass_and_a_broken_one_fails() {
    let sandbox = Sandbox::new();
    for pack in ["sunrise", "retail-export"] {
        let output = sandbox.output(&["test", pack]);
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        assert!(text(&output.stdout).contains(", 0 failed"));
    }
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
