//! Produce, fetch and offsets.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        DeleteTopicsRequest, FetchResponse, OffsetForLeaderEpochRequest, ProduceRequest,
        ProduceResponse, ResponseHeader,
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
    },
    protocol::Decodable,
};
use throughline_log::faults::FaultyFiles;
use tokio::time::timeout;

use crate::client::{
    Client, Producer, batch, batch_of, broker, fetch_request, produce_request, topic,
};

#[tokio::test]
async fn what_was_produced_is_fetched_byte_for_byte_but_for_its_offset() {
    let broker = broker(&FaultyFiles::new(10)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let sent = batch(&["a", "b"], None);
    assert_eq!(client.produce("t", sent.clone(), None).await, (0, 0));
    assert_eq!(client.produce("t", sent.clone(), None).await, (0, 2));
    let response = client.fetch("t", 2, false, 0).await;
    let partition = &response.responses[0].partitions[0];
    let stored = partition.records.clone().unwrap();
    assert_eq!(stored[..8], 2i64.to_be_bytes());
    assert_eq!(stored[16..], sent[16..]);
    assert_eq!((partition.high_watermark, partition.log_start_offset), (4, 0));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_compacted_topic_refuses_records_without_a_key_and_names_them() {
    let broker = broker(&FaultyFiles::new(8)).await;
    let settings = [("cleanup.policy", "compact,delete")];
    broker.local().create_topic("t", 1, &settings).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let records = batch_of(&[(Some("a"), "1"), (None, "2"), (Some(""), "3"), (None, "4")], None);
    for version in [7, 9] {
        let response = client.call(version, &produce_request("t", records.clone(), None)).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ResponseError::InvalidRecord.code());
        let named: Vec<_> = partition.record_errors.iter().map(|one| one.batch_index).collect();
        let expected: &[i32] = if version >= 8 { &[1, 3] } else { &[] };
        assert_eq!(named, expected);
    }
    let records = batch_of(&[(Some("a"), "1"), (Some(""), "3")], None);
    assert_eq!(client.produce("t", records, None).await, (0, 0));
    broker.shutdown().await;
}

#[tokio::test]
async fn pipelined_requests_take_effect_and_are_answered_in_order() {
    let broker = broker(&FaultyFiles::new(11)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    for number in 0..50 {
        let records = batch(&[&number.to_string()], None);
        client.send(9, &produce_request("t", records, None)).await;
    }
    for expected in 0..50 {
        let mut answer = client.receive().await.unwrap();
        let header = ResponseHeader::decode(&mut answer, 1).unwrap();
        assert_eq!(header.correlation_id, expected + 1);
        let response = ProduceResponse::decode(&mut answer, 9).unwrap();
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!((partition.error_code, partition.base_offset), (0, expected.into()));
    }
    let values: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(client.values("t", false).await, values);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_parked_fetch_is_woken_by_an_append_and_does_not_hold_up_later_requests() {
    let broker = broker(&FaultyFiles::new(12)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut reader = Client::connect(broker.address()).await;
    reader.send(12, &fetch_request("t", 0, false, 600_000)).await;
    // Sent behind the fetch on the same connection, and handled although that one waits.
    reader.send(9, &produce_request("t", batch(&["x"], None), None)).await;
    let answer = timeout(Duration::from_secs(90), reader.receive()).await;
    let mut answer = answer.expect("the append wakes the fetch").unwrap();
    ResponseHeader::decode(&mut answer, 1).unwrap();
    let fetched = FetchResponse::decode(&mut answer, 12).unwrap();
    assert!(!fetched.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
    let mut answer = reader.receive().await.unwrap();
    assert_eq!(ResponseHeader::decode(&mut answer, 1).unwrap().correlation_id, 2);
    broker.shutdown().await;
}

#[tokio::test]
async fn an_answer_is_of_moderate_size_and_begins_with_any_partition() {
    let broker = broker(&FaultyFiles::new(7)).await;
    let mut client = Client::connect(broker.address()).await;
    let names = ["a", "b", "c", "d"];
    for name in names {
        broker.local().create_topic(name, 1, &[]).await.unwrap();
        for _ in 0..2 {
            let records = batch(&[&"x".repeat(400_000)], None);
            assert_eq!(client.produce(name, records, None).await.0, 0);
        }
    }
    // None of the answers may wait for its time to be over.
    let wanted = |min_bytes, max_bytes| {
        let topics = names.iter().flat_map(|name| fetch_request(name, 0, false, 0).topics);
        fetch_request("a", 0, false, i32::MAX)
            .with_min_bytes(min_bytes)
            .with_max_bytes(max_bytes)
            .with_topics(topics.collect())
    };
    let sizes = |response: FetchResponse| -> Vec<usize> {
        let parts = response.responses.iter().map(|topic| &topic.partitions[0].records);
        parts.map(|records| records.as_ref().map_or(0, Bytes::len)).collect()
    };
    let mut seen = [false; 4];
    while seen.contains(&false) {
        let found = sizes(client.call(12, &wanted(1, i32::MAX)).await);
        assert!((800_000..1 << 20).contains(&found.iter().sum::<usize>()), "{found:?}");
        seen.iter_mut().zip(found).for_each(|(seen, size)| *seen |= size > 0);
    }
    let found: usize = sizes(client.call(12, &wanted(3_000_000, i32::MAX)).await).iter().sum();
    assert!(found >= 3_000_000, "as much as the client insists on: {found}");
    let found: usize = sizes(client.call(12, &wanted(3_000_000, 500_000)).await).iter().sum();
    assert!((400_000..500_000).contains(&found), "no more than the client takes: {found}");
    broker.shutdown().await;
}

#[tokio::test]
async fn a_fetch_parked_on_a_topic_that_is_deleted_and_made_again_sees_the_new_one() {
    let broker = broker(&FaultyFiles::new(9)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut reader = Client::connect(broker.address()).await;
    reader.send(12, &fetch_request("t", 0, false, 600_000)).await;
    let mut admin = Client::connect(broker.address()).await;
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
    assert_eq!(admin.call(5, &delete).await.responses[0].error_code, 0);
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    admin.produce("t", batch(&["new"], None), None).await;
    let answer = timeout(Duration::from_secs(90), reader.receive()).await;
    let mut answer = answer.expect("the deletion wakes the fetch").unwrap();
    ResponseHeader::decode(&mut answer, 1).unwrap();
    let fetched = FetchResponse::decode(&mut answer, 12).unwrap();
    let partition = &fetched.responses[0].partitions[0];
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let has_records = partition.records.as_ref().is_some_and(|records| !records.is_empty());
    assert!(partition.error_code == unknown || has_records);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_batch_larger_than_every_limit_is_still_fetched() {
    let broker = broker(&FaultyFiles::new(13)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let long = "x".repeat(100_000);
    client.produce("t", batch(&[&long], None), None).await;
    let mut request = fetch_request("t", 0, false, 0).with_max_bytes(10);
    request.topics[0].partitions[0].partition_max_bytes = 10;
    let response = client.call(12, &request).await;
    assert!(response.responses[0].partitions[0].records.as_ref().unwrap().len() > 100_000);
    broker.shutdown().await;
}

#[tokio::test]
async fn offsets_outside_of_the_log_and_unknown_partitions_are_reported_at_once() {
    let broker = broker(&FaultyFiles::new(14)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let code = |response: FetchResponse| response.responses[0].partitions[0].error_code;
    let beyond = client.fetch("t", 50, false, 60_000).await;
    assert_eq!(code(beyond), ResponseError::OffsetOutOfRange.code());
    let unknown = client.fetch("nothing", 0, false, 60_000).await;
    assert_eq!(code(unknown), ResponseError::UnknownTopicOrPartition.code());
    let session = fetch_request("t", 0, false, 0).with_session_id(5);
    let declined = client.call(12, &session).await.error_code;
    assert_eq!(declined, ResponseError::FetchSessionIdNotFound.code());
    let mut ahead = fetch_request("t", 0, false, 600_000);
    ahead.topics[0].partitions[0].current_leader_epoch = 9;
    let ahead = client.call(12, &ahead).await;
    assert_eq!(code(ahead), ResponseError::UnknownLeaderEpoch.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn bad_batches_are_refused_one_by_one() {
    let broker = broker(&FaultyFiles::new(15)).await;
    broker.local().create_topic("t", 1, &[("max.message.bytes", "500")]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let good = batch(&["a"], None);
    let mut bent = BytesMut::from(&good[..]);
    bent[70] ^= 1;
    let two = Bytes::from([good.clone(), good.clone()].concat());
    let large = batch(&["x".repeat(600).as_str()], None);
    for (records, error) in [
        (bent.freeze(), ResponseError::CorruptMessage),
        (two, ResponseError::InvalidRecord),
        (Bytes::new(), ResponseError::InvalidRecord),
        (good.slice(..40), ResponseError::InvalidRecord),
        (large, ResponseError::MessageTooLarge),
    ] {
        assert_eq!(client.produce("t", records, None).await, (error.code(), -1), "{error}");
    }
    let internal = client.produce("__consumer_offsets", good.clone(), None).await;
    assert_eq!(internal.0, ResponseError::InvalidTopicException.code());
    let unknown = client.produce("nothing", good.clone(), None).await;
    assert_eq!(unknown.0, ResponseError::UnknownTopicOrPartition.code());
    let acks = produce_request("t", good.clone(), None).with_acks(2);
    let response = client.call(9, &acks).await;
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ResponseError::InvalidRequiredAcks.code());
    assert_eq!(client.produce("t", good, None).await, (0, 0), "nothing of it was stored");
    broker.shutdown().await;
}

#[tokio::test]
async fn records_without_acknowledgement_are_stored_and_a_refusal_closes_the_connection() {
    let broker = broker(&FaultyFiles::new(16)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let silent =
        |name| -> ProduceRequest { produce_request(name, batch(&["a"], None), None).with_acks(0) };
    client.send(9, &silent("t")).await;
    // Nothing on the connection tells when it is on the disk and can be fetched.
    let mut ends = broker.local().watch("t", 0).unwrap();
    ends.wait_for(|ends| ends.high_watermark == 1).await.unwrap();
    assert_eq!(client.values("t", false).await, ["a"]);
    client.send(9, &silent("nothing")).await;
    assert!(client.receive().await.is_err());
    broker.shutdown().await;
}

#[tokio::test]
async fn a_repeated_batch_of_an_idempotent_producer_is_stored_once() {
    let broker = broker(&FaultyFiles::new(17)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let idempotent = |sequence: i32| {
        let mut bytes =
            BytesMut::from(&batch(&["a"], Some((Producer { id: 5, epoch: 0 }, sequence)))[..]);
        // Not transactional: clear the bit and seal the batch again.
        bytes[22] &= !(1 << 4);
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes.freeze()
    };
    assert_eq!(client.produce("t", idempotent(0), None).await, (0, 0));
    assert_eq!(client.produce("t", idempotent(0), None).await, (0, 0));
    assert_eq!(client.produce("t", idempotent(1), None).await, (0, 1));
    let gap = client.produce("t", idempotent(7), None).await;
    assert_eq!(gap.0, ResponseError::OutOfOrderSequenceNumber.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn offsets_are_found_by_time() {
    let broker = broker(&FaultyFiles::new(18)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.offset("t", -3, false).await, -1, "an empty log");
    client.produce("t", batch(&["a", "b"], None), None).await;
    assert_eq!(client.offset("t", -1, false).await, 2);
    assert_eq!(client.offset("t", -2, false).await, 0);
    assert_eq!(client.offset("t", 1, false).await, 0);
    assert_eq!(client.offset("t", i64::MAX, false).await, -1);
    assert!(client.offset("t", -3, false).await >= 0);
    let partition = OffsetForLeaderPartition::default().with_current_leader_epoch(-1);
    let wanted =
        OffsetForLeaderTopic::default().with_topic(topic("t")).with_partitions(vec![partition]);
    let request = OffsetForLeaderEpochRequest::default().with_topics(vec![wanted]);
    let response = client.call(4, &request).await;
    assert_eq!(response.topics[0].partitions[0].end_offset, 2);
    broker.shutdown().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_that_could_not_be_made_durable() {
    let files = FaultyFiles::new(19);
    let broker = broker(&files).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.produce("t", batch(&["kept"], None), None).await, (0, 0));
    files.fail_syncs(1);
    let storage = ResponseError::KafkaStorageError.code();
    assert_eq!(client.produce("t", batch(&["lost"], None), None).await.0, storage);
    assert_eq!(client.produce("t", batch(&["later"], None), None).await.0, storage);
    assert_eq!(client.values("t", false).await, ["kept"], "reading goes on");
    broker.shutdown().await;
}
