//! `system.yaml` as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use throughline_event::currency_exponent;

/// A system pack: what Throughline knows about one product.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "system.yaml")]
pub(crate) struct SystemYaml {
    /// The name by which `throughline.yaml` asks for the pack.
    #[schemars(extend("pattern" = throughline_event::NAME_PATTERN), example = &"sunrise")]
    pub(crate) name: String,
    /// What people call the product.
    #[schemars(length(min = 1))]
    pub(crate) title: String,
    /// The version of the pack, in quotes: `"1.0"`.
    #[schemars(length(min = 1), example = "\"1.0\"")]
    pub(crate) version: String,
    /// What has to be known about one instance of the product.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Setting>,
    /// The entities of the product, by the name that raw topics carry.
    #[schemars(
        length(min = 1),
        extend("propertyNames" = {"pattern": throughline_event::NAME_PATTERN}, "minProperties" = 1)
    )]
    pub(crate) entities: BTreeMap<String, EntityYaml>,
}

/// One setting of a pack.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Setting {
    /// The type of its value.
    #[serde(rename = "type")]
    pub kind: SettingType,
    /// The form of a text: `currency` for an ISO 4217 code.
    pub format: Option<SettingFormat>,
    /// Whether a system must give it.
    #[serde(default)]
    pub required: bool,
    /// The value of a system that does not give it.
    pub default: Option<Value>,
    /// What it means.
    pub description: String,
}

impl Setting {
    /// What is wanted in place of a value that it does not take.
    pub fn wanted(&self, value: &Value) -> Option<&'static str> {
        if !self.kind.accepts(value) {
            return Some(self.kind.words());
        }
        let format = self.format.filter(|format| !format.accepts(value));
        format.map(SettingFormat::words)
    }
}

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SettingFormat {
    /// An ISO 4217 code of a currency.
    Currency,
}

impl SettingFormat {
    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Currency => value.as_str().is_some_and(|code| currency_exponent(code).is_some()),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Currency => "an ISO 4217 currency code in capitals, such as `EUR`",
        }
    }
}

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SettingType {
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
}

impl SettingType {
    /// Whether a value has this type.
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
        }
    }

    /// The type in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Integer => "a whole number",
            Self::Boolean => "`true` or `false`",
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct EntityYaml {
    /// The mapping to canonical records. An entity without one is captured and not mapped.
    #[schemars(example = "mappings/order.vrl")]
    pub(crate) mapping: Option<String>,
    /// The Avro schema of its documents.
    #[schemars(example = "schemas/order.avsc")]
    pub(crate) schema: String,
    /// The canonical entities that the mapping writes.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub(crate) canonical: Vec<String>,
    /// Whether its raw topic must have one partition: where the canonical key can move from one
    /// document to another (a SKU can, an order number cannot).
    #[serde(default)]
    pub(crate) single_partition: bool,
    /// The fields whose change alone is no change.
    #[serde(default)]
    #[schemars(example = ["updated_at"])]
    pub(crate) ignore: Vec<String>,
}
