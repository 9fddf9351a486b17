//! `throughline.yaml` as it is written. The comments here are the text of the reference page.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use throughline_event::ByteSize;

/// The configuration of Throughline: one file for the bus, the systems, and everything that runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "throughline.yaml")]
pub(crate) struct File {
    /// The version of this format. Files without it are version 1.
    #[schemars(range(min = 1), extend("default" = 1))]
    pub(crate) version: Option<u32>,
    /// The folder of the embedded bus and of the state of the workers, relative to this file.
    #[schemars(length(min = 1), extend("default" = "./throughline-data"))]
    pub(crate) data: Option<String>,
    /// The log that everything reads and writes: `embedded`, or the addresses of a Kafka cluster
    /// and a schema registry.
    #[schemars(extend("default" = "embedded"))]
    pub(crate) bus: Option<BusFile>,
    /// The memory for records on their way and for what producers know of their documents: the
    /// queues of all workers and the caches of producers' state are sized from it.
    #[schemars(extend("default" = "256MiB"))]
    pub(crate) memory: Option<ByteSize>,
    /// The address of `/metrics`, `/livez` and `/readyz`; port 0 takes any free port.
    #[schemars(extend("default" = "127.0.0.1:9464"))]
    pub(crate) metrics: Option<String>,
    /// The systems of the merchant, by the name that topics and records carry.
    #[schemars(extend("propertyNames" = {"pattern": throughline_event::NAME_PATTERN}))]
    pub(crate) systems: BTreeMap<String, SystemFile>,
    /// Which system owns each canonical entity: the name of one system, or `each` where every
    /// system owns its own records. What the owner says is published to `canonical.<entity>`, what
    /// any other system says to `observed.<system>.<entity>`.
    pub(crate) ownership: BTreeMap<String, String>,
    /// What reads the systems, by worker name.
    #[schemars(
        with = "BTreeMap<String, ProducerHead>",
        extend("propertyNames" = {"pattern": throughline_event::NAME_PATTERN})
    )]
    pub(crate) producers: BTreeMap<String, Map<String, Value>>,
    /// What turns raw events into canonical ones, by worker name. A system without an entry here
    /// gets one normalizer of its own name.
    #[schemars(
        with = "BTreeMap<String, ProcessorHead>",
        extend("propertyNames" = {"pattern": throughline_event::NAME_PATTERN})
    )]
    pub(crate) processors: BTreeMap<String, Map<String, Value>>,
    /// What writes the targets, by worker name.
    #[schemars(
        with = "BTreeMap<String, SinkHead>",
        extend("propertyNames" = {"pattern": throughline_event::NAME_PATTERN})
    )]
    pub(crate) sinks: BTreeMap<String, Map<String, Value>>,
}

/// The bus, by name or by address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum BusFile {
    /// The embedded bus with its defaults.
    Name(BusName),
    /// The embedded bus with settings, or a cluster.
    Map(BusMap),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum BusName {
    /// The bus that is part of this program.
    Embedded,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct BusMap {
    /// The bus that is part of this program.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<EmbeddedFile>")]
    pub(crate) embedded: Option<EmbeddedFile>,
    /// The bootstrap brokers of a Kafka cluster.
    #[schemars(length(min = 1), example = ["kafka-1:9092", "kafka-2:9092"])]
    pub(crate) brokers: Option<Vec<String>>,
    /// The URL of a Confluent-compatible schema registry.
    #[schemars(example = "http://registry:8081")]
    pub(crate) registry: Option<String>,
}

/// `embedded:` without anything behind it means the defaults, not the absence of the key.
fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<EmbeddedFile>, D::Error> {
    Option::<EmbeddedFile>::deserialize(reader).map(|written| Some(written.unwrap_or_default()))
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct EmbeddedFile {
    /// Where the broker listens; loopback only. Port 0 takes any free port.
    #[schemars(extend("default" = "127.0.0.1:9092"))]
    pub(crate) kafka: Option<String>,
    /// Where the schema registry listens; loopback only. Port 0 takes any free port.
    #[schemars(extend("default" = "127.0.0.1:8081"))]
    pub(crate) registry: Option<String>,
    /// What an acknowledgment promises.
    #[schemars(extend("default" = "every_ack"))]
    pub(crate) flush: Option<FlushFile>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum FlushFile {
    /// The record is on the disk: it survives a loss of power.
    EveryAck,
    /// The operating system has the record: it survives the end of the process, not of the machine.
    PageCache,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct SystemFile {
    /// The system pack: the name of a built-in one, or a folder relative to this file (`./packs/x`).
    #[schemars(length(min = 1), example = &"sunrise")]
    pub(crate) pack: String,
    /// The settings that the pack asks for.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ProducerHead {
    /// The kind of producer.
    #[schemars(example = &"files")]
    pub(crate) kind: String,
    /// The system that is read.
    #[schemars(example = &"shop")]
    pub(crate) system: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ProcessorHead {
    /// The kind of processor.
    #[schemars(example = &"normalizer")]
    pub(crate) kind: String,
    /// The system whose events are processed.
    #[schemars(example = &"shop")]
    pub(crate) system: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct SinkHead {
    /// The kind of sink.
    #[schemars(example = &"files")]
    pub(crate) kind: String,
    /// The topics that are written to the target.
    #[schemars(length(min = 1), extend("uniqueItems" = true), example = ["canonical.order"])]
    pub(crate) topics: Vec<String>,
}

/// The schema of the whole file, with the options of workers left open.
pub(crate) fn schema() -> Value {
    let mut schema = schemars::schema_for!(File);
    // Each optional key has its documented default; `null` is no value of its own.
    schema.remove("default");
    schema.to_value()
}
