//! Schemas as resolved trees.

mod build;
mod canonical;

use std::sync::{Arc, Weak};

/// A parsed schema: its text, and its tree with every named type resolved.
///
/// Cheap to clone. Two schemas are equal when their texts are.
#[derive(Debug, Clone)]
pub struct Schema(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    canonical: String,
    root: Arc<Node>,
}

impl Schema {
    /// Parses and validates an Avro schema.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let json = serde_json::from_str(text).map_err(SchemaError::Json)?;
        let parsed = apache_avro::Schema::parse(&json)
            .map_err(|error| SchemaError::Avro(Box::new(error)))?;
        let root = build::tree(&parsed)?;
        let canonical = canonical::text(&json);
        Ok(Self(Arc::new(Inner { text: text.to_owned(), canonical, root })))
    }

    /// The text that was parsed, unchanged.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The schema as Java Avro writes it: no white space, attributes in one order, names as short
    /// as their namespace allows, `{"type": "string"}` as `"string"`.
    ///
    /// Documentation, defaults and custom attributes stay, so this is not the specification's
    /// parsing canonical form, which forgets them.
    pub fn canonical_text(&self) -> &str {
        &self.0.canonical
    }

    /// The tree.
    pub fn root(&self) -> &Arc<Node> {
        &self.0.root
    }

    /// The record at the root, when the root is one.
    pub fn record(&self) -> Option<&Arc<Record>> {
        match &*self.0.root {
            Node::Record(record) => Some(record),
            _ => None,
        }
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text == other.0.text
    }
}

impl Eq for Schema {}

/// A logical type that changes how a value is shown or compared, not how it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Logical {
    /// `decimal` on bytes or fixed: precision and scale in decimal digits.
    Decimal {
        /// Total digits.
        precision: u32,
        /// Digits after the point.
        scale: u32,
    },
    /// `uuid` on string or on fixed of 16 bytes.
    Uuid,
    /// `date`: days since 1970-01-01.
    Date,
    /// `time-millis`.
    TimeMillis,
    /// `time-micros`.
    TimeMicros,
    /// `timestamp-millis`, UTC.
    TimestampMillis,
    /// `timestamp-micros`, UTC.
    TimestampMicros,
    /// `timestamp-nanos`, UTC.
    TimestampNanos,
    /// `local-timestamp-millis`, no zone.
    LocalTimestampMillis,
    /// `local-timestamp-micros`, no zone.
    LocalTimestampMicros,
    /// `local-timestamp-nanos`, no zone.
    LocalTimestampNanos,
}

/// One node of a schema tree. Recursive named types are reached through [`Node::Recursive`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Node {
    /// `null`.
    Null,
    /// `boolean`.
    Boolean,
    /// `int`, 32 bits.
    Int(Option<Logical>),
    /// `long`, 64 bits.
    Long(Option<Logical>),
    /// `float`.
    Float,
    /// `double`.
    Double,
    /// `bytes`.
    Bytes(Option<Logical>),
    /// `string`.
    String(Option<Logical>),
    /// `fixed` of this many bytes.
    Fixed(usize, Option<Logical>),
    /// `enum` with its symbols.
    Enum(Vec<String>),
    /// `array` of items.
    Array(Arc<Node>),
    /// `map` of values by string.
    Map(Arc<Node>),
    /// `union` of branches.
    Union(Vec<Arc<Node>>),
    /// `record`.
    Record(Arc<Record>),
    /// A record inside itself. The reference is weak and lives as long as the [`Schema`] does.
    Recursive(Weak<Record>),
}

impl Node {
    /// What a value of this type is called in messages: `"a long"`, `"a record"`.
    pub fn description(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Int(_) => "an int",
            Self::Long(_) => "a long",
            Self::Float => "a float",
            Self::Double => "a double",
            Self::Bytes(_) => "bytes",
            Self::String(_) => "a string",
            Self::Fixed(..) => "a fixed",
            Self::Enum(_) => "an enum symbol",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
            Self::Union(_) => "one of a union",
            Self::Record(_) | Self::Recursive(_) => "a record",
        }
    }

    /// The type in words that are the same for the same values only; names of types, comments,
    /// defaults and the order of fields do not count.
    pub fn type_text(&self) -> String {
        let logical = |name: &str, logical: &Option<Logical>| match logical {
            Some(Logical::Decimal { precision, scale }) => {
                format!("{name} (decimal of {precision} digits, {scale} after the point)")
            }
            Some(logical) => format!("{name} ({logical:?})"),
            None => name.to_owned(),
        };
        let sorted = |mut texts: Vec<String>, between: &str| {
            texts.sort();
            texts.join(between)
        };
        match self {
            Self::Int(kind) => logical("int", kind),
            Self::Long(kind) => logical("long", kind),
            Self::Bytes(kind) => logical("bytes", kind),
            Self::String(kind) => logical("string", kind),
            Self::Fixed(size, kind) => logical(&format!("fixed of {size} bytes"), kind),
            Self::Enum(symbols) => format!("enum of {}", symbols.join(", ")),
            Self::Array(items) => format!("array of {}", items.type_text()),
            Self::Map(values) => format!("map of {}", values.type_text()),
            Self::Union(branches) => {
                sorted(branches.iter().map(|branch| branch.type_text()).collect(), " or ")
            }
            Self::Record(record) => {
                let field = |field: &Field| format!("{}: {}", field.name, field.node.type_text());
                format!("record of {}", sorted(record.fields.iter().map(field).collect(), ", "))
            }
            Self::Recursive(_) => "a record inside itself".to_owned(),
            plain => plain.description().trim_start_matches("a ").to_owned(),
        }
    }

    /// The logical type, when there is one.
    pub fn logical(&self) -> Option<Logical> {
        match self {
            Self::Int(logical)
            | Self::Long(logical)
            | Self::Bytes(logical)
            | Self::String(logical)
            | Self::Fixed(_, logical) => *logical,
            _ => None,
        }
    }

    /// Whether every value of this type is encoded in zero bytes.
    pub(crate) fn takes_no_bytes(&self) -> bool {
        match self {
            Self::Null | Self::Fixed(0, _) => true,
            Self::Record(record) => record.fields.iter().all(|field| field.node.takes_no_bytes()),
            _ => false,
        }
    }
}

/// A record type.
#[derive(Debug)]
pub struct Record {
    /// Full name: namespace and name.
    pub name: String,
    /// Fields in the order of their encoding.
    pub fields: Vec<Field>,
}

impl Record {
    /// The field `name` with its index.
    pub fn field(&self, name: &str) -> Option<(usize, &Field)> {
        self.fields.iter().enumerate().find(|(_, field)| field.name == name)
    }
}

/// A field of a record.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its documentation, empty when there is none.
    pub doc: String,
    /// Its type.
    pub node: Arc<Node>,
    /// Its default as JSON, when it has one.
    pub default: Option<serde_json::Value>,
}

/// Why a schema was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is not JSON.
    #[error("could not parse the schema: it is not JSON")]
    Json(#[source] serde_json::Error),
    /// The JSON is not an Avro schema.
    #[error("could not parse the schema: it is not an Avro schema")]
    Avro(#[source] Box<apache_avro::Error>),
    /// A name that no type has.
    #[error("could not resolve the type `{name}`: the schema does not define it")]
    Unresolved {
        /// The full name.
        name: String,
    },
    /// A record that contains itself without a union, array or map in between: it has no end.
    #[error("could not use the type `{name}`: a value of it would contain itself without end")]
    Endless {
        /// The full name.
        name: String,
    },
    /// Types nest deeper than any datum may.
    #[error("could not use the schema: types nest deeper than {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Named types that repeat each other describe records of absurd size.
    #[error("could not use the schema: written out, it has more than {limit} types")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A decimal of more digits than are supported.
    #[error("could not use a decimal of precision {precision}: the limit is {limit}")]
    Precision {
        /// The precision asked for.
        precision: usize,
        /// The limit.
        limit: usize,
    },
}

#[cfg(test)]
mod tests;
