//! The record inside a dead letter, to be tried again.

use std::sync::Arc;

use throughline_avro::Schema;
use throughline_bus::{Bus, BusError};
use throughline_event::{Datum, Record};

use super::{DeadLetter, Input, Part};

/// The input record inside a dead letter.
pub(crate) struct Stored<'l> {
    letter: &'l DeadLetter,
    input: &'l Input,
    key: Option<Arc<Schema>>,
    value: Option<Arc<Schema>>,
}

impl<'l> Stored<'l> {
    /// Looks up its schemas; nothing for a letter without an input record, or with one whose schema
    /// is gone: its key must not hold back all others for good.
    pub(crate) fn new(letter: &'l DeadLetter, bus: &Bus) -> Result<Option<Self>, BusError> {
        let Some(input) = &letter.input else { return Ok(None) };
        let schema = |part: &Option<Part>| {
            let id = part.as_ref().and_then(|part| part.schema);
            id.map(|id| bus.schema(id)).transpose()
        };
        let found = schema(&letter.key).and_then(|key| Ok((key, schema(&letter.value)?)));
        match found {
            Ok((key, value)) => Ok(Some(Self { letter, input, key, value })),
            Err(error @ BusError::UnknownSchema { .. }) => {
                tracing::error!(
                    worker = %letter.worker, letter = letter.id, error = %error,
                    "TL0615: a parked record cannot be tried again, its schema is gone; its key goes \
                     on with its next record; restore the registry's topic to try this one again"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The record as the worker first saw it.
    pub(crate) fn record(&self) -> Record<'_> {
        fn datum<'a>(part: &'a Option<Part>, schema: &'a Option<Arc<Schema>>) -> Option<Datum<'a>> {
            Some(Datum { schema: schema.as_ref()?, bytes: &part.as_ref()?.bytes })
        }
        Record {
            topic: &self.input.partition.topic,
            partition: self.input.partition.partition,
            offset: self.input.offset,
            timestamp: self.input.timestamp,
            key: datum(&self.letter.key, &self.key),
            value: datum(&self.letter.value, &self.value),
            headers: &[],
        }
    }
}
