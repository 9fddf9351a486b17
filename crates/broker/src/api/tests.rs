//! Every API in every version: the layout agrees with the decoder, and a running broker answers
//! with something a client can decode to the last byte.

mod samples;

use kafka_protocol::{
    messages::{RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, StrBytes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::{Broker, BrokerOptions};

fn every_version() -> impl Iterator<Item = (&'static Route, i16)> {
    ROUTES.iter().flat_map(|route| (route.first..=route.last).map(move |version| (route, version)))
}

#[test]
fn layouts_agree_with_the_decoder_in_every_version() {
    for (route, version) in every_version() {
        let sample = samples::sample(route.key, version);
        let left = route.shape.check(&sample.body, version);
        assert_eq!(left, Ok(0), "{:?} version {version}", route.key);
    }
}

#[test]
fn truncated_requests_never_pass_the_layout_and_bent_ones_never_panic() {
    for (route, version) in every_version() {
        let sample = samples::sample(route.key, version);
        for cut in 0..sample.body.len() {
            let checked = route.shape.check(&sample.body[..cut], version);
            assert!(checked.is_err(), "{:?} version {version} cut at {cut}", route.key);
        }
        for at in 0..sample.body.len() {
            let mut bent = sample.body.to_vec();
            for value in [0x7f, 0xff, 0x80, 0x00] {
                bent[at] = value;
                if route.shape.check(&bent, version).is_ok() {
                    // Whatever passes the layout is safe to decode.
                    (sample.decode_request)(Bytes::copy_from_slice(&bent), version);
                }
            }
        }
    }
}

#[test]
fn the_keys_of_the_routes_are_those_of_their_requests_and_are_not_served_twice() {
    for (index, route) in ROUTES.iter().enumerate() {
        let sample = samples::sample(route.key, route.first);
        assert_eq!(sample.key, route.key as i16);
        assert!(ROUTES[index + 1..].iter().all(|other| other.key != route.key));
    }
}

#[tokio::test]
async fn a_running_broker_answers_every_version_so_that_a_client_can_decode_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(BrokerOptions::new(folder.path())).await.unwrap();
    broker.local().create_topic("known", 2, &[]).await.unwrap();
    for (route, version) in every_version() {
        let sample = samples::sample(route.key, version);
        let what = format!("{:?} version {version}", route.key);
        let mut stream = TcpStream::connect(broker.address()).await.unwrap();
        let header = RequestHeader::default()
            .with_request_api_key(route.key as i16)
            .with_request_api_version(version)
            .with_correlation_id(11)
            .with_client_id(Some(StrBytes::from_static_str("sweep")));
        let mut frame = BytesMut::from(&[0u8; 4][..]);
        header.encode(&mut frame, route.key.request_header_version(version)).unwrap();
        frame.extend_from_slice(&sample.body);
        let length = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        stream.write_all(&frame).await.unwrap();
        let length = stream.read_i32().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await.unwrap();
        let mut body = Bytes::from(body);
        let header_version = route.key.response_header_version(version);
        let header = ResponseHeader::decode(&mut body, header_version).unwrap();
        assert_eq!(header.correlation_id, 11, "{what}");
        let left = (sample.decode_response)(body, version);
        assert_eq!(left, 0, "{what} leaves bytes over");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn api_versions_lists_exactly_the_routes() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(BrokerOptions::new(folder.path())).await.unwrap();
    let listed = api_versions::served();
    assert_eq!(listed.len(), ROUTES.len());
    assert!(listed.iter().all(|api| api.api_key != 0 || api.max_version <= 11), "below Produce 12");
    assert!(listed.iter().all(|api| api.api_key != 1 || api.max_version <= 12), "below Fetch 13");
    broker.shutdown().await;
}
