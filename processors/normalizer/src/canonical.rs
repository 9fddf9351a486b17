//! The canonical schemas, as they stand in `schemas/canonical`.

use std::sync::LazyLock;

use throughline_avro::Schema;
use throughline_event::EntityName;

/// One entity of the canonical model.
#[derive(Debug, Clone)]
pub struct CanonicalEntity {
    /// Its name.
    pub name: EntityName,
    /// The schema of its keys.
    pub key: Schema,
    /// The schema of its records.
    pub value: Schema,
}

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$((
            $name,
            include_str!(concat!("../../../schemas/canonical/", $name, "-key.avsc")),
            include_str!(concat!("../../../schemas/canonical/", $name, ".avsc")),
        )),*]
    };
}

/// Name, key schema, value schema; by name.
const TEXTS: &[(&str, &str, &str)] = texts![
    "adjustment",
    "customer",
    "fulfillment",
    "inventory",
    "location",
    "order",
    "payment",
    "price",
    "product",
    "variant",
];

static ENTITIES: LazyLock<Vec<CanonicalEntity>> = LazyLock::new(|| {
    let entity = |(name, key, value): &(&str, &str, &str)| CanonicalEntity {
        name: EntityName::new(*name).expect("canonical entities have good names"),
        key: Schema::parse(key).expect("canonical key schemas are checked by tests"),
        value: Schema::parse(value).expect("canonical schemas are checked by tests"),
    };
    TEXTS.iter().map(entity).collect()
});

/// All entities of the canonical model, by name.
pub fn canonical_entities() -> &'static [CanonicalEntity] {
    &ENTITIES
}

/// One entity of the canonical model; none when there is no such entity.
pub fn canonical_entity(name: &str) -> Option<&'static CanonicalEntity> {
    ENTITIES.iter().find(|entity| entity.name.as_str() == name)
}
