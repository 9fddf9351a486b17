//! From a value without mistakes to a [`Config`].

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde_json::{Map, Value};
use throughline_event::{EntityName, NameError, Role, SystemName, TopicName, WorkerName};

use super::{
    bus::address,
    workers::{NORMALIZER, options},
};
use crate::{
    Bus, Config, Embedded, Flush, Owner, Processor, Producer, Sink, System, config,
    file::{BusFile, EmbeddedFile, File, FlushFile, ProcessorHead, ProducerHead, SinkHead},
    pack::Pack,
};

/// A value that passed every check and still is no configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum Mismatch {
    #[error("the file has an unexpected shape: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("a name is not allowed: {0}")]
    Name(#[from] NameError),
    #[error("`{0}` is not an address")]
    Address(String),
    #[error("the pack `{0}` was not loaded")]
    Pack(String),
}

pub(super) fn config(
    value: &Value,
    folder: &Path,
    packs: &BTreeMap<String, Option<Arc<Pack>>>,
) -> Result<Config, Mismatch> {
    let file: File = serde_json::from_value(value.clone())?;
    let systems = systems(&file, packs)?;
    Ok(Config {
        folder: folder.to_owned(),
        data: super::below(folder, Path::new(file.data.as_deref().unwrap_or(config::DATA))),
        memory: file.memory.unwrap_or(config::MEMORY),
        metrics: listen(file.metrics, config::METRICS)?,
        ownership: ownership(&file.ownership)?,
        producers: producers(file.producers)?,
        processors: processors(file.processors, &systems)?,
        sinks: sinks(file.sinks)?,
        bus: bus(file.bus)?,
        systems,
    })
}

fn listen(
    written: Option<String>,
    default: std::net::SocketAddr,
) -> Result<std::net::SocketAddr, Mismatch> {
    match written {
        Some(text) => address(&text).ok_or(Mismatch::Address(text)),
        None => Ok(default),
    }
}

fn bus(written: Option<BusFile>) -> Result<Bus, Mismatch> {
    let embedded = |file: EmbeddedFile| -> Result<Bus, Mismatch> {
        Ok(Bus::Embedded(Embedded {
            kafka: listen(file.kafka, config::KAFKA)?,
            registry: listen(file.registry, config::REGISTRY)?,
            flush: match file.flush {
                Some(FlushFile::PageCache) => Flush::PageCache,
                Some(FlushFile::EveryAck) | None => Flush::EveryAck,
            },
        }))
    };
    match written {
        None | Some(BusFile::Name(_)) => embedded(EmbeddedFile::default()),
        Some(BusFile::Map(map)) => match (map.embedded, map.brokers, map.registry) {
            (None, Some(brokers), Some(registry)) => Ok(Bus::Kafka { brokers, registry }),
            (file, _, _) => embedded(file.unwrap_or_default()),
        },
    }
}

fn systems(
    file: &File,
    packs: &BTreeMap<String, Option<Arc<Pack>>>,
) -> Result<BTreeMap<SystemName, System>, Mismatch> {
    let mut systems = BTreeMap::new();
    for (name, written) in &file.systems {
        let pack = packs.get(name).cloned().flatten();
        let pack = pack.ok_or_else(|| Mismatch::Pack(written.pack.clone()))?;
        let mut settings = written.settings.clone();
        for (setting, spec) in &pack.settings {
            if let Some(default) = &spec.default {
                settings.entry(setting.clone()).or_insert_with(|| default.clone());
            }
        }
        let name = SystemName::new(name)?;
        systems.insert(name.clone(), System { name, pack, settings });
    }
    Ok(systems)
}

fn ownership(written: &BTreeMap<String, String>) -> Result<BTreeMap<EntityName, Owner>, Mismatch> {
    written
        .iter()
        .map(|(entity, owner)| {
            let owner = match owner.as_str() {
                "each" => Owner::Each,
                system => Owner::System(SystemName::new(system)?),
            };
            Ok((EntityName::new(entity)?, owner))
        })
        .collect()
}

type Workers = BTreeMap<String, Map<String, Value>>;

fn head<T: serde::de::DeserializeOwned>(worker: &Map<String, Value>) -> Result<T, Mismatch> {
    Ok(serde_json::from_value(Value::Object(worker.clone()))?)
}

fn producers(written: Workers) -> Result<Vec<Producer>, Mismatch> {
    let one = |(name, worker): (String, Map<String, Value>)| {
        let ProducerHead { kind, system } = head(&worker)?;
        let (name, system) = (WorkerName::new(name)?, SystemName::new(system)?);
        Ok(Producer { name, kind, system, options: options(Role::Producer, &worker) })
    };
    written.into_iter().map(one).collect()
}

fn processors(
    written: Workers,
    systems: &BTreeMap<SystemName, System>,
) -> Result<Vec<Processor>, Mismatch> {
    let one = |(name, worker): (String, Map<String, Value>)| {
        let ProcessorHead { kind, system } = head(&worker)?;
        let (name, system) = (WorkerName::new(name)?, SystemName::new(system)?);
        Ok(Processor { name, kind, system, options: options(Role::Processor, &worker) })
    };
    let mut processors: Vec<Processor> =
        written.into_iter().map(one).collect::<Result<_, Mismatch>>()?;
    for system in systems.keys() {
        if !processors.iter().any(|processor| processor.system == *system) {
            let name = WorkerName::new(system.as_str())?;
            let kind = NORMALIZER.to_owned();
            processors.push(Processor { name, kind, system: system.clone(), options: Map::new() });
        }
    }
    processors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(processors)
}

fn sinks(written: Workers) -> Result<Vec<Sink>, Mismatch> {
    let one = |(name, worker): (String, Map<String, Value>)| {
        let SinkHead { kind, topics } = head(&worker)?;
        let topics = topics.into_iter().map(TopicName::new).collect::<Result<_, _>>()?;
        Ok(Sink {
            name: WorkerName::new(name)?,
            kind,
            topics,
            options: options(Role::Sink, &worker),
        })
    };
    written.into_iter().map(one).collect()
}
