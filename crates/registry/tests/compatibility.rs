use serde_json::{Value, json};

use crate::client::{Running, first, incompatible, record, schema_body, second, start};

async fn verdict(registry: &Running, path: &str, schema: &Value) -> Value {
    let path = format!("/compatibility/subjects/s/versions{path}");
    registry.ok("POST", &path, Some(schema_body(schema))).await
}

#[tokio::test]
async fn each_level_compares_with_its_versions_in_its_direction() {
    let long = record(&json!([{"name": "id", "type": "long"}]));
    let extra = record(&json!([{"name": "id", "type": "long"}, {"name": "b", "type": "int"}]));
    // Versions: {id}, then {id, b=0}. Candidates below.
    let defaulted = record(
        &json!([{"name": "id", "type": "long"}, {"name": "b", "type": "int", "default": 0}]),
    );
    let without_id = record(&json!([{"name": "b", "type": "int", "default": 0}]));
    // level, then: b without default, only b, {id} again
    let table = [
        ("NONE", [true, true, true]),
        ("BACKWARD", [true, true, true]),
        ("BACKWARD_TRANSITIVE", [false, true, true]),
        ("FORWARD", [true, false, true]),
        ("FORWARD_TRANSITIVE", [true, false, true]),
        ("FULL", [true, false, true]),
        ("FULL_TRANSITIVE", [false, false, true]),
    ];
    let registry = start().await;
    registry.register("s", &long).await;
    registry.register("s", &defaulted).await;
    for (level, expected) in table {
        registry.ok("PUT", "/config/s", Some(json!({"compatibility": level}))).await;
        for (schema, expected) in [&extra, &without_id, &long].into_iter().zip(expected) {
            let answer = verdict(&registry, "", schema).await;
            assert_eq!(answer, json!({"is_compatible": expected}), "{level} {schema}");
        }
    }
}

#[tokio::test]
async fn a_named_version_is_compared_alone() {
    let registry = start().await;
    registry.register("s", &first()).await;
    registry.register("s", &second()).await;
    let string = record(&json!([{"name": "id", "type": "long"},
        {"name": "n", "type": "string", "default": ""}]));
    assert_eq!(verdict(&registry, "/1", &string).await["is_compatible"], true);
    assert_eq!(verdict(&registry, "/2", &string).await["is_compatible"], false);
    assert_eq!(verdict(&registry, "/latest", &string).await["is_compatible"], false);
}

#[tokio::test]
async fn a_subject_without_versions_accepts_everything() {
    let registry = start().await;
    assert_eq!(verdict(&registry, "", &first()).await, json!({"is_compatible": true}));
    assert_eq!(verdict(&registry, "/latest", &first()).await, json!({"is_compatible": true}));
}

#[tokio::test]
async fn a_verbose_verdict_names_the_place_and_the_old_version() {
    let registry = start().await;
    registry.register("s", &first()).await;
    let answer = verdict(&registry, "?verbose=true", &incompatible()).await;
    assert_eq!(answer["is_compatible"], false);
    let messages: Vec<&str> =
        answer["messages"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(
        messages[0].starts_with(
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'must' at path '/fields/1' in the new schema"
        ),
        "{messages:?}"
    );
    assert_eq!(messages[1], "{oldSchemaVersion: 1}");
    assert_eq!(messages[3], "{compatibility: 'BACKWARD'}");
    let fine = verdict(&registry, "?verbose=True", &second()).await;
    assert_eq!(fine, json!({"is_compatible": true, "messages": []}));
    let refusal = registry
        .refused("POST", "/subjects/s/versions", Some(schema_body(&incompatible())), 40901)
        .await;
    assert!(refusal.contains("/fields/1"), "{refusal}");
}

#[tokio::test]
async fn a_change_in_a_referenced_schema_is_seen_through_the_reference() {
    let registry = start().await;
    registry.register("money", &record(&json!([{"name": "v", "type": "long"}]))).await;
    registry.ok("PUT", "/config/money", Some(json!({"compatibility": "NONE"}))).await;
    registry.register("money", &record(&json!([{"name": "v", "type": "string"}]))).await;
    let order = |version: i32| {
        json!({"schema": "{\"type\":\"record\",\"name\":\"O\",\"fields\":[{\"name\":\"m\",\"type\":\"x.R\"}]}",
            "references": [{"name": "x.R", "subject": "money", "version": version}]})
    };
    registry.ok("POST", "/subjects/s/versions", Some(order(1))).await;
    let message = registry.refused("POST", "/subjects/s/versions", Some(order(2)), 40901).await;
    assert!(message.contains("/fields/0/type/fields/0/type"), "{message}");
    // The same text with another reference is another schema.
    registry.ok("PUT", "/config/s", Some(json!({"compatibility": "NONE"}))).await;
    let answer = registry.ok("POST", "/subjects/s/versions", Some(order(2))).await;
    assert_eq!(answer["version"], 2);
}
