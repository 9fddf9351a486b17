//! What the operator writes for one connector.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use throughline_event::{Path, Violations};

/// Options as written. Validation turns them into settings that cannot be wrong.
///
/// Derive `Deserialize` and `JsonSchema` with `deny_unknown_fields`; never `flatten`, which switches
/// that check off. Doc comments of the fields are the reference text.
pub trait ConnectorOptions: DeserializeOwned + JsonSchema {
    /// What validation returns; has no serde.
    type Settings: Send + 'static;

    /// Checks without I/O and reports everything that is wrong, each with the path below `at`.
    /// Returns the settings only when nothing was added to `violations`.
    fn validate(self, at: &Path, violations: &mut Violations) -> Option<Self::Settings>;
}

/// Reads options from the JSON form of their part of the configuration and validates them.
pub fn options_from_json<O: ConnectorOptions>(
    value: serde_json::Value,
    at: &Path,
    violations: &mut Violations,
) -> Option<O::Settings> {
    match serde_json::from_value::<O>(value) {
        Ok(options) => options.validate(at, violations),
        Err(error) => {
            violations.add("TL0020", at.clone(), error.to_string(), "see the connector's README");
            None
        }
    }
}
