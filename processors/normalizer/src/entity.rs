//! One raw entity: from a change event to the canonical records it makes and unmakes.

use std::sync::{Arc, Mutex, PoisonError};

use throughline_avro::Schema;
use throughline_connector::{Headers, Outputs, ProcessError, Produced};
use throughline_event::{Datum, EnvelopeSchema, EnvelopeView, Record, TopicName};

use crate::decode::DocumentPlan;
use crate::encode::{EncodeError, Problem};
use crate::mapping::Mapping;
use crate::meta::{MetaOp, MetaWriter};
use crate::record::RecordWriter;
use crate::value::{Arena, Object, Value, Vocabulary};
use crate::{encode, invariants};

/// Writer's schemas that one entity remembers; a topic has a handful in its life.
const MAX_PLANS: usize = 32;

/// One raw entity.
#[derive(Debug)]
pub(crate) struct Entity {
    pub(crate) topic: TopicName,
    pub(crate) document: Schema,
    pub(crate) mapping: Mapping,
    pub(crate) meta: MetaWriter,
    pub(crate) writers: Vec<RecordWriter>,
    /// The names and shapes of the documents, of the mapping and of the records.
    pub(crate) vocabulary: Vocabulary,
    pub(crate) plans: Plans,
}

/// How to read the envelopes of one writer's schema.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) envelope: EnvelopeSchema,
    pub(crate) document: DocumentPlan,
}

/// The plans made so far, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Plans(Mutex<Vec<(Arc<Schema>, Arc<Plan>)>>);

/// A canonical record that a document maps to.
pub(crate) struct Mapped<'a> {
    /// Which of the entity's writers it is for.
    pub(crate) writer: usize,
    pub(crate) record: Object<'a>,
}

/// A mapped record with its bytes.
#[derive(Clone)]
struct Encoded<'a> {
    writer: usize,
    key: Vec<u8>,
    /// `meta` and everything behind it.
    value: Vec<u8>,
    /// Where the part behind `meta` begins.
    body_at: usize,
    event_id: String,
    record: Object<'a>,
}

/// What the records of one side of a change say about themselves.
struct Saying<'a> {
    change: &'a EnvelopeView<'a>,
    op: MetaOp,
    trace: Option<&'a [u8]>,
}

/// The records of one side of a change.
struct Side<'a> {
    records: Vec<Encoded<'a>>,
    /// Places in `records`, by writer and key.
    by_key: Vec<usize>,
}

impl Encoded<'_> {
    fn place(&self) -> (usize, &[u8]) {
        (self.writer, &self.key)
    }

    fn body(&self) -> &[u8] {
        &self.value[self.body_at..]
    }
}

impl<'a> Side<'a> {
    /// The record with the same key.
    fn find(&self, other: &Encoded<'_>) -> Option<&Encoded<'a>> {
        let found =
            self.by_key.binary_search_by(|at| self.records[*at].place().cmp(&other.place()));
        found.ok().map(|at| &self.records[self.by_key[at]])
    }
}

impl Entity {
    /// The plan for a writer's schema, made when it is first met.
    pub(crate) fn plan(&self, schema: &Arc<Schema>) -> Result<Arc<Plan>, ProcessError> {
        let mut plans = self.plans.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Arc<Schema>| Arc::ptr_eq(known, schema) || **known == **schema;
        if let Some((_, plan)) = plans.iter().rev().find(|(known, _)| same(known)) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(self.new_plan(schema)?);
        if plans.len() == MAX_PLANS {
            plans.remove(0);
        }
        plans.push((Arc::clone(schema), Arc::clone(&plan)));
        Ok(plan)
    }

    fn new_plan(&self, schema: &Arc<Schema>) -> Result<Plan, ProcessError> {
        let refuse = |reason: String| self.mapping.error("TL2021", "decode", reason, None);
        let envelope =
            EnvelopeSchema::new((**schema).clone()).map_err(|error| refuse(error.to_string()))?;
        let reads = |field: &str| self.mapping.reads(field);
        let document =
            DocumentPlan::new(envelope.document(), self.document.root(), &reads, &self.vocabulary)
                .map_err(|error| refuse(error.to_string()))?;
        Ok(Plan { envelope, document })
    }

    /// The parts of a change event.
    pub(crate) fn view<'a>(
        &self,
        plan: &Plan,
        value: Datum<'a>,
    ) -> Result<EnvelopeView<'a>, ProcessError> {
        plan.envelope.view(value.bytes).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &dyn std::error::Error) -> ProcessError {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            reason.push_str(": ");
            reason.push_str(&error.to_string());
            source = error.source();
        }
        self.mapping.error("TL2020", "decode", reason, None)
    }

    /// A document as the mapping sees it.
    pub(crate) fn decode<'a>(
        &'a self,
        plan: &'a Plan,
        datum: &'a [u8],
        arena: &'a Arena,
    ) -> Result<Value<'a>, ProcessError> {
        let scope = arena.scope(&self.vocabulary);
        plan.document.read(datum, scope).map_err(|error| self.unreadable(&error))
    }

    /// The canonical records of a document.
    pub(crate) fn map<'a>(
        &'a self,
        document: Value<'a>,
        arena: &'a Arena,
    ) -> Result<Vec<Mapped<'a>>, ProcessError> {
        let result = self.mapping.run(document, arena.scope(&self.vocabulary))?;
        let Value::Object(outputs) = result else {
            return Err(self.bad_output("the result is not an object".to_owned()));
        };
        let mut mapped = Vec::with_capacity(outputs.len());
        for (name, value) in outputs.entries() {
            let named = |writer: &RecordWriter| writer.entity.name.as_str() == name;
            let Some(writer) = self.writers.iter().position(named) else {
                return Err(self.bad_output(format!("the pack does not write {name}")));
            };
            match value {
                Value::Null => {}
                Value::Object(record) => mapped.push(Mapped { writer, record }),
                Value::Array(records) => {
                    for record in *records {
                        let Value::Object(record) = *record else {
                            let reason = format!("{name} has an item that is no object");
                            return Err(self.bad_output(reason));
                        };
                        mapped.push(Mapped { writer, record });
                    }
                }
                other => {
                    let reason = format!("{name} is {}", other.kind_str());
                    return Err(self.bad_output(reason));
                }
            }
        }
        Ok(mapped)
    }

    fn bad_output(&self, reason: String) -> ProcessError {
        self.mapping.error("TL2023", "mapping", reason, None)
    }

    fn encode<'a>(
        &self,
        mapped: Mapped<'a>,
        saying: &Saying<'_>,
    ) -> Result<Encoded<'a>, ProcessError> {
        let Mapped { writer, record } = mapped;
        let records = &self.writers[writer];
        let refuse = |error: Box<EncodeError>| match error.problem {
            Problem::Size => {
                self.mapping.stopped("TL2025", "a record takes more than 64 MiB", None)
            }
            _ => self.bad_output(format!("{}.{error}", records.entity.name)),
        };
        let key = records.key(record).map_err(refuse)?;
        let Saying { change, op, trace } = saying;
        let event_id = self.meta.event_id(records.entity.name.as_str(), &key, change.version);
        let trace = trace.and_then(|trace| std::str::from_utf8(trace).ok());
        let mut value = Vec::with_capacity(1024);
        self.meta.write(&event_id, *op, change, trace, &mut value);
        let body_at = value.len();
        records.body(record, &mut value).map_err(refuse)?;
        Ok(Encoded { writer, key, value, body_at, event_id, record })
    }

    fn encode_all<'a>(
        &self,
        mapped: Vec<Mapped<'a>>,
        saying: &Saying<'_>,
    ) -> Result<Side<'a>, ProcessError> {
        let mut records = Vec::with_capacity(mapped.len());
        let mut bytes = 0;
        for mapped in mapped {
            let record = self.encode(mapped, saying)?;
            bytes += record.value.len();
            if bytes > encode::MAX_BYTES {
                let reason = "the records of this document take more than 64 MiB";
                return Err(self.mapping.stopped("TL2025", reason, None));
            }
            records.push(record);
        }
        let mut by_key: Vec<usize> = (0..records.len()).collect();
        by_key.sort_by(|a, b| records[*a].place().cmp(&records[*b].place()));
        if let Some(twice) =
            by_key.windows(2).find(|pair| records[pair[0]].place() == records[pair[1]].place())
        {
            let entity = &self.writers[records[twice[0]].writer].entity.name;
            let reason = format!("two {entity} records of one document have the same key");
            return Err(self.mapping.error("TL2024", "mapping", reason, None));
        }
        Ok(Side { records, by_key })
    }

    /// Appends what the step from `before` to `after` means: deletes, tombstones, upserts.
    pub(crate) fn produce(
        &self,
        change: &EnvelopeView<'_>,
        before: Vec<Mapped<'_>>,
        after: Vec<Mapped<'_>>,
        headers: &[(String, Vec<u8>)],
        out: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let trace = headers.iter().find(|(name, _)| name == "traceparent");
        let trace = trace.map(|(_, value)| value.as_slice());
        let side = |records, op| self.encode_all(records, &Saying { change, op, trace });
        let (before, after) = (side(before, MetaOp::Delete)?, side(after, MetaOp::Upsert)?);
        for record in &after.records {
            let known = before.find(record);
            let entity = self.writers[record.writer].entity.name.as_str();
            invariants::check(entity, record.record, known.map(|known| known.record)).map_err(
                |violation| {
                    let reason = format!("{entity}: {violation}");
                    self.mapping.error("TL2030", "invariant", reason, None)
                },
            )?;
        }
        for gone in before.records.iter().filter(|known| after.find(known).is_none()) {
            self.push(change, MetaOp::Delete, gone.clone(), trace, out);
        }
        for record in after.records {
            let known = before.find(&record);
            if known.is_none_or(|known| known.body() != record.body()) {
                self.push(change, MetaOp::Upsert, record, trace, out);
            }
        }
        Ok(())
    }

    fn push(
        &self,
        change: &EnvelopeView<'_>,
        op: MetaOp,
        record: Encoded<'_>,
        trace: Option<&[u8]>,
        out: &mut Outputs,
    ) {
        let writer = &self.writers[record.writer];
        let mut headers: Headers = vec![
            ("version".to_owned(), change.version.to_string().into_bytes()),
            ("event_id".to_owned(), record.event_id.into_bytes()),
        ];
        headers.extend(trace.map(|trace| ("traceparent".to_owned(), trace.to_vec())));
        let tombstone = (op == MetaOp::Delete).then(|| Produced {
            output: writer.output,
            key: record.key.clone(),
            value: None,
            headers: headers.clone(),
        });
        let (output, key, value) = (writer.output, record.key, Some(record.value));
        out.records.push(Produced { output, key, value, headers });
        out.records.extend(tombstone);
    }

    /// The change event of a record, for the three steps of [`Stages`](crate::Stages).
    pub(crate) fn open<'a>(
        &self,
        record: &Record<'a>,
    ) -> Result<Option<(Arc<Plan>, EnvelopeView<'a>)>, ProcessError> {
        let Some(value) = record.value else { return Ok(None) };
        let plan = self.plan(value.schema)?;
        let view = self.view(&plan, value)?;
        Ok(Some((plan, view)))
    }
}
