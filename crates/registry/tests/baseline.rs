//! The product's own schemas against what was published of them before.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client::{Running, schema_body, start};

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Every `.avsc` below `folder`, as `canonical/order.avsc`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let kinds = ["canonical", "throughline"];
    let all = kinds.iter().flat_map(|kind| entries(&folder.join(kind)));
    all.map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect()
}

/// What the registry says against `next` when `earlier` are the versions of its subject.
async fn problems(registry: &Running, subject: &str, earlier: &[Value], next: &Value) -> Value {
    // The versions stand beside each other, whatever they think of one another.
    let level = |level: &str| Some(json!({"compatibility": level}));
    registry.ok("PUT", &format!("/config/{subject}"), level("NONE")).await;
    for schema in earlier {
        registry.register(subject, schema).await;
    }
    registry.ok("PUT", &format!("/config/{subject}"), level("FULL_TRANSITIVE")).await;
    let path = format!("/compatibility/subjects/{subject}/versions?verbose=true");
    let answer = registry.ok("POST", &path, Some(schema_body(next))).await;
    if answer["is_compatible"] == true { Value::Null } else { answer }
}

#[tokio::test]
async fn every_schema_gets_on_with_all_its_published_forms() {
    let versions = entries(&schemas().join("baseline"));
    assert!(!versions.is_empty(), "there is no published form to compare with");
    let registry = start().await;
    for (index, file) in files(&schemas()).iter().enumerate() {
        let published = versions.iter().map(|version| version.join(file));
        let earlier: Vec<_> = published.filter(|path| path.exists()).map(|p| read(&p)).collect();
        let current = read(&schemas().join(file));
        let found = problems(&registry, &format!("s{index}"), &earlier, &current).await;
        assert_eq!(found, Value::Null, "schemas/{} breaks what reads it", file.display());
    }
}

#[tokio::test]
async fn no_published_schema_is_gone() {
    for version in entries(&schemas().join("baseline")) {
        for file in files(&version) {
            let current = schemas().join(&file);
            assert!(current.exists(), "{} was in {}", file.display(), version.display());
        }
    }
}

/// The check can fail: an order without its currency, and one that asks for more.
#[tokio::test]
async fn a_break_of_a_real_schema_is_found() {
    let registry = start().await;
    let order = read(&schemas().join("canonical/order.avsc"));
    let mut less = order.clone();
    less["fields"].as_array_mut().unwrap().remove(0);
    let mut more = order.clone();
    let required = json!({"name": "surely_new", "type": "string"});
    more["fields"].as_array_mut().unwrap().push(required);
    for (subject, broken) in [("less", less), ("more", more)] {
        let found = problems(&registry, subject, std::slice::from_ref(&order), &broken).await;
        assert_eq!(found["is_compatible"], false, "{subject}: {found}");
    }
}
