//! Records as rows of a Parquet file: column by column in Arrow's form, one row group at a time.

mod column;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use throughline_avro::{Cursor, Schema};

use column::{Column, Unfit};

/// Rows and bytes that are turned into pages together.
const ROWS: usize = 4_096;
const BYTES: usize = 4 << 20;

/// Memory of a row group: readers read it as a whole, and it is held until it is complete.
const ROW_GROUP: usize = 16 << 20;

pub(crate) struct Table {
    arrow: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    writer: ArrowWriter<Vec<u8>>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Table {
    /// A table of records of this schema; the error says what has no form in Parquet.
    pub(crate) fn new(schema: &Arc<Schema>) -> Result<Self, String> {
        let record = schema.record().ok_or("the schema is not a record")?;
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for field in &record.fields {
            let (column, field) = Column::new(&field.name, &field.node, &field.name)?;
            fields.push(field);
            columns.push(column);
        }
        let arrow = Arc::new(arrow_schema::Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&arrow), Some(properties));
        let writer = writer.map_err(|error| error.to_string())?;
        Ok(Self { arrow, columns, rows: 0, bytes: 0, writer })
    }

    /// Adds a record; bytes that are ready go to `out`. The error is the record's.
    pub(crate) fn add(&mut self, datum: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        // All columns have to be of one length, so a record is looked at as a whole first.
        self.check(datum).map_err(|error| error.to_string())?;
        let mut cursor = Cursor::new(datum);
        for column in &mut self.columns {
            column.append(&mut cursor).map_err(|error| error.to_string())?;
        }
        self.rows += 1;
        self.bytes += datum.len();
        if self.rows >= ROWS || self.bytes >= BYTES {
            self.encode()?;
            if self.writer.in_progress_size() >= ROW_GROUP {
                self.writer.flush().map_err(|error| error.to_string())?;
            }
            out.append(self.writer.inner_mut());
        }
        Ok(())
    }

    fn check(&self, datum: &[u8]) -> Result<(), Unfit> {
        let mut cursor = Cursor::new(datum);
        self.columns.iter().try_for_each(|column| column.check(&mut cursor))?;
        Ok(cursor.finish()?)
    }

    fn encode(&mut self) -> Result<(), String> {
        if self.rows == 0 {
            return Ok(());
        }
        let arrays: Result<Vec<ArrayRef>, _> =
            self.columns.iter_mut().map(Column::finish).collect();
        let batch = arrays.and_then(|arrays| RecordBatch::try_new(Arc::clone(&self.arrow), arrays));
        let batch = batch.map_err(|error| error.to_string())?;
        self.writer.write(&batch).map_err(|error| error.to_string())?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Bytes that are not in the file yet.
    pub(crate) fn memory(&self) -> usize {
        self.bytes + self.writer.in_progress_size()
    }

    /// The rest of the file.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.encode()?;
        self.writer.finish().map_err(|error| error.to_string())?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
