//! A small HTTP client and a registry to call, for every test.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use throughline_registry::{MemorySchemaLog, Registry, RegistryHandle, RegistryOptions, SchemaLog};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Running {
    pub(crate) log: Arc<MemorySchemaLog>,
    pub(crate) handle: RegistryHandle,
}

pub(crate) fn options(log: Arc<dyn SchemaLog>) -> RegistryOptions {
    RegistryOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)), log)
}

pub(crate) async fn start() -> Running {
    start_on(Arc::new(MemorySchemaLog::new())).await
}

pub(crate) async fn start_on(log: Arc<MemorySchemaLog>) -> Running {
    let handle = Registry::start(options(log.clone())).await.unwrap();
    Running { log, handle }
}

impl Running {
    pub(crate) async fn restart(self) -> Self {
        self.handle.shutdown().await;
        start_on(self.log).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok("GET", path, None).await
    }

    pub(crate) async fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = call(self.handle.address(), method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Refused with the code, and the status that belongs to it.
    #[track_caller]
    pub(crate) fn refused<'a>(
        &'a self,
        method: &'a str,
        path: &'a str,
        body: Option<Value>,
        code: u16,
    ) -> impl Future<Output = String> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let (status, answer) = call(self.handle.address(), method, path, body).await;
            assert_eq!(answer["error_code"], code, "{method} {path}: {answer} at {place}");
            let expected = if code < 1000 { code } else { code / 100 };
            assert_eq!(status, expected, "{method} {path}: {answer} at {place}");
            answer["message"].as_str().unwrap().to_owned()
        }
    }

    pub(crate) async fn register(&self, subject: &str, schema: &Value) -> Value {
        let path = format!("/subjects/{subject}/versions");
        self.ok("POST", &path, Some(schema_body(schema))).await["id"].clone()
    }
}

pub(crate) fn schema_body(schema: &Value) -> Value {
    json!({"schema": schema.to_string()})
}

pub(crate) fn record(fields: &Value) -> Value {
    json!({"type": "record", "name": "R", "namespace": "x", "fields": fields})
}

/// `{id: long}`.
pub(crate) fn first() -> Value {
    record(&json!([{"name": "id", "type": "long"}]))
}

/// `first` with an optional field.
pub(crate) fn second() -> Value {
    record(&json!([{"name": "id", "type": "long"},
        {"name": "n", "type": ["null", "string"], "default": null}]))
}

/// `first` with a field that old data lacks.
pub(crate) fn incompatible() -> Value {
    record(&json!([{"name": "id", "type": "long"}, {"name": "must", "type": "string"}]))
}

pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: registry\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let (status, head, body) = raw(address, &[head.as_bytes(), body.as_bytes()].concat()).await;
    assert!(head.contains("content-type: application/vnd.schemaregistry.v1+json"), "{head}");
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// Sends bytes, and reads status, head and body until the server closes.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may close while we are still writing.
    _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer).await;
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(split) = split else { return (0, String::new(), answer) };
    let body = answer.split_off(split + 4);
    let head = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, body)
}
