//! Reads a schema document into a [`Schema`].
//!
//! Accepts and refuses what the Java library's parser does: names are checked and may not be
//! defined twice, a named type must be defined before it is used, unions are flat and have
//! one branch per type, and a default must fit its field's type. Input is hostile: the JSON reader
//! bounds the nesting, so the recursion here is bounded too.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::default::checked_default;
use super::{Field, Kind, Name, Named, Node, NodeId, Order, Primitive, Schema};

/// Why a text is not an Avro schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at '{location}'")]
pub(crate) struct InvalidSchema {
    /// What is wrong there.
    pub(crate) reason: String,
    /// JSON pointer into the document; `/` is its root.
    pub(crate) location: String,
}

/// Parses `text`; the names in `references` are known to it, and each of these may use the earlier.
///
/// # Errors
///
/// [`InvalidSchema`] for anything that is not one schema document.
pub(crate) fn parse(text: &str, references: &[&str]) -> Result<Schema, InvalidSchema> {
    let mut parser = Parser::default();
    for reference in references {
        parser.document(reference)?;
    }
    let external = parser.nodes.len();
    let root = parser.document(text)?;
    Ok(Schema { nodes: parser.nodes, root, external })
}

/// Attributes with a meaning of their own; every other one is a property.
const SCHEMA_WORDS: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const FIELD_WORDS: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
    space: Option<String>,
    path: Vec<String>,
    /// Records whose fields are still being read; such a record has no value yet.
    open: Vec<NodeId>,
}

type Object = Map<String, Value>;

impl Parser {
    fn document(&mut self, text: &str) -> Result<NodeId, InvalidSchema> {
        self.space = None;
        self.path.clear();
        let value: Value = serde_json::from_str(text)
            .map_err(|error| self.invalid(format!("not a JSON document: {error}")))?;
        self.schema(&value)
    }

    fn invalid(&self, reason: impl Into<String>) -> InvalidSchema {
        InvalidSchema { reason: reason.into(), location: format!("/{}", self.path.join("/")) }
    }

    fn at<T>(
        &mut self,
        step: impl Into<String>,
        inner: impl FnOnce(&mut Self) -> Result<T, InvalidSchema>,
    ) -> Result<T, InvalidSchema> {
        self.path.push(step.into());
        let result = inner(self)?;
        self.path.pop();
        Ok(result)
    }

    fn push(&mut self, kind: Kind, props: Object) -> NodeId {
        self.nodes.push(Node { kind, props });
        NodeId(self.nodes.len() - 1)
    }

    fn schema(&mut self, value: &Value) -> Result<NodeId, InvalidSchema> {
        match value {
            Value::String(name) => self.mention(name),
            Value::Object(object) => self.object(object),
            Value::Array(branches) => self.union(branches),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err(self.invalid("a schema is a name, an object or a list"))
            }
        }
    }

    /// A type by name: a primitive, or a named type of this namespace, or of none.
    fn mention(&mut self, name: &str) -> Result<NodeId, InvalidSchema> {
        if let Some(primitive) = Primitive::from_name(name) {
            return Ok(self.push(Kind::Primitive(primitive), Object::new()));
        }
        self.resolve(name)?.ok_or_else(|| self.invalid(format!("'{name}' is not a defined name")))
    }

    fn resolve(&self, name: &str) -> Result<Option<NodeId>, InvalidSchema> {
        let here = self.name(name, self.space.as_deref())?.full();
        Ok(self.names.get(&here).or_else(|| self.names.get(name)).copied())
    }

    fn object(&mut self, object: &Object) -> Result<NodeId, InvalidSchema> {
        let Some(Value::String(word)) = object.get("type") else {
            return Err(self.invalid("no 'type'"));
        };
        let is_enum = word == "enum";
        let props =
            properties(object, |key| SCHEMA_WORDS.contains(&key) || (is_enum && key == "default"));
        if let Some(primitive) = Primitive::from_name(word) {
            return Ok(self.push(Kind::Primitive(primitive), props));
        }
        match word.as_str() {
            "array" => {
                let items = self.required(object, "items")?;
                let items = self.at("items", |parser| parser.schema(items))?;
                Ok(self.push(Kind::Array(items), props))
            }
            "map" => {
                let values = self.required(object, "values")?;
                let values = self.at("values", |parser| parser.schema(values))?;
                Ok(self.push(Kind::Map(values), props))
            }
            "record" | "error" | "enum" | "fixed" => self.define(word, object, props),
            // An object around a name means that name; its other attributes are dropped.
            other => self
                .resolve(other)?
                .ok_or_else(|| self.invalid(format!("'{other}' is not a known type"))),
        }
    }

    fn required<'a>(&self, object: &'a Object, key: &str) -> Result<&'a Value, InvalidSchema> {
        object.get(key).ok_or_else(|| self.invalid(format!("no '{key}'")))
    }

    fn union(&mut self, branches: &[Value]) -> Result<NodeId, InvalidSchema> {
        let mut ids = Vec::with_capacity(branches.len());
        let mut seen = std::collections::HashSet::new();
        for (index, branch) in branches.iter().enumerate() {
            let id = self.at(index.to_string(), |parser| parser.schema(branch))?;
            let kind = &self.nodes[id.0].kind;
            let key = match kind {
                Kind::Union(_) => return Err(self.invalid("a union directly inside a union")),
                kind => kind.named().map_or_else(|| kind.label().to_owned(), |n| n.name.full()),
            };
            if let Some(key) = seen.replace(key) {
                return Err(self.invalid(format!("two branches of type {key} in a union")));
            }
            ids.push(id);
        }
        Ok(self.push(Kind::Union(ids), Object::new()))
    }

    fn define(
        &mut self,
        word: &str,
        object: &Object,
        props: Object,
    ) -> Result<NodeId, InvalidSchema> {
        let given = object.get("namespace").and_then(Value::as_str);
        let space = given.or(self.space.as_deref());
        let name = object.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| self.invalid("no 'name'"))?;
        let name = self.name(name, space)?;
        let full = name.full();
        if Primitive::from_name(&full).is_some() {
            return Err(self.invalid(format!("a type may not be named '{full}'")));
        }
        if self.names.contains_key(&full) {
            return Err(self.invalid(format!("'{full}' is already defined")));
        }
        let named = Named {
            doc: text_of(object, "doc"),
            aliases: self
                .texts(object, "aliases")?
                .iter()
                .map(|alias| self.name(alias, name.space.as_deref()))
                .collect::<Result<_, _>>()?,
            name,
        };
        let outer = std::mem::replace(&mut self.space, named.name.space.clone());
        let id = match word {
            "enum" => self.enumeration(object, named, props)?,
            "fixed" => self.fixed(object, named, props)?,
            _ => self.record(object, named, word == "error", props)?,
        };
        self.space = outer;
        Ok(id)
    }

    fn named(&mut self, kind: Kind, props: Object) -> NodeId {
        let full = kind.named().map(|named| named.name.full());
        let id = self.push(kind, props);
        self.names.extend(full.map(|full| (full, id)));
        id
    }

    fn record(
        &mut self,
        object: &Object,
        named: Named,
        error: bool,
        props: Object,
    ) -> Result<NodeId, InvalidSchema> {
        // The name is known before its fields are read, so that a record can contain itself.
        let name = named.name.full();
        let id = self.named(Kind::Record { named, error, fields: Vec::new() }, props);
        let Some(Value::Array(written)) = object.get("fields") else {
            return Err(self.invalid(format!("record '{name}' has no list of 'fields'")));
        };
        self.open.push(id);
        let read = self.at("fields", |parser| {
            let mut read: Vec<Field> = Vec::with_capacity(written.len());
            let mut seen = std::collections::HashSet::new();
            for (index, value) in written.iter().enumerate() {
                let field = parser.at(index.to_string(), |parser| parser.field(value))?;
                if !seen.insert(field.name.clone()) {
                    return Err(parser.invalid(format!("field '{}' is there twice", field.name)));
                }
                read.push(field);
            }
            Ok(read)
        })?;
        self.open.pop();
        if let Kind::Record { fields, .. } = &mut self.nodes[id.0].kind {
            *fields = read;
        }
        Ok(id)
    }

    fn field(&mut self, value: &Value) -> Result<Field, InvalidSchema> {
        let Value::Object(object) = value else {
            return Err(self.invalid("a field is an object"));
        };
        let name = object.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| self.invalid("a field without 'name'"))?;
        self.check_word(name)?;
        let schema = self.required(object, "type")?;
        let schema = self.at("type", |parser| parser.schema(schema))?;
        let default = match object.get("default") {
            None => None,
            Some(value) => {
                Some(checked_default(&self.nodes, &self.open, schema, value).ok_or_else(|| {
                    let label = self.nodes[schema.0].kind.label();
                    self.invalid(format!("the default of field '{name}' is not of type {label}"))
                })?)
            }
        };
        let order = match text_of(object, "order").map(|order| order.to_ascii_lowercase()) {
            None => Order::Ascending,
            Some(order) => match order.as_str() {
                "ascending" => Order::Ascending,
                "descending" => Order::Descending,
                "ignore" => Order::Ignore,
                _ => return Err(self.invalid(format!("'{order}' is not an order"))),
            },
        };
        Ok(Field {
            name: name.to_owned(),
            schema,
            doc: text_of(object, "doc"),
            default,
            order,
            aliases: self.texts(object, "aliases")?,
            props: properties(object, |key| FIELD_WORDS.contains(&key)),
        })
    }

    fn enumeration(
        &mut self,
        object: &Object,
        named: Named,
        props: Object,
    ) -> Result<NodeId, InvalidSchema> {
        if !object.contains_key("symbols") {
            return Err(self.invalid("an enum without 'symbols'"));
        }
        let written = self.listed(object, "symbols")?;
        let mut seen = std::collections::HashSet::new();
        for symbol in &written {
            self.check_word(symbol)?;
            if !seen.insert(symbol) {
                return Err(self.invalid(format!("symbol '{symbol}' is there twice")));
            }
        }
        let default = text_of(object, "default");
        if let Some(default) = default.as_ref().filter(|default| !seen.contains(default)) {
            return Err(self.invalid(format!("the default '{default}' is not a symbol")));
        }
        Ok(self.named(Kind::Enum { named, symbols: written, default }, props))
    }

    fn fixed(
        &mut self,
        object: &Object,
        named: Named,
        props: Object,
    ) -> Result<NodeId, InvalidSchema> {
        let size = object.get("size").and_then(Value::as_i64);
        let size = size.and_then(|size| i32::try_from(size).ok()).filter(|size| *size >= 0);
        let size = size.ok_or_else(|| self.invalid("a fixed without a valid 'size'"))?;
        Ok(self.named(Kind::Fixed { named, size }, props))
    }

    /// An optional list of texts, without repetitions.
    fn texts(&self, object: &Object, key: &str) -> Result<Vec<String>, InvalidSchema> {
        let mut texts = self.listed(object, key)?;
        let mut seen = std::collections::HashSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        Ok(texts)
    }

    fn listed(&self, object: &Object, key: &str) -> Result<Vec<String>, InvalidSchema> {
        let wrong = || self.invalid(format!("'{key}' is not a list of texts"));
        match object.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// A name as written; dots in it override `space`.
    fn name(&self, written: &str, space: Option<&str>) -> Result<Name, InvalidSchema> {
        let (space, name) = match written.rsplit_once('.') {
            Some((space, name)) => (Some(space), name),
            None => (space, written),
        };
        self.check_word(name)?;
        let space = space.filter(|space| !space.is_empty()).map(str::to_owned);
        Ok(Name { name: name.to_owned(), space })
    }

    fn check_word(&self, word: &str) -> Result<(), InvalidSchema> {
        let mut characters = word.chars();
        let starts = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_');
        if starts && characters.all(|next| next.is_alphanumeric() || next == '_') {
            return Ok(());
        }
        Err(self.invalid(format!("'{word}' is not a valid name")))
    }
}

fn text_of(object: &Object, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn properties(object: &Object, reserved: impl Fn(&str) -> bool) -> Object {
    object
        .iter()
        .filter(|(key, _)| !reserved(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
