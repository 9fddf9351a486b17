use rdkafka::Timestamp;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use throughline_avro::frame_into;

use super::*;
use crate::BusOptions;

struct NotUtf8;

impl rdkafka::message::Headers for NotUtf8 {
    fn count(&self) -> usize {
        1
    }

    fn try_get(&self, _: usize) -> Option<Header<'_, &[u8]>> {
        panic!("as the client library does")
    }
}

fn decoder() -> Decoder {
    // Nothing listens there: what needs the registry fails.
    let schemas = Schemas::new(&BusOptions::new("127.0.0.1:1", "http://127.0.0.1:1")).unwrap();
    let schema = Arc::new(Schema::parse("\"string\"").unwrap());
    Decoder { schemas: Arc::new(schemas), known: vec![(SchemaId(7), schema)], topics: Vec::new() }
}

fn message(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: Option<OwnedHeaders>,
) -> OwnedMessage {
    let owned = |bytes: &[u8]| bytes.to_vec();
    let time = Timestamp::CreateTime(5);
    OwnedMessage::new(value.map(owned), key.map(owned), "t".to_owned(), time, 3, 9, headers)
}

fn framed(id: i32) -> Vec<u8> {
    let mut out = Vec::new();
    frame_into(SchemaId(id), b"\x02a", &mut out);
    out
}

#[test]
fn a_framed_message_becomes_a_record() {
    let headers = OwnedHeaders::new()
        .insert(Header { key: "a", value: Some("1") })
        .insert(Header { key: "a", value: None::<&str> });
    let message = message(Some(&framed(7)), None, Some(headers));
    decoder()
        .decode(&message, |entry| {
            let Entry::Record(record) = entry else { panic!("{entry:?}") };
            assert_eq!((record.topic.as_str(), record.partition.0, record.offset.0), ("t", 3, 9));
            assert_eq!(record.timestamp, Micros(5_000));
            assert_eq!(record.key.unwrap().bytes, b"\x02a");
            assert!(record.value.is_none());
            let expected = [("a".to_owned(), b"1".to_vec()), ("a".to_owned(), Vec::new())];
            assert_eq!(record.headers, expected);
        })
        .unwrap();
}

#[test]
fn bytes_that_are_not_framed_are_handed_over_as_they_are() {
    for (key, value, part) in [
        (Some(&b"{\"id\":1}"[..]), None, Part::Key),
        (None, Some(&b"plain"[..]), Part::Value),
        (Some(&framed(7)[..]), Some(&b"\0\0\0"[..]), Part::Value),
    ] {
        decoder()
            .decode(&message(key, value, None), |entry| {
                let Entry::Undecodable(bad) = entry else { panic!("{entry:?}") };
                assert_eq!((bad.key.as_deref(), bad.value.as_deref()), (key, value));
                assert!(bad.reason.to_string().starts_with("TL0521"), "{}", bad.reason);
                assert!(matches!(bad.reason, Unreadable::NotFramed { part: p, .. } if p == part));
            })
            .unwrap();
    }
}

#[test]
fn a_negative_id_is_unknown_without_asking_the_registry() {
    decoder()
        .decode(&message(None, Some(&framed(-1)), None), |entry| {
            let Entry::Undecodable(bad) = entry else { panic!("{entry:?}") };
            assert!(bad.reason.to_string().starts_with("TL0522"), "{}", bad.reason);
        })
        .unwrap();
}

#[test]
fn a_registry_that_does_not_answer_is_an_error_and_not_a_bad_record() {
    let result = decoder().decode(&message(None, Some(&framed(8)), None), |_| ());
    let error = result.unwrap_err();
    assert!(matches!(error, BusError::RegistryUnreachable { .. }), "{error}");
    assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
}

#[test]
fn headers_that_the_client_library_cannot_read_do_not_stop_the_worker() {
    assert_eq!(owned_headers(&NotUtf8), None);
    assert_eq!(Unreadable::Header.to_string(), "TL0523: the name of a header is not UTF-8");
}
