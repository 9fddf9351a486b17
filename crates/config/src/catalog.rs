//! What the running binary can do, as far as a configuration has to know it.

use std::sync::Arc;

use serde_json::Value;
use throughline_event::{Role, SystemName, Violations};

use crate::{
    Finding,
    pack::{Pack, PackFiles},
};

/// The connectors, packs and canonical entities of one binary.
///
/// A schema describes what an operator writes, without the keys that every worker of the role has
/// (`kind`, `system`, `topics`). The `check_` functions see only values of the right shape; the paths
/// that they add start at the value.
pub trait Catalog {
    /// The canonical entities: `order`, `inventory`, ...
    fn entities(&self) -> Vec<String>;

    /// The kinds of connector of a role: `files`, `http`, ...
    fn kinds(&self, role: Role) -> Vec<String>;

    /// The JSON Schema of the options of a kind.
    fn options_schema(&self, role: Role, kind: &str) -> Option<Value>;

    /// Checks what the schema of the options cannot say.
    fn check_options(&self, _role: Role, _kind: &str, _options: &Value, _found: &mut Violations) {}

    /// The JSON Schema of one entity in the section of a producer kind in a pack's `capture.yaml`.
    fn capture_schema(&self, _kind: &str) -> Option<Value> {
        None
    }

    /// Checks the options of a producer together with the pack of its system, which has no mistake.
    fn check_producer(
        &self,
        _kind: &str,
        _options: &Value,
        _system: &SystemName,
        _pack: &Pack,
        _found: &mut Violations,
    ) {
    }

    /// Checks what the files of a pack but its mappings say together. Parts in which a mistake was
    /// found already are not in it.
    fn check_pack(&self, _pack: &Pack) -> Vec<Finding> {
        Vec::new()
    }

    /// Checks the mappings of a pack. Asked for only where something else is wrong, so that all is
    /// told together: whoever uses a pack compiles them, and that takes its time.
    fn check_mappings(&self, _pack: &Pack) -> Vec<Finding> {
        Vec::new()
    }

    /// Checks what the parts of a file say together; it may have mistakes.
    fn check_file(&self, _file: &Value, _found: &mut Violations) {}

    /// The names of the packs that are part of the binary.
    fn packs(&self) -> Vec<String>;

    /// The files of a pack that is part of the binary.
    fn pack(&self, name: &str) -> Option<Arc<dyn PackFiles>>;
}
