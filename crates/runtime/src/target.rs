//! A topic that a worker writes: created, its schemas registered, its records addressed.

use throughline_avro::{Schema, SchemaId};
use throughline_bus::{Bus, BusError, Cleanup, Outgoing, Partitions, TopicSpec};
use throughline_event::{PartitionId, TopicName, WorkerName};

use crate::dead_letter;

/// A topic with the ids of the schemas that are written to it.
pub(crate) struct Target {
    pub(crate) topic: TopicName,
    /// How many it has, which may be others than wanted when it existed.
    pub(crate) partitions: i32,
    pub(crate) key: SchemaId,
    pub(crate) value: SchemaId,
}

impl Target {
    /// Creates the topic where it is missing, and registers the schemas of its keys and values.
    pub(crate) fn prepare(
        bus: &Bus,
        topic: &TopicName,
        partitions: Partitions,
        (key, value): (&Schema, &Schema),
    ) -> Result<Self, BusError> {
        Ok(Self {
            partitions: ensure(bus, topic, partitions)?,
            key: bus.register(&topic.key_subject(), key)?,
            value: bus.register(&topic.value_subject(), value)?,
            topic: topic.clone(),
        })
    }

    /// The dead letters of a worker.
    pub(crate) fn dead(
        bus: &Bus,
        worker: &WorkerName,
        partitions: Partitions,
    ) -> Result<Self, BusError> {
        let (key, value) = dead_letter::schemas();
        Self::prepare(bus, &TopicName::dead(worker), partitions, (&key, &value))
    }

    /// A record, or a tombstone where there is no value; nothing else is set.
    pub(crate) fn outgoing<'a>(&'a self, key: &'a [u8], value: Option<&'a [u8]>) -> Outgoing<'a> {
        Outgoing {
            topic: &self.topic,
            partition: None,
            key: Some((self.key, key)),
            value: value.map(|value| (self.value, value)),
            headers: &[],
            timestamp: None,
        }
    }

    /// The same for a partition.
    pub(crate) fn outgoing_to<'a>(
        &'a self,
        partition: PartitionId,
        key: &'a [u8],
        value: Option<&'a [u8]>,
    ) -> Outgoing<'a> {
        Outgoing { partition: Some(partition), ..self.outgoing(key, value) }
    }
}

/// Creates a topic where it is missing; returns its partitions. Compacted, because each holds the
/// newest state of its keys.
pub(crate) fn ensure(
    bus: &Bus,
    topic: &TopicName,
    partitions: Partitions,
) -> Result<i32, BusError> {
    let spec = TopicSpec::new(topic.clone(), partitions, Cleanup::Compact);
    Ok(bus.ensure_topic(&spec)?.partitions)
}
