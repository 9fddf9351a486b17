//! JSON objects to datums.

use std::sync::Arc;

use encoding_rs::Encoding;
use serde_json::Value;
use throughline_avro::{Node, json_to_datum};

use super::{Fields, Refused, Row, decode, key_of_document, legible, put_empty, put_present};
use crate::error::{NOT_JSON, RANGE, RowError, SHAPE, TYPE};
use crate::kind::Kind;
use crate::layout::Layout;
use crate::settings::{Column, EntitySettings, Shape};

/// Converts the objects of one file.
#[derive(Debug)]
pub(crate) struct JsonConverter {
    entity: Arc<EntitySettings>,
    layout: Layout,
    encoding: &'static Encoding,
    fields: Fields,
    columns: Vec<Vec<String>>,
    drops: Vec<Vec<String>>,
}

/// What was found where an object should be.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The object without what is dropped.
    pub value: Value,
}

impl JsonConverter {
    pub(crate) fn new(
        entity: &Arc<EntitySettings>,
        layout: &Layout,
        encoding: &'static Encoding,
    ) -> Self {
        let path = |path: &String| path.split('.').map(str::to_owned).collect();
        let columns = match &entity.shape {
            Shape::Columns(columns) => columns.iter().map(|column| path(&column.source)).collect(),
            Shape::Document(_) => Vec::new(),
        };
        Self {
            entity: Arc::clone(entity),
            layout: layout.clone(),
            encoding,
            fields: Fields::new(entity),
            columns,
            drops: entity.drop.iter().map(path).collect(),
        }
    }

    /// Parses an object and removes what is dropped. The error has the line within the text,
    /// counted from 0.
    pub(crate) fn parse(&self, bytes: &[u8]) -> Result<Parsed, (usize, RowError)> {
        let text = decode(bytes, self.encoding).map_err(|error| (0, error))?;
        let mut value: Value = serde_json::from_str(&text).map_err(|error| {
            let message = error.to_string();
            let reason = message.split(" at line ").next().unwrap_or_default();
            let error_at = RowError::new(NOT_JSON, reason).at(error.column());
            (error.line().saturating_sub(1), error_at)
        })?;
        if !value.is_object() {
            return Err((0, RowError::new(NOT_JSON, "not an object")));
        }
        for path in &self.drops {
            remove(&mut value, path);
        }
        Ok(Parsed { value })
    }

    /// Converts an object into an empty `row`.
    pub(crate) fn row(&mut self, parsed: &mut Parsed, row: &mut Row) -> Result<(), Refused> {
        let entity = Arc::clone(&self.entity);
        self.fields.clear();
        match &entity.shape {
            Shape::Document(schema) => {
                if entity.ignore_extra {
                    prune(&mut parsed.value, schema.root());
                }
                if let Err(error) = json_to_datum(schema.root(), &parsed.value, &mut row.document) {
                    let error = RowError::new(SHAPE, error.to_string());
                    return Err(Refused { error, key: self.key_alone(&parsed.value) });
                }
                Ok(key_of_document(&self.layout, &mut self.fields, row)?)
            }
            Shape::Columns(columns) => {
                let extra = self.extra(&parsed.value);
                for (column, path) in columns.iter().zip(&self.columns) {
                    let written = put(column, find(&parsed.value, path), &mut row.document);
                    self.fields.add(written, &row.document);
                }
                let finished =
                    self.fields.finish(row, |at, error| error.in_column(&columns[at].source));
                match (finished, extra) {
                    (Ok(()), Some(error)) => Err(Refused { error, key: Some(row.key.clone()) }),
                    (finished, _) => finished,
                }
            }
        }
    }

    /// Whether an object has declared fields only, in nested objects too. Of an entity that drops
    /// columns nothing else may be shown: it may be such a column under another name.
    pub(crate) fn is_declared(&self, value: &Value) -> bool {
        match &self.entity.shape {
            Shape::Document(schema) => fits(value, schema.root()),
            Shape::Columns(_) => {
                let columns: Vec<&[String]> = self.columns.iter().map(Vec::as_slice).collect();
                fits_columns(value, &columns)
            }
        }
    }

    /// The key of an object that does not fit the schema as a whole.
    fn key_alone(&self, value: &Value) -> Option<Vec<u8>> {
        let record = self.layout.key.record()?;
        let mut key = Vec::new();
        for field in &record.fields {
            json_to_datum(&field.node, value.get(&field.name)?, &mut key).ok()?;
        }
        Some(key)
    }

    /// What could not be parsed, for people.
    pub(crate) fn shown(&self, bytes: &[u8]) -> Vec<u8> {
        legible(bytes, self.encoding)
    }

    fn extra(&self, value: &Value) -> Option<RowError> {
        if self.entity.ignore_extra {
            return None;
        }
        let known = |name: &String| {
            let is_first = |path: &Vec<String>| path.first() == Some(name);
            self.columns.iter().any(is_first) || self.drops.iter().any(is_first)
        };
        let name = value.as_object()?.keys().find(|name| !known(name))?;
        let fix = "declare it, `drop` it, or write `extra_columns: ignore`";
        let reason = format!("the field {name:?} is not expected: {fix}");
        Some(RowError::new(SHAPE, reason))
    }
}

/// The value at a path; null counts as missing.
fn find<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    let found = path.iter().try_fold(value, |value, part| value.get(part))?;
    (!found.is_null()).then_some(found)
}

/// Removes what stands at a path, in each item of an array on the way.
fn remove(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Array(items), _) => items.iter_mut().for_each(|item| remove(item, path)),
        (Value::Object(fields), [last]) => {
            fields.shift_remove(last);
        }
        (Value::Object(fields), [first, rest @ ..]) => {
            if let Some(inner) = fields.get_mut(first) {
                remove(inner, rest);
            }
        }
        _ => {}
    }
}

/// Whether every name is on the way to a column, and what stands at a column has no names.
fn fits_columns(value: &Value, columns: &[&[String]]) -> bool {
    match value {
        Value::Object(fields) => fields.iter().all(|(name, value)| {
            let below = columns.iter().filter(|path| path.first() == Some(name));
            let below: Vec<&[String]> = below.map(|path| &path[1..]).collect();
            !below.is_empty() && fits_columns(value, &below)
        }),
        Value::Array(items) => items.iter().all(|item| fits_columns(item, columns)),
        _ => true,
    }
}

/// Whether every name is one of the schema. The names of a map are data, so it may hold anything.
fn fits(value: &Value, node: &Node) -> bool {
    match (value, node) {
        (value, Node::Union(branches)) => branches.iter().any(|branch| fits(value, branch)),
        (value, Node::Recursive(record)) => {
            record.upgrade().is_some_and(|record| fits(value, &Node::Record(record)))
        }
        (Value::Object(fields), Node::Record(record)) => fields.iter().all(|(name, value)| {
            record.field(name).is_some_and(|(_, field)| fits(value, &field.node))
        }),
        (Value::Array(items), Node::Array(item)) => items.iter().all(|value| fits(value, item)),
        (Value::Object(_) | Value::Array(_), _) => false,
        _ => true,
    }
}

/// Removes fields that the schema does not have.
fn prune(value: &mut Value, node: &Node) {
    match (value, node) {
        (Value::Object(fields), Node::Record(record)) => {
            fields.retain(|name, value| match record.field(name) {
                Some((_, field)) => {
                    prune(value, &field.node);
                    true
                }
                None => false,
            });
        }
        (Value::Object(entries), Node::Map(item)) => {
            entries.values_mut().for_each(|value| prune(value, item));
        }
        (Value::Array(items), Node::Array(item)) => {
            items.iter_mut().for_each(|value| prune(value, item));
        }
        // Only where one branch can be meant is it known which fields are too many.
        (value @ (Value::Object(_) | Value::Array(_)), Node::Union(branches)) => {
            let object = value.is_object();
            let mut fitting = branches.iter().filter(|branch| match &***branch {
                Node::Record(_) | Node::Map(_) | Node::Recursive(_) => object,
                Node::Array(_) => !object,
                _ => false,
            });
            if let (Some(branch), None) = (fitting.next(), fitting.next()) {
                prune(value, branch);
            }
        }
        (value, Node::Recursive(record)) => {
            if let Some(record) = record.upgrade() {
                prune(value, &Node::Record(record));
            }
        }
        _ => {}
    }
}

fn put(column: &Column, value: Option<&Value>, document: &mut Vec<u8>) -> Result<(), RowError> {
    let empty_text = |value: &Value| !column.kind.is_text() && value.as_str() == Some("");
    let Some(value) = value.filter(|value| !empty_text(value)) else {
        return put_empty(column, document);
    };
    put_present(column, document);
    let wrong = |expected: &str| RowError::new(TYPE, format!("not {expected}"));
    match (&column.kind, value) {
        (Kind::Json, value) => column.kind.put(&value.to_string(), document),
        (Kind::Long, Value::Number(number)) => match number.as_i64() {
            Some(long) => {
                throughline_avro::put_long(document, long);
                Ok(())
            }
            None if number.as_str().contains(['.', 'e', 'E']) => Err(wrong("a whole number")),
            None => Err(RowError::new(RANGE, "a whole number that does not fit 64 bits")),
        },
        (Kind::Double | Kind::DecimalText | Kind::Decimal { .. }, Value::Number(number)) => {
            column.kind.put(number.as_str(), document)
        }
        (Kind::Boolean, Value::Bool(flag)) => {
            throughline_avro::put_boolean(document, *flag);
            Ok(())
        }
        (Kind::Long | Kind::Double, _) => Err(wrong("a number")),
        (Kind::Boolean, _) => Err(wrong("true or false")),
        (_, Value::String(text)) => column.kind.put(text, document),
        _ => Err(wrong("a text")),
    }
}
