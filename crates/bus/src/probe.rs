//! What answers at the addresses of a bus, before anything depends on it.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::options::BusOptions;
use crate::reach::connect;
use crate::schemas::Schemas;
use crate::topics::Topics;
use crate::{BusError, rule};

/// What brokers and registry said when they were asked, each on its own.
#[derive(Debug)]
pub struct Probed {
    /// The brokers answer and serve everything that is needed.
    pub brokers: Result<(), BusError>,
    /// The registry answers; its compatibility rule where a subject has none of its own, when the
    /// registry tells it.
    pub registry: Result<Option<String>, BusError>,
}

/// Asks brokers and registry without using them.
///
/// # Errors
/// When an option cannot work.
pub fn probe(options: &BusOptions) -> Result<Probed, BusError> {
    options.validate()?;
    let brokers = Topics::new(options)
        .and_then(|topics| topics.all())
        .and_then(|_| versions(&options.brokers, options.timeout));
    let registry = Arc::new(Schemas::new(options)?);
    let registry = registry.probe().map(|()| rule::get(options, None).ok().flatten());
    Ok(Probed { brokers, registry })
}

/// APIs with the version of each that the client uses for what it promises: transactions that carry
/// a consumer group's generation came with Kafka 2.5.
const NEEDED: [(i16, &str, i16); 6] = [
    (0, "Produce", 3),
    (1, "Fetch", 4),
    (19, "CreateTopics", 1),
    (22, "InitProducerId", 1),
    (28, "TxnOffsetCommit", 3),
    (32, "DescribeConfigs", 1),
];

/// ApiVersions version 0, correlation id 1, no client id, with its length in front.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Far more than the hundred APIs of any broker take.
const MAX_ANSWER: usize = 64 << 10;

/// Refuses brokers that do not serve what is needed. A broker that the client reached and that does
/// not answer here is not judged.
fn versions(brokers: &str, timeout: Duration) -> Result<(), BusError> {
    let served = brokers.split(',').find_map(|broker| ask(broker.trim(), timeout));
    match served.and_then(|served| missing(&served)) {
        None => Ok(()),
        Some((api, needed, found)) => {
            Err(BusError::BrokersTooOld { brokers: brokers.to_owned(), api, needed, found })
        }
    }
}

/// The first API that is not served in the version that is needed, and the newest that is.
fn missing(served: &[(i16, i16)]) -> Option<(&'static str, i16, i16)> {
    NEEDED.iter().find_map(|(key, api, needed)| {
        let newest =
            served.iter().find(|(known, _)| known == key).map_or(-1, |(_, newest)| *newest);
        (newest < *needed).then_some((*api, *needed, newest))
    })
}

/// The APIs of a broker with the newest version of each.
fn ask(broker: &str, timeout: Duration) -> Option<Vec<(i16, i16)>> {
    let mut stream = connect(broker, timeout).ok()?;
    stream.write_all(&API_VERSIONS).ok()?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|l| *l <= MAX_ANSWER)?;
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).ok()?;
    read_versions(&answer)
}

/// The answer: correlation id, error, count, and per API its key and its oldest and newest version.
fn read_versions(answer: &[u8]) -> Option<Vec<(i16, i16)>> {
    let apis = answer.get(10..)?;
    let number =
        |bytes: &[u8], at: usize| Some(i16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    if number(answer, 4)? != 0 {
        return None;
    }
    apis.chunks_exact(6).map(|api| Some((number(api, 0)?, number(api, 4)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_without_a_needed_api_is_told_with_the_version() {
        let all: Vec<(i16, i16)> = NEEDED.iter().map(|(key, _, needed)| (*key, *needed)).collect();
        assert_eq!(missing(&all), None);
        assert_eq!(missing(&[]), Some(("Produce", 3, -1)));
        let old: Vec<_> = all.iter().map(|(k, v)| (*k, if *k == 28 { 2 } else { *v })).collect();
        assert_eq!(missing(&old), Some(("TxnOffsetCommit", 3, 2)));
    }

    #[test]
    fn an_answer_that_is_cut_off_or_an_error_is_none() {
        let answer = [0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 28, 0, 0, 0, 5];
        assert_eq!(read_versions(&answer), Some(vec![(28, 5)]));
        assert_eq!(read_versions(&answer[..8]), None);
        let mut error = answer;
        error[5] = 35;
        assert_eq!(read_versions(&error), None);
    }
}
