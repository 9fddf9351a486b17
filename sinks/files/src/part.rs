//! The file that is being filled, in either format.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use throughline_avro::{Cursor, Schema, write_json};
use throughline_connector::DeliverError;
use throughline_event::{Datum, Offset, PartitionId};

use crate::error::{damaged, lost, schema, unavailable};
use crate::listing::extension;
use crate::name::Name;
use crate::options::{FormatOptions, Roll};
use crate::spool::{Spool, SpoolError};
use crate::table::Table;

#[derive(Debug)]
pub(crate) struct Part {
    folder: PathBuf,
    format: FormatOptions,
    spool: Spool,
    table: Option<Box<Table>>,
    schema: Option<Arc<Schema>>,
    name: Name,
    records: u64,
    pub since: Instant,
    /// Nothing can be added: publishing was begun.
    pub closed: bool,
}

impl Part {
    pub(crate) fn new(
        folder: PathBuf,
        format: FormatOptions,
        partition: PartitionId,
        first: Offset,
    ) -> Self {
        let spool = Spool::new(folder.clone(), partition, first);
        let name = Name { partition, first, last: first };
        let (table, schema, since) = (None, None, Instant::now());
        Self { folder, format, spool, table, schema, name, records: 0, since, closed: false }
    }

    /// Whether a record of this schema can be added: a Parquet file has one.
    pub(crate) fn takes(&self, schema: &Arc<Schema>) -> bool {
        self.format == FormatOptions::Jsonl
            || self.schema.as_ref().is_none_or(|own| Arc::ptr_eq(own, schema) || own == schema)
    }

    /// Adds a record; the inner error is its reason.
    pub(crate) fn add(&mut self, value: Datum<'_>) -> Result<Result<(), String>, DeliverError> {
        if self.format == FormatOptions::Jsonl {
            return Ok(self.add_line(|out| {
                let mut cursor = Cursor::new(value.bytes);
                write_json(value.schema.root(), &mut cursor, out)?;
                cursor.finish()
            }));
        }
        let mut table = match self.table.take() {
            Some(table) => table,
            None => Box::new(Table::new(value.schema).map_err(schema)?),
        };
        self.schema = Some(Arc::clone(value.schema));
        let added = table.add(value.bytes, self.spool.buffer());
        self.table = Some(table);
        self.records += u64::from(added.is_ok());
        Ok(added)
    }

    /// Adds a delete of which only the key is known.
    pub(crate) fn add_delete(&mut self, key: Datum<'_>) -> Result<(), String> {
        self.add_line(|out| {
            let mut cursor = Cursor::new(key.bytes);
            out.extend_from_slice(b"{\"meta\":{\"op\":\"delete\"},\"key\":");
            write_json(key.schema.root(), &mut cursor, out)?;
            out.push(b'}');
            cursor.finish()
        })
    }

    fn add_line(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), throughline_avro::DecodeError>,
    ) -> Result<(), String> {
        let out = self.spool.buffer();
        let start = out.len();
        if let Err(error) = write(out) {
            out.truncate(start);
            return Err(error.to_string());
        }
        out.push(b'\n');
        self.records += 1;
        Ok(())
    }

    /// The file covers the partition up to this record.
    pub(crate) fn covers(&mut self, last: Offset) {
        self.name.last = last;
    }

    pub(crate) fn last(&self) -> Offset {
        self.name.last
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(crate) fn is_full(&self, roll: &Roll) -> bool {
        let waiting = self.table.as_ref().map_or(0, |table| table.memory());
        self.records >= roll.max_records || self.spool.len() + waiting as u64 >= roll.max_bytes
    }

    /// Writes out what was collected, when it is enough.
    pub(crate) fn drain(&mut self) -> Result<(), DeliverError> {
        self.spool.drain().map_err(|error| unavailable(&self.folder, error))
    }

    /// Makes the file durable and visible; can be tried again.
    pub(crate) fn publish(&mut self) -> Result<(), DeliverError> {
        self.closed = true;
        if let Some(table) = self.table.take() {
            table.finish(self.spool.buffer()).map_err(schema)?;
        }
        let name = self.name.file(extension(self.format));
        self.spool.publish(&name).map_err(|error| {
            let path = self.folder.join(name);
            match error {
                SpoolError::Later(error) => unavailable(&path, error),
                SpoolError::Lost => lost(&path),
                SpoolError::Exists => damaged(&path, "a file of this name is there already"),
            }
        })
    }
}
