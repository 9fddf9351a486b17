//! The registry's log on the broker's topic `_schemas`, where Confluent's registry has it too.

use throughline_broker::{LocalError, LocalLog};
use throughline_registry::{BoxFuture, LogFailure, SchemaLog, SchemaRecord};

/// The name that Confluent's registry uses: copying the topic moves the registry to a cluster.
const TOPIC: &str = "_schemas";

/// Room for the largest schema that the registry accepts, escaped as JSON in JSON.
const MAX_MESSAGE_BYTES: &str = "4194304";

/// What is wrong with the topic.
#[derive(Debug)]
pub(super) struct TopicProblem(pub(super) String);

/// The topic, as the registry wants it.
#[derive(Debug)]
pub(super) struct TopicLog {
    log: LocalLog,
}

impl TopicLog {
    /// Creates the topic when it is missing.
    pub(super) async fn open(log: LocalLog) -> Result<Self, TopicProblem> {
        let settings = [("cleanup.policy", "compact"), ("max.message.bytes", MAX_MESSAGE_BYTES)];
        match log.create_topic(TOPIC, 1, &settings).await {
            Ok(()) | Err(LocalError::TopicExists { .. }) => {}
            Err(error) => return Err(TopicProblem(error.to_string())),
        }
        match log.partitions(TOPIC) {
            Some(1) => Ok(Self { log }),
            found => Err(TopicProblem(format!("it has {} partitions", found.unwrap_or(0)))),
        }
    }
}

impl SchemaLog for TopicLog {
    fn append(
        &self,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<i64, LogFailure>> {
        Box::pin(async move {
            let record = (Some(key.into()), value.map(Into::into));
            self.log.append(TOPIC, 0, vec![record]).await.map_err(LogFailure::new)
        })
    }

    fn read(&self, from: i64) -> BoxFuture<'_, Result<Vec<SchemaRecord>, LogFailure>> {
        let log = self.log.clone();
        Box::pin(async move {
            // Reading may touch the disk.
            let read = tokio::task::spawn_blocking(move || read_all(&log, from)).await;
            read.map_err(LogFailure::new)?.map_err(LogFailure::new)
        })
    }
}

fn read_all(log: &LocalLog, from: i64) -> Result<Vec<SchemaRecord>, LocalError> {
    let end = log.watch(TOPIC, 0)?.borrow().last_stable_offset;
    let (mut all, mut next) = (Vec::new(), from);
    while next < end {
        let records = log.read(TOPIC, 0, next)?;
        let Some(last) = records.last() else { break };
        next = last.offset + 1;
        all.extend(records.into_iter().map(|record| SchemaRecord {
            offset: record.offset,
            key: record.key.unwrap_or_default().to_vec(),
            value: record.value.map(|value| value.to_vec()),
        }));
    }
    Ok(all)
}
