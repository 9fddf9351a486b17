//! A producer's source position on the log: `positions.<producer>`, one compacted partition.
//!
//! Each producer has a topic of its own, so that reading the position never waits for another
//! producer's open transaction.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use throughline_avro::{Cursor, DecodeError, Schema, put_long, put_str, put_union_branch};
use throughline_bus::{Bus, Entry, Isolation, READ_PATIENCE, Recovery};
use throughline_connector::BoxError;
use throughline_event::{
    Offset, PartitionId, Position, Record, TopicName, TopicPartition, WorkerName,
};

use crate::{Host, WorkerError};

/// The schema of the values.
pub(crate) const VALUE_SCHEMA: &str = include_str!("../../../schemas/throughline/position.avsc");
/// The schema of the keys.
pub(crate) const KEY_SCHEMA: &str = include_str!("../../../schemas/throughline/position-key.avsc");

/// The last committed transaction of a producer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The producer's own position.
    pub(crate) position: Option<Position>,
    /// The last document version that was given out.
    pub(crate) version: i64,
}

impl Committed {
    /// The datum of the value.
    pub(crate) fn to_datum(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_union_branch(&mut out, usize::from(self.position.is_some()));
        if let Some(position) = &self.position {
            put_str(&mut out, position.as_str());
        }
        put_long(&mut out, self.version);
        out
    }

    fn from_datum(datum: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(datum);
        let position = match cursor.union_branch(2)? {
            0 => None,
            _ => Some(Position::new(cursor.str()?)),
        };
        Ok(Self { position, version: cursor.long()? })
    }
}

/// The datum of a producer's key.
pub(crate) fn key_datum(producer: &WorkerName) -> Vec<u8> {
    let mut out = Vec::new();
    put_str(&mut out, producer.as_str());
    out
}

/// How long is waited at a time for the end of a transaction; a drain is seen after it at the latest.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the position; nothing when a drain came before it could be read. The producer's
/// transactions must be initialised before, which ends those of an older instance, or what that one
/// still commits would be missed.
///
/// # Errors
/// When the position could not be read for [`READ_PATIENCE`].
pub(crate) fn read(host: &Host, producer: &WorkerName) -> Result<Option<Committed>, WorkerError> {
    let began = Instant::now();
    let mut told = false;
    while !host.shutdown.is_draining() {
        let error = match read_within(LOOK, &host.bus, producer) {
            Ok(committed) => return Ok(Some(committed)),
            Err(error) => error,
        };
        let again =
            matches!(&error, WorkerError::Bus(error) if error.recovery() == Recovery::Retry);
        if !again || began.elapsed() >= READ_PATIENCE {
            return Err(error);
        }
        let text = crate::chain(&error);
        if !told {
            tracing::warn!(worker = %producer, error = text, "waiting for the source's position");
            told = true;
        }
        let problem = format!("waits for the source's position: {text}");
        host.metrics.health().failed(producer.as_str(), problem);
        // What fails at once is not asked again at once.
        host.shutdown.wait(LOOK / 10);
    }
    Ok(None)
}

fn read_within(
    patience: Duration,
    bus: &Bus,
    producer: &WorkerName,
) -> Result<Committed, WorkerError> {
    let topic = TopicName::positions(producer);
    let foreign = |source: BoxError| WorkerError::ForeignRecord {
        topic: TopicName::positions(producer).to_string(),
        source,
    };
    let (mut committed, mut failure) = (Committed::default(), None);
    let at = TopicPartition { topic, partition: PartitionId(0) };
    bus.read_to_end_within(patience, &at, Offset(0), Isolation::ReadCommitted, |entry| {
        let read = match entry {
            Entry::Record(Record { value: Some(value), .. }) => {
                Committed::from_datum(value.bytes).map_err(|error| foreign(error.into()))
            }
            Entry::Record(_) => return ControlFlow::Continue(()),
            Entry::Undecodable(bad) => Err(foreign(bad.reason.into())),
        };
        match read {
            Ok(newest) => committed = newest,
            Err(error) => failure = Some(error),
        }
        if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failure.map_or(Ok(committed), Err)
}

/// The two schemas, parsed.
pub(crate) fn schemas() -> (Schema, Schema) {
    let parse = |text| Schema::parse(text).expect("the position's schemas are valid");
    (parse(KEY_SCHEMA), parse(VALUE_SCHEMA))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_it_was_written() {
        for position in [None, Some(Position::new("{\"line\":7}"))] {
            let committed = Committed { position, version: 42 };
            assert_eq!(Committed::from_datum(&committed.to_datum()).unwrap(), committed);
        }
        assert!(Committed::from_datum(&[]).is_err());
        schemas();
    }
}
