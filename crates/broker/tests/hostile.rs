//! Bytes that no honest client sends.

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{ApiVersionsRequest, ApiVersionsResponse, JoinGroupResponse},
    protocol::Decodable,
};
use prometheus::Encoder;
use throughline_broker::BrokerHandle;
use throughline_log::faults::FaultyFiles;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, broker, options};

async fn closes(broker: &BrokerHandle, bytes: &[u8]) {
    let mut client = Client::connect(broker.address()).await;
    client.stream.write_all(bytes).await.unwrap();
    let mut rest = Vec::new();
    // A reset instead of an end is also an end.
    let _ = client.stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "answered {} bytes to nonsense", rest.len());
}

async fn still_serves(broker: &BrokerHandle) {
    let mut client = Client::connect(broker.address()).await;
    let response = client.call(0, &ApiVersionsRequest::default()).await;
    assert_eq!(response.error_code, 0);
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes(), body].concat()
}

/// Header of `key` and `version` with a null client id, then `body`.
fn request(key: i16, version: i16, flexible: bool, body: &[u8]) -> Vec<u8> {
    let tags: &[u8] = if flexible { &[0] } else { &[] };
    let header = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7], &[0xff, 0xff]];
    frame(&[&header.concat(), tags, body].concat())
}

#[tokio::test]
async fn impossible_lengths_close_the_connection_and_are_counted() {
    let options = options(&FaultyFiles::new(1));
    let metrics = options.metrics.clone();
    let broker = throughline_broker::Broker::start(options).await.unwrap();
    for length in [i32::MAX, i32::MIN, -1, 0, 7] {
        closes(&broker, &length.to_be_bytes()).await;
    }
    still_serves(&broker).await;
    broker.shutdown().await;
    let mut text = Vec::new();
    prometheus::TextEncoder::new().encode(&metrics.gather(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("throughline_broker_refused_total{reason=\"frame\"} 5"), "{text}");
    assert!(text.contains("throughline_broker_requests_total{api=\"ApiVersions\"} 1"));
    assert!(text.contains("throughline_broker_connections 0"));
}

#[tokio::test]
async fn arrays_that_claim_two_billion_elements_are_refused_without_memory_for_them() {
    let broker = broker(&FaultyFiles::new(2)).await;
    closes(&broker, &request(3, 0, false, &i32::MAX.to_be_bytes())).await;
    closes(&broker, &request(3, 9, true, &[0xff, 0xff, 0xff, 0xff, 0x0f])).await;
    closes(&broker, &request(42, 0, false, &[0x7f, 0, 0, 0])).await;
    closes(&broker, &request(10, 0, false, &[0x7f, 0xff])).await;
    still_serves(&broker).await;
    broker.shutdown().await;
}

#[tokio::test]
async fn strings_that_only_the_compact_form_can_hold_close_the_connection() {
    let broker = broker(&FaultyFiles::new(8)).await;
    // 40,000 bytes and their length plus one.
    let long = [&[0xc1, 0xb8, 0x02][..], &[b'x'; 40_000]].concat();
    // OffsetCommit: the group. InitProducerId: the transactional id, then the timeout.
    closes(&broker, &request(8, 8, true, &[&long[..], &[0, 0, 0, 0, 1, 0, 1, 0]].concat())).await;
    closes(&broker, &request(22, 2, true, &[&long[..], &[0, 0, 0x80, 0, 0]].concat())).await;
    still_serves(&broker).await;
    broker.shutdown().await;
}

#[tokio::test]
async fn a_client_with_the_longest_name_gets_a_member_id_that_fits() {
    let broker = broker(&FaultyFiles::new(9)).await;
    let mut client = Client::connect(broker.address()).await;
    // JoinGroup, version 4, group "g", one protocol; the client id takes all of its 16 bits.
    let header = [&[0, 11, 0, 4, 0, 0, 0, 7, 0x7f, 0xff][..], &[b'c'; 32_767]].concat();
    let times = [0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10];
    let rest = b"\0\0\0\x08consumer\0\0\0\x01\0\x05range\0\0\0\0";
    let body = [b"\0\x01g", &times[..], rest].concat();
    client.stream.write_all(&frame(&[header, body].concat())).await.unwrap();
    let mut answer = client.receive().await.unwrap().split_off(4);
    let response = JoinGroupResponse::decode(&mut answer, 4).unwrap();
    assert_eq!(response.error_code, ResponseError::MemberIdRequired.code());
    assert!(response.member_id.starts_with("ccc"), "{}", response.member_id);
    assert!(response.member_id.len() < 2_000, "{}", response.member_id.len());
    broker.shutdown().await;
}

#[tokio::test]
async fn unknown_keys_and_versions_close_the_connection_as_kafka_does() {
    let broker = broker(&FaultyFiles::new(3)).await;
    closes(&broker, &request(999, 0, false, &[])).await;
    closes(&broker, &request(-1, 0, false, &[])).await;
    closes(&broker, &request(68, 0, true, &[])).await;
    closes(&broker, &request(0, 12, true, &[])).await;
    closes(&broker, &request(1, 13, true, &[])).await;
    closes(&broker, &request(3, -1, false, &[])).await;
    still_serves(&broker).await;
    broker.shutdown().await;
}

#[tokio::test]
async fn a_too_new_api_versions_is_answered_in_version_0_with_what_is_served() {
    let broker = broker(&FaultyFiles::new(4)).await;
    let mut client = Client::connect(broker.address()).await;
    client.stream.write_all(&request(18, 99, true, b"\x02a\x02b\0")).await.unwrap();
    let mut answer = client.receive().await.unwrap();
    assert_eq!(answer.split_to(4), Bytes::from_static(&[0, 0, 0, 7]));
    let response = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert!(answer.is_empty());
    assert_eq!(response.error_code, ResponseError::UnsupportedVersion.code());
    assert!(response.api_keys.iter().any(|api| api.api_key == 18 && api.max_version == 3));
    // The connection goes on, so that the client can ask again.
    assert_eq!(client.call(3, &ApiVersionsRequest::default()).await.error_code, 0);
    broker.shutdown().await;
}

#[tokio::test]
async fn api_versions_carries_no_tagged_fields() {
    let broker = broker(&FaultyFiles::new(5)).await;
    let mut client = Client::connect(broker.address()).await;
    client.send(3, &ApiVersionsRequest::default()).await;
    let answer = client.receive().await.unwrap();
    // Correlation id, error, count, then 7 bytes per API (the last is "no tags"), throttle, no tags.
    let count = usize::from(answer[6]) - 1;
    assert_eq!(answer.len(), 7 + count * 7 + 4 + 1);
    assert_eq!(answer.last(), Some(&0));
    broker.shutdown().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_others_go_on() {
    let files = FaultyFiles::new(6);
    let options = throughline_broker::BrokerOptions { max_connections: 1, ..options(&files) };
    let broker = throughline_broker::Broker::start(options).await.unwrap();
    let mut first = Client::connect(broker.address()).await;
    assert_eq!(first.call(0, &ApiVersionsRequest::default()).await.error_code, 0);
    closes(&broker, &[]).await;
    assert_eq!(first.call(0, &ApiVersionsRequest::default()).await.error_code, 0);
    broker.shutdown().await;
}

#[tokio::test]
async fn random_frames_never_stop_the_broker() {
    use rand::{Rng, SeedableRng, rngs::SmallRng};
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let broker = broker(&FaultyFiles::new(7)).await;
    for _ in 0..300 {
        let mut body = vec![0u8; rng.random_range(8..200)];
        rng.fill(&mut body[..]);
        let key: i16 = rng.random_range(0..75);
        body[..2].copy_from_slice(&key.to_be_bytes());
        let version: i16 = rng.random_range(0..13);
        body[2..4].copy_from_slice(&version.to_be_bytes());
        let mut client = Client::connect(broker.address()).await;
        client.stream.write_all(&frame(&body)).await.unwrap();
    }
    still_serves(&broker).await;
    broker.shutdown().await;
}
