//! The configuration without any connector.

use std::sync::Arc;

use serde_json::Value;
use throughline_config::{Catalog, Role, pack::PackFiles};

/// A catalog that leaves the options of workers open: they are on the page of each connector, and
/// building every connector to write one page would make each chore as slow as the product.
pub(crate) struct Open;

impl Catalog for Open {
    fn entities(&self) -> Vec<String> {
        vec![]
    }

    fn kinds(&self, _role: Role) -> Vec<String> {
        vec![]
    }

    fn options_schema(&self, _role: Role, _kind: &str) -> Option<Value> {
        None
    }

    fn packs(&self) -> Vec<String> {
        vec![]
    }

    fn pack(&self, _name: &str) -> Option<Arc<dyn PackFiles>> {
        None
    }
}
