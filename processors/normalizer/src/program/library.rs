//! Functions of VRL's own library, for the values of this crate.
//!
//! Each evaluates its arguments in the order in which VRL's does and fails in the same words.

use std::borrow::Cow;
use std::collections::HashSet;

use bumpalo::collections::Vec as ArenaVec;
use chrono::SecondsFormat;
use chrono::format::{Item, StrftimeItems};
use vrl::compiler::prelude::{Collection, Kind};

use super::budget::Charged;
use super::failure::Failure;
use super::run::{Machine, expected, item, kind_of, list, lossy};
use super::{Call, Evaluated, LibraryFunction};
use crate::value::{Object, Value, to_vrl};

/// Name, parameters that may be given, function. A call with others is left to VRL.
pub(super) const FUNCTIONS: &[(&str, &[&str], LibraryFunction)] = &[
    ("append", &["value", "items"], append),
    ("array", &["value"], |machine, call| assert(machine, call, "array")),
    ("bool", &["value"], |machine, call| assert(machine, call, "boolean")),
    ("compact", &["value"], compact),
    ("contains", &["value", "substring"], contains),
    ("downcase", &["value"], |machine, call| {
        let value = machine.argument(call, 0)?;
        machine.text(&lossy(value)?.to_lowercase())
    }),
    ("ends_with", &["value", "substring"], ends_with),
    ("flatten", &["value"], flatten),
    ("format_timestamp", &["value", "format"], format_timestamp),
    ("get", &["value", "path"], get),
    ("includes", &["value", "item"], includes),
    ("int", &["value"], |machine, call| assert(machine, call, "integer")),
    ("is_null", &["value"], |machine, call| Ok(Value::from(machine.argument(call, 0)?.is_null()))),
    ("join", &["value", "separator"], join),
    ("length", &["value"], length),
    ("merge", &["to", "from"], merge),
    ("object", &["value"], |machine, call| assert(machine, call, "map")),
    ("starts_with", &["value", "substring"], starts_with),
    ("string", &["value"], |machine, call| assert(machine, call, "string")),
    ("strip_whitespace", &["value"], |machine, call| match lossy(machine.argument(call, 0)?)? {
        Cow::Borrowed(text) => Ok(machine.scope.borrowed(text.trim())),
        Cow::Owned(text) => machine.text(text.trim()),
    }),
    ("timestamp", &["value"], |machine, call| assert(machine, call, "timestamp")),
    ("to_string", &["value"], to_string),
    ("unique", &["value"], unique),
    ("upcase", &["value"], |machine, call| {
        let value = machine.argument(call, 0)?;
        machine.text(&lossy(value)?.to_uppercase())
    }),
];

/// The value, when it is of this kind.
fn assert<'a>(machine: &mut Machine<'a>, call: &'a Call, kind: &str) -> Evaluated<'a> {
    let value = machine.argument(call, 0)?;
    if value.kind_str() == kind {
        return Ok(value);
    }
    // A map is an object in this sentence.
    let kind = if kind == "map" { "object" } else { kind };
    Err(Failure::error(format!("expected {kind}, got {}", kind_of(value))))
}

fn object(value: Value<'_>) -> Result<Object<'_>, Box<Failure>> {
    value.as_object().ok_or_else(|| expected(Kind::object(Collection::any()), value))
}

fn bytes(value: Value<'_>) -> Result<&[u8], Box<Failure>> {
    value.as_bytes().ok_or_else(|| expected(Kind::bytes(), value))
}

fn list_or_object() -> Kind {
    Kind::array(Collection::any()) | Kind::object(Collection::any())
}

fn append<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let (value, items) = (machine.argument(call, 0)?, machine.argument(call, 1)?);
    let (value, items) = (list(value)?, list(items)?);
    machine.budget.values(value.len() + items.len())?;
    let mut all = ArenaVec::with_capacity_in(value.len() + items.len(), machine.scope.arena);
    all.extend_from_slice_copy(value);
    all.extend_from_slice_copy(items);
    Ok(machine.scope.list(all.into_bump_slice()))
}

fn compact<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    match machine.argument(call, 0)? {
        value @ (Value::Array(_) | Value::Object(_)) => {
            machine.budget.tree(value)?;
            without_empty(value, machine)
        }
        value => Err(expected(list_or_object(), value)),
    }
}

/// Before anything of the value is copied, all of it was counted.
fn without_empty<'a>(value: Value<'a>, machine: &mut Machine<'a>) -> Evaluated<'a> {
    match value {
        Value::Array(items) => {
            machine.budget.values(items.len())?;
            let kept = items.iter().map(|item| without_empty(*item, machine));
            let kept = kept.filter(|item| !item.as_ref().is_ok_and(|item| is_empty(*item)));
            let kept: Vec<_> = kept.collect::<Result<_, _>>()?;
            Ok(machine.scope.array(&kept))
        }
        Value::Object(object) => {
            let mut kept = Vec::with_capacity(object.len());
            for (name, value) in object.entries() {
                let value = without_empty(value, machine)?;
                if !is_empty(value) {
                    kept.push((name, value));
                }
            }
            machine.entries(kept)
        }
        value => Ok(value),
    }
}

fn is_empty(value: Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.len() == 0,
        _ => false,
    }
}

fn contains<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let (value, part) = (machine.argument(call, 0)?, machine.argument(call, 1)?);
    let value = lossy(value)?;
    Ok(Value::from(value.contains(&*lossy(part)?)))
}

fn starts_with<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let part = bytes(machine.argument(call, 1)?)?;
    let value = bytes(machine.argument(call, 0)?)?;
    Ok(Value::from(value.starts_with(part)))
}

fn ends_with<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let part = machine.argument(call, 1)?;
    let value = machine.argument(call, 0)?;
    let value = lossy(value)?;
    Ok(Value::from(value.ends_with(&*lossy(part)?)))
}

fn flatten<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let value = machine.argument(call, 0)?;
    machine.budget.tree(value)?;
    match value {
        Value::Array(items) => {
            let mut flat = Vec::new();
            flatten_list(items, machine, &mut flat)?;
            Ok(machine.scope.array(&flat))
        }
        Value::Object(object) => {
            let mut flat = Vec::new();
            flatten_object(object, None, machine, &mut flat)?;
            machine.entries(flat)
        }
        value => Err(expected(list_or_object(), value)),
    }
}

fn flatten_list<'a>(
    items: &[Value<'a>],
    machine: &mut Machine<'a>,
    flat: &mut Vec<Value<'a>>,
) -> Charged {
    machine.budget.values(items.len())?;
    for item in items {
        match item {
            Value::Array(items) => flatten_list(items, machine, flat)?,
            item => flat.push(*item),
        }
    }
    Ok(())
}

fn flatten_object<'a>(
    object: Object<'a>,
    parent: Option<&str>,
    machine: &mut Machine<'a>,
    flat: &mut Vec<(&'a str, Value<'a>)>,
) -> Charged {
    for (name, value) in object.entries() {
        let name: &'a str = match parent {
            Some(parent) => {
                machine.budget.bytes(parent.len() + name.len())?;
                machine.scope.arena.alloc_str(&format!("{parent}.{name}"))
            }
            None => name,
        };
        match value {
            Value::Object(inner) => flatten_object(inner, Some(name), machine, flat)?,
            value => flat.push((name, value)),
        }
    }
    Ok(())
}

fn format_timestamp<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let format = machine.argument(call, 1)?;
    let value = machine.argument(call, 0)?;
    let Value::Timestamp(time) = value else { return Err(expected(Kind::timestamp(), value)) };
    let format = lossy(format)?;
    // The longest item of two letters is a date of some thirty.
    machine.budget.bytes(16 * format.len())?;
    let items: Vec<_> = StrftimeItems::new(&format).collect();
    if items.contains(&Item::Error) {
        return Err(Failure::error("invalid format"));
    }
    machine.text(&time.format_with_items(items.into_iter()).to_string())
}

fn get<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let path = machine.argument(call, 1)?;
    let value = machine.argument(call, 0)?;
    let path = list(path)?;
    let step = |segment: &Value<'a>| match *segment {
        Value::Integer(_) | Value::Text(_) | Value::Bytes(_) => Ok(()),
        other => {
            let kind = kind_of(other);
            let reason = format!("path segment must be either string or integer, not {kind}");
            Err(Failure::error(reason))
        }
    };
    machine.budget.step(path.len() as u64)?;
    // All of the path is looked at before any of it is followed.
    path.iter().try_for_each(step)?;
    let found = path.iter().try_fold(value, |value, segment| match (value, *segment) {
        (Value::Array(items), Value::Integer(index)) => item(items, index),
        (Value::Object(object), Value::Text(name)) => object.find(name),
        (Value::Object(object), Value::Bytes(name)) => object.find(&String::from_utf8_lossy(name)),
        _ => None,
    });
    Ok(found.unwrap_or(Value::Null))
}

fn includes<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let (items, wanted) = (machine.argument(call, 0)?, machine.argument(call, 1)?);
    machine.budget.tree(items)?;
    Ok(Value::from(list(items)?.contains(&wanted)))
}

fn join<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let items = machine.argument(call, 0)?;
    let separator = match &call.arguments[1] {
        Some(separator) => Some(machine.evaluate(separator)?),
        None => None,
    };
    let items = list(items)?;
    machine.budget.step(items.len() as u64)?;
    let parts: Result<Vec<_>, _> = items.iter().map(|item| lossy(*item)).collect();
    let parts = parts.map_err(|_| Failure::error("all array items must be strings"))?;
    let separator = separator.map_or(Ok(Cow::Borrowed("")), lossy)?;
    for part in &parts {
        machine.budget.bytes(part.len() + separator.len())?;
    }
    Ok(machine.scope.text(&parts.join(&*separator)))
}

fn length<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let value = machine.argument(call, 0)?;
    let length = match value {
        Value::Array(items) => items.len(),
        Value::Object(object) => object.len(),
        _ => {
            value.as_bytes().ok_or_else(|| expected(list_or_object() | Kind::bytes(), value))?.len()
        }
    };
    Ok(Value::Integer(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn merge<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let to = object(machine.argument(call, 0)?)?;
    let from = object(machine.argument(call, 1)?)?;
    machine.entries(to.entries().chain(from.entries()).collect())
}

fn to_string<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let scope = machine.scope;
    Ok(match machine.argument(call, 0)? {
        value @ (Value::Text(_) | Value::Bytes(_)) => value,
        Value::Integer(number) => scope.text(&number.to_string()),
        Value::Boolean(boolean) => Value::Text(if *boolean { &"true" } else { &"false" }),
        Value::Timestamp(time) => {
            machine.text(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))?
        }
        Value::Null => Value::Text(&""),
        value => {
            let kind = kind_of(value);
            return Err(Failure::error(format!("unable to coerce {kind} into string")));
        }
    })
}

#[expect(clippy::mutable_key_type, reason = "what changes inside a pattern is not in its hash")]
fn unique<'a>(machine: &mut Machine<'a>, call: &'a Call) -> Evaluated<'a> {
    let items = machine.argument(call, 0)?;
    machine.budget.tree(items)?;
    let items = list(items)?;
    machine.budget.values(items.len())?;
    let mut known = HashSet::with_capacity(items.len());
    let first = items.iter().filter(|item| known.insert(to_vrl(**item)));
    let first: Vec<_> = first.copied().collect();
    Ok(machine.scope.array(&first))
}
