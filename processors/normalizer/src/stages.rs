//! The three steps of a normalizer, one by one, so that a bench can say where the time goes.

use std::sync::Arc;

use throughline_connector::{Outputs, ProcessError};
use throughline_event::{EnvelopeView, Record};
use vrl::value::Value;

use crate::Normalizer;
use crate::entity::{Entity, Mapped, Plan};

/// The change event of one record, ready to be normalized step by step.
///
/// Only its `after` document is looked at: what a new record costs.
pub struct Stages<'n, 'r> {
    normalizer: &'n Normalizer,
    entity: &'n Entity,
    plan: Arc<Plan>,
    change: EnvelopeView<'r>,
}

/// A document as a mapping sees it.
#[derive(Debug, Clone)]
pub struct Document(Value);

/// What a mapping answered.
pub struct CanonicalRecords(Vec<Mapped>);

impl Normalizer {
    /// The steps for a record; none for a tombstone and for a topic that is not read.
    pub fn stages<'n, 'r>(
        &'n self,
        record: &Record<'r>,
    ) -> Result<Option<Stages<'n, 'r>>, ProcessError> {
        let Some(entity) = self.entity(record.topic) else { return Ok(None) };
        let opened = entity.open(record)?;
        Ok(opened.map(|(plan, change)| Stages { normalizer: self, entity, plan, change }))
    }
}

impl Stages<'_, '_> {
    /// Reads the document; none for a delete.
    pub fn decode(&self) -> Result<Option<Document>, ProcessError> {
        let Some(datum) = self.change.after else { return Ok(None) };
        self.entity.decode(&self.plan, datum).map(|value| Some(Document(value)))
    }

    /// Runs the mapping.
    pub fn map(&self, document: Document) -> Result<CanonicalRecords, ProcessError> {
        let metadata = self.normalizer.metadata();
        let map = |state: &mut _| self.entity.map(document.0, metadata, state);
        self.normalizer.with_state(map).map(CanonicalRecords)
    }

    /// Checks the invariants and writes the records.
    pub fn encode(&self, mapped: CanonicalRecords, out: &mut Outputs) -> Result<(), ProcessError> {
        self.entity.produce(&self.change, Vec::new(), mapped.0, &[], out)
    }
}
