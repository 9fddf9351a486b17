//! The bus: one handle from which everything else is made.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use throughline_avro::{Schema, SchemaId};
use throughline_event::{Offset, TopicName, TopicPartition};

use crate::consumer::{Committed, Consumer, ConsumerOptions, Isolation};
use crate::decode::Entry;
use crate::options::BusOptions;
use crate::producer::TransactionalProducer;
use crate::reader::{READ_PATIENCE, Reading, Tail, TailOptions, read_to_end};
use crate::schemas::{Schemas, SubjectVersion};
use crate::topics::{PartitionInfo, TopicInfo, TopicSpec, Topics};
use crate::{BusError, rule};

#[derive(Debug)]
struct Inner {
    options: BusOptions,
    schemas: Arc<Schemas>,
    topics: Arc<Topics>,
}

/// A Kafka cluster with its schema registry. Cheap to clone; calls block.
#[derive(Debug, Clone)]
pub struct Bus(Arc<Inner>);

impl Bus {
    /// Reaches brokers and registry once, so that a wrong address is told before any work begins.
    ///
    /// # Errors
    /// When an option cannot work, or one of both does not answer within the timeout.
    pub fn connect(options: BusOptions) -> Result<Self, BusError> {
        options.validate()?;
        let schemas = Arc::new(Schemas::new(&options)?);
        let topics = Arc::new(Topics::new(&options)?);
        topics.all()?;
        schemas.probe()?;
        Ok(Self(Arc::new(Inner { options, schemas, topics })))
    }

    /// How it was reached.
    pub fn options(&self) -> &BusOptions {
        &self.0.options
    }

    /// Creates a topic when it is missing, and checks it when it is there.
    ///
    /// # Errors
    /// When it exists with another cleanup policy, or with another number of partitions than
    /// exactly the wanted one.
    pub fn ensure_topic(&self, spec: &TopicSpec) -> Result<TopicInfo, BusError> {
        self.0.topics.ensure(spec)
    }

    /// What a topic is, changing nothing: found and as it must be, or missing and free to be created
    /// (nothing then).
    ///
    /// # Errors
    /// As [`Bus::ensure_topic`], a creation that the cluster would refuse included.
    pub fn inspect_topic(&self, spec: &TopicSpec) -> Result<Option<TopicInfo>, BusError> {
        self.0.topics.inspect(spec)
    }

    /// All topics by name, the brokers' own (`__consumer_offsets`) included.
    pub fn topics(&self) -> Result<Vec<TopicInfo>, BusError> {
        self.0.topics.all()
    }

    /// How many partitions a topic has.
    pub fn topic(&self, topic: &TopicName) -> Result<TopicInfo, BusError> {
        self.0.topics.info(topic)
    }

    /// The offsets of each partition of a topic.
    pub fn describe(&self, topic: &TopicName) -> Result<Vec<PartitionInfo>, BusError> {
        self.0.topics.describe(topic)
    }

    /// What happens to old records of a topic: the value of its `cleanup.policy`, `compact`.
    pub fn cleanup(&self, topic: &TopicName) -> Result<String, BusError> {
        self.0.topics.cleanup(topic)
    }

    /// The offsets of one partition.
    pub fn describe_partition(&self, at: &TopicPartition) -> Result<PartitionInfo, BusError> {
        self.0.topics.offsets(&at.topic, at.partition)
    }

    /// Registers a schema, or finds the id it has; remembered, so a second call costs nothing.
    ///
    /// # Errors
    /// [`BusError::Incompatible`] when the subject's rule refuses it.
    pub fn register(&self, subject: &str, schema: &Schema) -> Result<SchemaId, BusError> {
        self.0.schemas.register(subject, schema)
    }

    /// The schema of an id, from the cache after the first time.
    pub fn schema(&self, id: SchemaId) -> Result<Arc<Schema>, BusError> {
        self.0.schemas.get(id)
    }

    /// The id of a schema that came with a record of this bus; for writing the record again.
    pub fn schema_id(&self, schema: &Arc<Schema>) -> Option<SchemaId> {
        self.0.schemas.id_of(schema)
    }

    /// All subjects of the registry by name.
    pub fn subjects(&self) -> Result<Vec<String>, BusError> {
        self.0.schemas.subjects()
    }

    /// The versions of a subject.
    pub fn versions(&self, subject: &str) -> Result<Vec<u32>, BusError> {
        self.0.schemas.versions(subject)
    }

    /// One version of a subject, the newest when none is named.
    pub fn version(&self, subject: &str, version: Option<u32>) -> Result<SubjectVersion, BusError> {
        self.0.schemas.version(subject, version)
    }

    /// Whether a subject would take a schema.
    pub fn compatible(&self, subject: &str, schema: &Schema) -> Result<bool, BusError> {
        self.0.schemas.compatible(subject, schema)
    }

    /// What a schema changes against the newest version of a subject, in words; nothing where no
    /// field tells it.
    pub fn difference(&self, subject: &str, schema: &Schema) -> Result<Option<String>, BusError> {
        self.0.schemas.difference(subject, schema)
    }

    /// The compatibility rule of a subject (`BACKWARD`, `NONE`, ...), or without one the rule of
    /// all subjects that have none of their own.
    pub fn rule(&self, subject: Option<&str>) -> Result<Option<String>, BusError> {
        rule::get(&self.0.options, subject)
    }

    /// Sets the compatibility rule of a subject.
    pub fn set_rule(&self, subject: &str, level: &str) -> Result<(), BusError> {
        rule::set(&self.0.options, subject, level)
    }

    /// A producer for transactions. Older ones of this name are fenced, and what they left open is
    /// aborted before this returns: read positions and offsets only afterwards.
    pub fn producer(&self, transactional_id: &str) -> Result<TransactionalProducer, BusError> {
        TransactionalProducer::new(&self.0.options, transactional_id)
    }

    /// A member of a consumer group.
    pub fn consumer(&self, options: ConsumerOptions) -> Result<Consumer, BusError> {
        let Inner { options: bus, schemas, topics } = &*self.0;
        Consumer::new(bus, Arc::clone(schemas), Arc::clone(topics), options)
    }

    /// Reads a partition from an offset to the end it has now, and returns the offset to go on at.
    /// Records that come meanwhile may be read too. `take` may break off.
    ///
    /// Memory is bounded. Compacted gaps and markers of transactions are passed over. An offset
    /// before the first record begins there.
    ///
    /// # Errors
    /// [`BusError::BeyondEnd`] when the partition is shorter than `from`;
    /// [`BusError::OpenTransaction`] when the end belongs to a transaction that does not end.
    pub fn read_to_end(
        &self,
        partition: &TopicPartition,
        from: Offset,
        isolation: Isolation,
        take: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Offset, BusError> {
        self.read_to_end_within(READ_PATIENCE, partition, from, isolation, take)
    }

    /// [`Bus::read_to_end`] with another limit for the time in which nothing comes.
    pub fn read_to_end_within(
        &self,
        patience: Duration,
        partition: &TopicPartition,
        from: Offset,
        isolation: Isolation,
        take: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Offset, BusError> {
        let Inner { options, schemas, topics } = &*self.0;
        let reading = Reading { partition, from, isolation, patience };
        read_to_end(options, schemas, topics, &reading, take)
    }

    /// Reads a topic without a group, for people who look.
    pub fn tail(&self, options: &TailOptions) -> Result<Tail, BusError> {
        let schemas = Arc::clone(&self.0.schemas);
        Tail::new(&self.0.options, schemas, &self.0.topics, options)
    }

    /// The offsets that a group has committed for these topics, without joining it.
    pub fn committed(
        &self,
        group: &str,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicPartition, Option<Committed>)>, BusError> {
        crate::offsets::committed(&self.0.options, &self.0.topics, group, topics)
    }

    /// How many members a group has: the workers that read, and for some seconds one that was killed.
    pub fn members(&self, group: &str) -> Result<usize, BusError> {
        crate::offsets::members(&self.0.options, group)
    }

    /// Sets where a group without members goes on; a worker then takes the offsets for its own.
    ///
    /// # Errors
    /// [`BusError::GroupInUse`] while a worker runs.
    pub fn set_committed(
        &self,
        group: &str,
        offsets: &[(TopicPartition, Offset)],
    ) -> Result<(), BusError> {
        crate::offsets::set(&self.0.options, group, offsets)
    }
}
