use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::client::{Running, first, raw, schema_body, start};

async fn send(registry: &Running, request: &[u8]) -> (u16, Value) {
    let (status, _, body) = raw(registry.handle.address(), request).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: r\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused() {
    let registry = start().await;
    let deep = "[".repeat(100_000);
    let table: [(&[u8], u16); 9] = [
        (b"", 42201),
        (b"{", 400),
        (b"\xff\xfe\x00", 400),
        (b"[]", 400),
        (b"{\"schema\": 7}", 400),
        (b"{\"schema\": \"\xff\"}", 400),
        (b"{\"schema\": \"\\\"int\\\"\", \"metadata\": 3}", 400),
        (b"{\"schema\": \"\\\"int\\\" x\"}", 42201),
        (deep.as_bytes(), 400),
    ];
    for (body, code) in table {
        let (_, answer) = send(&registry, &post("/subjects/s/versions", body)).await;
        assert_eq!(answer["error_code"], code, "{:?}", body.get(..40).unwrap_or(body));
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_with_or_without_a_declared_length() {
    let registry = start().await;
    let path = "/subjects/s/versions";
    let head = format!("POST {path} HTTP/1.1\r\nhost: r\r\nconnection: close\r\n");
    let declared = format!("{head}content-length: 2147483648\r\n\r\n");
    let (status, answer) = send(&registry, declared.as_bytes()).await;
    assert_eq!((status, &answer["error_code"]), (413, &json!(413)));
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    for _ in 0..40 {
        chunked.push_str(&format!("8000\r\n{}\r\n", "x".repeat(0x8000)));
    }
    chunked.push_str("0\r\n\r\n");
    let (status, _) = send(&registry, chunked.as_bytes()).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let registry = start().await;
    let mut stream = tokio::net::TcpStream::connect(registry.handle.address()).await.unwrap();
    let request =
        b"POST /subjects/s HTTP/1.1\r\nhost: r\r\ncontent-length: 100\r\n\r\n{\"schema\":";
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_head_is_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let registry = start().await;
    let mut stream = tokio::net::TcpStream::connect(registry.handle.address()).await.unwrap();
    stream.write_all(b"GET /subjects HTTP/1.1\r\nhost: r\r\nx-slow: ").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn paths_that_are_no_path_are_refused() {
    let registry = start().await;
    let long = format!("/subjects/{}/versions", "a".repeat(20_000));
    let name = format!("/subjects/{}/versions", "a".repeat(2_000));
    for (path, code) in [
        ("/subjects/%ff/versions", 400),
        ("/subjects/%zz/versions", 400),
        ("/subjects/a/versions?deleted=%c3", 400),
        (long.as_str(), 400),
        (name.as_str(), 42208),
        ("/subjects/%00/versions", 42208),
        ("/subjects/../../etc/passwd", 404),
        ("//", 404),
        ("/schemas/ids/-1", 40403),
        ("/schemas/ids/99999999999999999999", 404),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\r\n");
        let (_, answer) = send(&registry, request.as_bytes()).await;
        if path == "//" {
            assert_eq!(answer, json!({}));
        } else {
            assert_eq!(answer["error_code"], code, "{path:.60}");
        }
    }
}

#[tokio::test]
async fn schemas_that_explode_are_refused_or_stored_but_never_kill_it() {
    let registry = start().await;
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(2000), "}".repeat(2000));
    let body = json!({"schema": deep});
    registry.refused("POST", "/subjects/deep/versions", Some(body), 42201).await;
    // A record that contains itself in every way.
    let knot = json!({"type": "record", "name": "K", "fields": [
        {"name": "a", "type": {"type": "array", "items": ["null", "K"]}},
        {"name": "m", "type": {"type": "map", "values": "K"}},
        {"name": "k", "type": "K"}]});
    registry.register("knot", &knot).await;
    let mut wider = knot.clone();
    wider["fields"].as_array_mut().unwrap().push(json!({"name": "n", "type": "int", "default": 0}));
    registry.register("knot", &wider).await;
}

/// Mutates a valid request and looks only for an answer: a panic closes the connection unanswered.
#[tokio::test]
async fn mutated_requests_are_always_answered() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let registry = start().await;
    registry.register("s", &first()).await;
    for _ in 0..400 {
        let mut body = schema_body(&first()).to_string().into_bytes();
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(0..body.len());
            match random.random_range(0..3) {
                0 => body[place] = random.random(),
                1 => _ = body.remove(place),
                _ => body.insert(place, b"{}[]\",:\\0"[random.random_range(0..9)]),
            }
        }
        let path = ["/subjects/s/versions", "/subjects/s", "/compatibility/subjects/s/versions"]
            [random.random_range(0..3)];
        let (status, answer) = send(&registry, &post(path, &body)).await;
        assert!((200..500).contains(&status), "{status} {answer}");
    }
}
