//! Our bytes against apache-avro's.

use apache_avro::Decimal;
use apache_avro::types::Value;
use proptest::prelude::*;
use throughline_avro::{
    Cursor, DecodeError, Logical, Node, Schema, json_to_datum, put_block, put_block_end,
    put_boolean, put_bytes, put_double, put_float, put_int, put_long, put_str, put_union_branch,
    write_json,
};

use crate::random::{oracle_bytes, oracle_value, pairs};

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Boolean(flag) => put_boolean(out, *flag),
        Value::Int(number) | Value::Date(number) | Value::TimeMillis(number) => {
            put_int(out, *number);
        }
        Value::Long(number)
        | Value::TimeMicros(number)
        | Value::TimestampMillis(number)
        | Value::TimestampMicros(number)
        | Value::LocalTimestampMicros(number) => put_long(out, *number),
        Value::Float(number) => put_float(out, *number),
        Value::Double(number) => put_double(out, *number),
        Value::Bytes(bytes) => put_bytes(out, bytes),
        Value::Decimal(decimal) => put_bytes(out, &<Vec<u8>>::try_from(decimal).unwrap()),
        Value::String(text) => put_str(out, text),
        Value::Fixed(_, bytes) => out.extend_from_slice(bytes),
        Value::Enum(index, _) => put_long(out, i64::from(*index)),
        Value::Union(branch, value) => {
            put_union_branch(out, *branch as usize);
            encode(value, out);
        }
        Value::Array(items) => {
            if !items.is_empty() {
                put_block(out, items.len());
                items.iter().for_each(|item| encode(item, out));
            }
            put_block_end(out);
        }
        Value::Map(entries) => {
            if !entries.is_empty() {
                put_block(out, entries.len());
                for (key, value) in entries {
                    put_str(out, key);
                    encode(value, out);
                }
            }
            put_block_end(out);
        }
        Value::Record(fields) => fields.iter().for_each(|(_, value)| encode(value, out)),
        other => unreachable!("no shape makes {other:?}"),
    }
}

fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Result<Value, DecodeError> {
    Ok(match node {
        Node::Null => Value::Null,
        Node::Boolean => Value::Boolean(cursor.boolean()?),
        Node::Int(Some(Logical::Date)) => Value::Date(cursor.int()?),
        Node::Int(Some(_)) => Value::TimeMillis(cursor.int()?),
        Node::Int(None) => Value::Int(cursor.int()?),
        Node::Long(Some(Logical::TimeMicros)) => Value::TimeMicros(cursor.long()?),
        Node::Long(Some(Logical::TimestampMillis)) => Value::TimestampMillis(cursor.long()?),
        Node::Long(Some(Logical::TimestampMicros)) => Value::TimestampMicros(cursor.long()?),
        Node::Long(Some(_)) => Value::LocalTimestampMicros(cursor.long()?),
        Node::Long(None) => Value::Long(cursor.long()?),
        Node::Float => Value::Float(cursor.float()?),
        Node::Double => Value::Double(cursor.double()?),
        Node::Bytes(Some(_)) => Value::Decimal(Decimal::from(cursor.bytes()?)),
        Node::Bytes(None) => Value::Bytes(cursor.bytes()?.to_vec()),
        Node::String(_) => Value::String(cursor.str()?.to_owned()),
        Node::Fixed(size, _) => Value::Fixed(*size, cursor.fixed(*size)?.to_vec()),
        Node::Enum(symbols) => {
            let index = cursor.enum_index(symbols.len())?;
            Value::Enum(index as u32, symbols[index].clone())
        }
        Node::Union(branches) => {
            let branch = cursor.union_branch(branches.len())?;
            Value::Union(branch as u32, Box::new(decode(&branches[branch], cursor)?))
        }
        Node::Array(item) => {
            let mut items = Vec::new();
            while let Some(block) = cursor.block()? {
                for _ in 0..block.items {
                    items.push(decode(item, cursor)?);
                }
            }
            Value::Array(items)
        }
        Node::Map(item) => {
            let mut entries = std::collections::HashMap::new();
            while let Some(block) = cursor.block()? {
                for _ in 0..block.items {
                    let key = cursor.str()?.to_owned();
                    entries.insert(key, decode(item, cursor)?);
                }
            }
            Value::Map(entries)
        }
        Node::Record(record) => Value::Record(
            record
                .fields
                .iter()
                .map(|field| Ok((field.name.clone(), decode(&field.node, cursor)?)))
                .collect::<Result<_, _>>()?,
        ),
        other => unreachable!("no shape makes {other:?}"),
    })
}

/// What is read from the JSON of a datum.
fn through_json(schema: &Schema, datum: &[u8]) -> Vec<u8> {
    let (mut text, mut out) = (Vec::new(), Vec::new());
    write_json(schema.root(), &mut Cursor::new(datum), &mut text).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    json_to_datum(schema.root(), &json, &mut out).unwrap();
    out
}

#[test]
fn a_number_is_taken_for_a_time_and_its_text_for_a_text_before_it() {
    let record = |name, of| {
        format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"f","type":{of}}}]}}"#)
    };
    let time = r#"{"type":"long","logicalType":"time-micros"}"#;
    let branches = [record("A", "\"string\""), record("B", time), record("C", "\"int\"")];
    let schema = Schema::parse(&format!("[{}]", branches.join(","))).unwrap();
    let time = through_json(&schema, &[4, 0]);
    assert_eq!(time, [2, 0]);
    let text = through_json(&schema, &time);
    assert_eq!(text, b"\x00\x1000:00:00");
    assert_eq!(through_json(&schema, &text), text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4 * ProptestConfig::default().cases))]

    #[test]
    fn our_bytes_are_the_oracles_bytes((schema, value) in pairs(true)) {
        let mut ours = Vec::new();
        encode(&value, &mut ours);
        let theirs = oracle_bytes(&schema, &value);
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(oracle_value(&schema, &ours), value);
    }

    #[test]
    fn what_the_oracle_writes_is_read_and_skipped_whole((schema, value) in pairs(true)) {
        let datum = oracle_bytes(&schema, &value);
        let mut cursor = Cursor::new(&datum);
        prop_assert_eq!(decode(schema.root(), &mut cursor).unwrap(), value);
        cursor.finish().unwrap();
        let mut cursor = Cursor::new(&datum);
        prop_assert_eq!(cursor.value(schema.root()).unwrap(), &datum[..]);
        cursor.finish().unwrap();
    }

    #[test]
    fn json_text_reads_back_to_the_same_bytes((schema, value) in pairs(false)) {
        let mut datum = Vec::new();
        encode(&value, &mut datum);
        let mut text = Vec::new();
        let mut cursor = Cursor::new(&datum);
        write_json(schema.root(), &mut cursor, &mut text).unwrap();
        cursor.finish().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let mut again = Vec::new();
        json_to_datum(schema.root(), &json, &mut again).unwrap();
        prop_assert_eq!(again, datum);
    }

    /// Each branch reads what it wrote, so a branch is only ever left for one before it.
    #[test]
    fn json_of_ambiguous_unions_settles((schema, value) in pairs(true)) {
        let mut datum = Vec::new();
        encode(&value, &mut datum);
        // Four unions within each other, of three branches: more ways down than that do not exist.
        let settled = (0..=81).any(|_| {
            let again = through_json(&schema, &datum);
            let same = again == datum;
            datum = again;
            same
        });
        prop_assert!(settled, "{datum:?}");
    }

    #[test]
    fn canonical_text_means_the_same_to_the_oracle((schema, _) in pairs(true)) {
        let oracle = apache_avro::Schema::parse_str(schema.text()).unwrap();
        let canonical = apache_avro::Schema::parse_str(schema.canonical_text()).unwrap();
        prop_assert_eq!(oracle.canonical_form(), canonical.canonical_form());
    }
}
