//! Random schemas and values of them.

use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::Decimal;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use throughline_avro::{Logical, Node, Schema};

/// A schema without its names, which are given when it is written out.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Plain(&'static str),
    Logical(&'static str, &'static str),
    Decimal,
    Fixed(usize),
    Enum(usize),
    Array(Box<Shape>),
    Map(Box<Shape>),
    Optional(Box<Shape>),
    Either(Vec<Shape>),
    Record(Vec<Shape>),
}

/// Shapes; `ambiguous` ones have unions whose branch JSON text cannot tell.
pub(crate) fn shapes(ambiguous: bool) -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null", "boolean", "int", "long", "float", "double", "bytes", "string"
        ])
        .prop_map(Shape::Plain),
        prop::sample::select(vec![
            ("int", "date"),
            ("int", "time-millis"),
            ("long", "time-micros"),
            ("long", "timestamp-millis"),
            ("long", "timestamp-micros"),
            ("long", "local-timestamp-micros"),
        ])
        .prop_map(|(base, logical)| Shape::Logical(base, logical)),
        Just(Shape::Decimal),
        (0usize..20).prop_map(Shape::Fixed),
        (1usize..4).prop_map(Shape::Enum),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let either = prop::collection::vec(inner.clone(), 1..4).prop_map(move |branches| {
            if ambiguous { Shape::Either(branches) } else { Shape::Record(branches) }
        });
        prop_oneof![
            inner.clone().prop_map(|item| Shape::Array(item.into())),
            inner.clone().prop_map(|item| Shape::Map(item.into())),
            inner.clone().prop_map(|item| match item {
                // A union holds no union, and null only once.
                Shape::Optional(_) | Shape::Either(_) | Shape::Plain("null") => item,
                item => Shape::Optional(item.into()),
            }),
            either,
            prop::collection::vec(inner, 0..5).prop_map(Shape::Record),
        ]
    })
}

/// The schema of a shape, with a name of its own for every named type.
pub(crate) fn schema(shape: &Shape) -> Schema {
    let text = text(shape, &mut 0);
    Schema::parse(&text).unwrap_or_else(|error| panic!("{error:?}: {text}"))
}

fn text(shape: &Shape, names: &mut usize) -> String {
    *names += 1;
    let name = *names;
    match shape {
        Shape::Plain(name) => format!("\"{name}\""),
        Shape::Logical(base, logical) => {
            format!(r#"{{"type":"{base}","logicalType":"{logical}"}}"#)
        }
        Shape::Decimal => {
            r#"{"type":"bytes","logicalType":"decimal","precision":60,"scale":3}"#.to_owned()
        }
        Shape::Fixed(size) => format!(r#"{{"type":"fixed","name":"F{name}","size":{size}}}"#),
        Shape::Enum(symbols) => {
            let symbols: Vec<_> = (0..*symbols).map(|index| format!("\"S{index}\"")).collect();
            let symbols = symbols.join(",");
            format!(r#"{{"type":"enum","name":"E{name}","symbols":[{symbols}]}}"#)
        }
        Shape::Array(item) => format!(r#"{{"type":"array","items":{}}}"#, text(item, names)),
        Shape::Map(item) => format!(r#"{{"type":"map","values":{}}}"#, text(item, names)),
        Shape::Optional(inner) => format!(r#"["null",{}]"#, text(inner, names)),
        Shape::Either(branches) => {
            // Wrapped in records, so that any two branches may stand in one union.
            let branches: Vec<_> =
                branches.iter().map(|branch| record(std::slice::from_ref(branch), names)).collect();
            format!("[{}]", branches.join(","))
        }
        Shape::Record(fields) => record(fields, names),
    }
}

fn record(fields: &[Shape], names: &mut usize) -> String {
    *names += 1;
    let name = *names;
    let fields: Vec<_> = fields
        .iter()
        .enumerate()
        .map(|(index, field)| format!(r#"{{"name":"f{index}","type":{}}}"#, text(field, names)))
        .collect();
    format!(r#"{{"type":"record","name":"R{name}","fields":[{}]}}"#, fields.join(","))
}

/// Values of a node, in the words of the oracle.
pub(crate) fn values(node: &Arc<Node>) -> BoxedStrategy<Value> {
    match &**node {
        Node::Null => Just(Value::Null).boxed(),
        Node::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Node::Int(logical) => {
            let logical = *logical;
            prop_oneof![any::<i32>(), -2i32..100]
                .prop_map(move |number| match logical {
                    Some(Logical::Date) => Value::Date(number),
                    Some(Logical::TimeMillis) => Value::TimeMillis(number),
                    _ => Value::Int(number),
                })
                .boxed()
        }
        Node::Long(logical) => {
            let logical = *logical;
            prop_oneof![any::<i64>(), -2i64..100, 1_700_000_000_000_000i64..1_800_000_000_000_000]
                .prop_map(move |number| match logical {
                    Some(Logical::TimeMicros) => Value::TimeMicros(number),
                    Some(Logical::TimestampMillis) => Value::TimestampMillis(number),
                    Some(Logical::TimestampMicros) => Value::TimestampMicros(number),
                    Some(Logical::LocalTimestampMicros) => Value::LocalTimestampMicros(number),
                    _ => Value::Long(number),
                })
                .boxed()
        }
        Node::Float => prop::num::f32::NORMAL.prop_map(Value::Float).boxed(),
        Node::Double => prop::num::f64::NORMAL.prop_map(Value::Double).boxed(),
        Node::Bytes(Some(_)) => {
            any::<i128>().prop_map(|number| Value::Decimal(Decimal::from(shortest(number)))).boxed()
        }
        Node::Bytes(None) => any::<Vec<u8>>().prop_map(Value::Bytes).boxed(),
        Node::String(_) => any::<String>().prop_map(Value::String).boxed(),
        Node::Fixed(size, _) => {
            let size = *size;
            prop::collection::vec(any::<u8>(), size)
                .prop_map(move |bytes| Value::Fixed(size, bytes))
                .boxed()
        }
        Node::Enum(symbols) => {
            let symbols = symbols.clone();
            (0..symbols.len())
                .prop_map(move |index| Value::Enum(index as u32, symbols[index].clone()))
                .boxed()
        }
        Node::Array(item) => {
            prop::collection::vec(values(item), 0..4).prop_map(Value::Array).boxed()
        }
        Node::Map(item) => prop::collection::vec((any::<String>(), values(item)), 0..4)
            .prop_map(|entries| Value::Map(entries.into_iter().collect::<HashMap<_, _>>()))
            .boxed(),
        Node::Union(branches) => {
            let branches = branches.clone();
            (0..branches.len())
                .prop_flat_map(move |index| {
                    values(&branches[index])
                        .prop_map(move |value| Value::Union(index as u32, Box::new(value)))
                })
                .boxed()
        }
        Node::Record(record) => {
            let fields: Vec<_> = record
                .fields
                .iter()
                .map(|field| (Just(field.name.clone()), values(&field.node)))
                .collect();
            fields.prop_map(Value::Record).boxed()
        }
        other => unreachable!("no shape makes {other:?}"),
    }
}

fn shortest(number: i128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let fill = if number < 0 { 0xff } else { 0 };
    let start =
        bytes.windows(2).take_while(|pair| pair[0] == fill && (pair[1] ^ fill) & 0x80 == 0).count();
    bytes[start..].to_vec()
}

/// What the oracle writes for `value`.
pub(crate) fn oracle_bytes(schema: &Schema, value: &Value) -> Vec<u8> {
    let oracle = apache_avro::Schema::parse_str(schema.text()).unwrap();
    let writer = GenericDatumWriter::builder(&oracle).build().unwrap();
    writer.write_value_to_vec(value.clone()).unwrap()
}

/// What the oracle reads from `datum`.
pub(crate) fn oracle_value(schema: &Schema, mut datum: &[u8]) -> Value {
    let oracle = apache_avro::Schema::parse_str(schema.text()).unwrap();
    let reader = GenericDatumReader::builder(&oracle).build().unwrap();
    let value = reader.read_value(&mut datum).unwrap();
    assert!(datum.is_empty(), "{} bytes left", datum.len());
    value
}

/// A schema with one of its values.
pub(crate) fn pairs(ambiguous: bool) -> impl Strategy<Value = (Schema, Value)> {
    shapes(ambiguous).prop_flat_map(|shape| {
        let schema = schema(&shape);
        let values = values(schema.root());
        (Just(schema), values)
    })
}
