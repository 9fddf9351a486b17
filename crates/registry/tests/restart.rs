use serde_json::{Value, json};

use crate::client::{first, incompatible, record, schema_body, second, start, start_on};
use throughline_registry::{MemorySchemaLog, SchemaLog};

/// Everything that a client can read.
async fn everything(registry: &crate::client::Running) -> Value {
    let mut all = Vec::new();
    for path in [
        "/subjects?deleted=true",
        "/schemas?deleted=true",
        "/schemas",
        "/schemas/ids/1?fetchMaxId=true",
        "/schemas/ids/3/versions?deleted=true",
        "/config",
        "/config/a",
        "/mode/b",
    ] {
        all.push(registry.get(path).await);
    }
    Value::from(all)
}

#[tokio::test]
async fn a_restart_answers_the_same_with_or_without_compaction() {
    let registry = start().await;
    registry.register("a", &first()).await;
    registry.register("a", &second()).await;
    registry.register("b", &incompatible()).await;
    registry.ok("PUT", "/config", Some(json!({"compatibility": "FULL"}))).await;
    registry.ok("PUT", "/config/a", Some(json!({"compatibility": "NONE"}))).await;
    registry.register("c", &record(&json!([]))).await;
    registry.ok("DELETE", "/subjects/c", None).await;
    registry.register("c", &first()).await;
    registry.ok("DELETE", "/subjects/a/versions/1", None).await;
    registry.ok("PUT", "/mode/b", Some(json!({"mode": "READONLY"}))).await;
    let before = everything(&registry).await;
    let registry = registry.restart().await;
    assert_eq!(everything(&registry).await, before);
    registry.log.compact();
    let registry = registry.restart().await;
    assert_eq!(everything(&registry).await, before);
    // A registration after all that continues the numbers.
    assert_eq!(registry.register("d", &record(&json!([{"name": "z", "type": "int"}]))).await, 5);
}

#[tokio::test]
async fn a_topic_of_another_registry_is_taken_over_with_its_ids() {
    let log = std::sync::Arc::new(MemorySchemaLog::new());
    let records = [
        (r#"{"keytype":"NOOP","magic":0}"#, None),
        (
            r#"{"keytype":"SCHEMA","subject":"old","version":1,"magic":1}"#,
            Some(
                r#"{"subject":"old","version":1,"id":100,"schema":"{\"fields\": [{\"type\": \"long\", \"name\": \"id\"}], \"name\": \"R\", \"namespace\": \"x\", \"type\": \"record\"}","deleted":false}"#,
            ),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"js","version":1,"magic":1}"#,
            Some(
                r#"{"subject":"js","version":1,"id":101,"schemaType":"JSON","schema":"{}","deleted":false}"#,
            ),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"gone","version":1,"magic":1}"#,
            Some(r#"{"subject":"gone","version":1,"id":90,"schema":"\"int\"","deleted":false}"#),
        ),
        (
            r#"{"keytype":"CLEAR_SUBJECT","subject":"gone","magic":0}"#,
            Some(r#"{"subject":"gone"}"#),
        ),
        (r#"{"keytype":"ASSOCIATION","magic":0}"#, Some("{}")),
        (r#"{"keytype":"CONTEXT","tenant":"default","context":".","magic":0}"#, Some("{}")),
        ("not json", Some("neither")),
        (
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            Some(r#"{"compatibilityLevel":"NONE"}"#),
        ),
    ];
    for (key, value) in records {
        log.append(key.into(), value.map(|value| value.as_bytes().to_vec())).await.unwrap();
    }
    let registry = start_on(log).await;
    assert_eq!(registry.get("/subjects").await, json!(["js", "old"]));
    assert_eq!(registry.get("/config").await, json!({"compatibilityLevel": "NONE"}));
    assert_eq!(
        registry.get("/schemas/ids/101").await,
        json!({"schemaType": "JSON", "schema": "{}"})
    );
    // The stored text has another layout, and the schema is still the same one.
    assert_eq!(registry.register("old", &first()).await, 100);
    assert_eq!(registry.register("old", &second()).await, 102);
    registry.ok("PUT", "/config", Some(json!({"compatibility": "BACKWARD"}))).await;
    registry.refused("POST", "/subjects/js/versions", Some(schema_body(&first())), 40901).await;
}

#[tokio::test]
async fn keys_on_the_log_are_the_bytes_that_compaction_needs() {
    let registry = start().await;
    registry.register("a", &first()).await;
    registry.ok("DELETE", "/subjects/a", None).await;
    registry.ok("DELETE", "/subjects/a?permanent=true", None).await;
    let keys: Vec<String> = registry
        .log
        .records()
        .into_iter()
        .map(|record| String::from_utf8(record.key).unwrap())
        .collect();
    let schema = r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#;
    let delete = r#"{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}"#;
    assert_eq!(keys, [schema, delete, r#"{"keytype":"NOOP","magic":0}"#, schema]);
}

#[tokio::test]
async fn what_cannot_be_used_on_the_log_is_answered_and_not_guessed() {
    let log = std::sync::Arc::new(MemorySchemaLog::new());
    for (subject, id, rest) in [
        ("broken", 1, r#""schema":"{\"type\":\"recor\"}""#),
        ("js", 2, r#""schemaType":"JSON","schema":"{}""#),
        ("last", i32::MAX, r#""schema":"\"int\"""#),
        (
            "loop",
            3,
            r#""schema":"\"x.R\"","references":[{"name":"x.R","subject":"loop","version":1}]"#,
        ),
    ] {
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
        let value = format!(r#"{{"subject":"{subject}","version":1,"id":{id},{rest}}}"#);
        log.append(key.into(), Some(value.into())).await.unwrap();
    }
    let registry = start_on(log).await;
    for subject in ["broken", "loop"] {
        let path = format!("/subjects/{subject}/versions");
        let message = registry.refused("POST", &path, Some(schema_body(&first())), 40901).await;
        assert!(message.contains("OLD_SCHEMA_INVALID"), "{message}");
    }
    let mut body = schema_body(&first());
    body["references"] = json!([{"name": "js", "subject": "js", "version": 1}]);
    let message = registry.refused("POST", "/subjects/s/versions", Some(body), 42201).await;
    assert!(message.contains("'js' is not an Avro schema"), "{message}");
    let body = Some(schema_body(&first()));
    let message = registry.refused("POST", "/subjects/s/versions", body, 50001).await;
    assert_eq!(message, "No id or version is left");
}
