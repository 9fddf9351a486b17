//! The producer worker: capture, difference, publish with the position, in one Kafka transaction.
//!
//! The state store's own transaction spans the Kafka transaction and is committed after it; a crash
//! between the two leaves the store behind the topic, from which it is caught up at the start.

mod anew;
mod columns;
mod publish;
mod state;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use throughline_bus::{BusError, Recovery};
use throughline_connector::{
    CaptureBatch, CaptureError, Captured, Item, Producer, ProducerContext, Reading, Rejection,
};
use throughline_document::{Differ, Store};
use throughline_event::{Change, Position, TopicName};
use throughline_telemetry::Stage;

use crate::host::now;
use crate::meter::Meter;
use crate::positions::{self, Committed};
use crate::{Host, WorkerError, kinds};
use anew::Anew;
use publish::{Origin, Publisher, source_of};

/// Deletes of one sweep that go into one transaction.
const SWEEP_RECORDS: usize = 5_000;

/// Dead letters that are looked up at a time to be resolved.
const LETTERS: usize = 1_000;

/// The longest wait for changes; a drain is seen at once.
const LONGEST_IDLE: Duration = Duration::from_secs(5);

/// Runs one producer until it is drained or fails.
pub(crate) fn run<P: Producer>(
    options: Value,
    cx: ProducerContext,
    host: &Host,
) -> Result<(), WorkerError> {
    let settings = kinds::settings::<P::Options>(options, &cx.name)?;
    let block = kinds::reactor()?;
    let mut connector = block.block_on(P::connect(settings, cx.clone()))?;
    let mut store = state::open(host, &cx.name)?;
    let publisher = Publisher::prepare(P::KIND, &cx, connector.entities(), &mut store, host)?;
    let Some(positions::Newest(committed, end)) = positions::read(host, &cx.name)? else {
        return Ok(());
    };
    let Some(newest) = state::catch_up(&mut store, &publisher, host, &cx.name)? else {
        return Ok(());
    };
    let version = match &committed {
        Some(Committed { version, position: Some(_) }) => newest.max(*version),
        // It begins, or begins anew: whatever was published has a lower version.
        _ => newest.max(store.newest_version()?),
    };
    // Without its position the source is read from the beginning: what was published would be
    // published again, and appended rows would join their documents twice.
    if committed.is_none() && version > 0 {
        let (worker, topic) = (cx.name.clone(), TopicName::positions(&cx.name));
        return Err(WorkerError::PositionLost { worker, topic, version });
    }
    positions::check(&mut store, &cx.name, (committed.as_ref(), end), newest)?;
    let begins_anew = committed.as_ref().is_some_and(|known| known.position.is_none());
    let mut anew = None;
    if begins_anew && version > 0 {
        anew = Some(Anew::begin(host, &cx.name, &cx.system, connector.entities())?);
    }
    let position = committed.and_then(|committed| committed.position);
    connector.resume(position.clone())?;
    let mut meter = Meter::new(host, &cx.name);
    meter.ready(true);
    let dumps = HashMap::new();
    let mut work =
        Work { publisher, version, position, meter, dumps, waiting: None, missing: None };
    let mut batch = CaptureBatch::default();
    while !host.shutdown.is_draining() {
        work.meter.beat();
        batch.items.clear();
        batch.position = None;
        batch.waiting.clear();
        let captured = block.block_on(connector.capture(&mut batch, host.batch_bytes))?;
        if let Some(anew) = &mut anew {
            anew.take(&mut batch)?;
        }
        let position = batch.position.take();
        if !batch.items.is_empty() || position.is_some() {
            let committed = work.publish(&mut store, &batch, position)?;
            if let Some(position) = &committed.position {
                connector.committed(position);
            }
        }
        work.waits(&batch.waiting);
        // A part that waits would join its rows to documents that have them already.
        let at_end = matches!(captured, Captured::Idle(_)) && batch.waiting.is_empty();
        if let Some(read) = anew.take_if(|anew| at_end && anew.is_complete()) {
            let committed = work.read_anew(&mut store, read)?;
            committed.position.iter().for_each(|position| connector.committed(position));
        }
        work.misses(&connector.missing());
        work.meter.caught_up(matches!(captured, Captured::Idle(_)) && anew.is_none());
        if let Captured::Idle(wait) = captured {
            host.shutdown.wait(wait.min(LONGEST_IDLE));
        }
    }
    work.meter.ready(false);
    Ok(())
}

/// Says how much of a batch was refused, and the first of it.
fn refused(items: &[Item]) {
    let mut rejected = items.iter().filter_map(|item| match item {
        Item::Rejected(rejection) => Some(rejection),
        _ => None,
    });
    if let Some(Rejection { code, place, reason, .. }) = rejected.next() {
        let (refused, first) = (1 + rejected.count(), format!("{place}: {reason}"));
        tracing::warn!(refused, code, first, "input refused; see `throughline dlq list`");
    }
}

/// What became of a change.
enum Sent {
    /// It is in the transaction, or there was nothing to send.
    Yes,
    /// It is larger than a record may be.
    TooLarge(Change),
}

struct Work {
    publisher: Publisher,
    version: i64,
    /// The newest one that was published.
    position: Option<Position>,
    meter: Meter,
    /// The version of the dump that is being read, by entity and scope.
    dumps: HashMap<(usize, String), u64>,
    /// What could not be read at the last look.
    waiting: Option<String>,
    /// What was not there at the last look.
    missing: Option<String>,
}

impl Work {
    /// Tells of a part of the source that cannot be read, while the rest goes on: once in the log,
    /// and as not ready for as long as it is so.
    fn waits(&mut self, errors: &[CaptureError]) {
        let texts: Vec<String> = errors.iter().map(|error| crate::chain(error)).collect();
        let waiting = (!texts.is_empty()).then(|| texts.join("; "));
        match &waiting {
            Some(text) => {
                if self.waiting != waiting {
                    tracing::error!(error = text, "a part of the source waits, the rest goes on");
                }
                self.meter.failed(format!("waits with a part of its source: {text}"));
            }
            None if self.waiting.is_some() => {
                tracing::info!("no part of the source waits any more");
                self.meter.ready(true);
                self.meter.progressed();
            }
            None => {}
        }
        self.waiting = waiting;
    }

    /// Tells what is not there of the source: once in the log, and beside the worker's state.
    fn misses(&mut self, missing: &[String]) {
        let missing = (!missing.is_empty()).then(|| missing.join("; "));
        if self.missing != missing {
            if let Some(missing) = &missing {
                tracing::info!(
                    missing,
                    "something of the source is not there yet: it is waited for"
                );
            }
            self.meter.missing(missing.clone());
            self.missing = missing;
        }
    }

    /// Publishes one batch. Only the last of its transactions carries its position, the others the
    /// one before.
    fn publish(
        &mut self,
        store: &mut Store,
        batch: &CaptureBatch,
        position: Option<Position>,
    ) -> Result<Committed, WorkerError> {
        let started = Instant::now();
        self.publisher.begin()?;
        let mut differ = store.transaction()?;
        // Rows that join their documents are told once: what holds them is committed with the position.
        let divides = !batch.items.iter().any(|item| matches!(item, Item::Rows { .. }));
        for item in &batch.items {
            if let Item::SweepEnd { entity, scope, changed_at, place } = item {
                let origin = Origin { changed_at: *changed_at, place, ..Origin::default() };
                // A dump that lost millions of keys is deleted in pieces, each its own transaction:
                // the position still points before the dump, so a crash repeats it.
                while !self.delete_unseen(&mut differ, *entity, scope, &origin)? {
                    if !divides {
                        continue;
                    }
                    self.reached(None)?;
                    let offsets = self.publisher.commit()?;
                    differ.commit(&offsets)?;
                    self.publisher.begin()?;
                    differ = store.transaction()?;
                }
            } else {
                self.item(&mut differ, item)?;
            }
        }
        let committed = self.commit(differ, position, started)?;
        refused(&batch.items);
        Ok(committed)
    }

    /// Ends a transaction, of Kafka and of the store.
    fn commit(
        &mut self,
        differ: Differ<'_>,
        position: Option<Position>,
        started: Instant,
    ) -> Result<Committed, WorkerError> {
        let committed = Committed { position, version: self.version };
        self.reached(committed.position.as_ref())?;
        let differed = self.meter.took(Stage::Diff, started);
        let offsets = self.publisher.commit()?;
        differ.commit(&offsets)?;
        self.meter.took(Stage::Commit, differed);
        self.meter.progressed();
        Ok(committed)
    }

    /// Writes the newest position, and with it the versions that are given out, in each transaction:
    /// one that is older than what was published shows that the topic of positions lost its end.
    fn reached(&mut self, position: Option<&Position>) -> Result<(), WorkerError> {
        if let Some(position) = position {
            self.position = Some(position.clone());
        }
        let (position, version) = (self.position.clone(), self.version);
        self.publisher.position(&Committed { position, version })
    }

    /// Deletes keys that a complete dump did not show; returns whether those were all.
    fn delete_unseen(
        &mut self,
        differ: &mut Differ<'_>,
        entity: usize,
        scope: &str,
        origin: &Origin<'_>,
    ) -> Result<bool, WorkerError> {
        let id = self.publisher.entity_id(entity);
        let unseen = differ.sweep_end(id, scope, SWEEP_RECORDS)?;
        let all = unseen.len() < SWEEP_RECORDS;
        for gone in unseen {
            let change = differ.gone(id, &gone.key, self.version + 1)?;
            // One that is too large even for its delete stays deleted here: a sweep that found it
            // again and again would not end.
            self.changed(differ, entity, &gone.key, change, origin)?;
        }
        Ok(all)
    }

    fn item(&mut self, differ: &mut Differ<'_>, item: &Item) -> Result<(), WorkerError> {
        let version = self.version + 1;
        if let Item::Document { entity, .. }
        | Item::Rows { entity, .. }
        | Item::Gone { entity, .. } = item
        {
            let rows = if let Item::Rows { rows, .. } = item { rows.len() } else { 1 };
            self.meter.captured(self.publisher.topic(*entity), rows);
        }
        match item {
            Item::Document { entity, key, document, scope, changed_at, place, snapshot } => {
                let (id, scope) = (self.publisher.entity_id(*entity), scope.as_deref());
                let change = differ.document(id, key, version, document, scope)?;
                let origin = Origin { changed_at: *changed_at, place, snapshot: *snapshot, scope };
                let sent = self.changed(differ, *entity, key, change, &origin)?;
                self.take_back(differ, *entity, key, sent)
            }
            Item::Rows { entity, key, rows, changed_at, place, snapshot } => {
                let id = self.publisher.entity_id(*entity);
                let change = differ.append_rows(id, key, version, rows)?;
                let origin =
                    Origin { changed_at: *changed_at, place, snapshot: *snapshot, scope: None };
                // Rows are told once: taken back, the next ones would make a document without them.
                self.changed(differ, *entity, key, change, &origin).map(drop)
            }
            Item::Gone { entity, key, changed_at, place } => {
                let change = differ.gone(self.publisher.entity_id(*entity), key, version)?;
                let origin = Origin { changed_at: *changed_at, place, ..Origin::default() };
                let sent = self.changed(differ, *entity, key, change, &origin)?;
                self.take_back(differ, *entity, key, sent)
            }
            Item::Kept { entity, key, scope } => {
                Ok(differ.kept(self.publisher.entity_id(*entity), key, scope)?)
            }
            Item::SweepBegin { entity, scope, version } => {
                self.dumps.insert((*entity, scope.clone()), *version);
                Ok(differ.sweep_begin(self.publisher.entity_id(*entity), scope)?)
            }
            Item::SweepCancel { entity, scope } => {
                Ok(differ.sweep_cancel(self.publisher.entity_id(*entity), scope)?)
            }
            Item::Rejected(rejection) => {
                self.meter.dead("row");
                self.rejected(differ, rejection)
            }
            Item::ReadWhole { entity, reading } => self.mended(differ, *entity, reading),
            // Handled by the caller, which may have to commit in between.
            Item::SweepEnd { .. } => Ok(()),
        }
    }

    /// Writes a dead letter; one that a later version of its source mends is remembered.
    fn rejected(
        &mut self,
        differ: &mut Differ<'_>,
        rejection: &Rejection,
    ) -> Result<(), WorkerError> {
        let id = self.publisher.rejected(rejection, now())?;
        if let Some(Reading { source, version }) = &rejection.reading {
            differ.letter(&id, &source_of(&rejection.entity, source), *version)?;
        }
        Ok(())
    }

    /// A source was read whole: what was wrong with other versions of it is over.
    fn mended(
        &mut self,
        differ: &mut Differ<'_>,
        entity: usize,
        reading: &Reading,
    ) -> Result<(), WorkerError> {
        self.dumps.remove(&(entity, reading.source.clone()));
        let source = source_of(self.publisher.name(entity), &reading.source);
        let mut resolved = 0;
        loop {
            let letters = differ.letters_before(&source, reading.version, LETTERS)?;
            for id in &letters {
                self.publisher.resolved(id)?;
                differ.letter_resolved(id)?;
            }
            resolved += letters.len();
            if letters.len() < LETTERS {
                break;
            }
        }
        if resolved > 0 {
            tracing::info!(source = reading.source, resolved, "dead letters resolved");
        }
        Ok(())
    }

    fn changed(
        &mut self,
        differ: &mut Differ<'_>,
        entity: usize,
        key: &[u8],
        change: Option<Change>,
        origin: &Origin<'_>,
    ) -> Result<Sent, WorkerError> {
        let Some(change) = change else { return Ok(Sent::Yes) };
        self.version += 1;
        let sent = self.publisher.change(entity, key, &change, self.version, origin);
        match sent {
            Err(WorkerError::Bus(error)) if error.recovery() == Recovery::Refuse => {
                self.too_large(differ, entity, &error, origin)?;
                Ok(Sent::TooLarge(change))
            }
            sent => {
                self.meter.out(self.publisher.topic(entity));
                sent.map(|()| Sent::Yes)
            }
        }
    }

    /// The key waits, the others go on. The letter holds the place and not the document.
    fn too_large(
        &mut self,
        differ: &mut Differ<'_>,
        entity: usize,
        error: &BusError,
        origin: &Origin<'_>,
    ) -> Result<(), WorkerError> {
        let rejection = Rejection {
            entity: self.publisher.name(entity).clone(),
            place: origin.place.to_owned(),
            code: error.code(),
            reason: error.to_string(),
            input: Vec::new(),
            reading: origin.scope.and_then(|scope| {
                let version = *self.dumps.get(&(entity, scope.to_owned()))?;
                Some(Reading { source: scope.to_owned(), version })
            }),
        };
        tracing::warn!(
            place = rejection.place,
            reason = rejection.reason,
            "document refused; see `throughline dlq list`"
        );
        self.meter.dead("size");
        self.rejected(differ, &rejection)
    }

    /// Takes a change back that was not published, so that the next document of the key is compared
    /// with the one that was.
    fn take_back(
        &self,
        differ: &mut Differ<'_>,
        entity: usize,
        key: &[u8],
        sent: Sent,
    ) -> Result<(), WorkerError> {
        let Sent::TooLarge(change) = sent else { return Ok(()) };
        let id = self.publisher.entity_id(entity);
        match &change.before {
            Some(before) => differ.document(id, key, self.version, before, None)?,
            None => differ.gone(id, key, self.version)?,
        };
        Ok(())
    }
}
