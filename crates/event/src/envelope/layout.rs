//! Reading: which field of a writer's schema is which part of the envelope.

use std::sync::Arc;

use throughline_avro::{Cursor, DecodeError, Node, Schema};

use super::{EnvelopeError, EnvelopeView};
use crate::{Micros, Op};

/// What a field of the envelope or of its source block is to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Before,
    After,
    Source,
    Op,
    CapturedMillis,
    CapturedMicros,
    ChangedMillis,
    ChangedMicros,
    Snapshot,
    Position,
    Version,
    Actor,
    /// Anything else.
    Skipped,
}

/// The fields of an envelope in the order they were written.
#[derive(Debug)]
pub(super) struct Layout {
    document: Arc<Node>,
    fields: Vec<(Part, Arc<Node>)>,
    source: Vec<(Part, Arc<Node>)>,
}

impl Layout {
    pub(super) fn new(schema: &Schema) -> Result<Self, EnvelopeError> {
        let missing = |missing| EnvelopeError::NotAnEnvelope { missing };
        let envelope = schema.record().ok_or(missing("a record"))?;
        let node = |name: &'static str| {
            envelope.field(name).map(|(_, field)| &field.node).ok_or(missing(name))
        };
        let document = optional(node("after")?).ok_or(missing("after"))?;
        optional(node("before")?).ok_or(missing("before"))?;
        if !matches!(&**node("op")?, Node::String(_)) {
            return Err(missing("op"));
        }
        let Node::Record(source) = &**node("source")? else { return Err(missing("source")) };
        let parts = |record: &throughline_avro::Record, part: fn(&str) -> Part| {
            let field =
                |field: &throughline_avro::Field| (part(&field.name), Arc::clone(&field.node));
            record.fields.iter().map(field).collect()
        };
        let document = Arc::clone(document);
        Ok(Self {
            document,
            fields: parts(envelope, envelope_part),
            source: parts(source, source_part),
        })
    }

    pub(super) fn document(&self) -> &Arc<Node> {
        &self.document
    }

    pub(super) fn view<'a>(&self, datum: &'a [u8]) -> Result<EnvelopeView<'a>, EnvelopeError> {
        let mut cursor = Cursor::new(datum);
        let mut view = EnvelopeView {
            before: None,
            after: None,
            op: Op::Read,
            captured_at: Micros::default(),
            changed_at: Micros::default(),
            snapshot: false,
            position: "",
            version: 0,
            actor: None,
        };
        for (part, node) in &self.fields {
            match part {
                Part::Source => {
                    for (part, node) in &self.source {
                        read(*part, node, &mut cursor, &mut view)?;
                    }
                }
                part => read(*part, node, &mut cursor, &mut view)?,
            }
        }
        Ok(view)
    }
}

fn envelope_part(name: &str) -> Part {
    match name {
        "before" => Part::Before,
        "after" => Part::After,
        "source" => Part::Source,
        "op" => Part::Op,
        "ts_ms" => Part::CapturedMillis,
        "ts_us" => Part::CapturedMicros,
        _ => Part::Skipped,
    }
}

fn source_part(name: &str) -> Part {
    match name {
        "ts_ms" => Part::ChangedMillis,
        "ts_us" => Part::ChangedMicros,
        "snapshot" => Part::Snapshot,
        "position" => Part::Position,
        "document_version" => Part::Version,
        "actor" => Part::Actor,
        _ => Part::Skipped,
    }
}

/// The other branch of a union of two with null.
fn optional(node: &Arc<Node>) -> Option<&Arc<Node>> {
    let Node::Union(branches) = &**node else { return None };
    let others: Vec<_> = branches.iter().filter(|b| !matches!(***b, Node::Null)).collect();
    (branches.len() == 2 && others.len() == 1).then(|| others[0])
}

/// Steps into a union; nothing when its branch is null.
fn branch<'n>(node: &'n Node, cursor: &mut Cursor<'_>) -> Result<Option<&'n Node>, DecodeError> {
    let Node::Union(branches) = node else { return Ok(Some(node)) };
    let branch = &branches[cursor.union_branch(branches.len())?];
    Ok((!matches!(**branch, Node::Null)).then_some(&**branch))
}

fn read<'a>(
    part: Part,
    node: &Node,
    cursor: &mut Cursor<'a>,
    view: &mut EnvelopeView<'a>,
) -> Result<(), EnvelopeError> {
    if part == Part::Skipped {
        return Ok(cursor.skip(node)?);
    }
    let Some(node) = branch(node, cursor)? else { return Ok(()) };
    match (part, node) {
        (Part::Before, node) => view.before = Some(range(node, cursor)?),
        (Part::After, node) => view.after = Some(range(node, cursor)?),
        (Part::Op, Node::String(_)) => {
            let letter = cursor.str()?;
            view.op = Op::from_letter(letter)
                .ok_or_else(|| EnvelopeError::Op { letter: letter.chars().take(10).collect() })?;
        }
        (Part::CapturedMillis, Node::Long(_)) => {
            view.captured_at = Micros::from_millis(cursor.long()?)
        }
        (Part::CapturedMicros, Node::Long(_)) => view.captured_at = Micros(cursor.long()?),
        (Part::ChangedMillis, Node::Long(_)) => {
            view.changed_at = Micros::from_millis(cursor.long()?)
        }
        (Part::ChangedMicros, Node::Long(_)) => view.changed_at = Micros(cursor.long()?),
        (Part::Snapshot, Node::String(_)) => view.snapshot = cursor.str()? != "false",
        (Part::Position, Node::String(_)) => view.position = cursor.str()?,
        (Part::Version, Node::Long(_)) => view.version = cursor.long()?,
        (Part::Actor, Node::String(_)) => view.actor = Some(cursor.str()?),
        // A field of a known name and another type is somebody else's.
        (_, node) => cursor.skip(node)?,
    }
    Ok(())
}

fn range<'a>(node: &Node, cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let start = cursor.position();
    cursor.skip(node)?;
    Ok(cursor.since(start))
}
