//! The client: the same code and the same settings for every broker.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

/// No broker needs longer for anything that is done here.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// How long records wait for others in the throughput runs.
pub(crate) const LINGER: u32 = 5;

/// How long a broker waits for records at the end of a log: the client's default.
pub(crate) const WAIT: Duration = Duration::from_millis(500);

/// The same where a log is read again and again.
const SHORT_WAIT: Duration = Duration::from_millis(1);

/// How long the sender sleeps when the client's queue is full: 100,000 records take far longer.
const FULL: Duration = Duration::from_micros(500);

/// Counts what was acknowledged.
#[derive(Default)]
pub(crate) struct Acks {
    state: Mutex<AckState>,
    reached: Condvar,
}

#[derive(Default)]
struct AckState {
    acknowledged: u64,
    /// How many somebody waits for.
    awaited: Option<u64>,
    error: Option<KafkaError>,
}

impl Acks {
    /// Waits until all `records` are acknowledged, and takes the first error as the result.
    pub(crate) fn wait(&self, records: u64) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.awaited = Some(records);
        while state.acknowledged < records {
            if let Some(error) = state.error.take() {
                return Err(error).context("a record was not acknowledged");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let found = state.acknowledged;
            ensure!(!left.is_zero(), "{found} of {records} records were acknowledged in time");
            let waited = self.reached.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.awaited = None;
        Ok(())
    }
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => state.acknowledged += 1,
            Err((error, _)) => state.error = Some(error.clone()),
        }
        let reached = state.awaited.is_some_and(|awaited| state.acknowledged >= awaited);
        if reached || state.error.is_some() {
            self.reached.notify_one();
        }
    }
}

/// What every client is told.
fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("broker.address.family", "v4")
        .set("socket.nagle.disable", "true")
        .set("enable.metrics.push", "false")
        .set("allow.auto.create.topics", "false");
    config
}

/// A producer that waits for all replicas and keeps order over retries.
pub(crate) fn producer(address: &str, linger: u32) -> Result<ThreadedProducer<Acks>> {
    config(address)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", linger.to_string())
        .create_with_context(Acks::default())
        .context("could not create a producer")
}

/// A consumer of all partitions of a topic from their beginning. At the end of a log it has the
/// broker wait for so long.
pub(crate) fn consumer(
    address: &str,
    topic: &str,
    partitions: i32,
    wait: Duration,
) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config(address)
        .set("group.id", "bench")
        .set("fetch.wait.max.ms", wait.as_millis().to_string())
        .set("enable.auto.commit", "false")
        // A full queue is looked at again after this; the default of a second is a pause.
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .context("could not create a consumer")?;
    consumer.assign(&beginning(topic, partitions)?)?;
    Ok(consumer)
}

/// The first record of every partition of a topic that nothing was deleted from.
///
/// By its offset: asked for the beginning, librdkafka looks it up, and tries that again only after
/// half a second when it is not connected yet, which is longer than a fast broker takes for all
/// records of a run.
fn beginning(topic: &str, partitions: i32) -> Result<TopicPartitionList> {
    let mut positions = TopicPartitionList::new();
    for partition in 0..partitions {
        positions.add_partition_offset(topic, partition, Offset::Offset(0))?;
    }
    Ok(positions)
}

/// Sends `records` records in turn to the partitions and waits for every acknowledgement. The
/// record's number stands in its first 8 bytes. Returns the seconds from the second to the last.
///
/// The first is acknowledged before the clock starts: librdkafka asks for the id of an idempotent
/// producer again only after half a second when no broker was connected at its first attempt,
/// which by chance would double the time of a run.
pub(crate) fn produce(
    address: &str,
    topic: &str,
    partitions: i32,
    size: usize,
    records: u64,
) -> Result<f64> {
    let producer = producer(address, LINGER)?;
    let mut payload = noise(size);
    let mut start = Instant::now();
    for number in 0..records {
        payload[..8].copy_from_slice(&number.to_le_bytes());
        let partition = i32::try_from(number % u64::from(partitions.unsigned_abs()))?;
        send(&producer, topic, partition, &payload)?;
        if number == 0 {
            producer.context().wait(1)?;
            start = Instant::now();
        }
    }
    producer.context().wait(records)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Hands one record to the client, which may have to make room first.
pub(crate) fn send(
    producer: &ThreadedProducer<Acks>,
    topic: &str,
    partition: i32,
    payload: &[u8],
) -> Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => {
                std::thread::sleep(FULL);
                record = unsent;
            }
            Err((error, _)) => return Err(error).context("could not send a record"),
        }
    }
}

/// Reads `records` records that [`produce`] wrote, so often from the beginning, and checks each time
/// that all are there, once and in order. Returns the seconds from the assignment to the last record.
pub(crate) fn consume(
    address: &str,
    topic: &str,
    partitions: i32,
    size: usize,
    records: u64,
    times: u64,
) -> Result<f64> {
    let start = Instant::now();
    // Only when it has its answer at the end of the log can the client go back to the beginning.
    let wait = if times > 1 { SHORT_WAIT } else { WAIT };
    let consumer = consumer(address, topic, partitions, wait)?;
    for time in 0..times {
        if time > 0 {
            consumer.seek_partitions(beginning(topic, partitions)?, TIMEOUT)?;
        }
        read(&consumer, partitions, size, records)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

fn read(consumer: &BaseConsumer, partitions: i32, size: usize, records: u64) -> Result<()> {
    let mut next: Vec<u64> = (0..u64::from(partitions.unsigned_abs())).collect();
    for read in 0..records {
        let Some(message) = consumer.poll(TIMEOUT) else {
            bail!("{read} of {records} records could be read in time");
        };
        let message = message.context("could not read a record")?;
        let payload = message.payload().unwrap_or_default();
        let number = number(payload).filter(|_| payload.len() == size);
        let expected = usize::try_from(message.partition()).ok().and_then(|at| next.get_mut(at));
        let expected = expected.context("a record of an unknown partition")?;
        ensure!(number == Some(*expected), "found record {number:?} in place of {expected}");
        *expected += u64::from(partitions.unsigned_abs());
    }
    Ok(())
}

/// The number of a record.
pub(crate) fn number(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Creates and deletes topics.
pub(crate) struct Topics {
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Topics {
    /// Those of one broker.
    pub(crate) fn of(address: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { admin: config(address).create()?, runtime })
    }

    pub(crate) fn create(&self, topic: &str, partitions: i32) -> Result<()> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let created = self.runtime.block_on(self.admin.create_topics([&new], &options))?;
        single(created).with_context(|| format!("could not create topic {topic}"))
    }

    pub(crate) fn delete(&self, topic: &str) -> Result<()> {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let deleted = self.runtime.block_on(self.admin.delete_topics(&[topic], &options))?;
        single(deleted).with_context(|| format!("could not delete topic {topic}"))
    }
}

fn single(results: Vec<Result<String, (String, RDKafkaErrorCode)>>) -> Result<()> {
    for result in results {
        if let Err((_, code)) = result {
            bail!("{code}");
        }
    }
    Ok(())
}

/// Bytes that do not compress and are the same in every run (xorshift).
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_record_stands_in_its_first_bytes() {
        let mut payload = noise(200);
        payload[..8].copy_from_slice(&77_u64.to_le_bytes());
        assert_eq!(number(&payload), Some(77));
        assert_eq!(number(&payload[..7]), None);
    }

    #[test]
    fn payloads_are_the_same_in_every_run() {
        assert_eq!(noise(1000), noise(1000));
        assert_ne!(noise(1000)[..500], noise(1000)[500..]);
    }
}
