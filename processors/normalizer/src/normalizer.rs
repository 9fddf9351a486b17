//! The processor: which topics it reads and writes, and what it keeps between records.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use throughline_connector::{Canonical, InputTopic, OutputTopic, Outputs, ProcessError, Processor};
use throughline_event::{Record, TopicName};
use vrl::value::{KeyString, ObjectMap, Value};

use crate::check::Contract;
use crate::diagnostics::{LoadError, LoadErrors, Source};
use crate::entity::{Entity, Plans};
use crate::mapping::{Engine, Mapping};
use crate::meta::MetaWriter;
use crate::record::RecordWriter;
use crate::value::{Arena, VocabularyBuilder};
use crate::{CanonicalEntity, Pack, PackEntity, Spec, canonical_entity, decode, kinds};

/// Normalizes the raw topics of one system with the mappings of its pack.
///
/// It is pure: what a record gives depends on the record, the pack and the settings alone. A pool of
/// memory is the only thing that is kept, and it holds nothing between two records.
#[derive(Debug)]
pub struct Normalizer {
    inputs: Vec<InputTopic>,
    outputs: Vec<OutputTopic>,
    entities: Vec<Entity>,
    arenas: Mutex<Vec<Arena>>,
}

impl Normalizer {
    /// Compiles all mappings of a pack and checks them against the schemas on both sides.
    pub fn load(spec: Spec) -> Result<Self, LoadErrors> {
        let mut errors = Vec::new();
        let mut outputs = Vec::new();
        let mut places = BTreeMap::new();
        let mut entities = Vec::new();
        let metadata = kinds::metadata_kind(&spec.settings);
        for raw in &spec.pack.entities {
            let canonical = canonical(raw, &mut errors);
            for entity in &canonical {
                places.entry(entity.name.as_str()).or_insert_with(|| {
                    outputs.push(output_topic(entity, &spec));
                    Canonical(outputs.len() - 1)
                });
            }
            let contract =
                Contract { document: &raw.document, metadata: &metadata, canonical: &canonical };
            let source = Source { file: &raw.file, text: &raw.mapping };
            let name = mapping_name(&spec.pack, raw);
            let mut words = VocabularyBuilder::new();
            match Mapping::new(&name, source, &contract, metadata_value(&spec), &mut words) {
                Ok(mapping) => {
                    entities.push(entity(&spec, raw, mapping, words, &canonical, &places));
                }
                Err(found) => errors.extend(found),
            }
        }
        if !errors.is_empty() {
            return Err(LoadErrors { errors });
        }
        let inputs = entities.iter().map(|entity| InputTopic { topic: entity.topic.clone() });
        Ok(Self { inputs: inputs.collect(), outputs, entities, arenas: Mutex::default() })
    }

    pub(crate) fn entity(&self, topic: &TopicName) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.topic == *topic)
    }

    /// What runs each mapping, by the file that it stands in.
    pub fn engines(&self) -> impl Iterator<Item = (&str, &Engine)> {
        self.entities.iter().map(|entity| (entity.mapping.file(), entity.mapping.engine()))
    }

    /// Lends memory for the values of one record; it is empty again when it comes back.
    fn with_arena<T>(&self, run: impl FnOnce(&Arena) -> T) -> T {
        let pool = || self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let arena = pool().pop().unwrap_or_default();
        let result = run(&arena);
        pool().push(arena.emptied());
        result
    }

    fn unknown_topic(&self, topic: &TopicName) -> ProcessError {
        ProcessError {
            code: "TL2019",
            reason: format!("the normalizer does not read {topic}"),
            program: String::new(),
            line: None,
            kind: "decode",
        }
    }
}

impl Processor for Normalizer {
    fn inputs(&self) -> &[InputTopic] {
        &self.inputs
    }

    fn outputs(&self) -> &[OutputTopic] {
        &self.outputs
    }

    fn process(
        &self,
        record: &Record<'_>,
        parked_before: Option<Option<&[u8]>>,
        out: &mut Outputs,
    ) -> Result<(), ProcessError> {
        let entity = self.entity(record.topic).ok_or_else(|| self.unknown_topic(record.topic))?;
        // A raw tombstone follows a delete event, which has said everything.
        let Some((plan, change)) = entity.open(record)? else { return Ok(()) };
        let sides = [parked_before.unwrap_or(change.before), change.after];
        self.with_arena(|arena| {
            let [before, after] = sides.map(|datum| match datum {
                None => Ok(Vec::new()),
                Some(datum) => entity.map(entity.decode(&plan, datum, arena)?, arena),
            });
            entity.produce(&change, before?, after?, record.headers, out)
        })
    }

    fn before<'a>(&self, record: &Record<'a>) -> Result<Option<&'a [u8]>, ProcessError> {
        let entity = self.entity(record.topic).ok_or_else(|| self.unknown_topic(record.topic))?;
        Ok(entity.open(record)?.and_then(|(_, change)| change.before))
    }
}

fn mapping_name(pack: &Pack, raw: &PackEntity) -> String {
    format!("{}/{}", pack.name, raw.name)
}

fn canonical(raw: &PackEntity, errors: &mut Vec<LoadError>) -> Vec<&'static CanonicalEntity> {
    let mut found = Vec::with_capacity(raw.canonical.len());
    for name in &raw.canonical {
        match canonical_entity(name.as_str()) {
            Some(entity) => found.push(entity),
            None => {
                let known = crate::canonical_entities().iter().map(|entity| entity.name.as_str());
                errors.push(LoadError {
                    code: "TL2011",
                    file: raw.file.clone(),
                    line: 1,
                    column: 1,
                    message: format!("there is no canonical entity `{name}`"),
                    fix: crate::diagnostics::nearest(name.as_str(), known),
                });
            }
        }
    }
    found
}

fn output_topic(entity: &CanonicalEntity, spec: &Spec) -> OutputTopic {
    let topic = if spec.owned.contains(&entity.name) {
        TopicName::canonical(&entity.name)
    } else {
        TopicName::observed(&spec.system, &entity.name)
    };
    OutputTopic { topic, key: entity.key.clone(), value: entity.value.clone() }
}

fn entity(
    spec: &Spec,
    raw: &PackEntity,
    mapping: Mapping,
    mut words: VocabularyBuilder,
    canonical: &[&'static CanonicalEntity],
    places: &BTreeMap<&str, Canonical>,
) -> Entity {
    decode::add_shapes(raw.document.root(), &|field| mapping.reads(field), &mut words);
    let writer = |entity: &&'static CanonicalEntity| {
        RecordWriter::new(entity, places[entity.name.as_str()], &spec.system, &mut words)
            .expect("canonical schemas have the types that records are written with")
    };
    let mut writers: Vec<_> = canonical.iter().map(writer).collect();
    let vocabulary = words.build();
    writers.iter_mut().for_each(|writer| writer.prepare(&vocabulary));
    Entity {
        topic: TopicName::cdc(&spec.system, &raw.name),
        document: raw.document.clone(),
        meta: MetaWriter::new(&spec.system, raw.name.as_str(), mapping.label()),
        writers,
        vocabulary,
        mapping,
        plans: Plans::default(),
    }
}

fn metadata_value(spec: &Spec) -> Value {
    let settings = kinds::setting_value(&serde_json::Value::Object(spec.settings.clone()));
    Value::Object(ObjectMap::from([
        (KeyString::from("settings"), settings),
        (KeyString::from("system"), Value::from(spec.system.as_str())),
    ]))
}
