//! A binary with one connector of each role and one built-in pack.

use std::{path::Path, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use throughline_config::{
    ByteSize, Catalog, Config, Finding, Report, SecretRef, Violations,
    pack::{Folder, Pack, PackFiles},
};
use throughline_event::{Role, SystemName};

pub(crate) struct TestCatalog;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "Reads exports from a watched folder.")]
#[expect(dead_code, reason = "only the schema is used")]
struct ProducerOptions {
    /// The folder that is watched.
    folder: String,
    /// A token for nothing.
    token: Option<SecretRef>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct SinkOptions {
    /// Where the records go.
    folder: String,
    /// The size at which a file is closed.
    #[serde(default = "roll")]
    #[schemars(extend("default" = "64MiB"))]
    roll: ByteSize,
    /// How the files are laid out.
    layout: Option<Layout>,
    /// The format of the files.
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct Layout {
    /// A folder per this.
    folders: String,
}

#[derive(Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// One object per line.
    #[default]
    Jsonl,
    /// Columns.
    Parquet,
}

fn roll() -> ByteSize {
    ByteSize::mib(64)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProcessorOptions {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schema is used")]
struct Capture {
    path: String,
    key: Vec<String>,
}

fn json_schema<T: JsonSchema>() -> Option<Value> {
    Some(schemars::schema_for!(T).to_value())
}

pub(crate) fn shop() -> Folder {
    Folder::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs/shop"))
}

impl Catalog for TestCatalog {
    fn entities(&self) -> Vec<String> {
        ["order", "inventory", "customer", "location", "price"].map(str::to_owned).into()
    }

    fn kinds(&self, role: Role) -> Vec<String> {
        let kinds: &[&str] = if role == Role::Processor { &["normalizer"] } else { &["files"] };
        kinds.iter().map(|kind| (*kind).to_owned()).collect()
    }

    fn options_schema(&self, role: Role, _kind: &str) -> Option<Value> {
        match role {
            Role::Producer => json_schema::<ProducerOptions>(),
            Role::Processor => json_schema::<ProcessorOptions>(),
            Role::Sink => json_schema::<SinkOptions>(),
        }
    }

    fn check_options(&self, role: Role, _kind: &str, options: &Value, found: &mut Violations) {
        if role == Role::Sink && options["folder"] == "/" {
            found.add("TL3001", "folder", "the root of the disk is no target", "name a folder");
        }
    }

    fn capture_schema(&self, kind: &str) -> Option<Value> {
        (kind == "files").then(json_schema::<Capture>).flatten()
    }

    fn check_pack(&self, pack: &Pack) -> Vec<Finding> {
        let mut found = Violations::new();
        for (entity, capture) in pack.capture("files").into_iter().flatten() {
            if capture["key"].as_array().is_some_and(Vec::is_empty) {
                let path = throughline_config::Path::from(["files", entity.as_str(), "key"]);
                found.add("TL1001", path, "the key has no fields", "name the fields of the key");
            }
        }
        pack.capture_report(found).findings().to_vec()
    }

    fn check_producer(
        &self,
        _kind: &str,
        options: &Value,
        _system: &SystemName,
        _pack: &Pack,
        found: &mut Violations,
    ) {
        if options["folder"] == "/" {
            found.add("TL1001", "folder", "the root of the disk is no source", "name a folder");
        }
    }

    fn packs(&self) -> Vec<String> {
        vec!["test-shop".into()]
    }

    fn pack(&self, name: &str) -> Option<Arc<dyn PackFiles>> {
        (name == "test-shop").then(|| Arc::new(shop()) as _)
    }
}

pub(crate) fn read(text: &str) -> Result<Config, Report> {
    throughline_config::read(
        "throughline.yaml",
        text.as_bytes(),
        Path::new("/etc/shop"),
        &TestCatalog,
    )
}

/// The findings of a file as `code line path`.
pub(crate) fn findings(text: &str) -> Vec<String> {
    let report = match read(text) {
        Ok(_) => return vec![],
        Err(report) => report,
    };
    report.findings().iter().map(|f| format!("{} {} {}", f.code, f.mark.line, f.path)).collect()
}

/// A file in which everything is right.
pub(crate) const GOOD: &str = "\
systems:
  shop: {pack: test-shop, settings: {currency: EUR}}
ownership: {order: each, inventory: shop, customer: each}
producers:
  shop-exports: {kind: files, system: shop, folder: ./exports}
sinks:
  lake: {kind: files, topics: [canonical.order, canonical.inventory], folder: ./target}
";
