//! Where a change came from: the `source` block of the envelope for producers of whole documents.
//!
//! The first fields are Debezium's, so that its consumers find what they know; the last four are
//! what a document has instead of a log sequence number.

use crate::{Micros, SystemName, Version};

/// The `source` block of one change event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The kind of producer: `files`.
    pub connector: String,
    /// The system instance.
    pub system: SystemName,
    /// When the change was made, as far as the source tells; else when it was seen.
    pub changed_at: Micros,
    /// Whether it is part of an initial or requested re-read.
    pub snapshot: bool,
    /// The source's own entity.
    pub entity: String,
    /// The source position, for people: `orders.csv line 12`.
    pub position: String,
    /// The order of the changes of this key.
    pub version: Version,
    /// Who made the change, where the source tells.
    pub actor: Option<String>,
}

/// The Avro type of the block, embedded in every envelope schema.
pub(crate) const SCHEMA: &str = r#"{"type":"record","name":"Source","namespace":"io.throughline.document","fields":[
{"name":"version","type":"string"},
{"name":"connector","type":"string"},
{"name":"name","type":"string"},
{"name":"ts_ms","type":"long"},
{"name":"snapshot","type":["string","null"],"default":"false"},
{"name":"db","type":"string"},
{"name":"sequence","type":["null","string"],"default":null},
{"name":"ts_us","type":["null","long"],"default":null},
{"name":"ts_ns","type":["null","long"],"default":null},
{"name":"entity","type":"string"},
{"name":"position","type":"string"},
{"name":"document_version","type":"long"},
{"name":"actor","type":["null","string"],"default":null}]}"#;
