//! What a normalizer is made of.

use std::collections::BTreeSet;

use throughline_avro::Schema;
use throughline_event::{EntityName, SystemName};

/// The part of a system pack that a normalizer needs.
#[derive(Debug, Clone)]
pub struct Pack {
    /// Its name.
    pub name: String,
    /// The entities that have a mapping.
    pub entities: Vec<PackEntity>,
}

/// One raw entity and its mapping.
#[derive(Debug, Clone)]
pub struct PackEntity {
    /// Its name, as the raw topic carries it.
    pub name: EntityName,
    /// The mapping's path inside the pack: `mappings/order.vrl`.
    pub file: String,
    /// The mapping.
    pub mapping: String,
    /// The schema of its documents.
    pub document: Schema,
    /// The canonical entities that the mapping writes.
    pub canonical: Vec<EntityName>,
}

/// One normalizer: a pack for one instance of a system.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The pack.
    pub pack: Pack,
    /// The instance.
    pub system: SystemName,
    /// The instance's settings, defaults filled in; `%settings` in a mapping.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The canonical entities that the instance owns. Records of the others go to
    /// `observed.<system>.<entity>`.
    pub owned: BTreeSet<EntityName>,
}
