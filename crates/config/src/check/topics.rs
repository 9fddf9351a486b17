//! Who owns which entity, and which topics exist because of it.

use serde_json::Value;
use throughline_event::{Path, SystemName, suggest};

use super::Check;
use crate::codes;

impl Check<'_> {
    pub(super) fn ownership(&mut self) {
        let entities = self.catalog.entities();
        for (entity, owner) in self.section("ownership") {
            let at = Path::from(["ownership", entity]);
            if !entities.contains(entity) {
                let fix =
                    suggest::instead_of(entity, entities.iter().map(String::as_str), "entities");
                let message = format!("there is no canonical entity `{entity}`");
                self.found.add(codes::UNKNOWN_ENTITY, at, message, fix);
                continue;
            }
            let Some(owner) = owner.as_str().filter(|owner| *owner != "each") else { continue };
            match self.systems.get(owner) {
                None => {
                    let names = self.system_names().chain(["each"]);
                    let fix = suggest::instead_of(owner, names, "allowed");
                    let message = format!("there is no system `{owner}`");
                    self.found.add(codes::UNKNOWN_SYSTEM, at, message, fix);
                }
                Some(Some(pack)) if !pack.writes(entity) => {
                    let message = format!(
                        "`{owner}` cannot own `{entity}`: its pack `{}` has none",
                        pack.name
                    );
                    let fix = self.writers_of(entity);
                    self.found.add(codes::WRONG_OWNER, at, message, fix);
                }
                Some(_) => {}
            }
        }
    }

    /// The fix for an entity with a wrong owner.
    fn writers_of(&self, entity: &str) -> String {
        let writes = |pack: &Option<_>| {
            pack.as_ref()
                .is_some_and(|pack: &std::sync::Arc<crate::pack::Pack>| pack.writes(entity))
        };
        let writers: Vec<String> = self
            .systems
            .iter()
            .filter(|(_, pack)| writes(pack))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if writers.is_empty() {
            format!("remove `{entity}`; no system in the file has it")
        } else {
            format!("write `each` or {}", writers.join(" or "))
        }
    }

    /// Every entity that some system writes needs an owner; without one nobody would see it.
    pub(super) fn owners_of_all_entities(&mut self) {
        let at = Path::from("ownership");
        let usable = matches!(self.value.get("ownership"), None | Some(Value::Object(_)));
        if !usable {
            return;
        }
        for entity in self.catalog.entities() {
            let writer = self
                .systems
                .iter()
                .find(|(_, pack)| pack.as_ref().is_some_and(|pack| pack.writes(&entity)));
            if let Some((system, _)) = writer.filter(|_| self.owner(&entity).is_none()) {
                let message = format!("nobody owns `{entity}`, which `{system}` publishes");
                let fix = format!("add `{entity}: {system}` or `{entity}: each` under `ownership`");
                self.found.add(codes::NO_OWNER, at.clone(), message, fix);
            }
        }
    }

    fn owner(&self, entity: &str) -> Option<&Value> {
        self.value.get("ownership")?.get(entity)
    }

    /// Checks that something in the file writes a topic that a sink reads.
    pub(super) fn topic(&mut self, topic: &str, at: &Path) {
        let parts: Vec<&str> = topic.split('.').collect();
        let published = self.published();
        let message = match parts.as_slice() {
            _ if published.iter().any(|(name, _)| name == topic) => return,
            // A part that cannot be judged because of another mistake is not judged.
            ["canonical", entity] if self.undecided(entity, None) => return,
            ["observed", system, entity] if self.undecided(entity, Some(system)) => return,
            ["canonical", entity] => {
                format!("no system in the file publishes `{entity}` to `{topic}`")
            }
            ["observed", system, _] if !self.systems.contains_key(*system) => {
                format!("there is no system `{system}`")
            }
            ["observed", system, entity] => {
                format!("`{system}` does not publish `{entity}` to `{topic}`")
            }
            _ => format!("`{topic}` is not a topic that a sink can read"),
        };
        let known = published.iter().map(|(name, _)| name.as_str());
        let fix = match published.as_slice() {
            [] => "add the system that publishes it, and its owner".to_owned(),
            _ => suggest::instead_of(topic, known, "topics"),
        };
        self.found.add(codes::UNKNOWN_TOPIC, at, message, fix);
    }

    /// The canonical and observed topics that the normalizers of this file write, each with the
    /// system that writes it.
    fn published(&self) -> Vec<(String, &str)> {
        let mut topics = Vec::new();
        for (system, pack) in &self.systems {
            // A name that is refused is not proposed.
            let Some(pack) = pack.as_ref().filter(|_| SystemName::new(system).is_ok()) else {
                continue;
            };
            let entities = pack.entities.values().flat_map(|entity| &entity.canonical);
            for entity in entities {
                let owner = self.owner(entity.as_str()).and_then(Value::as_str);
                let topic = match owner {
                    Some(owner) if owner == "each" || owner == system => {
                        format!("canonical.{entity}")
                    }
                    Some(_) => format!("observed.{system}.{entity}"),
                    None => continue,
                };
                topics.push((topic, system.as_str()));
            }
        }
        topics.sort();
        topics.dedup_by(|a, b| a.0 == b.0);
        topics
    }

    /// Whether a mistake elsewhere hides who publishes an entity.
    fn undecided(&self, entity: &str, system: Option<&str>) -> bool {
        let unusable = |name: &str| matches!(self.systems.get(name), Some(None));
        let pack_unknown = match system {
            Some(system) => unusable(system),
            None => self.systems.values().any(Option::is_none),
        };
        let known = self.catalog.entities().iter().any(|name| name == entity);
        let owned = self.owner(entity).is_some();
        let owner_is_wrong = !self.sound(&Path::from(["ownership", entity]));
        let ownerless = !owned && self.systems.values().flatten().any(|pack| pack.writes(entity));
        known && (pack_unknown || owner_is_wrong || ownerless)
    }
}
