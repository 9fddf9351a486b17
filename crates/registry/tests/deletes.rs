use serde_json::{Value, json};

use crate::client::{Running, first, incompatible, schema_body, second, start};

fn referring(version: i32) -> Value {
    json!({"schema": "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"r\",\"type\":\"x.R\"}]}",
        "references": [{"name": "x.R", "subject": "s", "version": version}]})
}

async fn filled() -> Running {
    let registry = start().await;
    registry.register("s", &first()).await;
    registry.register("s", &second()).await;
    registry
}

#[tokio::test]
async fn a_soft_deleted_version_is_hidden_but_its_id_answers() {
    let registry = filled().await;
    assert_eq!(registry.ok("DELETE", "/subjects/s/versions/latest", None).await, 2);
    assert_eq!(registry.get("/subjects/s/versions").await, json!([1]));
    assert_eq!(registry.get("/subjects/s/versions?deleted=true").await, json!([1, 2]));
    assert_eq!(registry.get("/subjects/s/versions?deletedOnly=true").await, json!([2]));
    registry.refused("GET", "/subjects/s/versions/2", None, 40402).await;
    assert_eq!(registry.get("/subjects/s/versions/2?deleted=true").await["id"], 2);
    assert_eq!(registry.get("/schemas/ids/2").await["schema"], second().to_string());
    assert_eq!(registry.get("/schemas/ids/2/versions").await, json!([]));
    registry.refused("POST", "/subjects/s", Some(schema_body(&second())), 40403).await;
    let found = registry.ok("POST", "/subjects/s?deleted=true", Some(schema_body(&second())));
    assert_eq!(found.await["version"], 2);
    registry.refused("DELETE", "/subjects/s/versions/2", None, 40406).await;
}

#[tokio::test]
async fn a_version_is_deleted_for_good_only_after_a_soft_delete() {
    let registry = filled().await;
    registry.refused("DELETE", "/subjects/s/versions/2?permanent=true", None, 40407).await;
    registry.ok("DELETE", "/subjects/s/versions/2", None).await;
    assert_eq!(registry.ok("DELETE", "/subjects/s/versions/2?permanent=true", None).await, 2);
    registry.refused("GET", "/schemas/ids/2", None, 40403).await;
    assert_eq!(registry.get("/subjects/s/versions?deleted=true").await, json!([1]));
}

#[tokio::test]
async fn a_subject_is_deleted_softly_then_for_good() {
    let registry = filled().await;
    registry.ok("PUT", "/config/s", Some(json!({"compatibility": "FULL"}))).await;
    registry.refused("DELETE", "/subjects/s?permanent=true", None, 40405).await;
    assert_eq!(registry.ok("DELETE", "/subjects/s", None).await, json!([1, 2]));
    assert_eq!(registry.get("/subjects").await, json!([]));
    assert_eq!(registry.get("/subjects?deleted=true").await, json!(["s"]));
    assert_eq!(registry.get("/subjects?deletedOnly=true").await, json!(["s"]));
    registry.refused("GET", "/config/s", None, 40408).await;
    registry.refused("DELETE", "/subjects/s", None, 40404).await;
    assert_eq!(registry.get("/schemas/ids/1").await["schema"], first().to_string());
    let gone = registry.ok("DELETE", "/subjects/s?permanent=true", None).await;
    assert_eq!(gone, json!([1, 2]));
    assert_eq!(registry.get("/subjects?deleted=true").await, json!([]));
    registry.refused("GET", "/schemas/ids/1", None, 40403).await;
    registry.refused("DELETE", "/subjects/s?permanent=true", None, 40401).await;
}

#[tokio::test]
async fn a_schema_that_returns_gets_its_old_id_and_a_new_version() {
    let registry = filled().await;
    registry.ok("DELETE", "/subjects/s", None).await;
    // Nothing is left to be compatible with.
    let path = "/subjects/s/versions";
    let answer = registry.ok("POST", path, Some(schema_body(&incompatible()))).await;
    assert_eq!(answer, json!({"id": 3, "version": 3}));
    registry.ok("PUT", "/config/s", Some(json!({"compatibility": "NONE"}))).await;
    let answer = registry.ok("POST", path, Some(schema_body(&first()))).await;
    assert_eq!(answer, json!({"id": 1, "version": 4}));
}

#[tokio::test]
async fn an_id_is_not_given_away_again_even_after_compaction() {
    let registry = filled().await;
    registry.ok("DELETE", "/subjects/s", None).await;
    registry.ok("DELETE", "/subjects/s?permanent=true", None).await;
    registry.log.compact();
    let registry = registry.restart().await;
    registry.log.compact();
    assert_eq!(registry.register("t", &incompatible()).await, 3);
}

#[tokio::test]
async fn what_another_subject_refers_to_is_not_deleted() {
    let registry = filled().await;
    let answer = registry.ok("POST", "/subjects/t/versions", Some(referring(1))).await;
    assert_eq!(answer["id"], 3);
    let version = registry.get("/subjects/t/versions/1").await;
    assert_eq!(version["references"], referring(1)["references"]);
    assert_eq!(registry.get("/subjects/s/versions/1/referencedby").await, json!([3]));
    let message = registry.refused("DELETE", "/subjects/s", None, 42206).await;
    assert!(message.contains("subject=s,version=1"), "{message}");
    registry.refused("DELETE", "/subjects/s/versions/1", None, 42206).await;
    assert_eq!(registry.ok("DELETE", "/subjects/s/versions/2", None).await, 2);
    // The referrer's id still answers after a soft delete, so what it needs stays for good.
    registry.ok("DELETE", "/subjects/t", None).await;
    registry.ok("DELETE", "/subjects/s", None).await;
    registry.refused("DELETE", "/subjects/s?permanent=true", None, 42206).await;
    registry.ok("DELETE", "/subjects/t?permanent=true", None).await;
    registry.ok("DELETE", "/subjects/s?permanent=true", None).await;
}

#[tokio::test]
async fn a_reference_that_leads_nowhere_is_an_invalid_schema() {
    let registry = filled().await;
    let path = "/subjects/t/versions";
    let message = registry.refused("POST", path, Some(referring(9)), 42201).await;
    assert!(message.contains("version 9 of subject 's'"), "{message}");
    for reference in [json!([{}]), json!(7), json!([{"name": "x", "subject": "s", "version": -1}])]
    {
        let mut body = referring(1);
        body["references"] = reference;
        registry.refused("POST", path, Some(body), 42201).await;
    }
}
