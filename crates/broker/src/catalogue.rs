//! Which topics exist: their ids, partitions and settings.
//!
//! Every change is a record in the hidden partition `__catalogue-0`, durable before the change is
//! visible, under every flush policy. Partitions are created before their record and deleted after
//! it, so what a crash leaves behind is an empty partition without a record, or one whose topic was
//! deleted: the next start removes these. A partition with records that no record names, or a record
//! without its partition, means that something was damaged or removed: then the broker does not
//! start, and nothing is changed.

mod journal;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use kafka_protocol::ResponseError;
use throughline_log::{FlushPolicy, LogDir, LogError, Partition, PartitionConfig, TopicPartition};
use uuid::Uuid;

use crate::{
    blocking::{Stopped, blocking},
    error::StartError,
    store::{self, StoreError},
    topic_config::TopicConfig,
};

use journal::{Entry, State, TopicEntry};

/// Partitions a topic may have: a bound on the files one request can open.
pub(crate) const MAX_PARTITIONS: i32 = 10_000;
/// Committed offsets and group metadata.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Transaction states.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";
/// What the schema registry of the same process keeps: without it no record can be read.
const SCHEMAS_TOPIC: &str = "_schemas";
/// Topics, the cluster id and producer ids. Not shown to clients.
const CATALOGUE_TOPIC: &str = "__catalogue";
/// Producer ids are reserved in blocks, so that most need no write.
const PRODUCER_ID_BLOCK: i64 = 1000;

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Arc<Partition>>,
    pub(crate) config: TopicConfig,
}

impl Topic {
    /// Whether only the broker writes to it.
    pub(crate) fn internal(&self) -> bool {
        internal(&self.name)
    }

    /// The partition with number `index`.
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// Partitions, numbered.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (i32, &Arc<Partition>)> {
        (0..).zip(&self.partitions)
    }
}

/// Whether `name` is a topic that only the broker writes to.
pub(crate) fn internal(name: &str) -> bool {
    matches!(name, OFFSETS_TOPIC | TRANSACTIONS_TOPIC)
}

/// Why a change to the catalogue was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    #[error("topic name is not allowed; use 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'")]
    InvalidName,
    #[error("topic {existing} differs only in '.' and '_', which collide in metric names")]
    Collides { existing: Arc<str> },
    #[error("topic already exists")]
    Exists,
    #[error("topic does not exist")]
    Unknown,
    #[error("topic belongs to the broker or its schema registry and cannot be changed")]
    Internal,
    #[error("partitions must be between 1 and {MAX_PARTITIONS}")]
    Partitions,
    #[error("topic has {current} partitions already")]
    NotMore { current: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CatalogueError {
    /// The protocol's error.
    pub(crate) fn code(&self) -> ResponseError {
        match self {
            Self::InvalidName | Self::Collides { .. } => ResponseError::InvalidTopicException,
            Self::Exists => ResponseError::TopicAlreadyExists,
            Self::Unknown => ResponseError::UnknownTopicOrPartition,
            Self::Internal => ResponseError::InvalidTopicException,
            Self::Partitions | Self::NotMore { .. } => ResponseError::InvalidPartitions,
            Self::Store(_) => ResponseError::KafkaStorageError,
        }
    }
}

impl From<LogError> for CatalogueError {
    fn from(error: LogError) -> Self {
        Self::Store(error.into())
    }
}

impl From<Stopped> for CatalogueError {
    fn from(error: Stopped) -> Self {
        Self::Store(error.into())
    }
}

/// Topics, the cluster id and producer ids.
#[derive(Debug)]
pub(crate) struct Catalogue {
    log: LogDir,
    journal: Arc<Partition>,
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
    cluster_id: String,
    /// The cluster id is not stored yet.
    fresh: bool,
    /// Serializes changes; holds the next producer id and the end of the reserved block.
    change: tokio::sync::Mutex<ProducerIds>,
}

#[derive(Debug)]
struct ProducerIds {
    next: i64,
    reserved: i64,
}

impl Catalogue {
    /// Reads the catalogue and makes the partitions agree with it. Blocks.
    pub(crate) fn open(log: LogDir) -> Result<Self, StartError> {
        let failed = |source| StartError::load("the topic catalogue", source);
        let (journal, state) = Self::read(&log).map_err(failed)?;
        let leftovers = leftovers(&log, &state)?;
        all_there(&log, &state)?;
        Self::settle(log, journal, state, &leftovers).map_err(failed)
    }

    fn read(log: &LogDir) -> Result<(Arc<Partition>, State), StoreError> {
        let compacted = PartitionConfig {
            compact: true,
            delete: false,
            segment_bytes: 1 << 20,
            flush: Some(FlushPolicy::EveryAck),
            ..PartitionConfig::default()
        };
        let id = TopicPartition::new(CATALOGUE_TOPIC, 0).expect("the name is valid");
        let journal = match log.partition(&id) {
            Some(partition) => partition,
            None => log.create(id, compacted.clone())?,
        };
        journal.set_config(compacted);
        let state = journal::load(&journal)?;
        Ok((journal, state))
    }

    fn settle(
        log: LogDir,
        journal: Arc<Partition>,
        state: State,
        leftovers: &[TopicPartition],
    ) -> Result<Self, StoreError> {
        for id in leftovers {
            tracing::info!(partition = %id, "removing what an unfinished change of topics left");
            log.delete(id)?;
        }
        let mut topics = BTreeMap::new();
        for (name, entry) in state.topics {
            let topic = Self::adopt(&log, name, entry)?;
            topics.insert(Arc::clone(&topic.name), topic);
        }
        let fresh = state.cluster_id.is_none();
        let cluster_id = match state.cluster_id {
            Some(id) => id,
            None => journal::random_cluster_id(),
        };
        let ids = ProducerIds { next: state.producer_ids, reserved: state.producer_ids };
        Ok(Self {
            log,
            journal,
            topics: RwLock::new(topics),
            cluster_id,
            fresh,
            change: tokio::sync::Mutex::new(ids),
        })
    }

    /// Stores the cluster id (the first time) and creates the broker's own topics.
    pub(crate) async fn initialize(&self) -> Result<(), CatalogueError> {
        // Every other start writes nothing, so that it works on a full disk.
        if self.fresh {
            self.write(&Entry::Cluster(self.cluster_id.clone())).await?;
        }
        for name in [OFFSETS_TOPIC, TRANSACTIONS_TOPIC] {
            if self.topic(name).is_none() {
                let mut config = TopicConfig::default();
                config.set("cleanup.policy", Some("compact")).expect("the value is valid");
                config.set("segment.bytes", Some("16777216")).expect("the value is valid");
                self.create(name, 1, config).await?;
            }
        }
        Ok(())
    }

    fn adopt(log: &LogDir, name: String, entry: TopicEntry) -> Result<Arc<Topic>, StoreError> {
        let config = entry.config.partition_config();
        let mut partitions = Vec::new();
        for index in 0..entry.partitions {
            let Ok(id) = TopicPartition::new(&name, index) else { continue };
            let partition = log.partition(&id).ok_or(LogError::Missing { partition: id })?;
            partition.set_config(config.clone());
            partitions.push(partition);
        }
        Ok(Arc::new(Topic { name: name.into(), id: entry.id, partitions, config: entry.config }))
    }

    /// The cluster's id, chosen at the first start.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The topic called `name`.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The topic with this id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.values().find(|topic| topic.id == id).cloned()
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// One partition.
    pub(crate) fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(topic)?.partition(index).cloned()
    }

    /// Whether a topic of this name and size could be created.
    pub(crate) fn check_new(&self, name: &str, partitions: i32) -> Result<(), CatalogueError> {
        TopicPartition::new(name, 0).map_err(|_| CatalogueError::InvalidName)?;
        if name == CATALOGUE_TOPIC {
            return Err(CatalogueError::Internal);
        }
        if !(1..=MAX_PARTITIONS).contains(&partitions) {
            return Err(CatalogueError::Partitions);
        }
        let collides = |other: &str| {
            other.len() == name.len() && other.replace('.', "_") == name.replace('.', "_")
        };
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        if topics.contains_key(name) {
            return Err(CatalogueError::Exists);
        }
        match topics.keys().find(|other| collides(other)) {
            Some(existing) => Err(CatalogueError::Collides { existing: Arc::clone(existing) }),
            None => Ok(()),
        }
    }

    /// Creates a topic of `count` partitions; durable when this returns.
    pub(crate) async fn create(
        &self,
        name: &str,
        count: i32,
        config: TopicConfig,
    ) -> Result<Arc<Topic>, CatalogueError> {
        let _change = self.change.lock().await;
        self.check_new(name, count)?;
        let partitions = self.make_partitions(name, 0..count, &config).await?;
        let id = journal::random_uuid();
        let entry = TopicEntry { id, partitions: count, config: config.clone() };
        self.write(&Entry::Topic(name.to_owned(), Some(entry))).await?;
        let topic = Arc::new(Topic { name: name.into(), id, partitions, config });
        self.publish(&topic);
        Ok(topic)
    }

    async fn make_partitions(
        &self,
        name: &str,
        range: std::ops::Range<i32>,
        config: &TopicConfig,
    ) -> Result<Vec<Arc<Partition>>, CatalogueError> {
        let (log, name) = (self.log.clone(), name.to_owned());
        let config = config.partition_config();
        blocking(move || {
            let mut made = Vec::new();
            for index in range {
                let id =
                    TopicPartition::new(&name, index).map_err(|_| CatalogueError::InvalidName)?;
                if log.partition(&id).is_some() {
                    log.delete(&id)?;
                }
                match log.create(id, config.clone()) {
                    Ok(partition) => made.push(partition),
                    Err(error) => {
                        for partition in made {
                            log.delete(partition.id())?;
                        }
                        return Err(error.into());
                    }
                }
            }
            Ok(made)
        })
        .await?
    }

    /// Deletes a topic; durable when this returns.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), CatalogueError> {
        let _change = self.change.lock().await;
        let topic = self.changeable(name)?;
        self.write(&Entry::Topic(name.to_owned(), None)).await?;
        self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let log = self.log.clone();
        blocking(move || {
            for partition in &topic.partitions {
                log.delete(partition.id())?;
            }
            Ok(())
        })
        .await?
    }

    /// Adds partitions up to `count` in all.
    pub(crate) async fn grow(&self, name: &str, count: i32) -> Result<(), CatalogueError> {
        let _change = self.change.lock().await;
        let topic = self.changeable(name)?;
        self.check_growth(&topic, count)?;
        let first = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let added = self.make_partitions(name, first..count, &topic.config).await?;
        let entry = TopicEntry { id: topic.id, partitions: count, config: topic.config.clone() };
        self.write(&Entry::Topic(name.to_owned(), Some(entry))).await?;
        self.publish(&Arc::new(Topic {
            name: Arc::clone(&topic.name),
            id: topic.id,
            partitions: topic.partitions.iter().cloned().chain(added).collect(),
            config: topic.config.clone(),
        }));
        Ok(())
    }

    /// Whether `topic` can have `count` partitions.
    pub(crate) fn check_growth(&self, topic: &Topic, count: i32) -> Result<(), CatalogueError> {
        let current = topic.partitions.len();
        if usize::try_from(count).is_ok_and(|count| count <= current) {
            return Err(CatalogueError::NotMore { current });
        }
        if !(1..=MAX_PARTITIONS).contains(&count) {
            return Err(CatalogueError::Partitions);
        }
        Ok(())
    }

    /// Replaces the settings of a topic.
    pub(crate) async fn configure(
        &self,
        name: &str,
        edit: impl FnOnce(&mut TopicConfig),
    ) -> Result<(), CatalogueError> {
        let _change = self.change.lock().await;
        let topic = self.topic(name).ok_or(CatalogueError::Unknown)?;
        let mut config = topic.config.clone();
        edit(&mut config);
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let entry = TopicEntry { id: topic.id, partitions, config: config.clone() };
        self.write(&Entry::Topic(name.to_owned(), Some(entry))).await?;
        for partition in &topic.partitions {
            partition.set_config(config.partition_config());
        }
        self.publish(&Arc::new(Topic {
            name: Arc::clone(&topic.name),
            id: topic.id,
            partitions: topic.partitions.clone(),
            config,
        }));
        Ok(())
    }

    /// A producer id that was never given out before, in any run; or what a client is told.
    pub(crate) async fn next_producer_id(&self) -> Result<i64, ResponseError> {
        let mut ids = self.change.lock().await;
        if ids.next >= ids.reserved {
            let reserved = ids.next + PRODUCER_ID_BLOCK;
            self.write(&Entry::ProducerIds(reserved)).await.map_err(|error| {
                tracing::error!(%error, "could not reserve producer ids");
                ResponseError::CoordinatorNotAvailable
            })?;
            ids.reserved = reserved;
        }
        ids.next += 1;
        Ok(ids.next - 1)
    }

    fn changeable(&self, name: &str) -> Result<Arc<Topic>, CatalogueError> {
        let topic = self.topic(name).ok_or(CatalogueError::Unknown)?;
        let ours = topic.internal() || name == SCHEMAS_TOPIC;
        if ours { Err(CatalogueError::Internal) } else { Ok(topic) }
    }

    fn publish(&self, topic: &Arc<Topic>) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(Arc::clone(&topic.name), Arc::clone(topic));
    }

    async fn write(&self, entry: &Entry) -> Result<(), StoreError> {
        let (key, value) = entry.encode();
        store::put(&self.journal, key, value).await
    }
}

/// A partition that was created is there when its topic is stored, so none can be missing. An empty
/// one in its place would give offsets anew that readers have passed, and groups would begin again.
fn all_there(log: &LogDir, state: &State) -> Result<(), StartError> {
    let named = state.topics.iter().flat_map(|(name, topic)| {
        (0..topic.partitions).filter_map(|index| TopicPartition::new(name, index).ok())
    });
    let missing: Vec<_> = named.filter(|id| log.partition(id).is_none()).collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(StartError::PartitionMissing {
            folder: log.path().join("partitions"),
            first: first.clone(),
            count: missing.len(),
        }),
    }
}

/// Partitions without a topic that a crash can leave: empty ones, because a topic is written to only
/// when its record is durable, and those of deleted topics. Any other one is refused.
fn leftovers(log: &LogDir, state: &State) -> Result<Vec<TopicPartition>, StartError> {
    let mut leftovers = Vec::new();
    let mut lost = Vec::new();
    for partition in log.partitions() {
        let id = partition.id();
        let topic = state.topics.get(id.topic());
        if id.topic() == CATALOGUE_TOPIC
            || topic.is_some_and(|topic| id.partition() < topic.partitions)
        {
            continue;
        }
        if partition.ends().log_end == 0 || state.deleted.contains(id.topic()) {
            leftovers.push(id.clone());
        } else {
            lost.push(id.clone());
        }
    }
    match lost.first() {
        None => Ok(leftovers),
        Some(first) => Err(StartError::CatalogueDamaged {
            folder: log.path().join("partitions"),
            first: first.clone(),
            count: lost.len(),
        }),
    }
}
