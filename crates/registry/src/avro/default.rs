//! Whether a default value fits the type of its field.

use serde_json::{Number, Value};

use super::{Kind, Node, NodeId, Primitive};

/// The default as it is stored, or `None` when it does not fit.
///
/// Older tools write the default of a float or double as a text; it is stored as the number.
pub(super) fn checked_default(
    nodes: &[Node],
    open: &[NodeId],
    schema: NodeId,
    value: &Value,
) -> Option<Value> {
    use Primitive::{Double, Float};
    if let (Kind::Primitive(Float | Double), Value::String(text)) = (&nodes[schema.0].kind, value) {
        let number: f64 = text.trim().parse().ok()?;
        return Some(Number::from_f64(number).map_or_else(|| value.clone(), Value::Number));
    }
    fits(nodes, open, schema, value).then(|| value.clone())
}

/// Recursion follows the value, whose nesting the JSON reader has bounded.
fn fits(nodes: &[Node], open: &[NodeId], schema: NodeId, value: &Value) -> bool {
    let fits = |schema, value| fits(nodes, open, schema, value);
    match &nodes[schema.0].kind {
        Kind::Primitive(primitive) => match primitive {
            Primitive::Null => value.is_null(),
            Primitive::Boolean => value.is_boolean(),
            Primitive::Int => value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
            Primitive::Long => value.as_i64().is_some(),
            Primitive::Float | Primitive::Double => value.is_number(),
            Primitive::Bytes | Primitive::String => value.is_string(),
        },
        // A symbol or a length is not checked: Java's library accepts any text here.
        Kind::Enum { .. } | Kind::Fixed { .. } => value.is_string(),
        Kind::Array(items) => {
            value.as_array().is_some_and(|values| values.iter().all(|value| fits(*items, value)))
        }
        Kind::Map(values) => value
            .as_object()
            .is_some_and(|object| object.values().all(|value| fits(*values, value))),
        // The default of a union is a value of its first branch.
        Kind::Union(branches) => branches.first().is_some_and(|first| fits(*first, value)),
        // A default that contains its own record would never end.
        Kind::Record { .. } if open.contains(&schema) => false,
        // A field that the value leaves out takes its own default, which was checked with it.
        Kind::Record { fields, .. } => value.as_object().is_some_and(|object| {
            fields.iter().all(|field| match object.get(&field.name) {
                Some(value) => fits(field.schema, value),
                None => field.default.is_some(),
            })
        }),
    }
}
