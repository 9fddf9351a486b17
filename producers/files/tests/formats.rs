use serde_json::{Value, json};
use throughline_connector::Producer;

use crate::support::{Folder, documents, read, stock};

fn customers(format: &str) -> Value {
    json!({"customer": {"path": "customers.*", "format": format, "mode": "replace",
        "key": ["number"], "drop": ["password", "addresses.phone"], "columns": {
            "customerNumber": {"field": "number"},
            "email": {},
            "address.city": {"field": "city", "nullable": true},
            "addresses": {"type": "json", "nullable": true},
            "credit": {"type": "decimal", "nullable": true},
            "points": {"type": "long", "nullable": true},
            "active": {"type": "boolean", "nullable": true},
            "born": {"type": "date", "nullable": true}}}})
}

const OBJECT: &str = r#"{"customerNumber": "1", "email": "a@b.c", "password": "hunter2",
    "address": {"city": "Köln"}, "addresses": [{"phone": "555", "zip": "1"}],
    "credit": 12345678901234567890.10, "points": 7, "active": true, "born": "1974-09-20"}"#;

fn expected() -> Value {
    json!({"number": "1", "email": "a@b.c", "city": "Köln", "addresses": "[{\"zip\":\"1\"}]",
        "credit": "12345678901234567890.10", "points": 7, "active": true, "born": "1974-09-20"})
}

#[test]
fn objects_of_a_pretty_printed_array_are_rows() {
    let folder = Folder::new(customers("json"));
    let second = r#"{"customerNumber": "2", "email": "", "points": null}"#;
    folder.put("customers.json", format!("[\n  {OBJECT},\n  {second}\n]\n"));
    let log = read(&folder, None);
    assert_eq!(log.places(), []);
    let found = documents(&folder, 0, &log);
    assert_eq!(found[0], (json!({"number": "1"}), expected()));
    assert_eq!(found[1].1["email"], json!(""));
    assert_eq!(found[1].1["points"], Value::Null);
    assert!(!format!("{:?}", log.items).contains("hunter2"));
}

#[test]
fn each_line_of_json_lines_is_a_row() {
    let folder = Folder::new(customers("jsonl"));
    let line = OBJECT.replace('\n', "");
    folder.put("customers.jsonl", format!("{line}\r\n\n{{\"customerNumber\": 1}}\n[1]\n{{\"a\n{{\"customerNumber\": \"3\", \"email\": \"x\", \"more\": 1}}"));
    let log = read(&folder, None);
    assert_eq!(documents(&folder, 0, &log), [(json!({"number": "1"}), expected())]);
    let places = log.places();
    let codes: Vec<_> = places.iter().map(|(code, place)| (*code, place.as_str())).collect();
    assert_eq!(
        codes,
        [
            ("TL1013", "customers.jsonl line 3"),
            ("TL1017", "customers.jsonl line 4"),
            ("TL1017", "customers.jsonl line 5 column 3"),
            ("TL1018", "customers.jsonl line 6"),
            ("TL1023", "customers.jsonl line 6"),
        ]
    );
}

#[test]
fn a_document_schema_takes_the_object_as_a_whole() {
    let schema = json!({"type": "record", "name": "Store", "fields": [
        {"name": "key", "type": "string"},
        {"name": "name", "type": {"type": "map", "values": "string"}},
        {"name": "geo", "type": ["null", {"type": "record", "name": "Geo", "fields": [
            {"name": "coordinates", "type": {"type": "array", "items": "double"}}]}],
            "default": null}]});
    let mut folder = Folder::new(json!({"store": {"path": "stores.json", "format": "json",
        "mode": "replace", "key": ["key"], "drop": ["secret"],
        "document_schema": schema.to_string()}}));
    folder.put("stores.json", r#"[{"key": "sf", "name": {"en": "San Francisco"}, "secret": "hunter2",
        "geo": {"coordinates": [-122.5, 37]}}, {"key": "ny", "name": {}}, {"key": "bad", "name": 1}]"#);
    let log = read(&folder, None);
    assert_eq!(
        documents(&folder, 0, &log),
        [
            (
                json!({"key": "sf"}),
                json!({"key": "sf", "name": {"en": "San Francisco"},
            "geo": {"coordinates": [-122.5, 37.0]}})
            ),
            (json!({"key": "ny"}), json!({"key": "ny", "name": {}, "geo": null})),
        ]
    );
    assert_eq!(log.places(), [("TL1018", "stores.json line 2".to_owned())]);
    assert!(log.items.iter().any(|item| matches!(item, throughline_connector::Item::Kept { .. })));

    folder.put(
        "stores.json",
        r#"[{"key": "sf", "name": {}, "geo": {"coordinates": [], "type": "Point"}}]"#,
    );
    assert_eq!(read(&folder, None).rejected()[0].code, "TL1018");
    folder.set(&["entities", "store", "extra_columns"], json!("ignore"));
    assert_eq!(documents(&folder, 0, &read(&folder, None)).len(), 1);
}

#[test]
fn a_file_that_is_no_array_is_refused_and_deletes_nothing() {
    for content in ["{}", "[{\"customerNumber\": \"1\", \"email\": \"x\"}", "[] []"] {
        let folder = Folder::new(customers("json"));
        folder.put("customers.json", content);
        let log = read(&folder, None);
        assert_eq!(log.places(), [("TL1025", "customers.json line 1".to_owned())], "{content}");
        assert!(
            !log.items
                .iter()
                .any(|item| { matches!(item, throughline_connector::Item::SweepEnd { .. }) })
        );
    }
}

#[test]
fn encodings_are_declared_and_a_byte_order_mark_wins() {
    let utf16 = |text: &str| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let text = "sku;stock\nGröße €;1\n";
    for (encoding, bytes) in [
        ("utf-8", text.as_bytes().to_vec()),
        ("windows-1252", b"sku;stock\nGr\xf6\xdfe \x80;1\n".to_vec()),
        ("windows-1252", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("utf-8", utf16(text)),
        ("utf-16le", utf16(text)[2..].to_vec()),
    ] {
        for mode in ["replace", "append"] {
            let mut folder = Folder::new(stock(mode));
            folder.set(&["entities", "stock", "encoding"], json!(encoding));
            folder.set(&["entities", "stock", "delimiter"], json!(";"));
            folder.put("stock.csv", &bytes);
            let log = read(&folder, None);
            let found = documents(&folder, 0, &log);
            assert_eq!(found, [(json!({"sku": "Größe €"}), json!({"sku": "Größe €", "stock": 1}))]);
            assert!(read(&folder, log.position).items.is_empty(), "{encoding} {mode}");
        }
    }
}

#[test]
fn without_a_header_columns_are_in_declared_order() {
    let mut folder = Folder::new(stock("replace"));
    folder.set(&["entities", "stock", "header"], json!(false));
    folder.set(
        &["entities", "stock", "columns"],
        json!({"stock": {"type": "long"}, "secret": {}, "sku": {}}),
    );
    folder.set(&["entities", "stock", "drop"], json!(["secret"]));
    folder.put("stock.csv", "1,x,a\n2,x,b\n");
    let found = documents(&folder, 0, &read(&folder, None));
    assert_eq!(found[1], (json!({"sku": "b"}), json!({"stock": 2, "sku": "b"})));
}

#[test]
fn an_empty_value_is_null_or_empty_text_as_declared() {
    let mut folder = Folder::new(stock("replace"));
    folder.set(
        &["entities", "stock", "columns"],
        json!({"sku": {}, "channel": {"empty": ""},
        "note": {"nullable": true}, "stock": {"type": "long", "nullable": true}}),
    );
    folder.set(&["entities", "stock", "key"], json!(["sku", "channel"]));
    folder.put("stock.csv", "sku,channel,note,stock\na,,,\na,\"\",x,1\n");
    let found = documents(&folder, 0, &read(&folder, None));
    assert_eq!(
        found[0],
        (
            json!({"sku": "a", "channel": ""}),
            json!({"sku": "a", "channel": "", "note": null, "stock": null})
        )
    );
    assert_eq!(found[1].1["note"], json!("x"));
}

#[test]
fn schemas_are_named_after_the_system_and_the_entity() {
    let folder = Folder::new(json!({"stock-row": crate::support::orders("append")["order"]}));
    let producer = folder.producer(None);
    let entity = &producer.entities()[0];
    assert_eq!(entity.key.record().unwrap().name, "shop.StockRowKey");
    assert_eq!(entity.document.record().unwrap().name, "shop.StockRow");
}

#[test]
fn a_row_in_another_encoding_is_shown_as_text() {
    for (format, row, shown) in [
        ("csv", &b"J\xfcrgen,x\n"[..], "Jürgen,x"),
        ("csv", b"\"J\xfcrgen\"x,1\n", "\"Jürgen\"x,1"),
        ("jsonl", b"{\"sku\": \"J\xfcrgen\n", "{\"sku\": \"Jürgen"),
        (
            "jsonl",
            b"{\"sku\": \"J\xfcrgen\", \"stock\": true}\n",
            "{\"sku\":\"Jürgen\",\"stock\":true}",
        ),
    ] {
        let mut folder = Folder::new(stock("deliver"));
        folder.set(&["entities", "stock", "encoding"], json!("windows-1252"));
        folder.set(&["entities", "stock", "format"], json!(format));
        let header = if format == "csv" { &b"sku,stock\n"[..] } else { b"" };
        folder.put("stock.csv", [header, row].concat());
        let log = read(&folder, None);
        assert_eq!(String::from_utf8_lossy(&log.rejected()[0].input), shown);
    }
}
