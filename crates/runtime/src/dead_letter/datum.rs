//! The datum of a dead letter, field by field in the order of its schema.

use throughline_avro::{Cursor, DecodeError, Schema, SchemaId};
use throughline_avro::{put_boolean, put_bytes, put_int, put_long, put_str, put_union_branch};
use throughline_event::{Micros, Offset, PartitionId, TopicName, TopicPartition, WorkerName};

use super::{DeadLetter, DeadLetterError, DeadLetterStage, Input, Part};

pub(super) fn write(letter: &DeadLetter) -> Vec<u8> {
    let out = &mut Vec::with_capacity(256);
    for text in [
        &letter.id,
        letter.worker.as_str(),
        letter.stage.as_str(),
        &letter.code,
        &letter.kind,
        &letter.reason,
    ] {
        put_str(out, text);
    }
    put_str(out, &letter.place);
    optional(out, letter.program.as_deref(), put_str);
    optional(out, letter.line, put_int);
    put_boolean(out, letter.parked);
    put_long(out, letter.failed_at.0);
    let input = letter.input.as_ref();
    optional(out, input.map(|i| i.partition.topic.as_str()), put_str);
    optional(out, input.map(|i| i.partition.partition.0), put_int);
    optional(out, input.map(|i| i.offset.0), put_long);
    optional(out, input.map(|i| i.timestamp.0), put_long);
    for part in [&letter.key, &letter.value] {
        optional(out, part.as_ref().and_then(|p| p.schema).map(|id| id.0), put_int);
        optional(out, part.as_ref().map(|p| p.bytes.as_slice()), put_bytes);
    }
    std::mem::take(out)
}

fn optional<T>(out: &mut Vec<u8>, value: Option<T>, put: fn(&mut Vec<u8>, T)) {
    put_union_branch(out, usize::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

pub(super) fn read(schema: &Schema, bytes: &[u8]) -> Result<DeadLetter, DeadLetterError> {
    if schema.record().is_none_or(|record| record.name != "throughline.DeadLetter") {
        return Err(DeadLetterError::OtherSchema);
    }
    let cursor = &mut Cursor::new(bytes);
    let id = text(cursor)?;
    let worker = WorkerName::new(text(cursor)?)?;
    let word = text(cursor)?;
    let stage = DeadLetterStage::parse(&word).ok_or(DeadLetterError::Stage { word })?;
    let (code, kind) = (text(cursor)?, text(cursor)?);
    let (reason, place) = (text(cursor)?, text(cursor)?);
    let program = option(cursor, text)?;
    let line = option(cursor, |c| c.int())?;
    let parked = cursor.boolean()?;
    let failed_at = Micros(cursor.long()?);
    let topic = option(cursor, text)?;
    let partition = option(cursor, |c| c.int())?;
    let offset = option(cursor, |c| c.long())?;
    let timestamp = option(cursor, |c| c.long())?;
    let input = match (topic, partition, offset, timestamp) {
        (Some(topic), Some(partition), Some(offset), Some(timestamp)) => Some(Input {
            partition: TopicPartition {
                topic: TopicName::new(topic)?,
                partition: PartitionId(partition),
            },
            offset: Offset(offset),
            timestamp: Micros(timestamp),
        }),
        _ => None,
    };
    let key = part(cursor)?;
    let value = part(cursor)?;
    Ok(DeadLetter {
        id,
        worker,
        stage,
        code,
        kind,
        reason,
        place,
        program,
        line,
        parked,
        failed_at,
        input,
        key,
        value,
    })
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, DecodeError> {
    Ok(cursor.str()?.to_owned())
}

fn option<'a, T>(
    cursor: &mut Cursor<'a>,
    read: fn(&mut Cursor<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if cursor.union_branch(2)? == 0 { Ok(None) } else { read(cursor).map(Some) }
}

fn part(cursor: &mut Cursor<'_>) -> Result<Option<Part>, DecodeError> {
    let schema = option(cursor, |c| c.int())?.map(SchemaId);
    let bytes = option(cursor, |c| Ok(c.bytes()?.to_vec()))?;
    Ok(bytes.map(|bytes| Part { schema, bytes }))
}
