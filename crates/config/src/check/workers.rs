//! Producers, processors and sinks.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};
use throughline_event::{Path, Role, SystemName, Violations, suggest};

use super::Check;
use crate::{codes, pack::Pack};

/// The kind of the processor that a system gets without asking.
pub const NORMALIZER: &str = "normalizer";

/// The keys that every worker of a role has; the others belong to its kind.
pub(crate) const fn head(role: Role) -> &'static [&'static str] {
    match role {
        Role::Producer | Role::Processor => &["kind", "system"],
        Role::Sink => &["kind", "topics"],
    }
}

/// The part of a worker that belongs to its kind.
pub(super) fn options(role: Role, worker: &Map<String, Value>) -> Map<String, Value> {
    worker
        .iter()
        .filter(|(key, _)| !head(role).contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

impl Check<'_> {
    pub(super) fn workers(&mut self) {
        for role in Role::ALL {
            for (name, worker) in self.section(role.section()) {
                if let Some(worker) = worker.as_object() {
                    self.worker(role, &Path::from([role.section(), name]), worker);
                }
            }
        }
        self.names();
    }

    fn worker(&mut self, role: Role, at: &Path, worker: &Map<String, Value>) {
        let system = worker.get("system").and_then(Value::as_str);
        let system = system.filter(|_| role != Role::Sink);
        if let Some(system) = system.filter(|system| !self.systems.contains_key(*system)) {
            let fix = match self.system_names().next() {
                Some(_) => suggest::instead_of(system, self.system_names(), "systems"),
                None => format!("add `{system}:` under `systems`"),
            };
            let message = format!("there is no system `{system}`");
            self.found.add(codes::UNKNOWN_SYSTEM, at.key("system"), message, fix);
        }
        let topics = worker.get("topics").filter(|_| role == Role::Sink).and_then(Value::as_array);
        for (index, topic) in topics.into_iter().flatten().enumerate() {
            if let Some(topic) = topic.as_str() {
                self.topic(topic, &at.key("topics").index(index));
            }
        }
        let Some(kind) = worker.get("kind").and_then(Value::as_str) else { return };
        let kinds = self.catalog.kinds(role);
        if !kinds.iter().any(|known| known == kind) {
            let names = kinds.iter().map(String::as_str);
            let fix = suggest::instead_of(kind, names, &format!("kinds of {role}"));
            let message = format!("there is no {role} of the kind `{kind}`");
            self.found.add(codes::UNKNOWN_KIND, at.key("kind"), message, fix);
            return;
        }
        if role == Role::Producer
            && let Some(Some(pack)) = system.and_then(|system| self.systems.get(system))
            && pack.capture(kind).is_none()
        {
            let known: Vec<&str> = pack.capture_kinds().collect();
            let message =
                format!("the pack `{}` has no section `{kind}` in `capture.yaml`", pack.name);
            let fix = match known.as_slice() {
                [] => "add `capture.yaml` to the pack".to_owned(),
                known => format!("kinds of this pack: {}", known.join(", ")),
            };
            self.found.add(codes::NO_CAPTURE, at.key("kind"), message, fix);
        }
        let options = Value::Object(options(role, worker));
        let schema = self.catalog.options_schema(role, kind);
        if schema.is_some_and(|schema| !self.shape(schema, &options, at)) {
            return;
        }
        let mut found = Violations::new();
        self.catalog.check_options(role, kind, &options, &mut found);
        if let Some((system, pack)) = system.and_then(|system| self.usable(system))
            && role == Role::Producer
            && pack.capture(kind).is_some()
        {
            self.catalog.check_producer(kind, &options, &system, &pack, &mut found);
        }
        self.found.add_from(at, found);
    }

    /// The names of the systems that can have them.
    pub(super) fn system_names(&self) -> impl Iterator<Item = &str> {
        self.systems.keys().map(String::as_str).filter(|name| SystemName::new(*name).is_ok())
    }

    /// A system whose name and pack have no mistake.
    fn usable(&self, system: &str) -> Option<(SystemName, Arc<Pack>)> {
        let pack = self.systems.get(system)?.clone()?;
        Some((SystemName::new(system).ok()?, pack))
    }

    /// Worker names are parts of topic names and folders, so no two workers share one.
    fn names(&mut self) {
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for role in Role::ALL {
            for (name, _) in self.section(role.section()) {
                if let Some(other) = taken.insert(name, role.section()) {
                    let at = Path::from([role.section(), name]);
                    let message = format!("`{name}` is also the name of a worker under `{other}`");
                    self.found.add(codes::NAME_TAKEN, at, message, "give each worker its own name");
                }
            }
        }
        let has_processor = |system: &str| {
            self.section("processors")
                .any(|(_, worker)| worker.get("system").is_some_and(|s| s == system))
        };
        let defaults: Vec<&String> =
            self.systems.keys().filter(|system| !has_processor(system)).collect();
        let clashes: Vec<(Path, String)> = defaults
            .into_iter()
            .filter_map(|system| Some((Path::from([*taken.get(system.as_str())?, system]), system)))
            .map(|(at, system)| (at, format!("`{system}` is also the name of the normalizer that the system `{system}` gets")))
            .collect();
        for (at, message) in clashes {
            let fix = "give the worker another name, or name the normalizer under `processors`";
            self.found.add(codes::NAME_TAKEN, at, message, fix);
        }
    }
}
