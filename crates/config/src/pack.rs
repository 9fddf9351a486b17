//! System packs: everything that is known about one product, as files.
//!
//! ```text
//! system.yaml            name, settings, entities with their mapping, schema and canonical entities
//! capture.yaml           how each kind of producer reads the entities; optional
//! mappings/*.vrl         raw entity -> canonical records
//! schemas/*.avsc         the Avro schemas of the raw entities
//! README.md, fixtures/   for people and tests
//! ```
//! A pack is part of the binary or stands in a folder; [`PackFiles`] hides which. All files are
//! read when the pack is loaded, so that a running system does not notice an edit half-way. What
//! the mappings say is the normalizer's business, and what stands under a kind in `capture.yaml` is
//! the producer's.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;
use throughline_event::{EntityName, Violations};

use crate::{Finding, Report, yaml::Node};

mod files;
mod load;
mod system;

pub use files::{Folder, PackFiles};
pub use load::load;
pub use system::{Setting, SettingFormat, SettingType};

/// A pack that passed its checks.
#[derive(Clone)]
pub struct Pack {
    /// The name by which `throughline.yaml` asks for it.
    pub name: String,
    /// What people call the product.
    pub title: String,
    /// The version of the pack.
    pub version: String,
    /// The settings that a system with this pack has.
    pub settings: BTreeMap<String, Setting>,
    /// The entities of the product.
    pub entities: BTreeMap<EntityName, Entity>,
    capture: BTreeMap<String, BTreeMap<EntityName, Value>>,
    capture_file: Option<(String, Node)>,
    files: Arc<dyn PackFiles>,
}

/// One entity of a product.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// The mapping to canonical records; `None` for an entity that is only captured.
    pub mapping: Option<TextFile>,
    /// The Avro schema of its documents.
    pub schema: TextFile,
    /// The canonical entities that the mapping writes.
    pub canonical: Vec<EntityName>,
    /// Whether its raw topic has one partition, because its canonical key can move between roots.
    pub single_partition: bool,
    /// The fields whose change alone is no change.
    pub ignore: Vec<String>,
}

/// A file of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Its path inside the pack.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl Pack {
    /// How producers of `kind` read each entity; `None` when the pack does not say.
    pub fn capture(&self, kind: &str) -> Option<&BTreeMap<EntityName, Value>> {
        self.capture.get(kind)
    }

    /// The kinds of producer that can read this product.
    pub fn capture_kinds(&self) -> impl Iterator<Item = &str> {
        self.capture.keys().map(String::as_str)
    }

    /// Whether a mapping of this pack writes the canonical entity.
    pub fn writes(&self, canonical: &str) -> bool {
        self.entities
            .values()
            .any(|entity| entity.canonical.iter().any(|e| e.as_str() == canonical))
    }

    /// Places what a producer found in `capture.yaml`; paths start at the root of that file.
    pub fn capture_report(&self, found: Violations) -> Report {
        let findings = self
            .capture_file
            .as_ref()
            .map(|(file, root)| Finding::placed(file, root, found))
            .unwrap_or_default();
        Report::new(findings)
    }

    /// The files of the pack, for fixtures.
    pub fn files(&self) -> &Arc<dyn PackFiles> {
        &self.files
    }
}

impl fmt::Debug for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pack")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
