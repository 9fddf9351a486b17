use serde_json::json;
use throughline_avro::Schema;

use super::*;
use crate::{canonical_entity, kinds};

const DOCUMENT: &str = r#"{"type": "record", "name": "Doc", "fields": [
    {"name": "number", "type": "string"},
    {"name": "note", "type": ["null", "string"]},
    {"name": "count", "type": "long"},
    {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "address", "type": ["null", {"type": "record", "name": "A", "fields": [
        {"name": "city", "type": "string"}]}]},
    {"name": "rows", "type": {"type": "array", "items": {"type": "record", "name": "Row", "fields": [
        {"name": "sku", "type": "string"}, {"name": "price", "type": "string"}]}}}
]}"#;

fn errors_of(text: &str, canonical: &[&str]) -> Vec<String> {
    let document = Schema::parse(DOCUMENT).unwrap();
    let settings = json!({"currency": "EUR", "gross": true});
    let metadata = kinds::metadata_kind(settings.as_object().unwrap());
    let canonical: Vec<_> = canonical.iter().map(|name| canonical_entity(name).unwrap()).collect();
    let contract = Contract { document: &document, metadata: &metadata, canonical: &canonical };
    match compile(Source { file: "m.vrl", text }, &contract) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// What is wrong with the mapping when VRL runs it.
fn unbounded(text: &str) -> Vec<String> {
    let document = Schema::parse(DOCUMENT).unwrap();
    let metadata = kinds::metadata_kind(json!({}).as_object().unwrap());
    let contract = Contract { document: &document, metadata: &metadata, canonical: &[] };
    let compiled = compile(Source { file: "m.vrl", text }, &contract).unwrap();
    compiled.unbounded.iter().map(ToString::to_string).collect()
}

/// The mapping is refused with exactly these sentences, each given by its beginning and another part.
#[track_caller]
fn check(text: &str, canonical: &[&str], expected: &[(&str, &str)]) {
    let errors = errors_of(text, canonical);
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, (begin, part)) in errors.iter().zip(expected) {
        assert!(error.starts_with(begin) && error.contains(part), "{error}\nis not {begin} {part}");
    }
}

#[test]
fn brackets_that_would_overflow_the_stack_are_refused_with_their_place() {
    let text = format!("# (\n.count = {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    check(&text, INVENTORY, &[("m.vrl:2:110: TL2001: ", "nested more than 100 deep; give")]);
}

const INVENTORY: &[&str] = &["inventory"];

fn inventory(fields: &str) -> String {
    format!(
        "{{ \"inventory\": {{\n\"sku\": .number, \"location\": \"a\",\n\"on_hand\": 1, \
         \"available\": 1{fields} }} }}"
    )
}

#[test]
fn a_right_mapping_is_accepted() {
    check(&inventory(""), INVENTORY, &[]);
    check("{ \"inventory\": null }", INVENTORY, &[]);
    check("{}", INVENTORY, &[]);
    let list = "{ \"inventory\": each(.rows) -> |_i, row| { { \"sku\": row.sku, \"location\": \"a\", \
                \"on_hand\": .count, \"available\": .count } } }";
    check(list, INVENTORY, &[]);
}

#[test]
fn a_field_that_the_document_does_not_have_is_found_with_its_place_and_its_neighbor() {
    check("a = .numbr\n{}", INVENTORY, &[("m.vrl:1:5: TL2002:", "use `number`")]);
    check(
        "a = .address.cty\n{}",
        INVENTORY,
        &[("m.vrl:1:5: TL2002: the document has no field `cty`", "use `city`")],
    );
    check("a = .rows[0].skuu\n{}", INVENTORY, &[("m.vrl:1:5: TL2002:", "use `sku`")]);
}

#[test]
fn unknown_fields_are_found_behind_variables_and_inside_blocks() {
    let text = "rows = .rows\nlist = each(rows) -> |_i, row| {\n  row.skuu\n}\n{}";
    check(text, INVENTORY, &[("m.vrl:3:3: TL2002: the document has no field `skuu`", "use `sku`")]);
    let text = "for_each(.rows) -> |_i, row| {\n  x = row\n  y = x.prize\n}\n{}";
    check(text, INVENTORY, &[("m.vrl:3:7: TL2002:", "use `price`")]);
    let text = "x = filter(.rows) -> |_i, row| { row.skuu != \"\" }\n{}";
    check(text, INVENTORY, &[("m.vrl:1:34: TL2002:", "use `sku`")]);
    check("x = !exists(.addres)\n{}", INVENTORY, &[("m.vrl:1:13: TL2002:", "use `address`")]);
    check("x = if .nte == null { 1 } else { 2 }\n{}", INVENTORY, &[("m.vrl:1:8: TL2002:", "")]);
    check(
        "x = [.nte, { \"a\": .cont }]\n{}",
        INVENTORY,
        &[("m.vrl:1:6:", ""), ("m.vrl:1:19:", "")],
    );
}

#[test]
fn a_setting_that_the_system_lacks_is_named() {
    check(
        "c = %settings.curency\n{}",
        INVENTORY,
        &[("m.vrl:1:5: TL2009: the system has no setting `curency`", "use `currency`")],
    );
}

#[test]
fn a_field_that_the_record_does_not_have_is_found_with_its_place_and_its_neighbor() {
    check(
        &inventory(",\n\"incomming\": 2"),
        INVENTORY,
        &[("m.vrl:4:1: TL2006: Inventory has no field `incomming`", "use `incoming`")],
    );
    let variable = "record = {\n  \"sku\": .number,\n  \"skuu\": 1\n}\n{ \"inventory\": record }";
    check(
        variable,
        INVENTORY,
        &[
            ("m.vrl:3:3: TL2006: Inventory has no field `skuu`", "use `sku`"),
            ("m.vrl:5:3: TL2008: Inventory needs field `location`", ""),
            ("m.vrl:5:3: TL2008: Inventory needs field `on_hand`", ""),
            ("m.vrl:5:3: TL2008: Inventory needs field `available`", ""),
        ],
    );
}

#[test]
fn a_value_of_another_type_is_found_where_it_is_written() {
    check(
        "{ \"inventory\": {\n\"sku\": .count,\n\"location\": .note,\n\"on_hand\": \"1\",\n\
         \"available\": 1,\n\"restock_at\": .number } }",
        INVENTORY,
        &[
            ("m.vrl:2:1: TL2007: field `sku` needs text, this is a whole number", ""),
            ("m.vrl:3:1: TL2007: field `location` needs text, this is text or null", "|| "),
            ("m.vrl:4:1: TL2007: field `on_hand` needs a whole number, this is text", ""),
            ("m.vrl:6:1: TL2007: field `restock_at` needs a timestamp, this is text", ""),
        ],
    );
}

#[test]
fn types_are_checked_through_lists_blocks_and_functions() {
    let order = |line: &str| {
        format!(
            "lines = each(.rows) -> |_i, row| {{\n  {{\n    \"line_id\": \"1\",\n    \"sku\": row.sku,\n    \
             {line}\n    \"quantity\": {{ \"original\": 1, \"total\": 1 }},\n    \
             \"unit_price\": to_money!(row.price, \"EUR\"),\n    \
             \"total\": to_money!(row.price, \"EUR\")\n  }}\n}}\n{{ \"order\": {{ \
             \"order_number\": .number, \"currency\": \"EUR\", \"tax_included\": true, \
             \"status\": {{}}, \"placed_at\": .placed, \"lines\": lines }} }}"
        )
    };
    check(&order(""), &["order"], &[]);
    check(
        &order("\"titel\": row.sku,"),
        &["order"],
        &[("m.vrl:5:5: TL2006: OrderLine has no field `titel`", "use `title`")],
    );
    check(
        &order("\"title\": 5,"),
        &["order"],
        &[("m.vrl:5:5: TL2007: field `title` needs text, this is a whole number", "")],
    );
}

#[test]
fn what_the_engine_fills_cannot_be_given() {
    check(
        &inventory(",\n\"meta\": {}"),
        INVENTORY,
        &[("m.vrl:4:1: TL2006: field `meta` is filled by the engine", "leave it out")],
    );
}

#[test]
fn only_the_entities_of_the_pack_can_be_written() {
    check("{ \"inventry\": null }", INVENTORY, &[("m.vrl:1:3: TL2005:", "use `inventory`")]);
    check(
        "{ \"order\": null }",
        INVENTORY,
        &[("m.vrl:1:3: TL2005:", "`canonical` in system.yaml")],
    );
    check(
        "5",
        INVENTORY,
        &[("m.vrl:1:1: TL2007: the result is not always an object", "inventory")],
    );
}

#[test]
fn a_result_that_is_returned_early_is_checked_too() {
    let text = "if .count == 0 { return { \"inventory\": 5 } }\n{}";
    let errors = errors_of(text, INVENTORY);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains("TL2007"), "{errors:#?}");
}

#[test]
fn nothing_makes_a_float() {
    check("x = 1.5\n{}", INVENTORY, &[("m.vrl:1:5: TL2004:", "to_money")]);
    check("x = 3 / 2\n{}", INVENTORY, &[("m.vrl:1:7: TL2004:", "rounding")]);
}

#[test]
fn functions_that_are_refused_or_misspelled_are_explained() {
    check("x = now()\n{}", INVENTORY, &[("m.vrl:1:5: TL2010:", "a mapping has no clock")]);
    check("x = upcas(.number)\n{}", INVENTORY, &[("m.vrl:1:5: TL2010:", "use `upcase`")]);
}

#[test]
fn the_document_and_the_settings_are_read_only() {
    for text in [".number = \"x\"\n{}", "%settings.currency = \"x\"\n{}", ". = {}\n{}"] {
        let errors = errors_of(text, INVENTORY);
        assert!(errors.iter().any(|error| error.contains("TL2003")), "{text}: {errors:#?}");
    }
}

#[test]
fn a_call_that_can_fail_must_say_what_happens_then() {
    let text = "x = to_money(.number, \"EUR\")\n{}";
    check(text, INVENTORY, &[("m.vrl:1:5: TL2003:", "to_money")]);
}

#[test]
fn an_operator_that_can_fail_is_not_told_to_have_a_name() {
    let [error] = errors_of("x = if .note > 0 { 1 } else { 2 }\n{}", INVENTORY).try_into().unwrap();
    assert!(error.contains("TL2003") && error.contains("give null a value first"), "{error}");
    assert!(!error.contains("function's name"), "{error}");
}

#[test]
fn a_broken_program_is_one_mistake_at_its_place() {
    check("{ \"inventory\": if true { null } }", INVENTORY, &[("m.vrl:1:16: TL2001:", "give the")]);
    check("x = (\n", INVENTORY, &[("m.vrl:", "TL2001")]);
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_text() {
    let text = "a = .numbr\nb = %settings.curency\nc = 1.5\nd = now()\n{}";
    check(
        text,
        INVENTORY,
        &[
            ("m.vrl:1:", "TL2002"),
            ("m.vrl:2:", "TL2009"),
            ("m.vrl:3:", "TL2004"),
            ("m.vrl:4:", "TL2010"),
        ],
    );
}

#[test]
fn blocks_for_every_item_are_nested_twice_when_vrl_runs_them() {
    let nested = |depth: usize| {
        let open = "for_each(.rows) -> |_i, _row| {\n";
        format!("{}1\n{}\n{{}}", open.repeat(depth), "}".repeat(depth))
    };
    assert_eq!(unbounded(&nested(2)), [""; 0]);
    let found = unbounded(&nested(3));
    assert!(found.len() == 1 && found[0].starts_with("m.vrl:3:17: TL2012: "), "{found:?}");
}

#[test]
fn products_are_of_whole_numbers_when_vrl_runs_them() {
    for text in [".count * 2", "2 * (.count + 1) * .count", "a = length(.rows); a * a"] {
        assert_eq!(unbounded(&format!("b = {text}; {{}}")), [""; 0], "{text}");
    }
    for text in [".number * 2", ".count * .number", "\"-\" * .count", "a = .note || \"\"; a * 2"] {
        let found = unbounded(&format!("b = {text}; {{}}"));
        assert!(found.len() == 1 && found[0].contains("TL2013: "), "{text}: {found:?}");
    }
}
