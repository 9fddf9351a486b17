//! Transactional producers: records, and the offsets they were made from, become visible together.

mod delivery;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use throughline_avro::{SchemaId, frame_into};
use throughline_event::{Micros, Offset, PartitionId, TopicName, TopicPartition};

use crate::BusError;
use crate::client::{ClientLog, base_config};
use crate::consumer::{ConsumerGroup, list_to_commit};
use crate::error::{Cause, Recovery, is_fenced, reason};
use crate::options::BusOptions;
use delivery::{DeliveryContext, Failure};

/// How long one call to the coordinator is waited for before it is repeated.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a record waits in the client for company. The library's flush, which would end this
/// wait, polls in steps of 100 ms and is not used; every transaction therefore waits this long once.
const LINGER: Duration = Duration::from_millis(1);

/// How long a topic may be unknown before its records fail. Topics are created before they are
/// written to, so this is for brokers that hear of it late.
const UNKNOWN_TOPIC: Duration = Duration::from_secs(5);

/// Kafka's default for the largest batch, less what a batch adds to a record.
pub const LARGEST_RECORD: usize = 1_000_000;

/// The magic byte and the schema id before a datum.
const FRAME: usize = 5;

/// The most that the lengths of a header's name and value take.
const HEADER_OVERHEAD: usize = 10;

/// What a record costs in the client beside its bytes.
const RECORD_OVERHEAD: usize = 512;

/// A record to be written.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Where to.
    pub topic: &'a TopicName,
    /// Which partition; by the key's hash, as Java's clients do it, when absent.
    pub partition: Option<PartitionId>,
    /// The id of the key's schema and its datum.
    pub key: Option<(SchemaId, &'a [u8])>,
    /// The id of the value's schema and its datum; absent for a tombstone.
    pub value: Option<(SchemaId, &'a [u8])>,
    /// Header names and values.
    pub headers: &'a [(String, Vec<u8>)],
    /// The record's time; the time of sending when absent. Stored in milliseconds.
    pub timestamp: Option<Micros>,
}

/// Writes records in transactions, for one thread.
///
/// Calls block. Dropping it with an open transaction aborts that.
pub struct TransactionalProducer {
    producer: Arc<BaseProducer<DeliveryContext>>,
    /// Serves the delivery reports; absent only while it is dropped.
    server: Option<JoinHandle<()>>,
    name: String,
    brokers: String,
    /// The broker ends a transaction that is open for longer. Also how long a record may take.
    timeout: Duration,
    open: bool,
    /// When the last transaction began.
    began: Instant,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl TransactionalProducer {
    /// Creates the client, ends what an older producer with this name left open, and fences it.
    pub(crate) fn new(options: &BusOptions, transactional_id: &str) -> Result<Self, BusError> {
        // Half of a worker's memory is for what it reads.
        let memory = options.memory / 2;
        let mut config = base_config(options);
        config
            .set("transactional.id", transactional_id)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", LINGER.as_millis().to_string())
            .set("topic.metadata.propagation.max.ms", UNKNOWN_TOPIC.as_millis().to_string())
            .set("transaction.timeout.ms", options.transaction_timeout.as_millis().to_string())
            .set("queue.buffering.max.kbytes", (memory >> 10).to_string())
            .set("queue.buffering.max.messages", (memory / RECORD_OVERHEAD).to_string());
        let context = DeliveryContext::new(ClientLog::new(transactional_id));
        let failed = |cause: Cause| BusError::Client { name: transactional_id.to_owned(), cause };
        let producer: BaseProducer<DeliveryContext> =
            config.create_with_context(context).map_err(|error| failed(Box::new(error)))?;
        let producer = Arc::new(producer);
        let served = Arc::clone(&producer);
        let server = std::thread::Builder::new()
            .name("bus-producer".to_owned())
            .spawn(move || served.client().context().serve(&served))
            .map_err(|error| failed(Box::new(error)))?;
        let mut this = Self {
            producer,
            server: Some(server),
            name: transactional_id.to_owned(),
            brokers: options.brokers.clone(),
            timeout: options.transaction_timeout,
            open: false,
            began: Instant::now(),
            key: Vec::new(),
            value: Vec::new(),
        };
        this.repeat("start", options.timeout.max(CALL_TIMEOUT), |producer| {
            producer.init_transactions(CALL_TIMEOUT)
        })?;
        Ok(this)
    }

    /// Its transactional id.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// When one is open already, or another producer took the name.
    pub fn begin(&mut self) -> Result<(), BusError> {
        self.context().reset();
        self.began = Instant::now();
        let begun = self.producer.begin_transaction();
        begun.map_err(|error| self.failed("begin", &error))?;
        self.open = true;
        Ok(())
    }

    /// Whether a record is small enough to be sent; asked before any of several records is sent
    /// that belong together.
    ///
    /// # Errors
    /// [`BusError::RecordTooLarge`].
    pub fn fits(&self, outgoing: &Outgoing<'_>) -> Result<(), BusError> {
        let datum = |part: Option<(SchemaId, &[u8])>| part.map_or(0, |part| FRAME + part.1.len());
        let headers = outgoing.headers.iter();
        let headers: usize =
            headers.map(|(name, value)| HEADER_OVERHEAD + name.len() + value.len()).sum();
        let size = datum(outgoing.key) + datum(outgoing.value) + headers;
        if size <= LARGEST_RECORD {
            return Ok(());
        }
        let (topic, limit) = (outgoing.topic.clone(), LARGEST_RECORD);
        Err(BusError::RecordTooLarge { topic, size, limit })
    }

    /// Gives a record to the client; while its queue is full, waits for the broker.
    ///
    /// # Errors
    /// With [`Recovery::Refuse`] when the record is too large: the transaction can go on without it.
    /// Otherwise abort the transaction.
    pub fn send(&mut self, outgoing: &Outgoing<'_>) -> Result<(), BusError> {
        self.fits(outgoing)?;
        let key = framed(outgoing.key, &mut self.key);
        let value = framed(outgoing.value, &mut self.value);
        let size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let mut record = BaseRecord::<[u8], [u8], ()>::to(outgoing.topic.as_str());
        record.key = key;
        record.payload = value;
        record.partition = outgoing.partition.map(|partition| partition.0);
        record.timestamp = outgoing.timestamp.map(Micros::millis);
        record.headers = owned_headers(outgoing.headers);
        let context = self.producer.client().context();
        let deadline = Instant::now() + self.timeout;
        context.sending();
        loop {
            let Err((error, back)) = self.producer.send(record) else { return Ok(()) };
            let code = error.rdkafka_error_code();
            let full = code == Some(RDKafkaErrorCode::QueueFull);
            if full && context.failure().is_none() && context.wait_for_progress(deadline) {
                record = back;
                continue;
            }
            context.not_sent();
            return Err(self.not_sent(outgoing.topic, size, &error));
        }
    }

    /// Adds consumed offsets to the transaction: they are committed with it, or not at all.
    ///
    /// # Errors
    /// With [`Recovery::Abort`] when the group was rebalanced since its state was taken.
    pub fn send_offsets(
        &mut self,
        group: &ConsumerGroup,
        next: &[(TopicPartition, Offset)],
    ) -> Result<(), BusError> {
        if next.is_empty() {
            return Ok(());
        }
        let list = list_to_commit(next);
        self.repeat("add offsets to", self.timeout, |producer| {
            producer.send_offsets_to_transaction(&list, &group.0, CALL_TIMEOUT)
        })
    }

    /// Waits until every record is written and commits. Returns, for each partition written to, the
    /// offset behind the transaction's last record.
    ///
    /// # Errors
    /// When a record was not written, the transaction has been aborted. For other errors see
    /// [`BusError::recovery`]; with [`Recovery::Restart`] it may have been committed.
    pub fn commit(&mut self) -> Result<Vec<(TopicPartition, Offset)>, BusError> {
        let deadline = Instant::now() + self.timeout;
        let all = self.drain(deadline);
        if let Some(failure) = self.context().failure() {
            return Err(self.not_delivered(failure));
        }
        if !all {
            let (brokers, waited) = (self.brokers.clone(), self.timeout);
            self.abort()?;
            return Err(BusError::QueueFull { brokers, waited });
        }
        self.repeat("commit", self.timeout, |producer| producer.commit_transaction(CALL_TIMEOUT))?;
        self.open = false;
        Ok(self.context().take_next())
    }

    /// Gives the transaction up: none of its records will be seen by those who read committed ones.
    ///
    /// # Errors
    /// When the producer was fenced or is of no use any more.
    pub fn abort(&mut self) -> Result<(), BusError> {
        if !self.open {
            return Ok(());
        }
        self.repeat("abort", self.timeout, abort)?;
        self.open = false;
        // Aborting purges what was queued; its reports still count.
        self.drain(Instant::now() + CALL_TIMEOUT);
        self.context().reset();
        Ok(())
    }

    fn context(&self) -> &DeliveryContext {
        self.producer.client().context()
    }

    /// Waits for all reports, and then for the moment in which the client frees the last one: its
    /// commit would otherwise wait for that in a step of 100 ms.
    fn drain(&self, deadline: Instant) -> bool {
        if !self.context().wait_for_all(deadline) {
            return false;
        }
        while self.producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Calls the coordinator again while it says that this may help.
    fn repeat(
        &mut self,
        action: &'static str,
        limit: Duration,
        call: impl Fn(&BaseProducer<DeliveryContext>) -> Result<(), KafkaError>,
    ) -> Result<(), BusError> {
        let deadline = Instant::now() + limit;
        loop {
            let Err(error) = call(&self.producer) else { return Ok(()) };
            let again = match &error {
                KafkaError::Transaction(error) => error.is_retriable() && !error.is_fatal(),
                _ => false,
            };
            if !again || Instant::now() >= deadline {
                return Err(self.failed(action, &error));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn not_delivered(&mut self, failure: Failure) -> BusError {
        let Failure { topic, code } = failure;
        if let Some(error) = self.fatal() {
            return error;
        }
        if let Err(error) = self.abort() {
            return error;
        }
        let recovery = match code {
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition => Recovery::Stop,
            _ => Recovery::Abort,
        };
        BusError::Delivery { topic, reason: code.to_string(), recovery }
    }

    fn not_sent(&self, topic: &TopicName, size: usize, error: &KafkaError) -> BusError {
        use RDKafkaErrorCode as Code;
        if let Some(error) = self.fatal() {
            return error;
        }
        let recovery = match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => {
                let (topic, limit) = (topic.clone(), LARGEST_RECORD);
                return BusError::RecordTooLarge { topic, size, limit };
            }
            Some(Code::QueueFull) => {
                let (brokers, waited) = (self.brokers.clone(), self.timeout);
                return BusError::QueueFull { brokers, waited };
            }
            Some(Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition) => {
                Recovery::Stop
            }
            _ => Recovery::Abort,
        };
        BusError::Delivery { topic: topic.to_string(), reason: reason(error), recovery }
    }

    /// The error that made the client useless, if one did.
    fn fatal(&self) -> Option<BusError> {
        let (code, reason) = self.producer.client().fatal_error()?;
        if is_fenced(code) || code == RDKafkaErrorCode::InvalidProducerEpoch {
            return Some(self.fenced());
        }
        Some(self.restart(reason))
    }

    /// Somebody took the name, or the broker ended a transaction that was open for too long: both
    /// fence, and the client is told no difference. The time tells it: a disk that was full, a
    /// broker that was away or a process that was stopped for so long is no second worker, and the
    /// one that starts anew fences whoever else there is.
    fn fenced(&self) -> BusError {
        if self.open && self.began.elapsed() >= self.timeout {
            let reason = format!("the broker ends a transaction after {:?}", self.timeout);
            return self.restart(reason);
        }
        BusError::Fenced { name: self.name.clone() }
    }

    fn restart(&self, reason: String) -> BusError {
        let name = self.name.clone();
        let recovery = Recovery::Restart;
        BusError::Transaction { action: "go on with", name, reason, recovery }
    }

    fn failed(&self, action: &'static str, error: &KafkaError) -> BusError {
        if let Some(error) = self.fatal() {
            return error;
        }
        if error.rdkafka_error_code().is_some_and(is_fenced) {
            return self.fenced();
        }
        let recovery = match error {
            KafkaError::Transaction(error) if error.txn_requires_abort() => Recovery::Abort,
            // Nobody knows whether the coordinator has it: a new producer will find out.
            KafkaError::Transaction(error) if error.is_retriable() && action != "start" => {
                Recovery::Restart
            }
            KafkaError::Transaction(error) if error.is_retriable() => Recovery::Retry,
            _ => Recovery::Restart,
        };
        let mut reason = reason(error);
        if let Some(told) = self.context().log().last_error() {
            reason = format!("{reason}; last seen: {told}");
        }
        BusError::Transaction { action, name: self.name.clone(), reason, recovery }
    }
}

impl Drop for TransactionalProducer {
    fn drop(&mut self) {
        if self.open && self.fatal().is_none() {
            // Left open, it would hide what others write from readers until its timeout.
            if let Err(error) = abort(&self.producer) {
                tracing::warn!(producer = self.name, error = %error, "could not abort on the way out");
            }
        }
        self.context().stop();
        if let Some(server) = self.server.take()
            && server.join().is_err()
        {
            tracing::error!(producer = self.name, "the thread for delivery reports has panicked");
        }
    }
}

/// Aborting purges the client's queue and waits until the reports of that have been served.
fn abort(producer: &BaseProducer<DeliveryContext>) -> Result<(), KafkaError> {
    let context = producer.client().context();
    context.while_purging(|| producer.abort_transaction(CALL_TIMEOUT))
}

impl std::fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransactionalProducer")
            .field("name", &self.name)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// Writes a datum with its frame into a buffer that is used again for the next record.
fn framed<'a>(part: Option<(SchemaId, &[u8])>, buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let (id, datum) = part?;
    buffer.clear();
    frame_into(id, datum, buffer);
    Some(buffer)
}

fn owned_headers(headers: &[(String, Vec<u8>)]) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let owned = OwnedHeaders::new_with_capacity(headers.len());
    Some(
        headers
            .iter()
            .fold(owned, |owned, (key, value)| owned.insert(Header { key, value: Some(value) })),
    )
}
