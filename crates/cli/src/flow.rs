//! From a configuration to everything that runs: the one path that `validate`, `check`, `test`, `up`
//! and `run` share.

use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::{Map, Value};
use throughline_avro::Schema;
use throughline_config::pack::{Pack, Setting, SettingType};
use throughline_config::yaml::Mark;
use throughline_config::{Config, Finding, Report, System};
use throughline_connector::{Holding, ProducerContext, SinkContext};
use throughline_event::{Path, SystemName, TopicName, TopicPartition, Violations, WorkerName};
use throughline_processor_normalizer::{self as normalizer, Engine, Normalizer, Spec};
use throughline_runtime::{ProducerKind, Reached, SinkKind, WorkerError};

use crate::catalog::BuiltIn;
use crate::connectors;

pub(crate) mod captures;
mod columns;
pub(crate) mod folders;

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

impl PlannedProducer {
    /// Its kind.
    pub(crate) fn known(&self) -> ProducerKind {
        *connectors::producers().get(&self.kind).expect("the configuration was checked")
    }

    /// Where it runs.
    pub(crate) fn context(&self, flow: &Flow) -> ProducerContext {
        ProducerContext {
            name: self.name.clone(),
            system: self.system.clone(),
            base: flow.config.folder.clone(),
        }
    }

    /// Reaches its source and tells what it publishes.
    pub(crate) fn reach(&self, flow: &Flow) -> Result<Reached, WorkerError> {
        (self.known().check)(self.options.clone(), self.context(flow))
    }
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

impl PlannedSink {
    /// Its kind.
    pub(crate) fn known(&self) -> SinkKind {
        *connectors::sinks().get(&self.kind).expect("the configuration was checked")
    }

    /// Where it runs.
    pub(crate) fn context(&self, flow: &Flow) -> SinkContext {
        SinkContext {
            name: self.name.clone(),
            topics: self.topics.clone(),
            base: flow.config.folder.clone(),
        }
    }

    /// Reaches its target and leaves it as it is.
    pub(crate) fn reach(&self, flow: &Flow) -> Result<(), WorkerError> {
        (self.known().check)(self.options.clone(), self.context(flow))
    }

    /// What its target holds of a partition, where it can tell.
    pub(crate) fn holds(
        &self,
        flow: &Flow,
        at: &TopicPartition,
    ) -> Result<Option<Holding>, WorkerError> {
        (self.known().holds)(self.options.clone(), self.context(flow), at)
    }
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
            PlannedProducer {
                name: producer.name.clone(),
                kind: producer.kind.clone(),
                system: producer.system.clone(),
                options: captures::complete(&producer.kind, &producer.options, &system.pack),
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
    whole_spec(pack, settings)
}

/// A pack for a system that owns everything.
fn whole_spec(pack: &Pack, settings: Map<String, Value>) -> Result<Spec, Report> {
    let system = SystemName::new("shop").expect("the name is allowed");
    let owned: BTreeSet<_> =
        normalizer::canonical_entities().iter().map(|entity| entity.name.clone()).collect();
    Ok(Spec { pack: mappings(pack)?, system, settings, owned })
}

/// What is wrong with the captures of a pack, also against its schemas.
pub(crate) fn check_pack(pack: &Pack) -> Vec<Finding> {
    let mut found = Violations::new();
    for kind in pack.capture_kinds().filter_map(captures::kind) {
        captures::check_pack(&kind, pack, &mut found);
    }
    pack.capture_report(found).findings().to_vec()
}

/// What is wrong with the mappings of a pack, apart from any configuration.
pub(crate) fn check_mappings(pack: &Pack) -> Vec<Finding> {
    let value = |setting: &Setting| match (&setting.default, setting.kind) {
        (Some(default), _) => default.clone(),
        (None, SettingType::String) => Value::from("value"),
        (None, SettingType::Integer) => Value::from(1),
        (None, SettingType::Boolean) => Value::from(true),
    };
    // A mapping is compiled against the types of the settings alone.
    let settings = pack.settings.iter().map(|(name, setting)| (name.clone(), value(setting)));
    match whole_spec(pack, settings.collect()) {
        Ok(spec) => load_normalizer(spec, pack).err().unwrap_or_default(),
        Err(report) => report.findings().to_vec(),
    }
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
