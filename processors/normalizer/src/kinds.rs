//! The types that a mapping is compiled against: of the document and of the settings.
//!
//! Both are closed: a field that the schema does not have is known to be absent.

use std::collections::BTreeMap;

use throughline_avro::{Logical, Node};
use vrl::value::kind::{Collection, Field};
use vrl::value::{KeyString, Kind, ObjectMap, Value};

/// The type of a document's part as [`decode`](crate::decode) shows it.
pub(crate) fn of_node(node: &Node) -> Kind {
    match node {
        Node::Null => Kind::null(),
        Node::Boolean => Kind::boolean(),
        Node::Long(Some(
            Logical::TimestampMillis | Logical::TimestampMicros | Logical::TimestampNanos,
        )) => Kind::timestamp(),
        Node::Int(None) | Node::Long(None) => Kind::integer(),
        Node::Array(item) => Kind::array(Collection::empty().with_unknown(of_node(item))),
        Node::Map(value) => Kind::object(Collection::empty().with_unknown(of_node(value))),
        Node::Union(branches) => {
            branches.iter().fold(Kind::never(), |kind, branch| kind.union(of_node(branch)))
        }
        Node::Record(record) => {
            let fields = record.fields.iter();
            object(fields.map(|field| (Field::from(field.name.as_str()), of_node(&field.node))))
        }
        Node::Recursive(_) => Kind::any(),
        // Numbers with a fraction, dates, times without a zone and bytes: text or bytes.
        _ => Kind::bytes(),
    }
}

/// The type of a setting's value.
pub(crate) fn of_setting(value: &serde_json::Value) -> Kind {
    match value {
        serde_json::Value::Null => Kind::null(),
        serde_json::Value::Bool(_) => Kind::boolean(),
        serde_json::Value::Number(number) if number.is_i64() => Kind::integer(),
        serde_json::Value::Number(_) | serde_json::Value::String(_) => Kind::bytes(),
        serde_json::Value::Array(items) => {
            let item = items.iter().fold(Kind::never(), |kind, item| kind.union(of_setting(item)));
            Kind::array(Collection::empty().with_unknown(item))
        }
        serde_json::Value::Object(entries) => object(
            entries.iter().map(|(name, value)| (Field::from(name.as_str()), of_setting(value))),
        ),
    }
}

/// A setting as a mapping sees it; a number with a fraction is text, like any such number.
pub(crate) fn setting_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(boolean) => Value::Boolean(*boolean),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::from(number.to_string()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(setting_value).collect()),
        serde_json::Value::Object(entries) => {
            let entry = |(name, value): (&String, _)| {
                (KeyString::from(name.as_str()), setting_value(value))
            };
            Value::Object(entries.iter().map(entry).collect::<ObjectMap>())
        }
    }
}

/// What `%` is: the settings and the instance's name.
pub(crate) fn metadata_kind(settings: &serde_json::Map<String, serde_json::Value>) -> Kind {
    let settings = of_setting(&serde_json::Value::Object(settings.clone()));
    object(
        [(Field::from("settings"), settings), (Field::from("system"), Kind::bytes())].into_iter(),
    )
}

fn object(fields: impl Iterator<Item = (Field, Kind)>) -> Kind {
    Kind::object(Collection::from(fields.collect::<BTreeMap<_, _>>()))
}
