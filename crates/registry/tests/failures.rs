use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use throughline_registry::{
    BoxFuture, CompatibilityLevel, LogFailure, MemorySchemaLog, Registry, RegistryOptions,
    SchemaLog, SchemaRecord, StartError,
};
use tokio::sync::Semaphore;

use crate::client::{call, first, incompatible, options, record, schema_body, second, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_schema_registered_at_once_gets_one_id() {
    let registry = start().await;
    let address = registry.handle.address();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..40 {
        let schema = if index % 2 == 0 { first() } else { second() };
        let subject = format!("s{}", index % 4);
        tasks.spawn(async move {
            let path = format!("/subjects/{subject}/versions");
            let (status, answer) = call(address, "POST", &path, Some(schema_body(&schema))).await;
            assert_eq!(status, 200, "{answer}");
            (schema.to_string(), answer["id"].as_i64().unwrap())
        });
    }
    let ids: BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert_eq!(registry.log.records().len(), 4, "one record per subject and schema");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_schemas_registered_at_once_get_different_ids_and_versions() {
    let registry = start().await;
    registry.ok("PUT", "/config", Some(json!({"compatibility": "NONE"}))).await;
    let address = registry.handle.address();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..30 {
        tasks.spawn(async move {
            let schema = record(&json!([{"name": format!("f{index}"), "type": "int"}]));
            let body = Some(schema_body(&schema));
            let (_, answer) = call(address, "POST", "/subjects/s/versions", body).await;
            (answer["id"].as_i64().unwrap(), answer["version"].as_i64().unwrap())
        });
    }
    let mut numbers = tasks.join_all().await;
    numbers.sort_unstable();
    let expected: Vec<(i64, i64)> = (1..=30).map(|number| (number, number)).collect();
    assert_eq!(numbers, expected);
}

/// What a log does with the next append.
const WORK: usize = 0;
const LOSE: usize = 1;
const KEEP_AND_FAIL: usize = 2;
const HOLD: usize = 3;

/// A log that fails on demand.
struct Faulty {
    inner: MemorySchemaLog,
    next: AtomicUsize,
    appending: Semaphore,
    release: Semaphore,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            inner: MemorySchemaLog::new(),
            next: AtomicUsize::new(WORK),
            appending: Semaphore::new(0),
            release: Semaphore::new(0),
        }
    }
}

impl SchemaLog for Faulty {
    fn append(
        &self,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<i64, LogFailure>> {
        Box::pin(async move {
            match self.next.swap(WORK, Ordering::SeqCst) {
                LOSE => Err(LogFailure::new("disk full")),
                KEEP_AND_FAIL => {
                    self.inner.append(key, value).await?;
                    Err(LogFailure::new("the answer was lost"))
                }
                HOLD => {
                    let offset = self.inner.append(key, value).await;
                    self.appending.add_permits(1);
                    self.release.acquire().await.unwrap().forget();
                    offset
                }
                _ => self.inner.append(key, value).await,
            }
        })
    }

    fn read(&self, from: i64) -> BoxFuture<'_, Result<Vec<SchemaRecord>, LogFailure>> {
        if self.next.load(Ordering::SeqCst) == LOSE {
            return Box::pin(std::future::ready(Err(LogFailure::new("disk full"))));
        }
        self.inner.read(from)
    }
}

#[tokio::test]
async fn a_failed_write_is_reported_and_leaves_nothing_behind() {
    let log = Arc::new(Faulty::default());
    let handle = Registry::start(options(log.clone())).await.unwrap();
    let path = "/subjects/s/versions";
    log.next.store(LOSE, Ordering::SeqCst);
    let (status, answer) = call(handle.address(), "POST", path, Some(schema_body(&first()))).await;
    assert_eq!((status, &answer["error_code"]), (500, &json!(50001)));
    assert!(!answer["message"].as_str().unwrap().contains("disk"), "inner errors stay inside");
    log.next.store(WORK, Ordering::SeqCst);
    assert_eq!(call(handle.address(), "GET", "/subjects", None).await.1, json!([]));
    let (status, _) = call(handle.address(), "POST", path, Some(schema_body(&first()))).await;
    assert_eq!(status, 200);
    // What is known is answered while the log is down.
    log.next.store(LOSE, Ordering::SeqCst);
    let (status, _) = call(handle.address(), "POST", path, Some(schema_body(&first()))).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_again() {
    let log = Arc::new(Faulty::default());
    let handle = Registry::start(options(log.clone())).await.unwrap();
    let path = "/subjects/s/versions";
    log.next.store(KEEP_AND_FAIL, Ordering::SeqCst);
    let (status, _) = call(handle.address(), "POST", path, Some(schema_body(&first()))).await;
    assert_eq!(status, 500);
    // It is on the log, so it is there; registering again adds nothing.
    assert_eq!(call(handle.address(), "GET", "/subjects", None).await.1, json!(["s"]));
    let (_, answer) = call(handle.address(), "POST", path, Some(schema_body(&first()))).await;
    assert_eq!(answer, json!({"id": 1, "version": 1}));
    assert_eq!(log.inner.records().len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_during_a_write_does_not_hide_its_outcome() {
    use tokio::io::AsyncWriteExt;
    let log = Arc::new(Faulty::default());
    let handle = Registry::start(options(log.clone())).await.unwrap();
    log.next.store(HOLD, Ordering::SeqCst);
    let body = schema_body(&first()).to_string();
    let request = format!(
        "POST /subjects/s/versions HTTP/1.1\r\nhost: r\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(handle.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    log.appending.acquire().await.unwrap().forget();
    drop(stream);
    log.release.add_permits(1);
    assert_eq!(call(handle.address(), "GET", "/subjects", None).await.1, json!(["s"]));
    let second =
        call(handle.address(), "POST", "/subjects/s/versions", Some(schema_body(&second())));
    assert_eq!(second.await.1, json!({"id": 2, "version": 2}));
}

#[tokio::test]
async fn it_does_not_start_on_wrong_options_a_taken_port_or_an_unreadable_log() {
    async fn code(options: RegistryOptions) -> &'static str {
        let error = Registry::start(options).await.unwrap_err();
        assert!(error.to_string().starts_with(error.code()), "{error}");
        error.code()
    }
    let log = || Arc::new(MemorySchemaLog::new());
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let options = RegistryOptions { listen: address.parse().unwrap(), ..options(log()) };
        assert_eq!(code(options).await, "TL0401", "{address}");
    }
    assert_eq!(code(RegistryOptions { max_body_bytes: 1, ..options(log()) }).await, "TL0402");
    let running = start().await;
    let listen = running.handle.address();
    assert_eq!(code(RegistryOptions { listen, ..options(log()) }).await, "TL0403");
    let unreadable = Faulty::default();
    unreadable.next.store(LOSE, Ordering::SeqCst);
    let error = Registry::start(options(Arc::new(unreadable))).await.unwrap_err();
    assert!(matches!(error, StartError::Load { .. }) && error.code() == "TL0404", "{error}");
}

#[tokio::test]
async fn the_default_level_is_an_option() {
    let log = Arc::new(MemorySchemaLog::new());
    let default_compatibility = CompatibilityLevel::None;
    let options = RegistryOptions { default_compatibility, ..options(log) };
    let handle = Registry::start(options).await.unwrap();
    assert_eq!(handle.url(), format!("http://{}", handle.address()));
    let path = "/subjects/s/versions";
    for (schema, version) in [(first(), 1), (incompatible(), 2)] {
        let (_, answer) = call(handle.address(), "POST", path, Some(schema_body(&schema))).await;
        assert_eq!(answer["version"], version);
    }
    handle.shutdown().await;
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_frees_the_port() {
    let registry = start().await;
    let address = registry.handle.address();
    let _idle = tokio::net::TcpStream::connect(address).await.unwrap();
    registry.handle.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn dropping_the_handle_stops_the_registry() {
    let registry = start().await;
    let address = registry.handle.address();
    drop(registry);
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), refused).await.unwrap();
}
