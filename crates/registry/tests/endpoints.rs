use serde_json::{Value, json};

use crate::client::{first, incompatible, raw, schema_body, second, start};

/// A registry with two versions of `a/b-value`, and the first schema in `other` too.
async fn filled() -> crate::client::Running {
    let registry = start().await;
    assert_eq!(registry.register("a%2Fb-value", &first()).await, 1);
    assert_eq!(registry.register("a%2Fb-value", &second()).await, 2);
    assert_eq!(registry.register("other", &first()).await, 1);
    registry
}

#[tokio::test]
async fn reads_answer_what_the_clients_expect() {
    let registry = filled().await;
    let text = first().to_string();
    let table = [
        ("/", json!({})),
        ("/subjects", json!(["a/b-value", "other"])),
        ("/subjects/?subjectPrefix=a", json!(["a/b-value"])),
        ("/subjects?subjectPrefix=:*:o", json!(["other"])),
        ("/subjects?offset=1&limit=1", json!(["other"])),
        ("/subjects/a%2Fb-value/versions", json!([1, 2])),
        (
            "/subjects/a%2Fb-value/versions/1",
            json!({"subject": "a/b-value", "version": 1, "id": 1, "schema": text}),
        ),
        (
            "/subjects/a%2Fb-value/versions/latest",
            json!({"subject": "a/b-value", "version": 2, "id": 2, "schema": second().to_string()}),
        ),
        (
            "/subjects/other/versions/-1",
            json!({"subject": "other", "version": 1, "id": 1, "schema": text}),
        ),
        ("/subjects/other/versions/1/schema", first()),
        ("/subjects/other/versions/1/referencedby", json!([])),
        ("/schemas/ids/1", json!({"schema": text})),
        ("/schemas/ids/1?fetchMaxId=true&subject=other", json!({"schema": text, "maxId": 2})),
        ("/schemas/ids/1?fetchMaxId=false&deleted=true", json!({"schema": text})),
        ("/schemas/ids/1/schema", first()),
        ("/schemas/ids/1/subjects", json!(["a/b-value", "other"])),
        (
            "/schemas/ids/1/versions",
            json!([{"subject": "a/b-value", "version": 1}, {"subject": "other", "version": 1}]),
        ),
        ("/schemas/types", json!(["AVRO"])),
        ("/contexts", json!(["."])),
        (
            "/schemas?latestOnly=true&subjectPrefix=o",
            json!([{"subject": "other", "version": 1, "id": 1, "schema": text}]),
        ),
        ("/config", json!({"compatibilityLevel": "BACKWARD"})),
        ("/config/other?defaultToGlobal=true", json!({"compatibilityLevel": "BACKWARD"})),
        ("/mode", json!({"mode": "READWRITE"})),
        ("/mode/other?defaultToGlobal=true", json!({"mode": "READWRITE"})),
    ];
    for (path, expected) in table {
        assert_eq!(registry.get(path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn refusals_have_the_codes_that_the_clients_branch_on() {
    let registry = filled().await;
    let bad = json!({"schema": "{\"type\":\"recor\"}"});
    let json_schema = json!({"schema": "{}", "schemaType": "JSON"});
    let table = [
        ("GET", "/subjects/none/versions", None, 40401),
        ("GET", "/subjects/none/versions/1", None, 40401),
        ("GET", "/subjects/other/versions/9", None, 40402),
        ("GET", "/subjects/other/versions/x", None, 42202),
        ("GET", "/schemas/ids/99", None, 40403),
        ("GET", "/schemas/ids/99/subjects", None, 40403),
        ("GET", "/schemas/guids/32da7798-bb83-b04e-4ecd-1216eb767df2", None, 40403),
        ("GET", "/config/other", None, 40408),
        ("GET", "/mode/other", None, 40409),
        ("DELETE", "/config/other", None, 40401),
        ("DELETE", "/mode/other", None, 40401),
        ("DELETE", "/subjects/none", None, 40401),
        ("DELETE", "/subjects/none/versions/1", None, 40401),
        ("DELETE", "/subjects/other/versions/7", None, 40402),
        ("POST", "/subjects/other/versions", Some(schema_body(&incompatible())), 40901),
        ("POST", "/subjects/other/versions", Some(bad.clone()), 42201),
        ("POST", "/subjects/other/versions", Some(json!({})), 42201),
        ("POST", "/subjects/other/versions", Some(json_schema), 42201),
        ("POST", "/subjects/:.ctx:a/versions", Some(schema_body(&first())), 42208),
        ("POST", "/subjects/other", Some(schema_body(&second())), 40403),
        ("POST", "/subjects/none", Some(schema_body(&second())), 40401),
        (
            "POST",
            "/subjects/other/versions",
            Some(json!({"schema": second().to_string(), "version": 9})),
            42201,
        ),
        ("POST", "/subjects/other", Some(bad.clone()), 42201),
        ("POST", "/compatibility/subjects/other/versions/9", Some(schema_body(&first())), 40402),
        ("POST", "/compatibility/subjects/other/versions", Some(bad), 42201),
        ("PUT", "/config", Some(json!({"compatibility": "SIDEWARD"})), 42203),
        ("PUT", "/config", Some(json!({})), 42203),
        ("PUT", "/config", Some(json!({"compatibility": "FULL", "alias": "x"})), 42205),
        ("PUT", "/mode", Some(json!({"mode": "X"})), 42204),
        ("PUT", "/mode", Some(json!({"mode": "IMPORT"})), 42205),
        ("GET", "/associations/resources/-/orders?resourceType=topic", None, 404),
        ("GET", "/subjects?limit=many", None, 400),
        ("PATCH", "/subjects", None, 405),
    ];
    for (method, path, body, code) in table {
        let message = registry.refused(method, path, body, code).await;
        assert!(!message.is_empty(), "{method} {path}");
    }
}

#[tokio::test]
async fn the_same_schema_in_another_layout_has_the_same_id() {
    let registry = filled().await;
    let layout = json!({"schema": " { \"namespace\":\"x\", \"name\":\"R\", \"fields\":[{\"type\":{\"type\":\"long\"},\"name\":\"id\"}],\n\"type\":\"record\"}",
        "schemaType": "AVRO", "references": null, "metadata": null, "ruleSet": null});
    let path = "/subjects/other/versions?normalize=False";
    assert_eq!(
        registry.ok("POST", path, Some(layout.clone())).await,
        json!({"id": 1, "version": 1})
    );
    let found = registry.ok("POST", "/subjects/other?normalize=False&deleted=False", Some(layout));
    assert_eq!(found.await["version"], 1);
}

#[tokio::test]
async fn documentation_and_defaults_make_another_schema() {
    let registry = start().await;
    let mut documented = second();
    documented["doc"] = json!("with words");
    assert_eq!(registry.register("s", &second()).await, 1);
    assert_eq!(registry.register("s", &documented).await, 2);
    documented["fields"][0]["default"] = json!(0);
    assert_eq!(registry.register("s", &documented).await, 3);
}

#[tokio::test]
async fn normalizing_forgives_the_order_of_properties() {
    let registry = start().await;
    let one = json!({"type": "int", "b": 1, "a": 2});
    let other = json!({"type": "int", "a": 2, "b": 1});
    let post = |schema: &Value| {
        registry.ok("POST", "/subjects/s/versions?normalize=true", Some(schema_body(schema)))
    };
    assert_eq!(post(&one).await, post(&other).await);
    registry.ok("PUT", "/config/t", Some(json!({"normalize": true}))).await;
    assert_eq!(registry.register("t", &one).await, registry.register("t", &other).await);
    assert_ne!(registry.register("u", &one).await, registry.register("u", &other).await);
    // What was registered as it stood is found by its meaning.
    registry.register("v", &one).await;
    let path = "/subjects/v?normalize=true";
    assert_eq!(registry.ok("POST", path, Some(schema_body(&other))).await["version"], 1);
}

#[tokio::test]
async fn levels_are_set_read_and_reset() {
    let registry = filled().await;
    let set = json!({"compatibility": "full_transitive"});
    let answer = registry.ok("PUT", "/config/other", Some(set)).await;
    assert_eq!(answer, json!({"compatibility": "FULL_TRANSITIVE"}));
    let own = json!({"compatibilityLevel": "FULL_TRANSITIVE"});
    assert_eq!(registry.get("/config/other").await, own);
    assert_eq!(registry.ok("DELETE", "/config/other", None).await, own);
    registry.refused("GET", "/config/other", None, 40408).await;
    registry.ok("PUT", "/config", Some(json!({"compatibility": "NONE"}))).await;
    assert_eq!(registry.get("/config").await, json!({"compatibilityLevel": "NONE"}));
    registry.register("other", &incompatible()).await;
    registry.ok("DELETE", "/config", None).await;
    assert_eq!(registry.get("/config").await, json!({"compatibilityLevel": "BACKWARD"}));
}

#[tokio::test]
async fn a_read_only_subject_or_registry_refuses_every_write() {
    let registry = filled().await;
    let body = || Some(schema_body(&second()));
    registry.ok("PUT", "/mode/other", Some(json!({"mode": "READONLY"}))).await;
    registry.refused("POST", "/subjects/other/versions", body(), 42205).await;
    registry.refused("DELETE", "/subjects/other", None, 42205).await;
    registry.refused("DELETE", "/subjects/other/versions/1", None, 42205).await;
    registry.refused("PUT", "/config/other", Some(json!({"compatibility": "NONE"})), 42205).await;
    assert_eq!(registry.register("free", &first()).await, 1);
    // A serializer that registers what is there already is not writing.
    assert_eq!(registry.register("other", &first()).await, 1);
    registry.ok("PUT", "/mode/other", Some(json!({"mode": "READWRITE"}))).await;
    registry.ok("PUT", "/mode", Some(json!({"mode": "READONLY_OVERRIDE"}))).await;
    registry.refused("POST", "/subjects/other/versions", body(), 42205).await;
    registry.ok("DELETE", "/mode", None).await;
    registry.ok("POST", "/subjects/other/versions", body()).await;
}

#[tokio::test]
async fn import_mode_takes_ids_and_versions_from_the_client() {
    let registry = start().await;
    registry.ok("PUT", "/mode/s", Some(json!({"mode": "IMPORT"}))).await;
    let import = |schema: &Value, id: i32, version: i32| {
        let mut body = schema_body(schema);
        body["id"] = json!(id);
        body["version"] = json!(version);
        Some(body)
    };
    let path = "/subjects/s/versions";
    registry.refused("POST", path, Some(schema_body(&first())), 42205).await;
    let answer = registry.ok("POST", path, import(&first(), 40, 3)).await;
    assert_eq!(answer, json!({"id": 40, "version": 3}));
    // Compatibility is not asked for, but an id stays what it is.
    registry.ok("POST", path, import(&incompatible(), 41, 4)).await;
    registry.refused("POST", path, import(&second(), 40, 5), 42205).await;
    registry.refused("POST", path, import(&second(), 42, 4), 42205).await;
    registry.ok("PUT", "/mode/s", Some(json!({"mode": "READWRITE"}))).await;
    registry.refused("POST", path, import(&second(), 50, 5), 42205).await;
    assert_eq!(registry.register("t", &second()).await, 42);
}

#[tokio::test]
async fn metadata_and_rules_are_kept_returned_and_searched() {
    let registry = start().await;
    let mut body = schema_body(&first());
    body["metadata"] = json!({"properties": {"owner": "shop"}});
    body["ruleSet"] = json!({"domainRules": []});
    registry.ok("POST", "/subjects/s/versions", Some(body.clone())).await;
    registry.register("s", &second()).await;
    let version = registry.get("/subjects/s/versions/1").await;
    assert_eq!(version["metadata"], body["metadata"]);
    assert_eq!(version["ruleSet"], body["ruleSet"]);
    let found = registry.get("/subjects/s/metadata?key=owner&value=shop").await;
    assert_eq!(found["version"], 1);
    assert_eq!(registry.get("/subjects/s/metadata").await["version"], 2);
    registry.refused("GET", "/subjects/s/metadata?key=owner&value=erp", None, 40403).await;
}

#[tokio::test]
async fn head_has_the_head_of_a_get_and_no_body() {
    let registry = filled().await;
    let request = b"HEAD /subjects HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\r\n";
    let (status, head, body) = raw(registry.handle.address(), request).await;
    assert_eq!((status, body.len()), (200, 0));
    let length = json!(["a/b-value", "other"]).to_string().len();
    assert!(head.contains(&format!("content-length: {length}\r\n")), "{head}");
}
