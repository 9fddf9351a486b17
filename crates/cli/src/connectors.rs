//! Every kind of connector in this build, in alphabetical order. A new one is one line here.

use throughline_producer_files::FilesProducer;
use throughline_runtime::{ProducerRegistry, SinkRegistry};
use throughline_sink_files::FilesSink;

/// The kinds of producer.
pub(crate) fn producers() -> ProducerRegistry {
    ProducerRegistry::new().with::<FilesProducer>()
}

/// The kinds of sink.
pub(crate) fn sinks() -> SinkRegistry {
    SinkRegistry::new().with::<FilesSink>()
}
