//! From a configuration to everything that runs: the one path that `validate`, `check`, `test`, `up`
//! and `run` share.

use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::{Map, Value};
use throughline_avro::Schema;
use throughline_config::pack::Pack;
use throughline_config::yaml::Mark;
use throughline_config::{Config, Finding, Producer, Report, System};
use throughline_event::{Path, Segment, SystemName, TopicName, Violation, Violations, WorkerName};
use throughline_processor_normalizer::{self as normalizer, Engine, Normalizer, Spec};

use crate::catalog::BuiltIn;
use crate::connectors;

mod columns;

/// A configuration whose every part was compiled.
#[derive(Debug)]
pub(crate) struct Flow {
    /// The configuration.
    pub(crate) config: Config,
    /// The producers with their options completed from the packs.
    pub(crate) producers: Vec<PlannedProducer>,
    /// The processors with their mappings compiled.
    pub(crate) processors: Vec<PlannedProcessor>,
    /// The sinks.
    pub(crate) sinks: Vec<PlannedSink>,
}

impl Flow {
    /// The mappings that VRL's interpreter runs: processor, file, the construct why, and its line.
    pub(crate) fn run_by_vrl(&self) -> impl Iterator<Item = (&WorkerName, &str, &str, u32)> {
        self.processors.iter().flat_map(|processor| {
            processor.normalizer.engines().filter_map(|(file, engine)| match engine {
                Engine::Vrl { construct, line } => {
                    Some((&processor.name, file, construct.as_str(), *line))
                }
                _ => None,
            })
        })
    }
}

/// A producer that can be started.
#[derive(Debug, Clone)]
pub(crate) struct PlannedProducer {
    pub(crate) name: WorkerName,
    pub(crate) kind: String,
    pub(crate) system: SystemName,
    pub(crate) options: Value,
}

/// A processor that can be started.
#[derive(Clone)]
pub(crate) struct PlannedProcessor {
    pub(crate) name: WorkerName,
    pub(crate) normalizer: Arc<Normalizer>,
}

impl std::fmt::Debug for PlannedProcessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannedProcessor").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A sink that can be started.
#[derive(Debug, Clone)]
pub(crate) struct PlannedSink {
    pub(crate) name: WorkerName,
    pub(crate) kind: String,
    pub(crate) topics: Vec<TopicName>,
    pub(crate) options: Value,
}

/// Reads, checks and compiles a configuration; no I/O beyond its files.
pub(crate) fn load(file: &FilePath) -> Result<Flow, Report> {
    compile(throughline_config::load(file, &BuiltIn)?)
}

/// Compiles a checked configuration: options of producers, mappings.
pub(crate) fn compile(config: Config) -> Result<Flow, Report> {
    let mut findings = Vec::new();
    let producers = config
        .producers
        .iter()
        .map(|producer| {
            let system = &config.systems[&producer.system];
            let options = complete(&producer.kind, &producer.options, &system.pack);
            findings.extend(check_producer(producer, &options, &system.pack));
            PlannedProducer {
                name: producer.name.clone(),
                kind: producer.kind.clone(),
                system: producer.system.clone(),
                options,
            }
        })
        .collect();
    let mut processors = Vec::new();
    for processor in &config.processors {
        let system = &config.systems[&processor.system];
        let spec = spec(&config, system).map_err(|report| report.findings().to_vec());
        match spec.and_then(|spec| load_normalizer(spec, &system.pack)) {
            Ok(normalizer) => processors.push(PlannedProcessor {
                name: processor.name.clone(),
                normalizer: Arc::new(normalizer),
            }),
            Err(more) => findings.extend(more),
        }
    }
    let sinks = config
        .sinks
        .iter()
        .map(|sink| PlannedSink {
            name: sink.name.clone(),
            kind: sink.kind.clone(),
            topics: sink.topics.clone(),
            options: Value::Object(sink.options.clone()),
        })
        .collect();
    if findings.is_empty() {
        Ok(Flow { config, producers, processors, sinks })
    } else {
        Err(Report::new(findings))
    }
}

/// The pack says how its files look; what the operator wrote for an entity wins, key by key.
fn complete(kind: &str, options: &Map<String, Value>, pack: &Pack) -> Value {
    let mut options = options.clone();
    let Some(capture) = pack.capture(kind) else { return Value::Object(options) };
    let written = options.remove("entities");
    let mut entities = Map::new();
    for (name, described) in capture {
        let mut entity = described.clone();
        if let (Some(fields), Some(known)) = (entity.as_object_mut(), pack.entities.get(name)) {
            if fields.contains_key("document_schema") {
                fields.insert("document_schema".to_owned(), Value::from(known.schema.text.clone()));
            }
            let rule = if known.single_partition { "one" } else { "any" };
            fields.entry("partitions").or_insert_with(|| Value::from(rule));
            if !known.ignore.is_empty() {
                fields.entry("ignore").or_insert_with(|| Value::from(known.ignore.clone()));
            }
        }
        entities.insert(name.to_string(), entity);
    }
    for (name, more) in written.as_ref().and_then(Value::as_object).into_iter().flatten() {
        match (entities.get_mut(name).and_then(Value::as_object_mut), more.as_object()) {
            (Some(entity), Some(more)) => {
                entity.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            _ => drop(entities.insert(name.clone(), more.clone())),
        }
    }
    options.insert("entities".to_owned(), Value::Object(entities));
    Value::Object(options)
}

/// Checks completed options; what is wrong below `entities` stands in the pack's `capture.yaml`.
fn check_producer(producer: &Producer, options: &Value, pack: &Pack) -> Vec<Finding> {
    let kind = producer.kind.as_str();
    let mut found = Violations::default();
    let mut in_pack = Violations::default();
    if let Some(known) = connectors::producers().get(kind) {
        (known.validate)(options.clone(), &Path::root(), &mut found);
        if found.is_empty() {
            columns::check(known, &producer.system, options, pack, &mut in_pack);
        }
    }
    for Violation { code, path, message, fix } in found {
        let path = match path.segments().split_first() {
            Some((Segment::Key(first), rest)) if first == "entities" => {
                rest.iter().fold(Path::root().key(kind), |at, segment| match segment {
                    Segment::Key(name) => at.key(name),
                    Segment::Index(index) => at.index(*index),
                })
            }
            _ => path,
        };
        in_pack.add(code, path, message, fix);
    }
    pack.capture_report(in_pack).findings().to_vec()
}

/// What the normalizer of a system is made of.
pub(crate) fn spec(config: &Config, system: &System) -> Result<Spec, Report> {
    let owned = config
        .ownership
        .keys()
        .filter(|entity| config.owns(&system.name, entity))
        .cloned()
        .collect();
    Ok(Spec {
        pack: mappings(&system.pack)?,
        system: system.name.clone(),
        settings: system.settings.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        owned,
    })
}

/// A pack on its own, for its fixtures: it owns everything, its settings are the defaults and those
/// of `fixtures/settings.json`.
pub(crate) fn test_spec(pack: &Pack) -> Result<Spec, Report> {
    let mut settings: Map<String, Value> = pack
        .settings
        .iter()
        .filter_map(|(name, setting)| Some((name.clone(), setting.default.clone()?)))
        .collect();
    settings.extend(fixture_settings(pack)?);
    let system = SystemName::new("shop").expect("the name is allowed");
    let owned: BTreeSet<_> =
        normalizer::canonical_entities().iter().map(|entity| entity.name.clone()).collect();
    Ok(Spec { pack: mappings(pack)?, system, settings, owned })
}

/// Compiles the mappings of a pack as they would run.
pub(crate) fn check(pack: &Pack, spec: Spec) -> Result<(), Report> {
    load_normalizer(spec, pack).map(drop).map_err(Report::new)
}

/// The settings that the fixtures of a pack are written for.
fn fixture_settings(pack: &Pack) -> Result<Map<String, Value>, Report> {
    const FILE: &str = "fixtures/settings.json";
    let wrong = |message: String| {
        Report::new(vec![Finding {
            code: "TL9017",
            file: format!("{}/{FILE}", pack.files().place()),
            mark: Mark::START,
            path: Path::root(),
            message,
            fix: "write one JSON object, a member for each setting".to_owned(),
        }])
    };
    match pack.files().read(FILE) {
        Ok(None) => Ok(Map::new()),
        Ok(Some(bytes)) => serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string())),
        Err(error) => Err(wrong(format!("the file cannot be read: {error}"))),
    }
}

/// The entities of a pack that have a mapping.
fn mappings(pack: &Pack) -> Result<normalizer::Pack, Report> {
    let mut findings = Vec::new();
    let mut entities = Vec::new();
    for (name, entity) in &pack.entities {
        let Some(mapping) = &entity.mapping else { continue };
        match Schema::parse(&entity.schema.text) {
            Ok(document) => entities.push(normalizer::PackEntity {
                name: name.clone(),
                file: mapping.path.clone(),
                mapping: mapping.text.clone(),
                document,
                canonical: entity.canonical.clone(),
            }),
            Err(error) => findings.push(Finding {
                code: "TL9001",
                file: format!("{}/{}", pack.files().place(), entity.schema.path),
                mark: Mark::START,
                path: Path::root(),
                message: throughline_runtime::chain(&error),
                fix: "write an Avro record".to_owned(),
            }),
        }
    }
    if findings.is_empty() {
        Ok(normalizer::Pack { name: pack.name.clone(), entities })
    } else {
        Err(Report::new(findings))
    }
}

fn load_normalizer(spec: Spec, pack: &Pack) -> Result<Normalizer, Vec<Finding>> {
    Normalizer::load(spec).map_err(|errors| {
        let finding = |error: normalizer::LoadError| Finding {
            code: error.code,
            file: format!("{}/{}", pack.files().place(), error.file),
            mark: Mark { line: error.line as usize, column: error.column as usize },
            path: Path::root(),
            message: error.message,
            fix: error.fix.unwrap_or_else(|| {
                "`throughline explain` with the code says more; `||` is for null, `??` for a call \
                 that failed"
                    .to_owned()
            }),
        };
        errors.errors.into_iter().map(finding).collect()
    })
}
