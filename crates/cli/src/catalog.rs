//! What this binary can do, for the checks of the configuration.

use std::sync::Arc;

use serde_json::Value;
use throughline_config::pack::{Pack, PackFiles};
use throughline_config::{Catalog, Finding, NORMALIZER};
use throughline_event::{Path, Role, SystemName, Violations};

use crate::flow::{self, captures, folders};
use crate::{connectors, packs};

/// The connectors, packs and canonical entities of this binary.
#[derive(Debug, Default)]
pub(crate) struct BuiltIn;

impl Catalog for BuiltIn {
    fn entities(&self) -> Vec<String> {
        let entities = throughline_processor_normalizer::canonical_entities();
        entities.iter().map(|entity| entity.name.to_string()).collect()
    }

    fn kinds(&self, role: Role) -> Vec<String> {
        let names = |kinds: Vec<&'static str>| kinds.into_iter().map(str::to_owned).collect();
        match role {
            Role::Producer => names(connectors::producers().iter().map(|k| k.kind).collect()),
            Role::Processor => names(vec![NORMALIZER]),
            Role::Sink => names(connectors::sinks().iter().map(|k| k.kind).collect()),
        }
    }

    fn options_schema(&self, role: Role, kind: &str) -> Option<Value> {
        match role {
            Role::Producer => captures::kind(kind).map(|kind| captures::options_schema(&kind)),
            // A normalizer has no options of its own: everything is in the pack.
            Role::Processor => {
                Some(serde_json::json!({"type": "object", "additionalProperties": false}))
            }
            Role::Sink => connectors::sinks().get(kind).map(|k| (k.schema)().to_value()),
        }
    }

    fn check_options(&self, role: Role, kind: &str, options: &Value, found: &mut Violations) {
        if let (Role::Sink, Some(sink)) = (role, connectors::sinks().get(kind)) {
            (sink.validate)(options.clone(), &Path::root(), found);
        }
    }

    fn capture_schema(&self, kind: &str) -> Option<Value> {
        captures::entity_schema(&captures::kind(kind)?)
    }

    fn check_producer(
        &self,
        kind: &str,
        options: &Value,
        system: &SystemName,
        pack: &Pack,
        found: &mut Violations,
    ) {
        if let (Some(kind), Some(options)) = (captures::kind(kind), options.as_object()) {
            captures::check(&kind, options, system, pack, found);
        }
    }

    fn check_pack(&self, pack: &Pack) -> Vec<Finding> {
        flow::check_pack(pack)
    }

    fn check_mappings(&self, pack: &Pack) -> Vec<Finding> {
        flow::check_mappings(pack)
    }

    fn check_file(&self, file: &Value, found: &mut Violations) {
        folders::check(file, found);
    }

    fn packs(&self) -> Vec<String> {
        packs::names()
    }

    fn pack(&self, name: &str) -> Option<Arc<dyn PackFiles>> {
        packs::get(name)
    }
}
