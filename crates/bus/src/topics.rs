//! Topics: created with the right settings, or found to have them.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use throughline_event::{Offset, PartitionId, TopicName, suggest};

use crate::BusError;
use crate::block_on::block_on;
use crate::client::base_config;
use crate::error::{is_transient, reason};
use crate::options::BusOptions;
use crate::reach::why_not;

/// What happens to old records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// The newest record of each key is kept.
    Compact,
    /// Records are deleted by age or size.
    Delete,
    /// Both.
    CompactDelete,
}

impl Cleanup {
    /// The value of `cleanup.policy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Delete => "delete",
            Self::CompactDelete => "compact,delete",
        }
    }

    fn matches(self, policy: &str) -> bool {
        let has = |word| policy.split(',').any(|part| part.trim() == word);
        match self {
            Self::Compact => has("compact") && !has("delete"),
            Self::Delete => has("delete") && !has("compact"),
            Self::CompactDelete => has("compact") && has("delete"),
        }
    }
}

/// How many partitions a topic has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitions {
    /// So many, or the topic is refused.
    Exactly(i32),
    /// So many when it is created; a topic that exists may have another number.
    Initially(i32),
}

/// What a topic must be.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// Its name.
    pub topic: TopicName,
    /// Its partitions.
    pub partitions: Partitions,
    /// What happens to old records. A topic that exists with another policy is refused.
    pub cleanup: Cleanup,
    /// How long records are kept, for a new topic; the broker's default when absent.
    pub retention: Option<Duration>,
    /// Copies of each record, for a new topic; the broker's default when absent.
    pub replication: Option<i32>,
    /// Further settings for a new topic, by Kafka's names.
    pub configs: Vec<(String, String)>,
}

impl TopicSpec {
    /// A topic with the broker's defaults for everything else.
    pub fn new(topic: TopicName, partitions: Partitions, cleanup: Cleanup) -> Self {
        Self { topic, partitions, cleanup, retention: None, replication: None, configs: Vec::new() }
    }
}

/// A topic and how many partitions it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub topic: TopicName,
    /// Its partitions, numbered from 0.
    pub partitions: i32,
}

/// The offsets of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its number.
    pub partition: PartitionId,
    /// The first offset there is.
    pub start: Offset,
    /// The high watermark: behind the last record, those of open transactions included.
    pub end: Offset,
}

/// The client for topics. It is asked rarely and says nothing by itself: nobody reads its log.
pub(crate) struct Topics {
    client: AdminClient<DefaultClientContext>,
    brokers: String,
    timeout: Duration,
}

impl Topics {
    pub(crate) fn new(options: &BusOptions) -> Result<Self, BusError> {
        let mut config = base_config(options);
        // End offsets are those of the log, not those of committed transactions.
        config.set("isolation.level", "read_uncommitted").remove("debug");
        config.set_log_level(RDKafkaLogLevel::Emerg);
        let client = config.create().map_err(|cause| BusError::Client {
            name: options.client_id.clone(),
            cause: Box::new(cause),
        })?;
        Ok(Self { client, brokers: options.brokers.clone(), timeout: options.timeout })
    }

    /// All topics, those of the brokers themselves included.
    pub(crate) fn all(&self) -> Result<Vec<TopicInfo>, BusError> {
        let metadata = self.client.inner().fetch_metadata(None, self.timeout);
        let metadata = metadata.map_err(|error| self.unreachable(&error))?;
        let info = |topic: &rdkafka::metadata::MetadataTopic| {
            let name = TopicName::new(topic.name()).ok()?;
            Some(TopicInfo { topic: name, partitions: count(topic) })
        };
        let mut topics: Vec<_> = metadata.topics().iter().filter_map(info).collect();
        topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        Ok(topics)
    }

    /// How many partitions a topic has.
    pub(crate) fn info(&self, topic: &TopicName) -> Result<TopicInfo, BusError> {
        if let Some(found) = self.find(topic)? {
            return Ok(found);
        }
        let known = self.all()?;
        let known: Vec<&str> = known.iter().map(|known| known.topic.as_str()).collect();
        Err(self.unknown(topic, &known))
    }

    fn unknown(&self, topic: &TopicName, known: &[&str]) -> BusError {
        let fix = match suggest::nearest(topic.as_str(), known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "create it or check the name".to_owned(),
        };
        BusError::UnknownTopic { topic: topic.clone(), brokers: self.brokers.clone(), fix }
    }

    /// The offsets of each partition.
    pub(crate) fn describe(&self, topic: &TopicName) -> Result<Vec<PartitionInfo>, BusError> {
        let info = self.info(topic)?;
        (0..info.partitions).map(|partition| self.offsets(topic, PartitionId(partition))).collect()
    }

    /// The offsets of one partition.
    pub(crate) fn offsets(
        &self,
        topic: &TopicName,
        partition: PartitionId,
    ) -> Result<PartitionInfo, BusError> {
        use RDKafkaErrorCode as Code;
        let deadline = Instant::now() + self.timeout;
        loop {
            let client = self.client.inner();
            let error = match client.fetch_watermarks(topic.as_str(), partition.0, self.timeout) {
                Ok((start, end)) => {
                    let (start, end) = (Offset(start), Offset(end));
                    return Ok(PartitionInfo { partition, start, end });
                }
                Err(error) => error,
            };
            // The leader of a new topic is known before it serves.
            let electing = matches!(
                error.rdkafka_error_code(),
                Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable)
            );
            if !electing || Instant::now() >= deadline {
                return Err(self.refused("describe", topic, &error));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Creates the topic when it is missing, and checks it when it is there.
    pub(crate) fn ensure(&self, spec: &TopicSpec) -> Result<TopicInfo, BusError> {
        match self.find(&spec.topic)? {
            Some(info) => self.check(spec, info),
            None if self.create(spec)? => self.wait_for(&spec.topic),
            // Somebody was faster: it may not be what we want.
            None => self.wait_for(&spec.topic).and_then(|info| self.check(spec, info)),
        }
    }

    /// Checks the topic when it is there, and whether it could be created when it is missing.
    pub(crate) fn inspect(&self, spec: &TopicSpec) -> Result<Option<TopicInfo>, BusError> {
        match self.find(&spec.topic)? {
            Some(info) => self.check(spec, info).map(Some),
            None => self.request(spec, true).map(|_| None),
        }
    }

    fn find(&self, topic: &TopicName) -> Result<Option<TopicInfo>, BusError> {
        let metadata = self.client.inner().fetch_metadata(Some(topic.as_str()), self.timeout);
        let metadata = metadata.map_err(|error| self.unreachable(&error))?;
        let Some(found) = metadata.topics().first() else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None | Some(RDKafkaErrorCode::LeaderNotAvailable) => {
                Ok(Some(TopicInfo { topic: topic.clone(), partitions: count(found) }))
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(None)
            }
            Some(code) => Err(self.refused("describe", topic, &KafkaError::AdminOp(code))),
        }
    }

    fn create(&self, spec: &TopicSpec) -> Result<bool, BusError> {
        self.request(spec, false)
    }

    /// Asks for a topic, or only whether it could be had; false when it is there by now.
    fn request(&self, spec: &TopicSpec, validate_only: bool) -> Result<bool, BusError> {
        let (Partitions::Exactly(partitions) | Partitions::Initially(partitions)) = spec.partitions;
        let replication = TopicReplication::Fixed(spec.replication.unwrap_or(-1));
        let retention = spec.retention.map(|retention| retention.as_millis().to_string());
        let mut topic = NewTopic::new(spec.topic.as_str(), partitions, replication)
            .set("cleanup.policy", spec.cleanup.as_str());
        if let Some(retention) = &retention {
            topic = topic.set("retention.ms", retention);
        }
        for (key, value) in &spec.configs {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new()
            .validate_only(validate_only)
            .request_timeout(Some(self.timeout))
            .operation_timeout(Some(self.timeout));
        let created = block_on(self.client.create_topics([&topic], &options));
        let created = created.map_err(|error| self.refused("create", &spec.topic, &error))?;
        match created.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => {
                Err(self.refused("create", &spec.topic, &KafkaError::AdminOp(code)))
            }
            Some(Ok(_)) | None => Ok(true),
        }
    }

    /// Waits until every broker that is asked knows the topic and its leaders.
    fn wait_for(&self, topic: &TopicName) -> Result<TopicInfo, BusError> {
        let deadline = Instant::now() + self.timeout;
        let mut pause = Duration::from_millis(2);
        loop {
            let metadata = self.client.inner().fetch_metadata(Some(topic.as_str()), self.timeout);
            let metadata = metadata.map_err(|error| self.unreachable(&error))?;
            if let Some(found) = metadata.topics().first() {
                let led = found.partitions().iter().all(|partition| partition.leader() >= 0);
                if found.error().is_none() && led && !found.partitions().is_empty() {
                    return Ok(TopicInfo { topic: topic.clone(), partitions: count(found) });
                }
            }
            if Instant::now() >= deadline {
                let code = RDKafkaErrorCode::LeaderNotAvailable;
                return Err(self.refused("create", topic, &KafkaError::AdminOp(code)));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn check(&self, spec: &TopicSpec, info: TopicInfo) -> Result<TopicInfo, BusError> {
        let mismatch = |setting, wanted: String, found: String| BusError::TopicMismatch {
            topic: spec.topic.clone(),
            setting,
            wanted,
            found,
        };
        if let Partitions::Exactly(wanted) = spec.partitions
            && info.partitions != wanted
        {
            let (wanted, found) = (wanted.to_string(), info.partitions.to_string());
            return Err(mismatch("partitions", wanted, found));
        }
        let policy = self.cleanup(&spec.topic)?;
        if spec.cleanup.matches(&policy) {
            Ok(info)
        } else {
            Err(mismatch("cleanup.policy", spec.cleanup.as_str().to_owned(), policy))
        }
    }

    /// The value of `cleanup.policy`; empty when the brokers do not tell.
    pub(crate) fn cleanup(&self, topic: &TopicName) -> Result<String, BusError> {
        let resource = [ResourceSpecifier::Topic(topic.as_str())];
        let options = AdminOptions::new().request_timeout(Some(self.timeout));
        let found = block_on(self.client.describe_configs(&resource, &options));
        let found = found.map_err(|error| self.refused("describe", topic, &error))?;
        let policy = match found.into_iter().next() {
            Some(Ok(found)) => found.get("cleanup.policy").and_then(|entry| entry.value.clone()),
            Some(Err(code)) => {
                return Err(self.refused("describe", topic, &KafkaError::AdminOp(code)));
            }
            None => None,
        };
        Ok(policy.unwrap_or_default())
    }

    fn refused(&self, action: &'static str, topic: &TopicName, error: &KafkaError) -> BusError {
        let (reason, code) = match error {
            KafkaError::AdminOp(code) => (code.to_string(), Some(*code)),
            other => (reason(other), other.rdkafka_error_code()),
        };
        if matches!(
            code,
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition)
        ) {
            return self.unknown(topic, &[]);
        }
        let retry = code.is_some_and(is_transient);
        BusError::TopicRefused { action, topic: topic.clone(), reason, retry }
    }

    fn unreachable(&self, error: &KafkaError) -> BusError {
        let (brokers, waited) = (self.brokers.clone(), self.timeout);
        let reason = why_not(&brokers).unwrap_or_else(|| {
            let error = reason(error);
            format!("{brokers} takes connections but does not answer like a broker ({error})")
        });
        BusError::BrokersUnreachable { brokers, waited, reason }
    }
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

fn count(topic: &rdkafka::metadata::MetadataTopic) -> i32 {
    i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_matches_only_itself() {
        for (wanted, policy, matches) in [
            (Cleanup::Compact, "compact", true),
            (Cleanup::Compact, "compact,delete", false),
            (Cleanup::Compact, "delete", false),
            (Cleanup::Delete, "delete", true),
            (Cleanup::Delete, "", false),
            (Cleanup::CompactDelete, "delete, compact", true),
            (Cleanup::CompactDelete, "compact", false),
        ] {
            assert_eq!(wanted.matches(policy), matches, "{wanted:?} {policy}");
        }
    }
}
