//! How the files of a system are read: what the pack's `capture.yaml` says, and over it what the
//! operator wrote under `entities`.

use serde_json::{Map, Value};
use throughline_config::reference::REQUIRED_IN_PACK;
use throughline_config::schema::Shape;
use throughline_config::{codes, pack::Pack};
use throughline_event::{Path, Segment, SystemName, Violation, Violations, suggest};
use throughline_runtime::ProducerKind;

use super::columns;
use crate::connectors;

/// The key of a producer's options that the pack describes.
const ENTITIES: &str = "entities";

/// The options of a producer in a file: the pack describes its entities, so nothing of them is
/// required there.
pub(crate) fn options_schema(kind: &ProducerKind) -> Value {
    let mut schema = (kind.schema)().to_value();
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != ENTITIES);
    }
    let Some(at) = entity_pointer(&schema) else { return schema };
    if let Some(entity) = schema.pointer_mut(&at).and_then(Value::as_object_mut)
        && let Some(required) = entity.remove("required")
    {
        entity.insert(REQUIRED_IN_PACK.to_owned(), required);
    }
    schema
}

/// One entity as a whole: in `capture.yaml`, and when everything is put together.
pub(crate) fn entity_schema(kind: &ProducerKind) -> Option<Value> {
    let schema = (kind.schema)().to_value();
    let mut entity = schema.pointer(&entity_pointer(&schema)?)?.clone();
    if let (Some(entity), Some(definitions)) = (entity.as_object_mut(), schema.get("$defs")) {
        entity.insert("$defs".to_owned(), definitions.clone());
    }
    Some(entity)
}

/// Where the schema of an entity stands in the schema of the options.
fn entity_pointer(schema: &Value) -> Option<String> {
    let at = format!("/properties/{ENTITIES}/additionalProperties");
    match schema.pointer(&at)?.get("$ref").and_then(Value::as_str) {
        Some(reference) => reference.strip_prefix('#').map(str::to_owned),
        None => Some(at),
    }
}

/// The pack says how its files look; what the operator wrote for an entity wins, key by key.
pub(crate) fn complete(kind: &str, options: &Map<String, Value>, pack: &Pack) -> Value {
    let mut options = options.clone();
    let Some(capture) = pack.capture(kind) else { return Value::Object(options) };
    let described = capture.iter().map(|(name, entity)| (name.to_string(), entity.clone()));
    let mut entities: Map<String, Value> = described.collect();
    for (name, known) in &pack.entities {
        // In a pack it is the path of the schema.
        if let Some(schema) =
            entities.get_mut(name.as_str()).and_then(|entity| entity.get_mut("document_schema"))
        {
            *schema = Value::from(known.schema.text.clone());
        }
    }
    let written = options.remove(ENTITIES);
    for (name, more) in written.as_ref().and_then(Value::as_object).into_iter().flatten() {
        match (entities.get_mut(name).and_then(Value::as_object_mut), more.as_object()) {
            (Some(entity), Some(more)) => {
                entity.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            _ => drop(entities.insert(name.clone(), more.clone())),
        }
    }
    for (name, known) in &pack.entities {
        if let Some(fields) = entities.get_mut(name.as_str()).and_then(Value::as_object_mut) {
            let rule = if known.single_partition { "one" } else { "any" };
            fields.entry("partitions").or_insert_with(|| Value::from(rule));
            if !known.ignore.is_empty() {
                fields.entry("ignore").or_insert_with(|| Value::from(known.ignore.clone()));
            }
        }
    }
    options.insert(ENTITIES.to_owned(), Value::Object(entities));
    Value::Object(options)
}

/// Checks what the operator wrote together with what the pack says. The pack alone is right, so
/// that whatever is found has its cause in the file.
pub(crate) fn check(
    kind: &ProducerKind,
    options: &Map<String, Value>,
    system: &SystemName,
    pack: &Pack,
    found: &mut Violations,
) {
    let mut options = options.clone();
    let mut part = Violations::new();
    // An entity that does not exist is one mistake, and not one for each key that it lacks.
    if let Some(written) = options.get_mut(ENTITIES).and_then(Value::as_object_mut) {
        let known: Vec<&str> = pack.entities.keys().map(|name| name.as_str()).collect();
        written.retain(|name, _| {
            let there = known.contains(&name.as_str());
            if !there {
                let fix = suggest::instead_of(name, known.iter().copied(), "entities of the pack");
                let message = format!("the pack `{}` has no entity `{name}`", pack.name);
                part.add(codes::UNKNOWN_ENTITY, Path::from([ENTITIES, name]), message, fix);
            }
            there
        });
    }
    let mut rest = Violations::new();
    let complete = complete(kind.kind, &options, pack);
    if options.contains_key(ENTITIES) {
        whole(kind, &complete, system, pack, &mut rest);
    } else {
        (kind.validate)(complete, &Path::root(), &mut rest);
    }
    found.add_from(&Path::root(), part);
    found.add_from(&Path::root(), rest);
}

/// Checks what the pack alone says, as far as a producer of this kind can tell; paths are those of
/// `capture.yaml`.
pub(crate) fn check_pack(kind: &ProducerKind, pack: &Pack, found: &mut Violations) {
    let system = SystemName::new("system").expect("the name is allowed");
    let options = complete(kind.kind, &placeholders(kind), pack);
    let mut part = Violations::new();
    whole(kind, &options, &system, pack, &mut part);
    for Violation { code, path, message, fix } in part {
        // What is said about a placeholder concerns nobody.
        let Some((Segment::Key(first), rest)) = path.segments().split_first() else { continue };
        if first == ENTITIES {
            let rest: Path = rest.iter().cloned().collect();
            found.add(code, Path::from(kind.kind).join(&rest), message, fix);
        }
    }
}

/// Checks completed options; paths start at the options.
fn whole(
    kind: &ProducerKind,
    options: &Value,
    system: &SystemName,
    pack: &Pack,
    found: &mut Violations,
) {
    let shape = entity_schema(kind).and_then(|schema| Shape::new(schema).ok());
    let entities = options.get(ENTITIES).and_then(Value::as_object);
    for (name, entity) in entities.into_iter().flatten() {
        let mut part = Violations::new();
        shape.iter().for_each(|shape| shape.check(entity, &mut part));
        found.add_from(&Path::from([ENTITIES, name]), part);
    }
    if found.is_empty() {
        (kind.validate)(options.clone(), &Path::root(), found);
    }
    if found.is_empty() {
        columns::check(kind, system, options, pack, found);
    }
}

/// Values of the right type for what only a file can say: the folder, the address.
fn placeholders(kind: &ProducerKind) -> Map<String, Value> {
    let schema = (kind.schema)().to_value();
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let value = |name: &str| match schema.pointer(&format!("/properties/{name}/type"))?.as_str()? {
        "string" => Some(Value::from(".")),
        "integer" | "number" => Some(Value::from(1)),
        "boolean" => Some(Value::from(false)),
        "array" => Some(Value::Array(Vec::new())),
        _ => None,
    };
    required
        .filter_map(Value::as_str)
        .filter(|name| *name != ENTITIES)
        .filter_map(|name| Some((name.to_owned(), value(name)?)))
        .collect()
}

/// How a producer of this kind is known to this build.
pub(crate) fn kind(name: &str) -> Option<ProducerKind> {
    connectors::producers().get(name).copied()
}
