//! A client of a few lines: one connection, typed requests in any version.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, FetchRequest, FetchResponse, InitProducerIdRequest, ListOffsetsRequest,
        ProduceRequest, RequestHeader, ResponseHeader, TopicName, TransactionalId,
        fetch_request::{FetchPartition, FetchTopic},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::{Decodable, Encodable, Request, StrBytes},
    records::{
        Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
        TimestampType,
    },
};
use throughline_broker::{Broker, BrokerHandle, BrokerOptions};
use throughline_log::faults::FaultyFiles;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A broker on a disk in memory.
pub(crate) async fn broker(files: &FaultyFiles) -> BrokerHandle {
    Broker::start(options(files)).await.unwrap()
}

/// Options for a broker on a disk in memory.
pub(crate) fn options(files: &FaultyFiles) -> BrokerOptions {
    BrokerOptions { files: Arc::new(files.clone()), ..BrokerOptions::new("/data") }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A producer's id and epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// Now, because retention removes what is older than a week.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

/// A batch of `values`; transactional with a producer, from sequence `sequence` on.
pub(crate) fn batch(values: &[&str], producer: Option<(Producer, i32)>) -> Bytes {
    let records: Vec<_> = values.iter().map(|value| (Some("key"), *value)).collect();
    batch_of(&records, producer)
}

/// A batch of keys and values.
pub(crate) fn batch_of(
    records: &[(Option<&str>, &str)],
    producer: Option<(Producer, i32)>,
) -> Bytes {
    let (who, sequence) = producer.unwrap_or((Producer { id: -1, epoch: -1 }, -1));
    let records: Vec<Record> = (0..)
        .zip(records)
        .map(|(at, (key, value))| Record {
            transactional: producer.is_some(),
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: who.id,
            producer_epoch: who.epoch,
            timestamp_type: TimestampType::Creation,
            offset: at,
            sequence: sequence + at as i32,
            timestamp: now_ms(),
            key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Default::default(),
        })
        .collect();
    let mut out = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
    out.freeze()
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), correlation_id: 0 }
    }

    /// Sends a request and does not wait.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(text("tests")));
        let mut body = BytesMut::new();
        header.encode(&mut body, R::header_version(version)).unwrap();
        request.encode(&mut body, version).unwrap();
        self.stream.write_i32(body.len() as i32).await.unwrap();
        self.stream.write_all(&body).await.unwrap();
        self.correlation_id
    }

    /// Receives one answer, whichever it is, with its correlation id still in front.
    pub(crate) async fn receive(&mut self) -> std::io::Result<Bytes> {
        let length = self.stream.read_i32().await?;
        let mut body = vec![0; length as usize];
        self.stream.read_exact(&mut body).await?;
        Ok(body.into())
    }

    /// Sends a request and returns its answer.
    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let sent = self.send(version, request).await;
        let mut body = self.receive().await.unwrap();
        let key = ApiKey::try_from(R::KEY).unwrap();
        let header_version = key.response_header_version(version);
        let header = ResponseHeader::decode(&mut body, header_version).unwrap();
        assert_eq!(header.correlation_id, sent);
        let response = R::Response::decode(&mut body, version).unwrap();
        assert!(body.is_empty(), "{key:?} version {version} leaves bytes over");
        response
    }

    /// Produces one batch; returns error code and base offset.
    pub(crate) async fn produce(
        &mut self,
        name: &str,
        records: Bytes,
        transactional_id: Option<&str>,
    ) -> (i16, i64) {
        let response = self.call(9, &produce_request(name, records, transactional_id)).await;
        let partition = &response.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    }

    /// Fetches partition 0 from `from` on.
    pub(crate) async fn fetch(
        &mut self,
        name: &str,
        from: i64,
        committed: bool,
        max_wait_ms: i32,
    ) -> FetchResponse {
        self.call(12, &fetch_request(name, from, committed, max_wait_ms)).await
    }

    /// Every value of partition 0 that a reader of the given isolation sees.
    pub(crate) async fn values(&mut self, name: &str, committed: bool) -> Vec<String> {
        let mut values = Vec::new();
        let mut from = 0;
        loop {
            let response = self.fetch(name, from, committed, 0).await;
            let partition = &response.responses[0].partitions[0];
            assert_eq!(partition.error_code, 0);
            let mut stored = partition.records.clone().unwrap_or_default();
            if stored.is_empty() {
                return values;
            }
            let aborted = partition.aborted_transactions.clone().unwrap_or_default();
            let records = RecordBatchDecoder::decode(&mut stored).unwrap().records;
            let mut over = std::collections::BTreeSet::new();
            for record in records {
                from = record.offset + 1;
                let producer = record.producer_id;
                if record.control {
                    over.insert((producer, record.offset));
                    continue;
                }
                let skip = aborted.iter().any(|one| {
                    let ended = over
                        .range((producer, one.first_offset)..(producer, record.offset))
                        .next()
                        .is_some();
                    one.producer_id.0 == producer && one.first_offset <= record.offset && !ended
                });
                if !(record.transactional && skip) {
                    let value = record.value.unwrap_or_default();
                    values.push(String::from_utf8(value.to_vec()).unwrap());
                }
            }
        }
    }

    /// The time of every end of a transaction in partition 0, in milliseconds since 1970.
    pub(crate) async fn marker_times(&mut self, name: &str) -> Vec<i64> {
        let (mut times, mut from) = (Vec::new(), 0);
        loop {
            let response = self.fetch(name, from, false, 0).await;
            let mut stored =
                response.responses[0].partitions[0].records.clone().unwrap_or_default();
            if stored.is_empty() {
                return times;
            }
            for record in RecordBatchDecoder::decode(&mut stored).unwrap().records {
                from = record.offset + 1;
                times.extend(record.control.then_some(record.timestamp));
            }
        }
    }

    /// The offset of partition 0 for a special timestamp.
    pub(crate) async fn offset(&mut self, name: &str, timestamp: i64, committed: bool) -> i64 {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let wanted =
            ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_isolation_level(committed.into())
            .with_topics(vec![wanted]);
        self.call(7, &request).await.topics[0].partitions[0].offset
    }

    /// Begins an instance of a transactional producer.
    pub(crate) async fn init(&mut self, id: &str) -> Producer {
        let response = self.try_init(id, 60_000, None).await;
        response.unwrap_or_else(|error| panic!("init failed with {error}"))
    }

    pub(crate) async fn try_init(
        &mut self,
        id: &str,
        timeout_ms: i32,
        known: Option<Producer>,
    ) -> Result<Producer, i16> {
        let known = known.unwrap_or(Producer { id: -1, epoch: -1 });
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(known.id.into())
            .with_producer_epoch(known.epoch);
        let response = self.call(4, &request).await;
        match response.error_code {
            0 => Ok(Producer { id: response.producer_id.0, epoch: response.producer_epoch }),
            error => Err(error),
        }
    }
}

pub(crate) fn produce_request(
    name: &str,
    records: Bytes,
    transactional_id: Option<&str>,
) -> ProduceRequest {
    let partition = PartitionProduceData::default().with_records(Some(records));
    let data =
        TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_topic_data(vec![data])
}

pub(crate) fn fetch_request(
    name: &str,
    from: i64,
    committed: bool,
    max_wait_ms: i32,
) -> FetchRequest {
    let partition =
        FetchPartition::default().with_fetch_offset(from).with_partition_max_bytes(1 << 20);
    let wanted = FetchTopic::default().with_topic(topic(name)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(committed.into())
        .with_topics(vec![wanted])
}
