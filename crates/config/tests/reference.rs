//! The published schema and page.

use jsonschema::Validator;
use serde_json::Value;
use throughline_config::{codes, reference};

use crate::catalog::{GOOD, TestCatalog};

fn published() -> Validator {
    jsonschema::validator_for(&reference::schema(&TestCatalog)).unwrap()
}

fn json(text: &str) -> Value {
    throughline_config::yaml::parse("x", text.as_bytes(), &mut vec![]).unwrap().to_json()
}

#[test]
fn the_published_schema_accepts_what_the_program_accepts() {
    let schema = published();
    assert!(schema.is_valid(&json(GOOD)));
    assert!(schema.is_valid(&json("bus: {embedded: {flush: page_cache}}\n")));
    assert!(schema.is_valid(&json("bus: embedded\n")));
    let nested = "folder: ./target, layout: {folders: day}, format: parquet";
    assert!(schema.is_valid(&json(&GOOD.replace("folder: ./target", nested))));
}

#[test]
fn the_published_schema_knows_the_options_of_connectors() {
    let schema = published();
    for (from, to) in [
        ("folder: ./target", "foldr: ./target"),
        ("folder: ./target", "folder: ./target, roll: 5"),
        ("folder: ./target", "folder: ./target, layout: {foldrs: day}"),
        ("folder: ./target", "folder: ./target, format: csv"),
        ("kind: files, topics", "kind: ftp, topics"),
        ("pack: test-shop", "pak: test-shop"),
    ] {
        assert!(!schema.is_valid(&json(&GOOD.replace(from, to))), "{to}");
    }
}

#[test]
fn the_page_names_every_key_with_its_default() {
    let page = reference::page(&TestCatalog);
    for row in [
        "| `memory` | size | `256MiB` |",
        "| `bus.embedded.flush` | `every_ack`, `page_cache` | `every_ack` |",
        "| `systems.NAME.pack` | text | required |",
        "| `sinks.NAME.topics` | list | required |",
        "| `folder` | text | required | The folder that is watched. |",
        "| `roll` | size | `64MiB` |",
        "| `token` | secret |",
        "| `layout` | map |",
        "| `format` | `jsonl`, `parquet` | `jsonl` | The format of the files. `jsonl`: One object",
    ] {
        assert!(page.contains(row), "{row}\n{page}");
    }
}

#[test]
fn codes_are_unique_and_in_order() {
    let ids: Vec<&str> = codes::ALL.iter().map(|code| code.id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
}
