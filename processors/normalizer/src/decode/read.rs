//! Reading a datum as its plan says.

use bumpalo::collections::Vec as ArenaVec;
use chrono::{DateTime, Utc};
use throughline_avro::{Cursor, Logical, Node, write_json};

use super::{DocumentError, Plan, RecordPlan, Step, Unit};
use crate::value::{Scope, Value};

/// A plan is as deep as its schema, which is bounded and not recursive.
pub(super) fn value<'a>(
    plan: &'a Plan,
    cursor: &mut Cursor<'a>,
    scope: Scope<'a>,
) -> Result<Value<'a>, DocumentError> {
    Ok(match plan {
        Plan::Null => Value::Null,
        Plan::Boolean => Value::from(cursor.boolean()?),
        Plan::Int => Value::Integer(i64::from(cursor.int()?)),
        Plan::Long => Value::Integer(cursor.long()?),
        Plan::Timestamp(unit) => timestamp(cursor.long()?, *unit, scope)?,
        // Each at its own precision: the shortest text of an f32 is not that of the f64 it widens to.
        Plan::Float => float_text(cursor.float()?, f32::is_finite, scope)?,
        Plan::Double => float_text(cursor.double()?, f64::is_finite, scope)?,
        Plan::Decimal(scale) => decimal_text(cursor, *scale, scope)?,
        Plan::Text(node) => json_text(node, cursor, scope)?,
        Plan::Bytes => scope.borrowed_bytes(cursor.bytes()?),
        Plan::String => scope.borrowed(cursor.str()?),
        Plan::Fixed(len) => scope.borrowed_bytes(cursor.fixed(*len)?),
        Plan::Enum(symbols) => scope.borrowed(&symbols[cursor.enum_index(symbols.len())?]),
        Plan::Array(item) => array(item, cursor, scope)?,
        Plan::Map(value) => map(value, cursor, scope)?,
        Plan::Union(branches) => {
            let branch = cursor.union_branch(branches.len())?;
            value(&branches[branch], cursor, scope)?
        }
        Plan::Record(plan) => record(plan, cursor, scope)?,
    })
}

fn array<'a>(
    item: &'a Plan,
    cursor: &mut Cursor<'a>,
    scope: Scope<'a>,
) -> Result<Value<'a>, DocumentError> {
    let mut items = ArenaVec::new_in(scope.arena);
    while let Some(block) = cursor.block()? {
        items.reserve(block.items.min(cursor.remaining()));
        for _ in 0..block.items {
            items.push(value(item, cursor, scope)?);
        }
    }
    Ok(scope.list(items.into_bump_slice()))
}

fn map<'a>(
    plan: &'a Plan,
    cursor: &mut Cursor<'a>,
    scope: Scope<'a>,
) -> Result<Value<'a>, DocumentError> {
    let mut entries: Vec<(&str, Value<'a>)> = Vec::new();
    while let Some(block) = cursor.block()? {
        for _ in 0..block.items {
            let key = cursor.str()?;
            entries.push((key, value(plan, cursor, scope)?));
        }
    }
    Ok(scope.entries(entries))
}

fn record<'a>(
    plan: &'a RecordPlan,
    cursor: &mut Cursor<'a>,
    scope: Scope<'a>,
) -> Result<Value<'a>, DocumentError> {
    let fields = scope.arena.alloc_slice_fill_copy(plan.len, Value::Null);
    for (place, datum, plan) in &plan.defaults {
        fields[*place] = value(plan, &mut Cursor::new(datum), scope)?;
    }
    for step in &plan.steps {
        match step {
            Step::Skip(node) => cursor.skip(node)?,
            Step::Read(place, plan) => fields[*place] = value(plan, cursor, scope)?,
        }
    }
    Ok(scope.object(plan.shape, fields))
}

fn float_text<'a, F: std::fmt::Display + Copy>(
    number: F,
    finite: fn(F) -> bool,
    scope: Scope<'a>,
) -> Result<Value<'a>, DocumentError> {
    if finite(number) { Ok(scope.text(&number.to_string())) } else { Err(DocumentError::NotFinite) }
}

/// Up to 38 digits by arithmetic; longer ones the long way.
fn decimal_text<'a>(
    cursor: &mut Cursor<'_>,
    scale: u32,
    scope: Scope<'a>,
) -> Result<Value<'a>, DocumentError> {
    let start = cursor.clone();
    let bytes = cursor.bytes()?;
    if bytes.len() > 16 {
        let node = Node::Bytes(Some(Logical::Decimal { precision: 1_000, scale }));
        return json_text(&node, &mut start.clone(), scope);
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 16];
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    let unscaled = i128::from_be_bytes(wide);
    let scale = scale as usize;
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if negative { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    Ok(scope.text(&format!("{sign}{whole}{point}{fraction}")))
}

/// The JSON text of a value that is a JSON string, or a number where its time cannot be written.
fn json_text<'a>(
    node: &Node,
    cursor: &mut Cursor<'_>,
    scope: Scope<'a>,
) -> Result<Value<'a>, DocumentError> {
    let mut text = Vec::new();
    write_json(node, cursor, &mut text)?;
    let bare = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(&text);
    Ok(scope.bytes(bare))
}

fn timestamp<'a>(ticks: i64, unit: Unit, scope: Scope<'a>) -> Result<Value<'a>, DocumentError> {
    let time: Option<DateTime<Utc>> = match unit {
        Unit::Millis => DateTime::from_timestamp_millis(ticks),
        Unit::Micros => DateTime::from_timestamp_micros(ticks),
        Unit::Nanos => Some(DateTime::from_timestamp_nanos(ticks)),
    };
    time.map(|time| scope.timestamp(time)).ok_or(DocumentError::Time)
}
