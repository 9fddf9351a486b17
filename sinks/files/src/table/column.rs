//! One column: from Avro values, one after the other, to an Arrow array.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int32Builder, Int64Builder, StringBuilder,
};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, NullArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, TimeUnit};
use throughline_avro::{Cursor, DecodeError, Logical, Node};

/// Decimal digits that Arrow's 128 bits hold.
const MAX_PRECISION: u32 = 38;

pub(super) struct Column {
    node: Arc<Node>,
    /// The branch of a union that is null.
    null: Option<usize>,
    arrow: DataType,
    data: Data,
}

enum Data {
    Null(usize),
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Date(Date32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Bytes(BinaryBuilder),
    Text(StringBuilder),
    Symbol(StringBuilder),
    Fixed(FixedSizeBinaryBuilder),
    Decimal(Decimal128Builder),
    List(Box<Items>),
    Map(Box<Column>, Box<Items>),
    Record(Vec<Column>, Vec<bool>),
}

/// Why a value has no place in its column.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    Datum(#[from] DecodeError),
    #[error("a decimal has more than the {precision} digits of its schema")]
    Decimal { precision: u8 },
}

struct Items {
    item: Column,
    offsets: Vec<i32>,
    present: Vec<bool>,
}

impl Items {
    fn new(item: Column) -> Self {
        Self { item, offsets: vec![0], present: Vec::new() }
    }

    fn end(&mut self, len: usize, present: bool) {
        let before = self.offsets.last().copied().unwrap_or_default();
        // A batch holds a few megabytes, so its items are far below 2^31.
        self.offsets.push(before.saturating_add(i32::try_from(len).unwrap_or(i32::MAX)));
        self.present.push(present);
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, NullBuffer) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let present = NullBuffer::from(std::mem::take(&mut self.present));
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), present)
    }
}

impl Column {
    /// A column and its field; the error says what at `path` has no form in Arrow.
    pub(super) fn new(name: &str, node: &Arc<Node>, path: &str) -> Result<(Self, Field), String> {
        let mut null = None;
        let mut node = node;
        if let Node::Union(branches) = &**node {
            let is_null = |branch: &Arc<Node>| matches!(**branch, Node::Null);
            null = branches.iter().position(is_null);
            node = match (&branches[..], null) {
                ([other, _], Some(1)) | ([_, other], Some(0)) => other,
                _ => return Err(format!("{path} is a union of several types")),
            };
        }
        let (arrow, data) = data(node, path)?;
        let field = Field::new(name, arrow.clone(), null.is_some() || matches!(**node, Node::Null));
        Ok((Self { node: Arc::clone(node), null, arrow, data }, field))
    }

    /// Reads one value and keeps nothing. What this accepts, [`Column::append`] accepts.
    pub(super) fn check(&self, cursor: &mut Cursor<'_>) -> Result<(), Unfit> {
        if let Some(null) = self.null
            && cursor.union_branch(2)? == null
        {
            return Ok(());
        }
        match &self.data {
            Data::Text(_) => cursor.str().map(drop)?,
            Data::Decimal(_) => {
                let bytes = self.decimal_bytes(cursor)?;
                let DataType::Decimal128(precision, _) = self.arrow else { return Ok(()) };
                decimal(bytes, precision).ok_or(Unfit::Decimal { precision })?;
            }
            Data::List(items) => {
                while let Some(block) = cursor.block()? {
                    (0..block.items).try_for_each(|_| items.item.check(cursor))?;
                }
            }
            Data::Map(keys, items) => {
                while let Some(block) = cursor.block()? {
                    for _ in 0..block.items {
                        keys.check(cursor)?;
                        items.item.check(cursor)?;
                    }
                }
            }
            Data::Record(columns, _) => {
                columns.iter().try_for_each(|column| column.check(cursor))?;
            }
            _ => cursor.skip(&self.node)?,
        }
        Ok(())
    }

    fn decimal_bytes<'a>(&self, cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
        match &*self.node {
            Node::Fixed(size, _) => cursor.fixed(*size),
            _ => cursor.bytes(),
        }
    }

    /// Reads one value that was checked.
    pub(super) fn append(&mut self, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        if let Some(null) = self.null
            && cursor.union_branch(2)? == null
        {
            self.append_null();
            return Ok(());
        }
        match &mut self.data {
            Data::Null(len) => *len += 1,
            Data::Boolean(builder) => builder.append_value(cursor.boolean()?),
            Data::Int(builder) => builder.append_value(cursor.int()?),
            Data::Date(builder) => builder.append_value(cursor.int()?),
            Data::Long(builder) => builder.append_value(cursor.long()?),
            Data::Float(builder) => builder.append_value(cursor.float()?),
            Data::Double(builder) => builder.append_value(cursor.double()?),
            Data::Bytes(builder) => builder.append_value(cursor.bytes()?),
            Data::Text(builder) => builder.append_value(cursor.str()?),
            Data::Symbol(builder) => {
                if let Node::Enum(symbols) = &*self.node {
                    builder.append_value(&symbols[cursor.enum_index(symbols.len())?]);
                }
            }
            Data::Fixed(builder) => {
                if let Node::Fixed(size, _) = &*self.node {
                    // The length is the builder's own.
                    let _ = builder.append_value(cursor.fixed(*size)?);
                }
            }
            Data::Decimal(builder) => {
                let bytes = match &*self.node {
                    Node::Fixed(size, _) => cursor.fixed(*size)?,
                    _ => cursor.bytes()?,
                };
                builder.append_option(decimal(bytes, MAX_PRECISION as u8));
            }
            Data::List(items) => {
                let mut len = 0;
                while let Some(block) = cursor.block()? {
                    for _ in 0..block.items {
                        items.item.append(cursor)?;
                    }
                    len += block.items;
                }
                items.end(len, true);
            }
            Data::Map(keys, items) => {
                let mut len = 0;
                while let Some(block) = cursor.block()? {
                    for _ in 0..block.items {
                        keys.append(cursor)?;
                        items.item.append(cursor)?;
                    }
                    len += block.items;
                }
                items.end(len, true);
            }
            Data::Record(columns, present) => {
                for column in columns {
                    column.append(cursor)?;
                }
                present.push(true);
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match &mut self.data {
            Data::Null(len) => *len += 1,
            Data::Boolean(builder) => builder.append_null(),
            Data::Int(builder) => builder.append_null(),
            Data::Date(builder) => builder.append_null(),
            Data::Long(builder) => builder.append_null(),
            Data::Float(builder) => builder.append_null(),
            Data::Double(builder) => builder.append_null(),
            Data::Bytes(builder) => builder.append_null(),
            Data::Text(builder) | Data::Symbol(builder) => builder.append_null(),
            Data::Fixed(builder) => builder.append_null(),
            Data::Decimal(builder) => builder.append_null(),
            Data::List(items) | Data::Map(_, items) => items.end(0, false),
            Data::Record(columns, present) => {
                columns.iter_mut().for_each(Column::append_null);
                present.push(false);
            }
        }
    }

    /// The array of all values since the last one.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match &mut self.data {
            Data::Null(len) => Arc::new(NullArray::new(std::mem::take(len))),
            Data::Boolean(builder) => Arc::new(builder.finish()),
            Data::Int(builder) => typed(&builder.finish(), &self.arrow)?,
            Data::Date(builder) => Arc::new(builder.finish()),
            Data::Long(builder) => typed(&builder.finish(), &self.arrow)?,
            Data::Float(builder) => Arc::new(builder.finish()),
            Data::Double(builder) => Arc::new(builder.finish()),
            Data::Bytes(builder) => Arc::new(builder.finish()),
            Data::Text(builder) | Data::Symbol(builder) => Arc::new(builder.finish()),
            Data::Fixed(builder) => Arc::new(builder.finish()),
            Data::Decimal(builder) => typed(&builder.finish(), &self.arrow)?,
            Data::List(items) => {
                let values = items.item.finish()?;
                let (offsets, present) = items.take();
                let DataType::List(field) = &self.arrow else { return Err(inconsistent()) };
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, Some(present))?)
            }
            Data::Map(keys, items) => {
                let (keys, values) = (keys.finish()?, items.item.finish()?);
                let (offsets, present) = items.take();
                let DataType::Map(field, _) = &self.arrow else { return Err(inconsistent()) };
                let DataType::Struct(entry) = field.data_type() else { return Err(inconsistent()) };
                let entries = StructArray::try_new(entry.clone(), vec![keys, values], None)?;
                let field = Arc::clone(field);
                Arc::new(MapArray::try_new(field, offsets, entries, Some(present), false)?)
            }
            Data::Record(columns, present) => {
                let arrays: Result<Vec<_>, _> = columns.iter_mut().map(Column::finish).collect();
                let present = NullBuffer::from(std::mem::take(present));
                let DataType::Struct(fields) = &self.arrow else { return Err(inconsistent()) };
                Arc::new(StructArray::try_new(fields.clone(), arrays?, Some(present))?)
            }
        })
    }
}

/// The same values under a logical type.
fn typed(array: &dyn Array, arrow: &DataType) -> Result<ArrayRef, ArrowError> {
    let data = array.to_data().into_builder().data_type(arrow.clone()).build()?;
    Ok(arrow_array::make_array(data))
}

fn inconsistent() -> ArrowError {
    ArrowError::SchemaError("a column has another type than its data".to_owned())
}

/// Two's complement, big endian; `None` when it has more digits than `precision`.
fn decimal(bytes: &[u8], precision: u8) -> Option<i128> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let (sign, fill) = if negative { (0xff, -1) } else { (0, 0) };
    let shortest = &bytes[bytes.iter().take_while(|&&byte| byte == sign).count()..];
    if shortest.len() > size_of::<i128>() {
        return None;
    }
    let fold = |value: i128, &byte: &u8| value << 8 | i128::from(byte);
    let value = shortest.iter().fold(fill, fold);
    // 16 bytes without their sign may have turned it over.
    let same_sign = (value < 0) == negative;
    (same_sign && value.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(value)
}

fn data(node: &Arc<Node>, path: &str) -> Result<(DataType, Data), String> {
    let time = |unit, utc: bool| DataType::Timestamp(unit, utc.then(|| "UTC".into()));
    Ok(match &**node {
        Node::Null => (DataType::Null, Data::Null(0)),
        Node::Boolean => (DataType::Boolean, Data::Boolean(BooleanBuilder::new())),
        Node::Int(Some(Logical::Date)) => (DataType::Date32, Data::Date(Date32Builder::new())),
        Node::Int(Some(Logical::TimeMillis)) => {
            (DataType::Time32(TimeUnit::Millisecond), Data::Int(Int32Builder::new()))
        }
        Node::Int(_) => (DataType::Int32, Data::Int(Int32Builder::new())),
        Node::Long(logical) => {
            let arrow = match logical {
                Some(Logical::TimeMicros) => DataType::Time64(TimeUnit::Microsecond),
                Some(Logical::TimestampMillis) => time(TimeUnit::Millisecond, true),
                Some(Logical::TimestampMicros) => time(TimeUnit::Microsecond, true),
                Some(Logical::TimestampNanos) => time(TimeUnit::Nanosecond, true),
                Some(Logical::LocalTimestampMillis) => time(TimeUnit::Millisecond, false),
                Some(Logical::LocalTimestampMicros) => time(TimeUnit::Microsecond, false),
                Some(Logical::LocalTimestampNanos) => time(TimeUnit::Nanosecond, false),
                _ => DataType::Int64,
            };
            (arrow, Data::Long(Int64Builder::new()))
        }
        Node::Float => (DataType::Float32, Data::Float(Float32Builder::new())),
        Node::Double => (DataType::Float64, Data::Double(Float64Builder::new())),
        Node::Bytes(Some(Logical::Decimal { precision, scale }))
        | Node::Fixed(_, Some(Logical::Decimal { precision, scale })) => {
            if *precision > MAX_PRECISION {
                return Err(format!("{path} is a decimal of more than {MAX_PRECISION} digits"));
            }
            let arrow = DataType::Decimal128(*precision as u8, *scale as i8);
            (arrow, Data::Decimal(Decimal128Builder::new()))
        }
        Node::Bytes(_) => (DataType::Binary, Data::Bytes(BinaryBuilder::new())),
        Node::String(_) => (DataType::Utf8, Data::Text(StringBuilder::new())),
        Node::Enum(_) => (DataType::Utf8, Data::Symbol(StringBuilder::new())),
        Node::Fixed(size, _) => {
            let size = i32::try_from(*size).map_err(|_| format!("{path} is too large"))?;
            (DataType::FixedSizeBinary(size), Data::Fixed(FixedSizeBinaryBuilder::new(size)))
        }
        Node::Array(item) => {
            let (item, field) = Column::new("item", item, &format!("{path}[]"))?;
            (DataType::List(Arc::new(field)), Data::List(Box::new(Items::new(item))))
        }
        Node::Map(value) => {
            let (key, key_field) = Column::new("key", &Arc::new(Node::String(None)), path)?;
            let (value, value_field) = Column::new("value", value, &format!("{path}{{}}"))?;
            let entry = DataType::Struct(Fields::from(vec![key_field, value_field]));
            let arrow = DataType::Map(Arc::new(Field::new("entries", entry, false)), false);
            (arrow, Data::Map(Box::new(key), Box::new(Items::new(value))))
        }
        Node::Record(record) => {
            if record.fields.is_empty() {
                return Err(format!("{path} is a record without fields"));
            }
            let mut fields = Vec::new();
            let mut columns = Vec::new();
            for field in &record.fields {
                let path = format!("{path}.{}", field.name);
                let (column, field) = Column::new(&field.name, &field.node, &path)?;
                columns.push(column);
                fields.push(field);
            }
            (DataType::Struct(Fields::from(fields)), Data::Record(columns, Vec::new()))
        }
        Node::Recursive(_) => return Err(format!("{path} contains itself")),
        _ => return Err(format!("{path} has a type without a form in Parquet")),
    })
}
