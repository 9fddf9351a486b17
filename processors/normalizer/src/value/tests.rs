use ::vrl::value::Value as VrlValue;
use serde_json::json;

use super::vocabulary::known;
use super::*;

#[test]
fn a_name_is_found_in_a_known_shape_and_in_any_other() {
    let mut words = VocabularyBuilder::new();
    let names = ["amount", "other", "type"].map(str::to_owned).to_vec();
    let shape = words.shape(names.clone());
    let [other, absent] = [words.symbol("other"), words.symbol("absent")];
    let vocabulary = words.build();
    let arena = Arena::default();
    let scope = arena.scope(&vocabulary);
    let values = [Value::Integer(1), Value::Integer(2), Value::Null];
    let Value::Object(known) = scope.object(shape, &values) else { panic!("no object") };
    let entries: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
    let Value::Object(any) = scope.entries(entries) else { panic!("no object") };
    for object in [known, any] {
        assert_eq!(object.get(&known::AMOUNT), Some(Value::Integer(1)));
        assert_eq!(object.get(&other), Some(Value::Integer(2)));
        assert_eq!(object.find("type"), Some(Value::Null));
        assert_eq!(object.get(&absent), None);
        assert_eq!(object.get(&known::SKU), None);
        assert_eq!(object.find("absent"), None);
    }
    assert_eq!(known, any);
}

#[test]
fn the_same_names_are_one_shape_and_known_symbols_have_their_numbers() {
    let mut words = VocabularyBuilder::new();
    let names = || vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(words.shape(names()), words.shape(names()));
    assert_eq!(words.symbol("added").number(), known::ADDED.number());
    assert_eq!(words.symbol("value").number(), known::VALUE.number());
    assert_eq!(words.symbol("new").number(), words.symbol("new").number());
    let shape = words.shape(names());
    let vocabulary = words.build();
    assert_eq!(vocabulary.shape_of(&names()), Some(shape));
    assert_eq!(vocabulary.shape_of(&["a".to_owned()]), None);
}

#[test]
fn objects_with_more_fields_than_a_place_can_count_are_searched_by_name() {
    let names: Vec<String> = (1000..1300).map(|n| format!("n{n}")).collect();
    let mut words = VocabularyBuilder::new();
    let shape = words.shape(names.clone());
    let symbols: Vec<_> = names.iter().map(|name| words.symbol(name)).collect();
    let (arena, vocabulary) = (Arena::default(), words.build());
    let values: Vec<_> = (0..300).map(Value::Integer).collect();
    let Value::Object(object) = arena.scope(&vocabulary).object(shape, &values) else {
        panic!("no object")
    };
    for (symbol, value) in symbols.iter().zip(&values) {
        assert_eq!(object.get(symbol), Some(*value));
    }
    assert_eq!(object.get(&known::SKU), None);
}

#[test]
fn of_a_name_that_comes_twice_the_last_value_counts() {
    let arena = Arena::default();
    let vocabulary = VocabularyBuilder::new().build();
    let number = Value::Integer;
    let entries = vec![("b", number(1)), ("a", number(2)), ("b", number(3)), ("b", number(4))];
    let value = arena.scope(&vocabulary).entries(entries);
    assert_eq!(to_vrl(value), VrlValue::from(json!({"a": 2, "b": 4})));
}

#[test]
fn values_are_the_same_after_a_way_through_vrl() {
    let (arena, vocabulary) = (Arena::default(), VocabularyBuilder::new().build());
    let scope = arena.scope(&vocabulary);
    let json = json!({"a": [1, "x", null, {"b": true}], "c": {}});
    for value in [VrlValue::from(json), VrlValue::from(&b"\xff"[..]), VrlValue::from("text")] {
        assert_eq!(to_vrl(from_vrl(&value, scope)), value);
    }
    assert_eq!(from_vrl(&VrlValue::from_f64_or_zero(0.5), scope).kind_str(), "float");
}

#[test]
fn a_large_record_does_not_keep_its_memory() {
    let vocabulary = VocabularyBuilder::new().build();
    let arena = Arena::default();
    arena.scope(&vocabulary).text("small");
    let arena = arena.emptied();
    assert!(arena.0.allocated_bytes() > 0);
    arena.scope(&vocabulary).text(&"x".repeat(KEPT_BYTES));
    assert_eq!(arena.emptied().0.allocated_bytes(), 0);
}
