//! The three steps of a normalizer, one by one, so that a bench can say where the time goes.

use std::sync::Arc;

use throughline_connector::{Outputs, ProcessError};
use throughline_event::{EnvelopeView, Record};

use crate::Normalizer;
use crate::entity::{Entity, Mapped, Plan};
use crate::value::{Arena, Value};

/// The change event of one record, ready to be normalized step by step.
///
/// Only its `after` document is looked at: what a new record costs.
pub struct Stages<'n, 'r> {
    entity: &'n Entity,
    plan: Arc<Plan>,
    change: EnvelopeView<'r>,
}

/// A document as a mapping sees it.
#[derive(Debug, Clone)]
pub struct Document<'a>(Value<'a>);

/// What a mapping answered.
pub struct CanonicalRecords<'a>(Vec<Mapped<'a>>);

impl Normalizer {
    /// The steps for a record; none for a tombstone and for a topic that is not read.
    pub fn stages<'n, 'r>(
        &'n self,
        record: &Record<'r>,
    ) -> Result<Option<Stages<'n, 'r>>, ProcessError> {
        let Some(entity) = self.entity(record.topic) else { return Ok(None) };
        let opened = entity.open(record)?;
        Ok(opened.map(|(plan, change)| Stages { entity, plan, change }))
    }
}

impl Stages<'_, '_> {
    /// Reads the document; none for a delete.
    pub fn decode<'a>(&'a self, arena: &'a Arena) -> Result<Option<Document<'a>>, ProcessError> {
        let Some(datum) = self.change.after else { return Ok(None) };
        self.entity.decode(&self.plan, datum, arena).map(|value| Some(Document(value)))
    }

    /// Runs the mapping.
    pub fn map<'a>(
        &'a self,
        document: Document<'a>,
        arena: &'a Arena,
    ) -> Result<CanonicalRecords<'a>, ProcessError> {
        self.entity.map(document.0, arena).map(CanonicalRecords)
    }

    /// Checks the invariants and writes the records.
    pub fn encode(
        &self,
        mapped: CanonicalRecords<'_>,
        out: &mut Outputs,
    ) -> Result<(), ProcessError> {
        self.entity.produce(&self.change, Vec::new(), mapped.0, &[], out)
    }
}
