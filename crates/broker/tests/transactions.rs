//! Transactions over the wire, over crashes, and over two instances of one producer.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest,
        DescribeTransactionsRequest, EndTxnRequest, GroupId, InitProducerIdRequest,
        ListTransactionsRequest, OffsetCommitRequest, OffsetFetchRequest, TransactionalId,
        TxnOffsetCommitRequest,
        add_partitions_to_txn_request::AddPartitionsToTxnTopic,
        describe_producers_request::TopicRequest,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
    },
};
use throughline_broker::{Broker, BrokerHandle};
use throughline_log::faults::FaultyFiles;

use crate::client::{Client, Producer, batch, broker, options, text, topic};

pub(crate) const ID: &str = "txn";

fn id(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

async fn begin(files: &FaultyFiles) -> (BrokerHandle, Client, Producer) {
    let broker = broker(files).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let producer = client.init(ID).await;
    (broker, client, producer)
}

async fn add(client: &mut Client, producer: Producer) -> i16 {
    let wanted = AddPartitionsToTxnTopic::default().with_name(topic("t")).with_partitions(vec![0]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id(ID))
        .with_v3_and_below_producer_id(producer.id.into())
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(vec![wanted]);
    let response = client.call(3, &request).await;
    response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
}

async fn write(client: &mut Client, producer: Producer, sequence: i32, value: &str) -> i16 {
    client.produce("t", batch(&[value], Some((producer, sequence))), Some(ID)).await.0
}

pub(crate) async fn end(client: &mut Client, producer: Producer, commit: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(id(ID))
        .with_producer_id(producer.id.into())
        .with_producer_epoch(producer.epoch)
        .with_committed(commit);
    client.call(3, &request).await.error_code
}

async fn state(client: &mut Client) -> String {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(ID)]);
    let response = client.call(0, &request).await;
    response.transaction_states[0].transaction_state.to_string()
}

#[tokio::test]
async fn readers_of_committed_records_see_whole_transactions_and_no_aborted_ones() {
    let (broker, mut client, producer) = begin(&FaultyFiles::new(20)).await;
    assert_eq!(add(&mut client, producer).await, 0);
    assert_eq!(write(&mut client, producer, 0, "a").await, 0);
    assert_eq!(client.values("t", true).await, Vec::<String>::new(), "not decided yet");
    assert_eq!(client.offset("t", -1, true).await, 0);
    assert_eq!(client.offset("t", -1, false).await, 1);
    assert_eq!(end(&mut client, producer, true).await, 0);
    assert_eq!(client.values("t", true).await, ["a"]);
    add(&mut client, producer).await;
    write(&mut client, producer, 1, "never").await;
    assert_eq!(end(&mut client, producer, false).await, 0);
    add(&mut client, producer).await;
    write(&mut client, producer, 2, "b").await;
    assert_eq!(end(&mut client, producer, true).await, 0);
    assert_eq!(client.values("t", true).await, ["a", "b"]);
    assert_eq!(client.values("t", false).await, ["a", "never", "b"]);
    assert_eq!(state(&mut client).await, "CompleteCommit");
    broker.shutdown().await;
}

#[tokio::test]
async fn ending_twice_is_answered_and_ending_otherwise_is_refused() {
    let (broker, mut client, producer) = begin(&FaultyFiles::new(21)).await;
    let invalid = ResponseError::InvalidTxnState.code();
    assert_eq!(end(&mut client, producer, true).await, invalid, "nothing was begun");
    add(&mut client, producer).await;
    assert_eq!(end(&mut client, producer, true).await, 0);
    assert_eq!(end(&mut client, producer, true).await, 0);
    assert_eq!(end(&mut client, producer, false).await, invalid);
    broker.shutdown().await;
}

#[tokio::test]
async fn records_outside_of_an_open_transaction_are_refused_so_that_none_hangs() {
    let (broker, mut client, producer) = begin(&FaultyFiles::new(22)).await;
    let invalid = ResponseError::InvalidTxnState.code();
    assert_eq!(write(&mut client, producer, 0, "early").await, invalid);
    add(&mut client, producer).await;
    assert_eq!(write(&mut client, producer, 0, "in time").await, 0);
    end(&mut client, producer, true).await;
    assert_eq!(write(&mut client, producer, 1, "late").await, invalid);
    let stranger = batch(&["x"], Some((producer, 1)));
    let (error, _) = client.produce("t", stranger, Some("other")).await;
    assert_eq!(error, ResponseError::InvalidProducerIdMapping.code());
    assert_eq!(client.values("t", true).await, ["in time"]);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_new_instance_aborts_what_the_old_one_left_open_and_fences_it() {
    let (broker, mut client, old) = begin(&FaultyFiles::new(23)).await;
    add(&mut client, old).await;
    write(&mut client, old, 0, "left open").await;
    let new = client.init(ID).await;
    assert_eq!(new.id, old.id);
    assert!(new.epoch > old.epoch);
    let fenced = ResponseError::ProducerFenced.code();
    assert_eq!(end(&mut client, old, true).await, fenced);
    assert_eq!(add(&mut client, old).await, fenced);
    let refused = write(&mut client, old, 1, "zombie").await;
    assert_eq!(refused, ResponseError::InvalidProducerEpoch.code());
    add(&mut client, new).await;
    assert_eq!(write(&mut client, new, 0, "mine").await, 0);
    end(&mut client, new, true).await;
    assert_eq!(client.values("t", true).await, ["mine"]);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_producer_that_names_its_epoch_continues_only_if_it_is_current() {
    let (broker, mut client, first) = begin(&FaultyFiles::new(24)).await;
    let next = client.try_init(ID, 1000, Some(first)).await.unwrap();
    assert_eq!(next.epoch, first.epoch + 1);
    assert_eq!(client.try_init(ID, 1000, Some(first)).await, Ok(next), "the same call again");
    client.init(ID).await;
    let fenced = ResponseError::ProducerFenced.code();
    assert_eq!(client.try_init(ID, 1000, Some(first)).await, Err(fenced));
    let timeout = ResponseError::InvalidTransactionTimeout.code();
    assert_eq!(client.try_init(ID, 0, None).await, Err(timeout));
    assert_eq!(client.try_init(ID, i32::MAX, None).await, Err(timeout));
    broker.shutdown().await;
}

#[tokio::test]
async fn an_open_transaction_is_aborted_after_its_timeout_and_its_producer_fenced() {
    let broker = broker(&FaultyFiles::new(25)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let producer = client.try_init(ID, 3_000, None).await.unwrap();
    add(&mut client, producer).await;
    write(&mut client, producer, 0, "hanging").await;
    let mut ends = broker.local().watch("t", 0).unwrap();
    let aborted = ends.wait_for(|ends| ends.last_stable_offset == 2);
    tokio::time::timeout(Duration::from_secs(60), aborted).await.unwrap().unwrap();
    assert_eq!(client.values("t", true).await, Vec::<String>::new());
    let refused = end(&mut client, producer, true).await;
    assert_eq!(refused, ResponseError::ProducerFenced.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn an_open_transaction_survives_a_restart_and_can_be_committed() {
    let files = FaultyFiles::new(26);
    let (broker, mut client, producer) = begin(&files).await;
    add(&mut client, producer).await;
    write(&mut client, producer, 0, "a").await;
    broker.shutdown().await;
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(state(&mut client).await, "Ongoing");
    assert_eq!(write(&mut client, producer, 1, "b").await, 0);
    assert_eq!(end(&mut client, producer, true).await, 0);
    assert_eq!(client.values("t", true).await, ["a", "b"]);
    broker.shutdown().await;
}

/// Stops the disk after each operation of a commit in turn, cuts the power, and starts again: the
/// transaction is wholly there or can still be decided, and it is there if it was acknowledged.
#[tokio::test]
async fn a_crash_at_any_point_of_a_commit_leaves_it_whole() {
    let mut decided_by_recovery = 0;
    for crash_after in 0..14 {
        let files = FaultyFiles::new(crash_after);
        let (broker, mut client, producer) = begin(&files).await;
        add(&mut client, producer).await;
        assert_eq!(write(&mut client, producer, 0, "a").await, 0);
        files.crash_after(crash_after);
        let acknowledged = end(&mut client, producer, true).await == 0;
        let crashed = files.crashed();
        drop(client);
        broker.shutdown().await;
        files.power_cut();
        let broker = self::broker(&files).await;
        let mut client = Client::connect(broker.address()).await;
        let state = state(&mut client).await;
        let expected: &[&str] = match state.as_str() {
            "CompleteCommit" => &["a"],
            "Ongoing" => &[],
            other => panic!("after operation {crash_after} the state is {other}"),
        };
        assert_eq!(client.values("t", true).await, expected, "after operation {crash_after}");
        assert!(!acknowledged || state == "CompleteCommit", "acknowledged and lost");
        decided_by_recovery += u32::from(!acknowledged && state == "CompleteCommit");
        assert!(crashed || acknowledged);
        if state == "Ongoing" {
            assert_eq!(end(&mut client, producer, true).await, 0);
            assert_eq!(client.values("t", true).await, ["a"]);
        }
        broker.shutdown().await;
    }
    assert!(decided_by_recovery > 0, "no crash fell between the decision and its markers");
}

/// Cuts the end of a partition, at every place in turn, while the process is down: what is left of
/// its transactions ends as it was decided, and readers come to the end.
#[tokio::test]
async fn a_transaction_whose_marker_was_cut_off_ends_as_it_was_decided() {
    const COMMITTED: [bool; 4] = [true, false, false, true];
    let log = std::path::Path::new("/data/partitions/t-0/00000000000000000000.log");
    let mut ended_again = 0;
    for cut in 0.. {
        let files = FaultyFiles::new(cut);
        let (broker, mut client, producer) = begin(&files).await;
        for (number, commit) in (0..).zip(COMMITTED) {
            assert_eq!(add(&mut client, producer).await, 0);
            assert_eq!(write(&mut client, producer, number, &number.to_string()).await, 0);
            assert_eq!(end(&mut client, producer, commit).await, 0);
        }
        let decided = client.marker_times("t").await;
        files.kill();
        drop(client);
        broker.shutdown().await;
        let mut left = None;
        files.edit(log, |bytes| {
            left = bytes.len().checked_sub(cut as usize * 61);
            bytes.truncate(left.unwrap_or(0));
        });
        if left.is_none() {
            break;
        }
        let broker = self::broker(&files).await;
        let mut client = Client::connect(broker.address()).await;
        let all = client.values("t", false).await;
        let expected: Vec<String> = all
            .iter()
            .filter(|number| COMMITTED[number.parse::<usize>().unwrap()])
            .cloned()
            .collect();
        assert_eq!(client.values("t", true).await, expected, "cut {cut}");
        // With the time of the decision: a later one must never count as older than a marker.
        let times = client.marker_times("t").await;
        assert!(decided.starts_with(&times), "cut {cut}: {times:?}, not {decided:?}");
        let ends = *broker.local().watch("t", 0).unwrap().borrow();
        assert_eq!(ends.last_stable_offset, ends.high_watermark, "cut {cut}");
        ended_again += u32::from(ends.high_watermark > all.len() as i64 * 2 - 1 && cut > 0);
        // The same producer goes on.
        let producer = client.init(ID).await;
        assert_eq!(add(&mut client, producer).await, 0);
        assert_eq!(write(&mut client, producer, 0, "5").await, 0);
        assert_eq!(end(&mut client, producer, true).await, 0);
        assert_eq!(client.values("t", true).await.len(), expected.len() + 1, "cut {cut}");
        broker.shutdown().await;
    }
    assert!(ended_again > 0, "no cut took a marker and left its records");
}

/// Cuts the log of offsets while the process is down: what a transaction had committed there is
/// missed, and nothing is that was not decided or is still there.
#[tokio::test]
async fn offsets_that_a_transaction_committed_and_the_log_has_lost_are_told() {
    let log =
        std::path::Path::new("/data/partitions/__consumer_offsets-0/00000000000000000000.log");
    for (commit, keep, told) in [(true, 0.0, true), (true, 1.0, false), (false, 0.0, false)] {
        let files = FaultyFiles::new(61);
        let (broker, mut client, producer) = begin(&files).await;
        assert_eq!(send_offset(&mut client, producer, 1).await, 0);
        assert_eq!(end(&mut client, producer, commit).await, 0);
        // The end is in the log before the next transaction begins.
        assert_eq!(send_offset(&mut client, producer, 2).await, 0);
        files.kill();
        drop(client);
        broker.shutdown().await;
        files.edit(log, |bytes| bytes.truncate((bytes.len() as f64 * keep) as usize));
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(lines.subscriber());
        let broker = self::broker(&files).await;
        drop(guard);
        assert_eq!(lines.text().contains("TL0319"), told, "{commit} {keep}: {}", lines.text());
        broker.shutdown().await;
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let lines = self.clone();
        tracing_subscriber::fmt().with_writer(move || lines.clone()).finish()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn position(offset: i64) -> Vec<TxnOffsetCommitRequestTopic> {
    let partition = TxnOffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("note")));
    vec![
        TxnOffsetCommitRequestTopic::default()
            .with_name(topic("t"))
            .with_partitions(vec![partition]),
    ]
}

pub(crate) async fn send_offset(client: &mut Client, producer: Producer, offset: i64) -> i16 {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(id(ID))
        .with_producer_id(producer.id.into())
        .with_producer_epoch(producer.epoch)
        .with_group_id(GroupId(text("g")));
    let added = client.call(3, &request).await.error_code;
    if added != 0 {
        return added;
    }
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(id(ID))
        .with_group_id(GroupId(text("g")))
        .with_producer_id(producer.id.into())
        .with_producer_epoch(producer.epoch)
        .with_topics(position(offset));
    client.call(3, &request).await.topics[0].partitions[0].error_code
}

/// The committed offset of the group, or the error code.
pub(crate) async fn committed(client: &mut Client, stable: bool) -> Result<i64, i16> {
    let wanted =
        OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(Some(vec![wanted]));
    let request =
        OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(stable);
    let response = client.call(8, &request).await;
    let partition = &response.groups[0].topics[0].partitions[0];
    match partition.error_code {
        0 => Ok(partition.committed_offset),
        error => Err(error),
    }
}

#[tokio::test]
async fn offsets_in_a_transaction_count_with_its_commit_and_not_with_its_abort() {
    let files = FaultyFiles::new(27);
    let (broker, mut client, producer) = begin(&files).await;
    let unopened = TxnOffsetCommitRequest::default()
        .with_transactional_id(id(ID))
        .with_group_id(GroupId(text("g")))
        .with_producer_id(producer.id.into())
        .with_producer_epoch(producer.epoch)
        .with_topics(position(1));
    let refused = client.call(3, &unopened).await.topics[0].partitions[0].error_code;
    assert_eq!(refused, ResponseError::InvalidTxnState.code());
    assert_eq!(send_offset(&mut client, producer, 5).await, 0);
    assert_eq!(committed(&mut client, false).await, Ok(-1));
    let unstable = ResponseError::UnstableOffsetCommit.code();
    assert_eq!(committed(&mut client, true).await, Err(unstable));
    broker.shutdown().await;
    // The pending offset is found again after a restart.
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(committed(&mut client, true).await, Err(unstable));
    assert_eq!(end(&mut client, producer, true).await, 0);
    assert_eq!(committed(&mut client, true).await, Ok(5));
    assert_eq!(send_offset(&mut client, producer, 9).await, 0);
    assert_eq!(end(&mut client, producer, false).await, 0);
    assert_eq!(committed(&mut client, true).await, Ok(5));
    broker.shutdown().await;
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(committed(&mut client, true).await, Ok(5));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_plain_commit_and_a_transaction_on_one_group_do_not_mix_up() {
    let (broker, mut client, producer) = begin(&FaultyFiles::new(28)).await;
    assert_eq!(send_offset(&mut client, producer, 5).await, 0);
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(3);
    let wanted =
        OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    let request =
        OffsetCommitRequest::default().with_group_id(GroupId(text("g"))).with_topics(vec![wanted]);
    let code = client.call(8, &request).await.topics[0].partitions[0].error_code;
    assert_eq!(code, 0);
    assert_eq!(committed(&mut client, false).await, Ok(3));
    end(&mut client, producer, false).await;
    assert_eq!(committed(&mut client, true).await, Ok(3));
    broker.shutdown().await;
}

#[tokio::test]
async fn transactions_and_their_producers_are_listed() {
    let (broker, mut client, producer) = begin(&FaultyFiles::new(29)).await;
    add(&mut client, producer).await;
    write(&mut client, producer, 0, "a").await;
    let open = ListTransactionsRequest::default().with_state_filters(vec![text("Ongoing")]);
    let listed = client.call(0, &open).await.transaction_states;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].producer_id.0, producer.id);
    let wanted = TopicRequest::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![wanted]);
    let response = client.call(0, &request).await;
    let active = &response.topics[0].partitions[0].active_producers[0];
    assert_eq!((active.producer_id.0, active.current_txn_start_offset), (producer.id, 0));
    end(&mut client, producer, true).await;
    assert!(client.call(0, &open).await.transaction_states.is_empty());
    let partition =
        AddPartitionsToTxnTopic::default().with_name(topic("nothing")).with_partitions(vec![0]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id(ID))
        .with_v3_and_below_producer_id(producer.id.into())
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(vec![partition]);
    let response = client.call(3, &request).await;
    let result = &response.results_by_topic_v3_and_below[0].results_by_partition[0];
    assert_eq!(result.partition_error_code, ResponseError::UnknownTopicOrPartition.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn a_deleted_topic_does_not_keep_its_transaction_from_ending() {
    let (broker, mut client, producer) = begin(&FaultyFiles::new(30)).await;
    add(&mut client, producer).await;
    write(&mut client, producer, 0, "gone").await;
    let request =
        kafka_protocol::messages::DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
    assert_eq!(client.call(5, &request).await.responses[0].error_code, 0);
    assert_eq!(end(&mut client, producer, true).await, 0);
    broker.shutdown().await;
}

#[tokio::test]
async fn local_readers_see_only_committed_records() {
    let (broker, mut client, producer) = begin(&FaultyFiles::new(31)).await;
    add(&mut client, producer).await;
    write(&mut client, producer, 0, "never").await;
    end(&mut client, producer, false).await;
    let log = broker.local();
    assert!(log.read("t", 0, 0).unwrap().is_empty());
    log.append("t", 0, vec![(None, Some(Bytes::from_static(b"plain")))]).await.unwrap();
    let read = log.read("t", 0, 0).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].value.as_deref(), Some(&b"plain"[..]));
    broker.shutdown().await;
}

#[tokio::test]
async fn idempotent_producers_never_share_an_id_over_restarts() {
    let files = FaultyFiles::new(32);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let broker = Broker::start(options(&files)).await.unwrap();
        let mut client = Client::connect(broker.address()).await;
        for _ in 0..3 {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            let response = client.call(1, &request).await;
            assert_eq!(response.error_code, 0);
            assert!(seen.insert(response.producer_id.0), "given out twice");
        }
        broker.shutdown().await;
        files.power_cut();
    }
}
