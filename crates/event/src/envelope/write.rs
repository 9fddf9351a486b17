//! Writing: the schema's text and the datum.

use serde_json::{Value, json};
use throughline_avro::{Schema, put_long, put_str, put_union_branch};

use super::{Envelope, EnvelopeError};
use crate::{Micros, TopicName, source};

/// Avro names allow neither hyphens nor empty parts.
fn namespace(topic: &TopicName) -> String {
    topic.as_str().replace('-', "_")
}

/// The record of `schema`, renamed.
fn renamed(
    schema: &Schema,
    part: &'static str,
    name: &str,
    namespace: &str,
) -> Result<Value, EnvelopeError> {
    let mut record: Value =
        serde_json::from_str(schema.text()).map_err(|_| EnvelopeError::NotARecord { part })?;
    if schema.record().is_none() {
        return Err(EnvelopeError::NotARecord { part });
    }
    record["name"] = json!(name);
    record["namespace"] = json!(namespace);
    Ok(record)
}

pub(super) fn key_schema_text(topic: &TopicName, key: &Schema) -> Result<String, EnvelopeError> {
    Ok(renamed(key, "the key", "Key", &namespace(topic))?.to_string())
}

pub(super) fn schema_text(topic: &TopicName, document: &Schema) -> Result<String, EnvelopeError> {
    let namespace = namespace(topic);
    let value = renamed(document, "the document", "Value", &namespace)?;
    let source: Value =
        serde_json::from_str(source::SCHEMA).expect("the source block's schema is JSON");
    let optional_long =
        |name: &str| json!({"name": name, "type": ["null", "long"], "default": null});
    let transaction = json!({"type": "record", "name": "block", "namespace": "event", "fields": [
        {"name": "id", "type": "string"},
        {"name": "total_order", "type": "long"},
        {"name": "data_collection_order", "type": "long"}]});
    Ok(json!({"type": "record", "name": "Envelope", "namespace": namespace, "fields": [
        {"name": "before", "default": null, "type": ["null", value]},
        {"name": "after", "default": null, "type": ["null", "Value"]},
        {"name": "source", "type": source},
        {"name": "transaction", "default": null, "type": ["null", transaction]},
        {"name": "op", "type": "string"},
        optional_long("ts_ms"), optional_long("ts_us"), optional_long("ts_ns")]})
    .to_string())
}

/// Field by field in the order of [`schema_text`] and of the source block's schema.
pub(super) fn datum(envelope: &Envelope<'_>, out: &mut Vec<u8>) {
    for document in [envelope.before, envelope.after] {
        put_union_branch(out, usize::from(document.is_some()));
        out.extend_from_slice(document.unwrap_or_default());
    }
    let source = envelope.source;
    put_str(out, env!("CARGO_PKG_VERSION"));
    put_str(out, &source.connector);
    put_str(out, source.system.as_str());
    put_long(out, source.changed_at.millis());
    put_union_branch(out, 0);
    put_str(out, if source.snapshot { "true" } else { "false" });
    put_str(out, source.system.as_str());
    put_union_branch(out, 0);
    put_micros(out, source.changed_at);
    put_union_branch(out, 0);
    put_str(out, &source.entity);
    put_str(out, &source.position);
    put_long(out, source.version.0);
    put_union_branch(out, usize::from(source.actor.is_some()));
    if let Some(actor) = &source.actor {
        put_str(out, actor);
    }
    put_union_branch(out, 0);
    put_str(out, envelope.op.letter());
    put_union_branch(out, 1);
    put_long(out, envelope.captured_at.millis());
    put_micros(out, envelope.captured_at);
    put_union_branch(out, 0);
}

fn put_micros(out: &mut Vec<u8>, at: Micros) {
    put_union_branch(out, 1);
    put_long(out, at.0);
}
