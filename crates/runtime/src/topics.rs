//! Topics as workers need them: compacted, because each holds the newest state of its keys.

use throughline_bus::{Bus, BusError, Cleanup, Partitions, TopicSpec};
use throughline_event::TopicName;

/// Creates a topic where it is missing; returns its partitions, which may be others when it exists.
pub(crate) fn ensure(bus: &Bus, topic: &TopicName, partitions: i32) -> Result<i32, BusError> {
    create(bus, topic, Partitions::Initially(partitions))
}

/// Creates a topic with one partition; refuses one with more.
pub(crate) fn ensure_single(bus: &Bus, topic: &TopicName) -> Result<i32, BusError> {
    create(bus, topic, Partitions::Exactly(1))
}

fn create(bus: &Bus, topic: &TopicName, partitions: Partitions) -> Result<i32, BusError> {
    let spec = TopicSpec::new(topic.clone(), partitions, Cleanup::Compact);
    Ok(bus.ensure_topic(&spec)?.partitions)
}
