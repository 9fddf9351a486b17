//! Who may depend on whom.
//!
//! `avro <- event <- connector <- {producers, processors, sinks}`; only `bus` knows the Kafka
//! client; only `cli` knows every connector. Tests may use more, benches and this program too.

use crate::repo::Member;

/// Crates that ship nothing and may depend on anything.
const TOOLS: [&str; 2] = ["benches", "xtask"];

/// Libraries that only one crate may use, and the crate.
const RESERVED: [(&str, &str); 3] = [
    ("rdkafka", "crates/bus"),
    ("rdkafka-sys", "crates/bus"),
    ("schema_registry_converter", "crates/bus"),
];

/// The one crate that may depend on any of ours.
const BINARY: &str = "crates/cli";

/// The crates of ours that a crate may depend on: the table of `docs/architecture.md`.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("crates/avro", &[]),
    ("crates/event", &["avro"]),
    ("crates/connector", &["avro", "event"]),
    ("crates/document", &["avro", "event"]),
    ("crates/config", &["event"]),
    ("crates/telemetry", &[]),
    ("crates/log", &[]),
    ("crates/broker", &["log"]),
    ("crates/registry", &["telemetry"]),
    ("crates/bus", &["avro", "broker", "event", "registry"]),
    ("crates/runtime", &["avro", "bus", "connector", "document", "event", "telemetry"]),
    ("producers/", CONNECTOR),
    ("processors/", CONNECTOR),
    ("sinks/", CONNECTOR),
];
const CONNECTOR: &[&str] = &["avro", "connector", "event"];

/// Libraries that a folder may not use, and why.
const FORBIDDEN: [(&str, &str, &str); 3] = [
    ("processors/", "tokio", "a processor is a pure function"),
    ("crates/config", "tokio", "config reads files and waits for nothing"),
    ("crates/event", "tokio", "event is pure data"),
];

/// Everything that is against the rules.
pub(crate) fn check(members: &[Member]) -> Vec<String> {
    let connectors: Vec<&str> =
        members.iter().filter(|member| is_connector(&member.folder)).map(Member::name).collect();
    let mut problems = Vec::new();
    for member in members {
        problems.extend(manifest(member));
        if !TOOLS.contains(&member.folder.as_str()) {
            for dependency in member.dependencies("dependencies") {
                problems.extend(edge(&member.folder, dependency, &connectors));
            }
        }
    }
    problems
}

fn is_connector(folder: &str) -> bool {
    ["producers/", "processors/", "sinks/"].iter().any(|parent| folder.starts_with(parent))
}

/// Every crate takes the lints and the license of the workspace.
fn manifest(member: &Member) -> Option<String> {
    let inherits = |path: [&str; 2]| {
        let value = match path {
            ["lints", key] => member.manifest.get("lints").and_then(|lints| lints.get(key)),
            [table, key] => member.manifest.get(table).and_then(|t| t.get(key)?.get("workspace")),
        };
        value.and_then(toml::Value::as_bool) == Some(true)
    };
    if !inherits(["lints", "workspace"]) {
        return Some(format!("{}/Cargo.toml: add `[lints] workspace = true`", member.folder));
    }
    let missing = ["version", "edition", "license", "publish"]
        .into_iter()
        .find(|key| !inherits(["package", key]))?;
    Some(format!("{}/Cargo.toml: add `{missing}.workspace = true`", member.folder))
}

/// What is wrong with one dependency.
fn edge(folder: &str, dependency: &str, connectors: &[&str]) -> Option<String> {
    let problem = |why: String| Some(format!("{folder}/Cargo.toml: `{dependency}`: {why}"));
    if let Some((_, owner)) = RESERVED.iter().find(|(name, _)| *name == dependency)
        && *owner != folder
    {
        return problem(format!("only {owner} may use it"));
    }
    let forbidden =
        FORBIDDEN.iter().find(|(of, name, _)| covers(of, folder) && *name == dependency);
    if let Some((_, _, why)) = forbidden {
        return problem((*why).to_owned());
    }
    let ours = dependency.strip_prefix("throughline-")?;
    if folder == BINARY {
        return None;
    }
    if connectors.contains(&dependency) {
        return problem("only crates/cli may know a connector".to_owned());
    }
    let Some((_, allowed)) = ALLOWED.iter().find(|(of, _)| covers(of, folder)) else {
        return problem(
            "list this crate in xtask's dependencies.rs and architecture.md".to_owned(),
        );
    };
    if allowed.contains(&ours) {
        return None;
    }
    match allowed {
        [] => problem("this crate depends on none of ours".to_owned()),
        allowed => problem(format!("this crate may depend on {}", allowed.join(", "))),
    }
}

/// Whether a rule for `of` (a folder, or a parent with a slash at its end) is about `folder`.
fn covers(of: &str, folder: &str) -> bool {
    if of.ends_with('/') { folder.starts_with(of) } else { folder == of }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(folder: &str, dependency: &str) -> Option<String> {
        edge(folder, dependency, &["throughline-sink-files", "throughline-producer-files"])
    }

    #[test]
    fn only_the_bus_knows_the_kafka_client() {
        assert!(problem("crates/bus", "rdkafka").is_none());
        assert!(problem("crates/cli", "rdkafka").is_some());
        assert!(problem("crates/registry", "schema_registry_converter").is_some());
    }

    #[test]
    fn only_the_command_line_knows_connectors() {
        assert!(problem("crates/cli", "throughline-sink-files").is_none());
        assert!(problem("crates/runtime", "throughline-sink-files").is_some());
        assert!(problem("sinks/http", "throughline-sink-files").is_some());
    }

    #[test]
    fn processors_are_pure() {
        assert!(problem("processors/normalizer", "tokio").is_some());
        assert!(problem("processors/normalizer", "throughline-bus").is_some());
        assert!(problem("processors/normalizer", "throughline-config").is_some());
        assert!(problem("sinks/http", "tokio").is_none());
    }

    #[test]
    fn the_lower_crates_do_not_look_up() {
        assert!(problem("crates/event", "throughline-connector").is_some());
        assert!(problem("crates/log", "throughline-event").is_some());
        assert!(problem("crates/connector", "throughline-config").is_some());
        assert!(problem("crates/event", "serde").is_none());
        assert!(problem("crates/runtime", "throughline-bus").is_none());
    }

    #[test]
    fn a_crate_that_is_not_listed_is_found() {
        assert!(problem("crates/new", "throughline-event").unwrap().contains("list this crate"));
        assert!(problem("crates/new", "serde").is_none());
    }

    #[test]
    fn the_table_in_the_documentation_is_the_list() {
        let text = include_str!("../../../docs/architecture.md");
        for (of, allowed) in ALLOWED {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{of}")));
            let cells: Vec<&str> = row.unwrap_or_default().split('|').collect();
            // Crates of ours stand in backticks, others do not.
            let mut told: Vec<&str> = cells[3].split('`').skip(1).step_by(2).collect();
            told.sort_unstable();
            assert_eq!(told, allowed, "{of}");
        }
    }

    #[test]
    fn a_crate_without_the_lints_of_the_workspace_is_found() {
        let manifest = "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace = true\n\
                        license.workspace = true\npublish.workspace = true\n";
        let member =
            |text: &str| Member { folder: "crates/x".into(), manifest: text.parse().unwrap() };
        assert!(check(&[member(manifest)])[0].contains("[lints]"));
        let with_lints = format!("{manifest}[lints]\nworkspace = true\n");
        assert!(check(&[member(&with_lints)]).is_empty());
        let without = with_lints.replace("license.workspace = true\n", "");
        assert!(check(&[member(&without)])[0].contains("license"));
    }
}
