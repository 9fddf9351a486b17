//! Rows that are collected by key into documents.

use std::path::Path;

use throughline_avro::{put_block, put_block_end};
use throughline_connector::{CaptureError, Item};

use super::{Filling, Job, Purpose, Step};
use crate::convert::Row;
use crate::error::{self, GROUP, RowError};
use crate::sort::{Entry, Sorted, Sorter};

/// Largest document: what a broker takes as one record when it is told to, and no more memory than
/// a batch.
const MAX_DOCUMENT: usize = 16 << 20;

/// The rows of a file by key.
#[derive(Debug)]
pub(crate) enum Groups {
    Taking(Sorter),
    Giving(Sorted),
    /// Between the two, after an error.
    Lost,
}

impl Groups {
    pub(crate) fn new(scratch: &Path) -> Self {
        Self::Taking(Sorter::new(scratch))
    }

    pub(super) fn is_sorted(&self) -> bool {
        matches!(self, Self::Giving(_))
    }

    pub(super) fn push(&mut self, row: &Row, line: u64, bad: bool) -> Result<(), CaptureError> {
        let Self::Taking(sorter) = self else { return Ok(()) };
        let entry = Entry { key: row.key.clone(), row: row.document.clone(), line, bad };
        sorter.push(&entry).map_err(error::scratch)
    }

    pub(super) fn sort(&mut self) -> Result<(), CaptureError> {
        if let Self::Taking(sorter) = std::mem::replace(self, Self::Lost) {
            *self = Self::Giving(sorter.finish().map_err(error::scratch)?);
        }
        Ok(())
    }

    /// The rows of the next key; those that are too many for a document are counted only.
    fn next(&mut self) -> Result<Option<Group>, CaptureError> {
        let Self::Giving(sorted) = self else { return Ok(None) };
        let Some(first) = sorted.next().map_err(error::scratch)? else { return Ok(None) };
        let mut group = Group {
            key: first.key.clone(),
            line: first.line,
            rows: 0,
            datums: Vec::new(),
            bad: None,
            too_large: false,
        };
        group.add(first);
        while sorted.peek() == Some(&group.key) {
            match sorted.next().map_err(error::scratch)? {
                Some(entry) => group.add(entry),
                None => break,
            }
        }
        Ok(Some(group))
    }
}

struct Group {
    key: Vec<u8>,
    line: u64,
    rows: usize,
    datums: Vec<u8>,
    /// The line of the first row that cannot be published.
    bad: Option<u64>,
    too_large: bool,
}

impl Group {
    fn add(&mut self, entry: Entry) {
        if entry.bad {
            self.bad.get_or_insert(entry.line);
            return;
        }
        self.rows += 1;
        self.too_large |= self.datums.len() + entry.row.len() > MAX_DOCUMENT;
        if !self.too_large {
            self.datums.extend_from_slice(&entry.row);
        }
    }
}

impl Job {
    /// Gives out documents until the batch is full.
    pub(super) fn give_groups(&mut self, out: &mut Filling<'_>) -> Result<Step, CaptureError> {
        while !out.full() {
            let Purpose::Groups { groups, .. } = &mut self.purpose else { break };
            let Some(group) = groups.next()? else { return Ok(self.finish(out)) };
            self.keys += 1;
            let problem = match group.bad {
                Some(line) => Some(format!("line {line} of the same key is bad")),
                None if group.too_large => Some(format!("it is larger than {MAX_DOCUMENT} bytes")),
                None => None,
            };
            match problem {
                None => self.give_group(group, out),
                Some(problem) => self.withhold(group, &problem, out),
            }
        }
        Ok(Step::Pause)
    }

    fn give_group(&mut self, group: Group, out: &mut Filling<'_>) {
        let mut document = Vec::with_capacity(group.key.len() + group.datums.len() + 4);
        document.extend_from_slice(&group.key);
        put_block(&mut document, group.rows);
        document.extend_from_slice(&group.datums);
        put_block_end(&mut document);
        let size = group.key.len() + document.len();
        let item = Item::Document {
            entity: self.entity,
            key: group.key,
            document,
            scope: self.scope(),
            changed_at: self.changed_at(),
            place: self.place(group.line),
            snapshot: self.snapshot,
        };
        out.push(item, size);
    }

    /// Half of a document would be a wrong document: what is published stays as it is.
    fn withhold(&mut self, group: Group, problem: &str, out: &mut Filling<'_>) {
        if group.rows > 0 {
            let reason = format!("the document of {} rows is withheld: {problem}", group.rows);
            self.reject_whole(&RowError::new(GROUP, reason), group.line, out);
        }
        if let Some(scope) = self.scope() {
            out.push(Item::Kept { entity: self.entity, key: group.key, scope }, 0);
        }
    }
}
