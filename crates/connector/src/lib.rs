//! What a connector is: the [`Producer`], [`Processor`] and [`Sink`] traits, what they are given and
//! what they answer.
//!
//! No tokio, no Kafka client, no clock: the runtime owns threads, transactions, commits, retries and
//! dead letters, and acts on what a connector returns. The conformance suites in [`conformance`]
//! are the executable form of the contracts written on the traits.

pub mod conformance;
mod error;
mod options;
mod processor;
mod producer;
mod sink;

pub use error::{BoxError, ConnectError};
pub use options::{ConnectorOptions, options_from_json};
pub use processor::{
    Canonical, Headers, InputTopic, OutputTopic, Outputs, ProcessError, Processor, Produced,
};
pub use producer::{
    CaptureBatch, CaptureError, Captured, CapturedEntity, Item, PartitionRule, Producer,
    ProducerContext, Reading, Rejection,
};
pub use sink::{DeliverError, Disposition, Holding, Receipt, RecordPosition, Sink, SinkContext};
