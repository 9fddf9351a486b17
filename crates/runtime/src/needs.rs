//! What a worker needs on the bus, for those who look before it runs.
//!
//! The workers create and register this at their start.

use throughline_avro::Schema;
use throughline_bus::{Cleanup, Partitions, TopicSpec};
use throughline_connector::{CapturedEntity, PartitionRule, Processor};
use throughline_event::{EnvelopeSchema, SystemName, TopicName, WorkerName, key_schema};

use crate::{WorkerError, dead_letter, positions};

/// One topic of a worker.
#[derive(Debug, Clone)]
pub struct Need {
    /// The topic as it must be.
    pub topic: TopicSpec,
    /// The schemas of its keys and values, where this worker writes it.
    pub schemas: Option<(Schema, Schema)>,
}

/// What a producer writes.
///
/// # Errors
/// When an entity has a key or a document that cannot be published.
pub fn of_producer(
    name: &WorkerName,
    system: &SystemName,
    entities: &[CapturedEntity],
    partitions: i32,
) -> Result<Vec<Need>, WorkerError> {
    let mut needs = Vec::new();
    for entity in entities {
        let raw = of_entity(system, entity, partitions)?;
        needs.push(need(raw.topic, raw.partitions, Some((raw.key, raw.envelope))));
    }
    needs.push(need(TopicName::dead(name), Partitions::Exactly(1), Some(dead_letter::schemas())));
    let positions = Some(positions::schemas());
    needs.push(need(TopicName::positions(name), Partitions::Exactly(1), positions));
    Ok(needs)
}

/// The topic that an entity is published to.
pub(crate) struct RawTopic {
    pub(crate) topic: TopicName,
    pub(crate) partitions: Partitions,
    pub(crate) key: Schema,
    pub(crate) envelope: Schema,
}

pub(crate) fn of_entity(
    system: &SystemName,
    entity: &CapturedEntity,
    partitions: i32,
) -> Result<RawTopic, WorkerError> {
    let topic = TopicName::cdc(system, &entity.name);
    let schemas = EnvelopeSchema::for_topic(&topic, &entity.document)
        .and_then(|envelope| Ok((key_schema(&topic, &entity.key)?, envelope.schema().clone())));
    let (key, envelope) =
        schemas.map_err(|source| WorkerError::Entity { entity: entity.name.clone(), source })?;
    let partitions = match entity.partitions {
        PartitionRule::One => Partitions::Exactly(1),
        PartitionRule::Any => Partitions::Initially(partitions),
    };
    Ok(RawTopic { topic, partitions, key, envelope })
}

/// What a processor reads and writes.
pub fn of_processor(name: &WorkerName, processor: &dyn Processor, partitions: i32) -> Vec<Need> {
    let initially = Partitions::Initially(partitions);
    let inputs = processor.inputs().iter().map(|input| need(input.topic.clone(), initially, None));
    let outputs = processor.outputs().iter().map(|output| {
        need(output.topic.clone(), initially, Some((output.key.clone(), output.value.clone())))
    });
    let dead = need(TopicName::dead(name), initially, Some(dead_letter::schemas()));
    inputs.chain(outputs).chain([dead]).collect()
}

/// What a sink reads and writes.
pub fn of_sink(name: &WorkerName, topics: &[TopicName], partitions: i32) -> Vec<Need> {
    let initially = Partitions::Initially(partitions);
    let inputs = topics.iter().map(|topic| need(topic.clone(), initially, None));
    inputs.chain([need(TopicName::dead(name), initially, Some(dead_letter::schemas()))]).collect()
}

fn need(topic: TopicName, partitions: Partitions, schemas: Option<(Schema, Schema)>) -> Need {
    Need { topic: TopicSpec::new(topic, partitions, Cleanup::Compact), schemas }
}
