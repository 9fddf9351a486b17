//! Prints a schema as the one text that identifies it.
//!
//! Two documents are the same schema when they print alike: white space, the order of Avro's own
//! attributes, and the ways to write a name do not count; documentation, defaults, aliases and
//! other properties do. Attribute order is that of the Java library, so that a schema that another
//! registry stored has the same text here.

use std::collections::HashSet;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use serde_json::{Map, Value};

use super::{Field, Kind, Name, Named, NodeId, Order, Schema};

/// Which differences the text keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Properties in the order they were written in.
    Canonical,
    /// Properties sorted by name, at every depth: what `normalize=true` asks for.
    Normalized,
}

/// The schema's text in `form`.
pub(crate) fn print(schema: &Schema, form: Form) -> String {
    let mut printer = Printer { schema, form, space: None, written: HashSet::new() };
    let tree = printer.node(schema.root);
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, JavaJson);
    tree.serialize(&mut serializer).expect("a tree of texts is written to memory");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

struct Printer<'a> {
    schema: &'a Schema,
    form: Form,
    space: Option<&'a str>,
    written: HashSet<NodeId>,
}

type Object = Map<String, Value>;

impl<'a> Printer<'a> {
    fn node(&mut self, id: NodeId) -> Value {
        let schema = self.schema;
        let node = schema.node(id);
        let mut object = Object::new();
        match &node.kind {
            Kind::Primitive(primitive) if node.props.is_empty() => return primitive.name().into(),
            Kind::Union(branches) => {
                return branches.iter().map(|branch| self.node(*branch)).collect();
            }
            Kind::Primitive(primitive) => {
                object.insert("type".into(), primitive.name().into());
                self.properties(&mut object, &node.props);
            }
            Kind::Array(items) => {
                object.insert("type".into(), "array".into());
                object.insert("items".into(), self.node(*items));
                self.properties(&mut object, &node.props);
            }
            Kind::Map(values) => {
                object.insert("type".into(), "map".into());
                object.insert("values".into(), self.node(*values));
                self.properties(&mut object, &node.props);
            }
            Kind::Record { named, .. } | Kind::Enum { named, .. } | Kind::Fixed { named, .. } => {
                if id.0 < schema.external || !self.written.insert(id) {
                    return named.name.within(self.space).into();
                }
                self.definition(&node.kind, named, &node.props, &mut object);
            }
        }
        Value::Object(object)
    }

    fn definition(
        &mut self,
        kind: &'a Kind,
        named: &'a Named,
        props: &'a Object,
        object: &mut Object,
    ) {
        let word = match kind {
            Kind::Enum { .. } => "enum",
            Kind::Fixed { .. } => "fixed",
            Kind::Record { error: true, .. } => "error",
            _ => "record",
        };
        object.insert("type".into(), word.into());
        self.name(&named.name, object);
        let outer = self.space;
        self.space = named.name.space.as_deref();
        if let Some(doc) = &named.doc {
            object.insert("doc".into(), doc.as_str().into());
        }
        match kind {
            Kind::Record { fields, .. } => {
                let fields = fields.iter().map(|field| self.field(field)).collect();
                object.insert("fields".into(), fields);
            }
            Kind::Enum { symbols, default, .. } => {
                object.insert("symbols".into(), symbols.as_slice().into());
                if let Some(default) = default {
                    object.insert("default".into(), default.as_str().into());
                }
            }
            Kind::Fixed { size, .. } => {
                object.insert("size".into(), (*size).into());
            }
            Kind::Primitive(_) | Kind::Array(_) | Kind::Map(_) | Kind::Union(_) => {}
        }
        self.properties(object, props);
        if !named.aliases.is_empty() {
            let aliases = named.aliases.iter().map(|alias| alias.within(self.space)).collect();
            object.insert("aliases".into(), aliases);
        }
        self.space = outer;
    }

    fn name(&self, name: &Name, object: &mut Object) {
        object.insert("name".into(), name.name.as_str().into());
        if name.space.as_deref() != self.space {
            object.insert("namespace".into(), name.space.as_deref().unwrap_or_default().into());
        }
    }

    fn field(&mut self, field: &'a Field) -> Value {
        let mut object = Object::new();
        object.insert("name".into(), field.name.as_str().into());
        object.insert("type".into(), self.node(field.schema));
        if let Some(doc) = &field.doc {
            object.insert("doc".into(), doc.as_str().into());
        }
        if let Some(default) = &field.default {
            object.insert("default".into(), self.value(default));
        }
        match field.order {
            Order::Ascending => {}
            Order::Descending => _ = object.insert("order".into(), "descending".into()),
            Order::Ignore => _ = object.insert("order".into(), "ignore".into()),
        }
        if !field.aliases.is_empty() {
            object.insert("aliases".into(), field.aliases.as_slice().into());
        }
        self.properties(&mut object, &field.props);
        Value::Object(object)
    }

    fn properties(&self, object: &mut Object, props: &Object) {
        let mut props: Vec<_> = props.iter().collect();
        if self.form == Form::Normalized {
            props.sort_by_key(|(key, _)| *key);
        }
        object.extend(props.into_iter().map(|(key, value)| (key.clone(), self.value(value))));
    }

    /// A JSON value that is not a schema: a default or a property.
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(|value| self.value(value)).collect(),
            Value::Object(inner) => {
                let mut object = Object::new();
                self.properties(&mut object, inner);
                Value::Object(object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
}

/// Writes JSON as Java's library does, where the two differ: numbers and control characters.
struct JavaJson;

impl Formatter for JavaJson {
    /// A number with a fraction or an exponent is read as a double there, and written as one: `1e3`
    /// becomes `1000.0`.
    fn write_number_str<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        value: &str,
    ) -> io::Result<()> {
        let double = value.contains(['.', 'e', 'E']).then(|| value.parse::<f64>());
        match double {
            Some(Ok(double)) => writer.write_all(java_double(double).as_bytes()),
            Some(Err(_)) | None => writer.write_all(value.as_bytes()),
        }
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
            other => CompactFormatter.write_char_escape(writer, other),
        }
    }
}

/// Java's `Double.toString`; what is beyond a double becomes a text.
fn java_double(double: f64) -> String {
    if !double.is_finite() {
        return if double > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }.to_owned();
    }
    let plain = double == 0.0 || (1e-3..1e7).contains(&double.abs());
    let mut text = if plain { format!("{double}") } else { format!("{double:E}") };
    let mantissa = text.find('E').unwrap_or(text.len());
    if !text[..mantissa].contains('.') {
        text.insert_str(mantissa, ".0");
    }
    text
}
