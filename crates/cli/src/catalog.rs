//! What this binary can do, for the checks of the configuration.

use std::sync::Arc;

use serde_json::Value;
use throughline_config::pack::PackFiles;
use throughline_config::{Catalog, Role};
use throughline_event::{Path, Violations};

use crate::{connectors, packs};

/// The only kind of processor: pure mappings from raw to canonical records.
pub(crate) const NORMALIZER: &str = "normalizer";

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
            Role::Producer => {
                let schema = connectors::producers().get(kind).map(|k| (k.schema)().to_value());
                schema.map(without_entities)
            }
            // A normalizer has no options of its own: everything is in the pack.
            Role::Processor => {
                Some(serde_json::json!({"type": "object", "additionalProperties": false}))
            }
            Role::Sink => connectors::sinks().get(kind).map(|k| (k.schema)().to_value()),
        }
    }

    fn check_options(&self, role: Role, kind: &str, options: &Value, found: &mut Violations) {
        // The options of a producer are complete only together with its pack: `flow` checks them.
        if let (Role::Sink, Some(sink)) = (role, connectors::sinks().get(kind)) {
            (sink.validate)(options.clone(), &Path::root(), found);
        }
    }

    fn packs(&self) -> Vec<String> {
        packs::names()
    }

    fn pack(&self, name: &str) -> Option<Arc<dyn PackFiles>> {
        packs::get(name)
    }
}

/// What the pack says of the entities need not be written again.
fn without_entities(mut schema: Value) -> Value {
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != "entities");
    }
    schema
}
