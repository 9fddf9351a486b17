//! Mappings on documents written as JSON: for `throughline test` and the packs' golden tests.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use throughline_avro::{Cursor, DecodeError, JsonError, Node, Schema, json_to_datum, write_json};
use throughline_connector::{Outputs, ProcessError, Processor, Produced};
use throughline_event::{
    Datum, EntityName, Envelope, EnvelopeError, EnvelopeSchema, Micros, Offset, Op, PartitionId,
    Record, Source, SystemName, TopicName, Version,
};

use crate::{Normalizer, Spec};

/// Why a fixture could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// No such entity.
    #[error("TL2040: the pack has no mapping for entity {entity}")]
    Entity {
        /// The entity.
        entity: EntityName,
    },
    /// The JSON is not a document of the pack's schema.
    #[error("TL2041: the fixture is not a document of entity {entity}")]
    Document {
        /// The entity.
        entity: EntityName,
        /// Where and why.
        #[source]
        source: JsonError,
    },
    /// The pack's mappings.
    #[error(transparent)]
    Load(#[from] crate::LoadErrors),
    /// The pack's schema cannot be put into an envelope.
    #[error("TL2042: the document's schema cannot be used")]
    Envelope(#[from] EnvelopeError),
    /// What the mapping or an invariant says.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The engine wrote bytes that its own schema cannot read.
    #[error("TL2043: the record that was written cannot be read")]
    Output(#[from] DecodeError),
}

/// A pack's mappings with fixed circumstances around them.
pub struct Fixtures {
    normalizer: Normalizer,
    system: SystemName,
    documents: Vec<RawDocument>,
}

/// What is known about the documents of one raw entity.
struct RawDocument {
    entity: EntityName,
    topic: TopicName,
    document: Schema,
    envelope: Arc<Schema>,
}

impl Fixtures {
    /// Loads the pack.
    pub fn load(spec: Spec) -> Result<Self, FixtureError> {
        let document = |raw: &crate::PackEntity| {
            let topic = TopicName::cdc(&spec.system, &raw.name);
            let envelope = EnvelopeSchema::for_topic(&topic, &raw.document)?;
            Ok(RawDocument {
                entity: raw.name.clone(),
                topic,
                document: raw.document.clone(),
                envelope: Arc::new(envelope.schema().clone()),
            })
        };
        let documents: Result<_, EnvelopeError> = spec.pack.entities.iter().map(document).collect();
        let documents = documents?;
        let system = spec.system.clone();
        Ok(Self { normalizer: Normalizer::load(spec)?, system, documents })
    }

    /// The canonical records of a change, in order, as JSON: topic, key, operation and record
    /// without its `meta`; a tombstone has none.
    pub fn run(
        &self,
        entity: &EntityName,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<Vec<Value>, FixtureError> {
        let raw = self.documents.iter().find(|raw| raw.entity == *entity);
        let raw = raw.ok_or_else(|| FixtureError::Entity { entity: entity.clone() })?;
        let datum = |json: Option<&Value>| {
            let Some(json) = json else { return Ok(None) };
            let mut bytes = Vec::new();
            json_to_datum(raw.document.root(), json, &mut bytes)
                .map_err(|source| FixtureError::Document { entity: entity.clone(), source })?;
            Ok::<_, FixtureError>(Some(bytes))
        };
        let (before, after) = (datum(before)?, datum(after)?);
        let bytes = self.event(entity, before.as_deref(), after.as_deref());
        let record = Record {
            topic: &raw.topic,
            partition: PartitionId(0),
            offset: Offset(0),
            timestamp: Micros(0),
            key: None,
            value: Some(Datum { schema: &raw.envelope, bytes: &bytes }),
            headers: &[],
        };
        let mut outputs = Outputs::default();
        self.normalizer.process(&record, None, &mut outputs)?;
        outputs.records.iter().map(|produced| self.show(produced)).collect()
    }

    /// Runs a fixture file, an object with `before` and `after`: what it gives as `records`, or the
    /// `error` that refuses it.
    pub fn run_case(
        &self,
        entity: &EntityName,
        case: &Map<String, Value>,
    ) -> Result<Map<String, Value>, FixtureError> {
        let document = |name: &str| case.get(name).filter(|document| !document.is_null());
        let (name, found) = match self.run(entity, document("before"), document("after")) {
            Ok(records) => ("records", Value::Array(records)),
            Err(FixtureError::Process(error)) => {
                let ProcessError { code, reason, line, kind, .. } = error;
                ("error", json!({"code": code, "kind": kind, "reason": reason, "line": line}))
            }
            Err(error) => return Err(error),
        };
        Ok(Map::from_iter([(name.to_owned(), found)]))
    }

    fn event(&self, entity: &EntityName, before: Option<&[u8]>, after: Option<&[u8]>) -> Vec<u8> {
        let source = Source {
            connector: "fixture".to_owned(),
            system: self.system.clone(),
            changed_at: Micros(0),
            snapshot: false,
            entity: entity.to_string(),
            position: "fixture".to_owned(),
            version: Version(1),
            actor: None,
        };
        let op = match (before.is_some(), after.is_some()) {
            (false, _) => Op::Create,
            (true, true) => Op::Update,
            (true, false) => Op::Delete,
        };
        let mut bytes = Vec::new();
        Envelope { before, after, source: &source, op, captured_at: Micros(0) }.write(&mut bytes);
        bytes
    }

    fn show(&self, produced: &Produced) -> Result<Value, FixtureError> {
        let output = &self.normalizer.outputs()[produced.output.0];
        let mut shown = Map::new();
        shown.insert("topic".to_owned(), json!(output.topic.as_str()));
        shown.insert("key".to_owned(), to_json(output.key.root(), &produced.key)?);
        match &produced.value {
            None => drop(shown.insert("tombstone".to_owned(), json!(true))),
            Some(value) => {
                let mut record = to_json(output.value.root(), value)?;
                let meta = record.as_object_mut().and_then(|record| record.shift_remove("meta"));
                let op = meta.as_ref().and_then(|meta| meta.get("op")).cloned();
                shown.insert("op".to_owned(), op.unwrap_or_default());
                shown.insert("record".to_owned(), record);
            }
        }
        Ok(Value::Object(shown))
    }
}

fn to_json(node: &Node, datum: &[u8]) -> Result<Value, DecodeError> {
    let mut cursor = Cursor::new(datum);
    let mut text = Vec::new();
    write_json(node, &mut cursor, &mut text)?;
    cursor.finish()?;
    Ok(serde_json::from_slice(&text).expect("the codec writes JSON"))
}
