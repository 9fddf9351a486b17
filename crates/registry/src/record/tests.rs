use super::{Change, Config, IgnoredRecord, Reference, SchemaValue};
use crate::ids::{SchemaId, Subject, Version};
use crate::level::CompatibilityLevel;
use crate::mode::Mode;

fn subject(name: &str) -> Subject {
    Subject::parse(name).unwrap()
}

/// Encodes to exactly these bytes, and decodes from them to the same.
#[track_caller]
fn check(change: &Change, key: &str, value: Option<&str>) {
    let (written_key, written_value) = change.encode();
    assert_eq!(String::from_utf8(written_key).unwrap(), key);
    assert_eq!(written_value.map(|bytes| String::from_utf8(bytes).unwrap()).as_deref(), value);
    assert_eq!(Change::decode(key.as_bytes(), value.map(str::as_bytes)).as_ref(), Ok(change));
}

fn version() -> SchemaValue {
    SchemaValue {
        subject: subject("orders-value"),
        version: Version(2),
        id: SchemaId(7),
        schema_type: None,
        references: Vec::new(),
        metadata: None,
        rule_set: None,
        schema: "\"int\"".into(),
        deleted: false,
        others: serde_json::Map::new(),
    }
}

#[test]
fn records_have_the_bytes_that_confluent_writes() {
    check(
        &Change::Put(Box::new(version())),
        r#"{"keytype":"SCHEMA","subject":"orders-value","version":2,"magic":1}"#,
        Some(r#"{"subject":"orders-value","version":2,"id":7,"schema":"\"int\"","deleted":false}"#),
    );
    let reference = Reference { name: "x.R".into(), subject: subject("r"), version: Version(1) };
    let referring = SchemaValue { references: vec![reference], deleted: true, ..version() };
    check(
        &Change::Put(Box::new(referring)),
        r#"{"keytype":"SCHEMA","subject":"orders-value","version":2,"magic":1}"#,
        Some(
            r#"{"subject":"orders-value","version":2,"id":7,"references":[{"name":"x.R","subject":"r","version":1}],"schema":"\"int\"","deleted":true}"#,
        ),
    );
    check(
        &Change::Forget(subject("a"), Version(1)),
        r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#,
        None,
    );
    let full = Config { level: Some(CompatibilityLevel::Full), normalize: None };
    check(
        &Change::Config(None, Some(full)),
        r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
        Some(r#"{"compatibilityLevel":"FULL"}"#),
    );
    check(
        &Change::Config(Some(subject("a")), Some(full)),
        r#"{"keytype":"CONFIG","subject":"a","magic":0}"#,
        Some(r#"{"subject":"a","compatibilityLevel":"FULL"}"#),
    );
    check(
        &Change::Config(Some(subject("a")), None),
        r#"{"keytype":"CONFIG","subject":"a","magic":0}"#,
        None,
    );
    check(
        &Change::Mode(Some(subject("a")), Some(Mode::ReadOnly)),
        r#"{"keytype":"MODE","subject":"a","magic":0}"#,
        Some(r#"{"subject":"a","mode":"READONLY"}"#),
    );
    check(
        &Change::DeleteSubject(subject("a"), Version(3)),
        r#"{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}"#,
        Some(r#"{"subject":"a","version":3}"#),
    );
    check(
        &Change::ClearSubject(subject("a")),
        r#"{"keytype":"CLEAR_SUBJECT","subject":"a","magic":0}"#,
        Some(r#"{"subject":"a"}"#),
    );
    check(&Change::Nothing, r#"{"keytype":"NOOP","magic":0}"#, None);
    check(
        &Change::HighestId(SchemaId(9)),
        r#"{"keytype":"NOOP","magic":0}"#,
        Some(r#"{"highestId":9}"#),
    );
}

#[test]
fn members_of_another_registry_survive_a_rewrite() {
    let key = br#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#;
    let value = br#"{"subject":"a","version":1,"id":1,"md5":"xyz","schemaType":"JSON","metadata":{"properties":{"k":"v"}},"ruleSet":{"domainRules":[]},"schema":"{}","deleted":false}"#;
    let change = Change::decode(key, Some(value)).unwrap();
    assert_eq!(change.encode().1.unwrap(), value);
}

#[test]
fn a_record_without_meaning_says_why() {
    use IgnoredRecord::{Key, KeyType, Subject, Value};
    let schema = r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#;
    for (key, value, expected) in [
        ("", None, Key),
        ("\u{0}", None, Key),
        ("[]", None, Key),
        (r#"{"keytype":7}"#, None, Key),
        (r#"{"keytype":"ASSOCIATION"}"#, None, KeyType),
        (r#"{"keytype":"SCHEMA","subject":"a"}"#, None, Key),
        (r#"{"keytype":"SCHEMA","subject":"a","version":-1}"#, None, Key),
        (r#"{"keytype":"SCHEMA","subject":":.other:a","version":1}"#, None, Subject),
        (schema, Some("{"), Value),
        (schema, Some(r#"{"id":1}"#), Value),
        (schema, Some(r#"{"id":99999999999,"schema":"\"int\""}"#), Value),
        (schema, Some(r#"{"id":1,"schema":"\"int\"","references":7}"#), Value),
        (r#"{"keytype":"CONFIG"}"#, Some(r#"{"compatibilityLevel":"?"}"#), Value),
        (r#"{"keytype":"MODE"}"#, Some("{}"), Value),
        (r#"{"keytype":"DELETE_SUBJECT","subject":"a"}"#, Some("{}"), Value),
    ] {
        let decoded = Change::decode(key.as_bytes(), value.map(str::as_bytes));
        assert_eq!(decoded, Err(expected), "{key} {value:?}");
    }
    assert_eq!(Change::decode(&[0xff, 0xfe], None), Err(Key));
}
