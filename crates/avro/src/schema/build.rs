//! From apache-avro's schema to our tree.
//!
//! A named type is built once and shared by every later reference. A reference to a record that is
//! still being built is weak. Names, logical types and their misuse are apache-avro's business:
//! a logical type that does not fit its base type is already plain here.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use apache_avro::Schema as Avro;
use apache_avro::schema::{InnerDecimalSchema, RecordSchema, UuidSchema};

use super::{Field, Logical, Node, Record, SchemaError};
use crate::cursor::MAX_DEPTH;
use crate::decimal::MAX_PRECISION;

/// Types in one schema with every reference written out; the largest real envelopes have hundreds.
const MAX_TYPES: usize = 1 << 16;

/// Builds the tree of `schema`.
pub(super) fn tree(schema: &Avro) -> Result<Arc<Node>, SchemaError> {
    Builder::default().node(schema).map(|built| built.node)
}

/// A node, and its measures when every reference is written out.
#[derive(Clone)]
struct Built {
    node: Arc<Node>,
    size: Size,
}

#[derive(Clone, Copy)]
struct Size {
    types: usize,
    height: usize,
}

impl Size {
    const LEAF: Self = Self { types: 1, height: 0 };

    fn add_part(&mut self, part: Self) -> Result<(), SchemaError> {
        self.types += part.types;
        self.height = self.height.max(part.height + 1);
        if self.types > MAX_TYPES {
            return Err(SchemaError::TooLarge { limit: MAX_TYPES });
        }
        if self.height > MAX_DEPTH {
            return Err(SchemaError::TooDeep { limit: MAX_DEPTH });
        }
        Ok(())
    }
}

enum Named {
    Complete(Built),
    /// Being built; `optional` counts the unions, arrays and maps that were entered before it.
    Open {
        record: Weak<Record>,
        optional: usize,
    },
}

#[derive(Default)]
struct Builder {
    named: HashMap<String, Named>,
    /// Unions, arrays and maps around the current position.
    optional: usize,
}

impl Builder {
    fn node(&mut self, schema: &Avro) -> Result<Built, SchemaError> {
        let mut size = Size::LEAF;
        let node = match schema {
            Avro::Array(array) => Node::Array(self.optional(&array.items, &mut size)?),
            Avro::Map(map) => Node::Map(self.optional(&map.types, &mut size)?),
            Avro::Union(union) => Node::Union(
                union
                    .variants()
                    .iter()
                    .map(|branch| self.optional(branch, &mut size))
                    .collect::<Result<_, _>>()?,
            ),
            Avro::Record(record) => return self.record(record),
            Avro::Ref { name } => return self.reference(name.to_string()),
            leaf => self.leaf(leaf)?,
        };
        let built = Built { node: Arc::new(node), size };
        if let Some(name) = schema.name() {
            self.named.insert(name.to_string(), Named::Complete(built.clone()));
        }
        Ok(built)
    }

    /// A part that a value may leave out, so that recursion through it can end.
    fn optional(&mut self, schema: &Avro, size: &mut Size) -> Result<Arc<Node>, SchemaError> {
        self.optional += 1;
        let built = self.node(schema);
        self.optional -= 1;
        let built = built?;
        size.add_part(built.size)?;
        Ok(built.node)
    }

    fn record(&mut self, schema: &RecordSchema) -> Result<Built, SchemaError> {
        let name = schema.name.to_string();
        let mut size = Size::LEAF;
        let mut failure = None;
        let record = Arc::new_cyclic(|record| {
            let open = Named::Open { record: record.clone(), optional: self.optional };
            self.named.insert(name.clone(), open);
            let fields = self.fields(schema, &mut size).unwrap_or_else(|error| {
                failure = Some(error);
                Vec::new()
            });
            Record { name: name.clone(), fields }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        let built = Built { node: Arc::new(Node::Record(record)), size };
        self.named.insert(name, Named::Complete(built.clone()));
        Ok(built)
    }

    fn fields(
        &mut self,
        schema: &RecordSchema,
        size: &mut Size,
    ) -> Result<Vec<Field>, SchemaError> {
        schema
            .fields
            .iter()
            .map(|field| {
                let built = self.node(&field.schema)?;
                size.add_part(built.size)?;
                Ok(Field {
                    name: field.name.clone(),
                    doc: field.doc.clone().unwrap_or_default(),
                    node: built.node,
                    default: field.default.clone(),
                })
            })
            .collect()
    }

    fn reference(&self, name: String) -> Result<Built, SchemaError> {
        match self.named.get(&name) {
            Some(Named::Complete(built)) => Ok(built.clone()),
            Some(Named::Open { optional, .. }) if *optional == self.optional => {
                Err(SchemaError::Endless { name })
            }
            Some(Named::Open { record, .. }) => {
                Ok(Built { node: Arc::new(Node::Recursive(record.clone())), size: Size::LEAF })
            }
            None => Err(SchemaError::Unresolved { name }),
        }
    }

    fn leaf(&self, schema: &Avro) -> Result<Node, SchemaError> {
        Ok(match schema {
            Avro::Null => Node::Null,
            Avro::Boolean => Node::Boolean,
            Avro::Int => Node::Int(None),
            Avro::Date => Node::Int(Some(Logical::Date)),
            Avro::TimeMillis => Node::Int(Some(Logical::TimeMillis)),
            Avro::Long => Node::Long(None),
            Avro::TimeMicros => Node::Long(Some(Logical::TimeMicros)),
            Avro::TimestampMillis => Node::Long(Some(Logical::TimestampMillis)),
            Avro::TimestampMicros => Node::Long(Some(Logical::TimestampMicros)),
            Avro::TimestampNanos => Node::Long(Some(Logical::TimestampNanos)),
            Avro::LocalTimestampMillis => Node::Long(Some(Logical::LocalTimestampMillis)),
            Avro::LocalTimestampMicros => Node::Long(Some(Logical::LocalTimestampMicros)),
            Avro::LocalTimestampNanos => Node::Long(Some(Logical::LocalTimestampNanos)),
            Avro::Float => Node::Float,
            Avro::Double => Node::Double,
            Avro::Bytes | Avro::BigDecimal | Avro::Uuid(UuidSchema::Bytes) => Node::Bytes(None),
            Avro::String => Node::String(None),
            Avro::Uuid(UuidSchema::String) => Node::String(Some(Logical::Uuid)),
            Avro::Uuid(UuidSchema::Fixed(fixed)) => Node::Fixed(fixed.size, Some(Logical::Uuid)),
            Avro::Fixed(fixed) | Avro::Duration(fixed) => Node::Fixed(fixed.size, None),
            Avro::Decimal(decimal) => {
                let logical = Some(decimal_type(decimal.precision, decimal.scale)?);
                match &decimal.inner {
                    InnerDecimalSchema::Bytes => Node::Bytes(logical),
                    InnerDecimalSchema::Fixed(fixed) => Node::Fixed(fixed.size, logical),
                }
            }
            Avro::Enum(symbols) => Node::Enum(symbols.symbols.clone()),
            Avro::Array(_) | Avro::Map(_) | Avro::Union(_) | Avro::Record(_) | Avro::Ref { .. } => {
                unreachable!("types with parts are built by `node`")
            }
        })
    }
}

fn decimal_type(precision: usize, scale: usize) -> Result<Logical, SchemaError> {
    let refused = SchemaError::Precision { precision, limit: MAX_PRECISION as usize };
    match (u32::try_from(precision), u32::try_from(scale)) {
        (Ok(precision @ ..=MAX_PRECISION), Ok(scale @ ..=MAX_PRECISION)) => {
            Ok(Logical::Decimal { precision, scale })
        }
        _ => Err(refused),
    }
}
