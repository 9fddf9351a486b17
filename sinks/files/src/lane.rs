//! One partition: which records were taken, and the file they go into.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use throughline_avro::{Cursor, Node, Schema};
use throughline_connector::{DeliverError, RecordPosition};
use throughline_event::{Offset, Record, TopicPartition};

use crate::error::{refused, unavailable};
use crate::listing::{Held, covering, held};
use crate::name::mark;
use crate::options::{FormatOptions, Settings};
use crate::part::Part;
use crate::spool::create_folder;

/// Deletes whose tombstones may still come; they come next to each other.
const DELETES: usize = 256;

#[derive(Debug)]
pub(crate) struct Lane {
    pub partition: TopicPartition,
    folder: PathBuf,
    /// The folder says that the partition was delivered.
    marked: bool,
    /// What comes before this was taken.
    next: Option<Offset>,
    part: Option<Part>,
    /// What is durable and was not reported yet.
    durable: Option<Offset>,
    /// Keys of the last deletes.
    deletes: VecDeque<Vec<u8>>,
    /// The record before the first one was a delete.
    after_delete: bool,
    /// Where a record says what it is, for the schema it was last looked up for.
    op: Option<(Arc<Schema>, Option<OpPlace>)>,
}

/// The places of `meta` in a record and of `op` in it.
#[derive(Debug, Clone, Copy)]
struct OpPlace {
    meta: usize,
    op: usize,
}

impl Lane {
    /// Reads what the folder holds. Returns the lane and where to go on.
    pub(crate) fn open(
        partition: TopicPartition,
        settings: &Settings,
    ) -> Result<(Self, Option<Offset>), DeliverError> {
        let folder = settings.folder.join(partition.topic.as_str());
        let held = held(&folder, partition.partition, settings.format)?;
        let next = held.map(|Held { next, .. }| next);
        let mark = folder.join(mark(partition.partition));
        let marked = mark.try_exists().map_err(|error| unavailable(&mark, error))?;
        let lane = Self {
            partition,
            folder,
            marked,
            next,
            part: None,
            durable: None,
            deletes: VecDeque::new(),
            after_delete: held.is_some_and(|held| held.after_delete),
            op: None,
        };
        Ok((lane, next))
    }

    /// Takes a record, unless it was taken before.
    pub(crate) fn take(
        &mut self,
        record: &Record<'_>,
        settings: &Settings,
    ) -> Result<(), DeliverError> {
        if self.next.is_some_and(|next| record.offset < next) {
            return Ok(());
        }
        if let Some(part) = &mut self.part {
            let closed = part.closed
                || record.value.is_some_and(|value| !part.takes(value.schema))
                || part.is_full(&settings.roll);
            if closed {
                self.publish()?;
            } else {
                // Before more is taken, so that a target that is away does not fill the memory.
                part.drain()?;
            }
        }
        match (record.value, record.key) {
            (Some(value), key) => {
                let is_delete = is_delete(&mut self.op, value.schema, value.bytes);
                if let Err(reason) =
                    part(&mut self.part, &self.folder, record, settings).add(value)?
                {
                    return Err(self.refuse(record.offset, reason));
                }
                if let (true, Some(key)) = (is_delete, key) {
                    self.deletes.truncate(DELETES - 1);
                    self.deletes.push_front(key.bytes.to_vec());
                }
            }
            (None, Some(key)) => {
                let follows = self.deletes.iter().position(|known| known == key.bytes);
                if let Some(at) = follows {
                    self.deletes.remove(at);
                } else if settings.format == FormatOptions::Jsonl && !self.after_delete {
                    let part = part(&mut self.part, &self.folder, record, settings);
                    if let Err(reason) = part.add_delete(key) {
                        return Err(self.refuse(record.offset, reason));
                    }
                }
            }
            // Nothing that could be written.
            (None, None) => {}
        }
        self.after_delete = false;
        self.next = Some(record.offset.next());
        match &mut self.part {
            Some(part) => part.covers(record.offset),
            None => self.durable = self.next,
        }
        Ok(())
    }

    /// The file ends before a record that is refused, so that one of its own fits in between when the
    /// record is taken after all.
    fn refuse(&mut self, offset: Offset, reason: String) -> DeliverError {
        match &mut self.part {
            Some(part) if !part.is_empty() => part.closed = true,
            _ => self.part = None,
        }
        let partition = self.partition.clone();
        refused(RecordPosition { partition, offset }, reason)
    }

    /// Takes a record that was refused before, in a file of its own between those that are there.
    pub(crate) fn retry(
        &mut self,
        record: &Record<'_>,
        settings: &Settings,
    ) -> Result<bool, DeliverError> {
        if self.next.is_none_or(|next| record.offset >= next) {
            return Ok(false);
        }
        let refuse = |reason| {
            let partition = self.partition.clone();
            refused(RecordPosition { partition, offset: record.offset }, reason)
        };
        match covering(&self.folder, self.partition.partition, settings.format, record.offset)? {
            Some(name) if name.first == name.last => return Ok(true),
            Some(_) => return Err(refuse("a finished file covers its offset".to_owned())),
            None => {}
        }
        let mut part = None;
        let part = self::part(&mut part, &self.folder, record, settings);
        let added = match (record.value, record.key) {
            (Some(value), _) => part.add(value)?,
            (None, Some(key)) if settings.format == FormatOptions::Jsonl => part.add_delete(key),
            (None, _) => return Ok(true),
        };
        added.map_err(refuse)?;
        part.publish()?;
        Ok(true)
    }

    /// Writes out, and publishes what is full or old enough, or anything when `all`.
    pub(crate) fn settle(&mut self, settings: &Settings, all: bool) -> Result<(), DeliverError> {
        if let Some(part) = &mut self.part {
            let due = part.since.elapsed() >= settings.roll.max_age;
            if all || due || part.closed || part.is_full(&settings.roll) {
                self.publish()?;
            } else {
                part.drain()?;
            }
        }
        if self.durable.is_some() { self.mark() } else { Ok(()) }
    }

    /// Before an offset can be committed, the folder shows that there will be one: files alone do
    /// not, since a partition may hold nothing that is written.
    fn mark(&mut self) -> Result<(), DeliverError> {
        if self.marked {
            return Ok(());
        }
        let path = self.folder.join(mark(self.partition.partition));
        create_folder(&self.folder)
            .and_then(|()| File::create(&path)?.sync_all())
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|error| unavailable(&path, error))?;
        self.marked = true;
        Ok(())
    }

    /// Whether the folder shows that the partition was delivered before.
    pub(crate) fn has_seen(&self) -> bool {
        self.marked || self.next.is_some()
    }

    fn publish(&mut self) -> Result<(), DeliverError> {
        if let Some(part) = &mut self.part {
            // A schema that cannot be written leaves a file that holds nothing.
            if !part.is_empty() {
                part.publish()?;
                self.durable = Some(part.last().next());
            }
            self.part = None;
        }
        Ok(())
    }

    /// How long until something has to be published.
    pub(crate) fn due(&self, max_age: Duration) -> Option<Duration> {
        let part = self.part.as_ref()?;
        let left = max_age.saturating_sub(part.since.elapsed());
        Some(if part.closed { Duration::ZERO } else { left })
    }

    /// What became durable since it was last asked.
    pub(crate) fn report(&mut self) -> Option<Offset> {
        self.durable.take()
    }
}

fn part<'p>(
    part: &'p mut Option<Part>,
    folder: &Path,
    record: &Record<'_>,
    settings: &Settings,
) -> &'p mut Part {
    part.get_or_insert_with(|| {
        Part::new(folder.to_owned(), settings.format, record.partition, record.offset)
    })
}

/// Whether a canonical record says that its key is gone.
fn is_delete(
    known: &mut Option<(Arc<Schema>, Option<OpPlace>)>,
    schema: &Arc<Schema>,
    datum: &[u8],
) -> bool {
    if known.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, schema)) {
        *known = Some((Arc::clone(schema), op_place(schema)));
    }
    let Some((_, Some(place))) = known else { return false };
    op(schema, *place, datum) == Some("delete")
}

fn op_place(schema: &Schema) -> Option<OpPlace> {
    let (meta, field) = schema.record()?.field("meta")?;
    let Node::Record(record) = &*field.node else { return None };
    let (op, field) = record.field("op")?;
    matches!(&*field.node, Node::String(_)).then_some(OpPlace { meta, op })
}

fn op<'d>(schema: &Schema, place: OpPlace, datum: &'d [u8]) -> Option<&'d str> {
    let record = schema.record()?;
    let mut cursor = Cursor::new(datum);
    for field in &record.fields[..place.meta] {
        cursor.skip(&field.node).ok()?;
    }
    let Node::Record(meta) = &*record.fields[place.meta].node else { return None };
    for field in &meta.fields[..place.op] {
        cursor.skip(&field.node).ok()?;
    }
    cursor.str().ok()
}
