//! Avro schemas as the registry needs them: parsed, resolved, printed and compared.
//!
//! This is not a codec. It decides three questions the way the Java library (1.11) does, because
//! that library sits behind every other registry: which texts are schemas ([`parse()`]), which
//! texts are the same schema ([`print()`]), and which schema can read what another one wrote
//! ([`check()`]).

mod compatibility;
mod default;
mod parse;
mod text;

pub(crate) use compatibility::{Incompatibility, IncompatibilityKind, check};
pub(crate) use parse::{InvalidSchema, parse};
pub(crate) use text::{Form, print};

use serde_json::{Map, Value};

/// A position in [`Schema::nodes`].
///
/// Two mentions of one named type have the same id, so a pair of ids identifies a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(usize);

/// A parsed schema with every name resolved.
#[derive(Debug)]
pub(crate) struct Schema {
    nodes: Vec<Node>,
    root: NodeId,
    /// Nodes below this index were defined by referenced schemas, and are printed by name.
    external: usize,
}

impl Schema {
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }
}

/// One type. Attributes that Avro does not define are kept in `props`, in their order.
#[derive(Debug)]
struct Node {
    kind: Kind,
    props: Map<String, Value>,
}

#[derive(Debug)]
enum Kind {
    Primitive(Primitive),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Record { named: Named, error: bool, fields: Vec<Field> },
    Enum { named: Named, symbols: Vec<String>, default: Option<String> },
    Fixed { named: Named, size: i32 },
}

impl Kind {
    fn named(&self) -> Option<&Named> {
        match self {
            Self::Record { named, .. } | Self::Enum { named, .. } | Self::Fixed { named, .. } => {
                Some(named)
            }
            Self::Primitive(_) | Self::Array(_) | Self::Map(_) | Self::Union(_) => None,
        }
    }

    /// The type's name in messages.
    fn label(&self) -> &'static str {
        match self {
            Self::Primitive(primitive) => primitive.label(),
            Self::Array(_) => "ARRAY",
            Self::Map(_) => "MAP",
            Self::Union(_) => "UNION",
            Self::Record { .. } => "RECORD",
            Self::Enum { .. } => "ENUM",
            Self::Fixed { .. } => "FIXED",
        }
    }
}

#[derive(Debug)]
struct Named {
    name: Name,
    doc: Option<String>,
    aliases: Vec<Name>,
}

#[derive(Debug)]
struct Field {
    name: String,
    schema: NodeId,
    doc: Option<String>,
    default: Option<Value>,
    order: Order,
    aliases: Vec<String>,
    props: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
    Ignore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

impl Primitive {
    const ALL: [(&'static str, &'static str, Self); 8] = [
        ("null", "NULL", Self::Null),
        ("boolean", "BOOLEAN", Self::Boolean),
        ("int", "INT", Self::Int),
        ("long", "LONG", Self::Long),
        ("float", "FLOAT", Self::Float),
        ("double", "DOUBLE", Self::Double),
        ("bytes", "BYTES", Self::Bytes),
        ("string", "STRING", Self::String),
    ];

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, ..)| *known == name).map(|(.., primitive)| *primitive)
    }

    fn row(self) -> (&'static str, &'static str, Self) {
        // The array lists the variants in their declared order.
        Self::ALL[self as usize]
    }

    fn name(self) -> &'static str {
        self.row().0
    }

    fn label(self) -> &'static str {
        self.row().1
    }
}

/// A name with its namespace; the empty namespace is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    name: String,
    space: Option<String>,
}

impl Name {
    fn full(&self) -> String {
        match &self.space {
            Some(space) => format!("{space}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The shortest text that means this name inside the namespace `current`.
    ///
    /// A type that is named like a built-in one (`n.string`) is always written in full.
    fn within(&self, current: Option<&str>) -> String {
        let short = self.space.as_deref() == current && !is_type_word(&self.name);
        if short { self.name.clone() } else { self.full() }
    }
}

fn is_type_word(name: &str) -> bool {
    Primitive::from_name(name).is_some()
        || matches!(name, "record" | "enum" | "array" | "map" | "union" | "fixed")
}

#[cfg(test)]
mod tests;
