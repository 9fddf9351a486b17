use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use throughline_avro::json_to_datum;

use super::*;

fn schema(fields: serde_json::Value) -> Arc<Schema> {
    let record = serde_json::json!({"type": "record", "name": "R", "fields": fields});
    Arc::new(Schema::parse(&record.to_string()).unwrap())
}

fn read(bytes: Vec<u8>) -> Vec<RecordBatch> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap();
    reader.build().unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn nested_records_come_back_from_the_file() {
    let schema = schema(serde_json::json!([
        {"name": "sku", "type": "string"},
        {"name": "stock", "type": ["null", "long"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "price", "type": ["null", {"type": "record", "name": "Money", "fields": [
            {"name": "unscaled", "type": "long"}, {"name": "currency", "type": "string"}]}]},
        {"name": "lines", "type": {"type": "array", "items": ["null", "string"]}},
        {"name": "title", "type": {"type": "map", "values": "string"}},
        {"name": "exact", "type": {"type": "bytes", "logicalType": "decimal",
            "precision": 9, "scale": 2}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["a", "b"]}}
    ]));
    let mut table = Table::new(&schema).unwrap();
    let mut out = Vec::new();
    for value in [
        serde_json::json!({"sku": "a", "stock": 7, "at": "2026-11-23T00:00:00Z",
            "price": {"unscaled": 1250, "currency": "EUR"}, "lines": ["x", null],
            "title": {"en": "A", "de": "B"}, "exact": "-12.30", "day": "2026-11-23", "kind": "b"}),
        serde_json::json!({"sku": "b", "stock": null, "at": "1970-01-01T00:00:00Z", "price": null,
            "lines": [], "title": {}, "exact": "0", "day": "1970-01-01", "kind": "a"}),
    ] {
        let mut datum = Vec::new();
        json_to_datum(schema.root(), &value, &mut datum).unwrap();
        table.add(&datum, &mut out).unwrap();
        // A record that is cut is refused and leaves the columns as they were.
        assert!(table.add(&datum[..datum.len() - 1], &mut out).is_err());
    }
    table.finish(&mut out).unwrap();
    let batches = read(out);
    let rows = &batches[0];
    assert_eq!((batches.len(), rows.num_rows()), (1, 2));
    let text = |name: &str| rows.column_by_name(name).unwrap().as_string::<i32>().clone();
    assert_eq!(text("sku").value(1), "b");
    assert_eq!((text("kind").value(0), text("kind").value(1)), ("b", "a"));
    let stock = rows.column_by_name("stock").unwrap().as_primitive::<Int64Type>().clone();
    assert_eq!((stock.value(0), stock.is_null(1)), (7, true));
    let at = rows.column_by_name("at").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
    assert_eq!(at.value(0), 1_795_392_000_000_000);
    let price = rows.column_by_name("price").unwrap().as_struct().clone();
    assert!(price.is_valid(0) && price.is_null(1));
    assert_eq!(price.column(0).as_primitive::<Int64Type>().value(0), 1250);
    let lines = rows.column_by_name("lines").unwrap().as_list::<i32>().clone();
    assert_eq!(
        (lines.value(0).len(), lines.value(0).is_null(1), lines.value(1).len()),
        (2, true, 0)
    );
    let title = rows.column_by_name("title").unwrap().as_map().clone();
    assert_eq!(title.value(0).column(1).as_string::<i32>().value(1), "B");
    let exact = rows.column_by_name("exact").unwrap();
    let exact = exact.as_primitive::<arrow_array::types::Decimal128Type>().clone();
    assert_eq!((exact.value(0), exact.value_as_string(0)), (-1230, "-12.30".to_owned()));
}

#[test]
fn many_rows_are_written_as_they_come() {
    let schema = schema(serde_json::json!([{"name": "n", "type": "long"}]));
    let mut table = Table::new(&schema).unwrap();
    let mut out = Vec::new();
    for n in 0..ROWS as i64 * 2 + 1 {
        let mut datum = Vec::new();
        throughline_avro::put_long(&mut datum, n);
        table.add(&datum, &mut out).unwrap();
    }
    table.finish(&mut out).unwrap();
    let all: Vec<i64> = read(out)
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    assert_eq!(all, (0..ROWS as i64 * 2 + 1).collect::<Vec<_>>());
}

#[test]
fn types_without_a_form_are_refused_with_their_path() {
    for (kind, path) in [
        (serde_json::json!(["string", "long"]), "x is a union"),
        (
            serde_json::json!({"type": "array", "items": ["null", "string", "long"]}),
            "x[] is a union",
        ),
        (serde_json::json!({"type": "record", "name": "E", "fields": []}), "x is a record"),
        (
            serde_json::json!({"type": "record", "name": "T", "fields": [
            {"name": "t", "type": ["null", "T"]}]}),
            "x.t contains itself",
        ),
        (
            serde_json::json!({"type": "bytes", "logicalType": "decimal", "precision": 40}),
            "x is a decimal",
        ),
    ] {
        let schema = schema(serde_json::json!([{"name": "x", "type": kind}]));
        let error = Table::new(&schema).err().unwrap();
        assert!(error.starts_with(path), "{error}");
    }
}

#[test]
fn decimals_with_more_digits_than_their_schema_are_refused_and_others_are_exact() {
    let digits = 38;
    let schema = schema(serde_json::json!([{"name": "exact", "type": {"type": "bytes",
        "logicalType": "decimal", "precision": digits, "scale": 0}}]));
    let datum = |bytes: &[u8]| {
        let mut datum = Vec::new();
        throughline_avro::put_bytes(&mut datum, bytes);
        datum
    };
    let most = 10_i128.pow(digits) - 1;
    let taken = [most, -most, i128::from(i64::MAX) << 16, -1, 0];
    let mut table = Table::new(&schema).unwrap();
    let mut out = Vec::new();
    for value in taken {
        // A sign that is written longer than needed changes nothing.
        let sign = if value < 0 { 0xff } else { 0 };
        let long = [&[sign; 3][..], &value.to_be_bytes()].concat();
        table.add(&datum(&long), &mut out).unwrap();
    }
    let beyond = [&[1][..], &[0; 16]].concat();
    for bytes in
        [&(most + 1).to_be_bytes()[..], &i128::MIN.to_be_bytes(), &beyond, &[0x80; 17], &[0x7f; 17]]
    {
        let error = table.add(&datum(bytes), &mut out).unwrap_err();
        assert!(error.contains("38 digits"), "{error}");
    }
    // 16 bytes whose top bit is a digit, not a sign, because a zero byte stands before them.
    let unsigned = [&[0][..], &[0xff; 16]].concat();
    assert!(table.add(&datum(&unsigned), &mut out).is_err());
    table.finish(&mut out).unwrap();
    let batches = read(out);
    let column = batches[0].column(0);
    let column = column.as_primitive::<arrow_array::types::Decimal128Type>();
    assert_eq!(column.values().to_vec(), taken);
}
