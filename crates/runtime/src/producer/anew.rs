//! A producer that reads its source from the beginning again, onto what it has published.
//!
//! A row that joins a document cannot be told from its repetition. So such rows are collected in a
//! store of their own until the source was read to its end, and its documents are compared then with
//! what was published: keys that no row was read of stay as they are. No position is committed
//! before. A start in between begins anew once more, with nothing collected; what was published
//! already is then the same and is not published again.

use std::time::Instant;

use throughline_connector::{CaptureBatch, CapturedEntity, Item};
use throughline_document::{EntityId, EntityShape, Store};
use throughline_event::{Position, SystemName, TopicName, WorkerName};

use super::Work;
use super::publish::Origin;
use crate::host::now;
use crate::positions::Committed;
use crate::{Host, WorkerError};

/// Documents that go into one transaction.
const DOCUMENTS: usize = 500;

/// The scope of documents that came from no dump.
const NO_SCOPE: &str = "";

/// Every document here has it.
const VERSION: i64 = 1;

/// What was read since the beginning.
pub(super) struct Anew {
    store: Store,
    entities: Vec<EntityId>,
    /// Behind all that was read.
    position: Option<Position>,
}

impl Anew {
    pub(super) fn begin(
        host: &Host,
        worker: &WorkerName,
        system: &SystemName,
        entities: &[CapturedEntity],
    ) -> Result<Self, WorkerError> {
        let mut store = Store::create(host.state.join(format!("{worker}.sqlite.anew")))?;
        let mut ids = Vec::new();
        for CapturedEntity { name, document, ignore, .. } in entities {
            let topic = TopicName::cdc(system, name);
            let (entity, document, ignore) = (name.clone(), document.clone(), ignore.clone());
            ids.push(store.entity(&EntityShape { entity, topic, document, ignore })?);
        }
        tracing::info!("the source is read from its beginning; what changed is published");
        Ok(Self { store, entities: ids, position: None })
    }

    /// Takes the position and the rows out of a batch; the rest is published at once.
    pub(super) fn take(&mut self, batch: &mut CaptureBatch) -> Result<(), WorkerError> {
        self.position = batch.position.take().or(self.position.take());
        let mut differ = self.store.transaction()?;
        for item in &batch.items {
            if let Item::Rows { entity, key, rows, .. } = item {
                differ.append_rows(self.entities[*entity], key, VERSION, rows)?;
            }
        }
        differ.commit(&[])?;
        batch.items.retain(|item| !matches!(item, Item::Rows { .. }));
        Ok(())
    }

    /// Whether there is something to be committed at the end of the source.
    pub(super) fn is_complete(&self) -> bool {
        self.position.is_some()
    }

    /// Gives all documents to `publish`, some at a time with their keys and their entity.
    fn documents(
        &mut self,
        mut publish: impl FnMut(usize, Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), WorkerError>,
    ) -> Result<(), WorkerError> {
        for (entity, id) in self.entities.iter().enumerate() {
            // As of a dump that shows nothing: each key is taken out with its document.
            let mut differ = self.store.transaction()?;
            differ.sweep_begin(*id, NO_SCOPE)?;
            differ.commit(&[])?;
            loop {
                let mut differ = self.store.transaction()?;
                let mut documents = Vec::new();
                for gone in differ.sweep_end(*id, NO_SCOPE, DOCUMENTS)? {
                    let taken = differ.gone(*id, &gone.key, VERSION)?;
                    documents.extend(taken.and_then(|change| Some((gone.key, change.before?))));
                }
                differ.commit(&[])?;
                let all = documents.len() < DOCUMENTS;
                publish(entity, documents)?;
                if all {
                    break;
                }
            }
        }
        Ok(())
    }

    /// All of it is published: the position that is to be committed.
    fn end(self) -> Result<Option<Position>, WorkerError> {
        self.store.remove()?;
        tracing::info!("the source was read from its beginning to its end");
        Ok(self.position)
    }
}

impl Work {
    /// Publishes what is other in documents whose rows were read from the beginning again, and then
    /// the position.
    pub(super) fn read_anew(
        &mut self,
        store: &mut Store,
        mut read: Anew,
    ) -> Result<Committed, WorkerError> {
        let changed_at = now();
        let place = "the source, read from its beginning";
        let origin = Origin { changed_at, place, snapshot: true, scope: None };
        read.documents(|entity, documents| {
            let started = Instant::now();
            self.publisher.begin()?;
            let mut differ = store.transaction()?;
            let id = self.publisher.entity_id(entity);
            self.meter.captured(self.publisher.topic(entity), documents.len());
            for (key, document) in &documents {
                let change = differ.document(id, key, self.version + 1, document, None)?;
                // As for rows that join: the next ones are to find these.
                self.changed(&mut differ, entity, key, change, &origin)?;
            }
            self.meter.beat();
            self.commit(differ, None, started).map(drop)
        })?;
        let started = Instant::now();
        self.publisher.begin()?;
        let differ = store.transaction()?;
        self.commit(differ, read.end()?, started)
    }
}
