//! The type of a mapping's result against the canonical schemas.
//!
//! The result is an object: canonical entity -> record, list of records, or null. `meta` and the
//! record's own `system` belong to the engine. Where VRL cannot know a type (text taken out of a
//! regular expression), the record is checked when it is written instead.

use throughline_avro::{Logical, Node as AvroNode, Record};
use vrl::compiler::Program;
use vrl::diagnostic::Span;
use vrl::parser::ast;
use vrl::value::Kind;

use super::place::{Places, Segment};
use crate::CanonicalEntity;
use crate::diagnostics::{LoadError, Source, nearest};

/// Fields of a record's root that the engine fills.
pub(crate) const ENGINE_FIELDS: [&str; 2] = ["meta", "system"];

/// Everything about the result that does not fit, with its place.
pub(super) fn check(
    source: Source<'_>,
    ast: &ast::Program,
    program: &Program,
    canonical: &[&'static CanonicalEntity],
) -> Vec<(Span, LoadError)> {
    let result = program.final_type_info().result;
    let kind = result.kind().union(result.returns().clone());
    let mut check = Check { source, places: Places::new(ast), path: Vec::new(), found: Vec::new() };
    check.result(&kind, canonical);
    check.found
}

struct Check<'a> {
    source: Source<'a>,
    places: Places<'a>,
    path: Vec<Segment>,
    found: Vec<(Span, LoadError)>,
}

impl Check<'_> {
    fn result(&mut self, kind: &Kind, canonical: &[&'static CanonicalEntity]) {
        let names = || canonical.iter().map(|entity| entity.name.as_str());
        let Some(outputs) = kind.as_object().filter(|_| kind.is_object()) else {
            let all: Vec<_> = names().collect();
            let fix = format!("end with {{\"{}\": ...}}", all.join("\": ..., \""));
            return self.add("TL2007", "the result is not always an object", Some(fix));
        };
        for (name, kind) in outputs.known() {
            self.path.push(Segment::Field(name.as_str().to_owned()));
            match canonical.iter().find(|entity| entity.name.as_str() == name.as_str()) {
                Some(entity) => self.records(kind, entity),
                None => {
                    let fix = match crate::canonical_entity(name) {
                        Some(_) => Some("add it to `canonical` in system.yaml".to_owned()),
                        None => nearest(name, names()),
                    };
                    let message = format!("the pack does not write canonical entity `{name}`");
                    self.add("TL2005", message, fix);
                }
            }
            self.path.pop();
        }
    }

    fn records(&mut self, kind: &Kind, entity: &CanonicalEntity) {
        if unknown(kind) {
            return;
        }
        let record = entity.value.record().expect("canonical records are records");
        let mut one = kind.clone();
        one.remove_array();
        one.remove_null();
        one.remove_undefined();
        if let Some(items) = kind.as_array() {
            let mut item = items.unknown_kind();
            items.known().values().for_each(|known| item = item.union(known.clone()));
            item.remove_undefined();
            self.path.push(Segment::Item);
            self.record(&item, record, true);
            self.path.pop();
        }
        if !one.is_never() {
            self.record(&one, record, true);
        }
    }

    fn record(&mut self, kind: &Kind, record: &Record, root: bool) {
        if unknown(kind) || kind.is_never() {
            return;
        }
        let Some(fields) = kind.as_object().filter(|_| kind.is_object()) else {
            return self.wrong_type("an object", kind);
        };
        let own = |name: &str| root && ENGINE_FIELDS.contains(&name);
        for (name, kind) in fields.known() {
            let name = name.as_str();
            self.path.push(Segment::Field(name.to_owned()));
            match record.field(name) {
                _ if own(name) => {
                    let message = format!("field `{name}` is filled by the engine");
                    self.add("TL2006", message, Some("leave it out".to_owned()));
                }
                Some((_, field)) => self.field(kind, field),
                None if kind.is_undefined() => {}
                None => {
                    let known = record.fields.iter().map(|field| field.name.as_str());
                    let fix = nearest(name, known.filter(|name| !own(name)));
                    let message = format!("{} has no field `{name}`", short(&record.name));
                    self.add("TL2006", message, fix);
                }
            }
            self.path.pop();
        }
        if !fields.unknown_kind().is_undefined() {
            return;
        }
        let given = |name: &str| fields.known().keys().any(|known| known.as_str() == name);
        for field in &record.fields {
            let filled = own(&field.name) || field.name == "system" || field.default.is_some();
            if !filled && !given(&field.name) {
                let message = format!("{} needs field `{}`", short(&record.name), field.name);
                self.add("TL2008", message, Some(field.doc.clone()));
            }
        }
    }

    fn field(&mut self, kind: &Kind, field: &throughline_avro::Field) {
        let mut kind = kind.clone();
        if field.default.is_some() || field.name == "system" {
            kind.remove_null();
            kind.remove_undefined();
            if kind.is_never() {
                return;
            }
        }
        self.value(&kind, &field.node);
    }

    fn value(&mut self, kind: &Kind, node: &AvroNode) {
        if unknown(kind) || kind.is_never() {
            return;
        }
        match node {
            AvroNode::Union(branches) => {
                let mut kind = kind.clone();
                kind.remove_null();
                kind.remove_undefined();
                let other = branches.iter().find(|branch| !matches!(***branch, AvroNode::Null));
                if let (Some(other), false) = (other, kind.is_never()) {
                    self.value(&kind, other);
                }
            }
            AvroNode::Record(record) => self.record(kind, record, false),
            AvroNode::Array(item) => match kind.as_array().filter(|_| kind.is_array()) {
                Some(items) => {
                    self.path.push(Segment::Item);
                    let mut all = items.unknown_kind();
                    all.remove_undefined();
                    items.known().values().for_each(|known| all = all.union(known.clone()));
                    self.value(&all, item);
                    self.path.pop();
                }
                None => self.wrong_type("a list", kind),
            },
            AvroNode::Map(value) => match kind.as_object().filter(|_| kind.is_object()) {
                Some(entries) => {
                    for (name, kind) in entries.known() {
                        self.path.push(Segment::Field(name.as_str().to_owned()));
                        let mut kind = kind.clone();
                        kind.remove_null();
                        kind.remove_undefined();
                        self.value(&kind, value);
                        self.path.pop();
                    }
                }
                None => self.wrong_type("an object", kind),
            },
            scalar => {
                let (fits, expected) = match scalar {
                    AvroNode::String(_) => (kind.is_bytes(), "text"),
                    AvroNode::Boolean => (kind.is_boolean(), "a boolean"),
                    AvroNode::Long(Some(Logical::TimestampMicros)) => {
                        (kind.is_timestamp(), "a timestamp")
                    }
                    _ => (kind.is_integer(), "a whole number"),
                };
                if !fits {
                    self.wrong_type(expected, kind);
                }
            }
        }
    }

    fn wrong_type(&mut self, expected: &str, found: &Kind) {
        let name = self.path.iter().rev().find_map(|segment| match segment {
            Segment::Field(name) => Some(name.as_str()),
            Segment::Item => None,
        });
        let message = format!(
            "field `{}` needs {expected}, this is {}",
            name.unwrap_or("result"),
            describe(found)
        );
        let fix = (found.contains_null() || found.contains_undefined())
            .then(|| "say what to use when it is null: `.field || \"...\"`".to_owned());
        self.add("TL2007", message, fix);
    }

    fn add(&mut self, code: &'static str, message: impl Into<String>, fix: Option<String>) {
        let span = self.places.find(&self.path);
        let fix = fix.filter(|fix| !fix.is_empty());
        self.found.push((span, self.source.error(code, span, message, fix)));
    }
}

/// Whether VRL does not know the type at all: no real union has all of these.
fn unknown(kind: &Kind) -> bool {
    kind.contains_bytes()
        && kind.contains_integer()
        && kind.contains_boolean()
        && kind.contains_object()
        && kind.contains_array()
}

fn describe(kind: &Kind) -> String {
    let names = [
        (kind.contains_bytes(), "text"),
        (kind.contains_integer(), "a whole number"),
        (kind.contains_float(), "a float"),
        (kind.contains_boolean(), "a boolean"),
        (kind.contains_timestamp(), "a timestamp"),
        (kind.contains_regex(), "a pattern"),
        (kind.contains_object(), "an object"),
        (kind.contains_array(), "a list"),
        (kind.contains_null() || kind.contains_undefined(), "null"),
    ];
    let names: Vec<_> = names.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    names.join(" or ")
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
