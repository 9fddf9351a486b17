//! The registry: ids, versions, compatibility, and what happens when it is away.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use throughline_avro::{Schema, SchemaId};
use throughline_bus::*;

use crate::support::*;

fn record(fields: &str) -> Schema {
    let text = format!(r#"{{"type":"record","name":"Product","fields":[{fields}]}}"#);
    Schema::parse(&text).unwrap()
}

const SKU: &str = r#"{"name":"sku","type":"string"}"#;
const TITLE: &str = r#"{"name":"title","type":["null","string"],"default":null}"#;
const PRICE: &str = r#"{"name":"price","type":"long"}"#;

#[test]
fn a_schema_keeps_its_id_and_comes_back_by_it() {
    let bus = start();
    let subject = unique("subject");
    let schema = record(SKU);
    let id = bus.register(&subject, &schema).unwrap();
    assert_eq!(bus.register(&subject, &schema).unwrap(), id);
    let fetched = bus.schema(id).unwrap();
    assert_eq!(fetched.canonical_text(), schema.canonical_text());
    assert!(std::sync::Arc::ptr_eq(&fetched, &bus.schema(id).unwrap()));
    assert!(bus.subjects().unwrap().contains(&subject));
}

#[test]
fn versions_of_a_subject_are_listed_and_shown() {
    let bus = start();
    let subject = unique("subject");
    let first = bus.register(&subject, &record(SKU)).unwrap();
    let wider = record(&format!("{SKU},{TITLE}"));
    assert!(bus.compatible(&subject, &wider).unwrap());
    let second = bus.register(&subject, &wider).unwrap();
    assert_ne!(first, second);
    assert_eq!(bus.versions(&subject).unwrap(), [1, 2]);
    assert_eq!(bus.version(&subject, Some(1)).unwrap().id, first);
    let newest = bus.version(&subject, None).unwrap();
    assert_eq!((newest.id, newest.version, newest.subject), (second, Some(2), subject));
    assert!(newest.text.contains("title"));
}

#[test]
fn a_schema_that_breaks_compatibility_is_refused_with_the_subject() {
    let bus = start();
    let subject = unique("subject");
    bus.register(&subject, &record(SKU)).unwrap();
    let broken = record(&format!("{SKU},{PRICE}"));
    assert!(!bus.compatible(&subject, &broken).unwrap());
    let error = bus.register(&subject, &broken).unwrap_err();
    assert!(
        matches!(&error, BusError::Incompatible { subject: s, .. } if *s == subject),
        "{error}"
    );
    assert_eq!(error.recovery(), Recovery::Stop);
    let text = error.to_string();
    assert!(text.contains("`price` is new and has no default; keep"), "{text}");
    assert!(text.contains(&format!("schemas compatibility {subject} --set NONE")), "{text}");
}

#[test]
fn the_rule_of_a_subject_is_told_and_set() {
    let bus = start();
    let subject = unique("subject");
    bus.register(&subject, &record(SKU)).unwrap();
    assert_eq!(bus.rule(Some(&subject)).unwrap(), None);
    assert_eq!(bus.rule(None).unwrap().as_deref(), Some("BACKWARD"));
    let broken = record(&format!("{SKU},{PRICE}"));
    bus.register(&subject, &broken).unwrap_err();
    bus.set_rule(&subject, "NONE").unwrap();
    assert_eq!(bus.rule(Some(&subject)).unwrap().as_deref(), Some("NONE"));
    bus.register(&subject, &broken).unwrap();
    let error = bus.set_rule(&subject, "SOMETIMES").unwrap_err();
    assert!(matches!(error, BusError::RegistryRefused { .. }), "{error}");
}

#[test]
fn a_subject_that_does_not_exist_is_told_and_takes_every_schema() {
    let bus = start();
    let subject = unique("subject");
    for error in [
        bus.versions(&subject).unwrap_err(),
        bus.version(&subject, None).unwrap_err(),
        bus.version(&subject, Some(3)).unwrap_err(),
    ] {
        assert!(matches!(error, BusError::RegistryRefused { code: 40401, .. }), "{error}");
        assert!(error.to_string().contains(&subject), "{error}");
    }
    assert!(bus.compatible(&subject, &record(SKU)).unwrap());
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    let bus = start();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = bus.options().clone();
    options.registry = format!("http://{free}");
    let error = Bus::connect(options).unwrap_err();
    assert!(matches!(error, BusError::RegistryUnreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&free.to_string()) && text.contains("refused"), "{text}");
    assert_eq!(error.recovery(), Recovery::Retry);
}

#[test]
fn a_web_server_that_is_no_registry_is_told() {
    let bus = start();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = bus.options().clone();
    options.registry = format!("http://{}", server.local_addr().unwrap());
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let error = Bus::connect(options).unwrap_err();
    assert!(error.to_string().contains("does not answer like a schema registry"), "{error}");
    answer.join().unwrap();
}

#[test]
fn a_proxy_that_forbids_a_rule_is_not_taken_for_the_registry() {
    let bus = start();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = bus.options().clone();
    options.registry = format!("http://{}", server.local_addr().unwrap());
    // First the question whether anybody is there.
    let answers = ["[1]", r#"{"message":"forbidden"}"#, r#"{"message":"forbidden"}"#];
    let served = std::thread::spawn(move || answers.iter().for_each(|a| serve(&server, a)));
    let far = Bus::connect(options).unwrap();
    for error in [far.set_rule("orders", "NONE").unwrap_err(), far.rule(None).unwrap_err()] {
        assert!(matches!(error, BusError::RegistryUnreachable { .. }), "{error}");
        assert!(error.to_string().contains("does not answer like a schema registry"), "{error}");
    }
    served.join().unwrap();
}

#[test]
fn schemas_that_are_of_no_use_here_are_told_with_the_reason() {
    let bus = start();
    for (answer, reason) in [
        (r#"{"schemaType":"JSON","schema":"{}"}"#, "not Avro"),
        (r#"{"schema":"{\"type\":\"recor\"}"}"#, "not an Avro schema"),
        (
            r#"{"schema":"\"x.Y\"","references":[{"name":"x.Y","subject":"y","version":1}]}"#,
            "other subjects",
        ),
    ] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut options = bus.options().clone();
        options.registry = format!("http://{}", server.local_addr().unwrap());
        // First the question whether anybody is there, then that for the schema.
        let answers = [r#"[1]"#, answer].map(str::to_owned);
        let served = std::thread::spawn(move || answers.iter().for_each(|a| serve(&server, a)));
        let far = Bus::connect(options).unwrap();
        let error = far.schema(SchemaId(7)).unwrap_err();
        served.join().unwrap();
        assert!(matches!(error, BusError::UnusableSchema { id: SchemaId(7), .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.recovery(), Recovery::Stop);
        // It stays so: nobody answers any more, and nobody is asked.
        assert!(matches!(far.schema(SchemaId(7)), Err(BusError::UnusableSchema { .. })));
    }
}

#[test]
fn an_answer_that_says_nothing_of_the_schema_is_asked_for_again() {
    let bus = start();
    for (status, body, reason) in [
        ("500 Internal Server Error", "<html>oops</html>", "500 Internal Server Error"),
        ("500 Internal Server Error", r#"{"error_code":500,"message":"store away"}"#, "store away"),
        ("500 Internal Server Error", r#"{"error_code":50002,"message":"slow"}"#, "slow"),
        ("503 Service Unavailable", "", "503 Service Unavailable"),
        ("504 Gateway Timeout", "", "504 Gateway Timeout"),
        ("404 Not Found", "no such backend", "404 Not Found"),
        ("429 Too Many", r#"{"error_code":42901,"message":"rate limit"}"#, "rate limit"),
        ("200 OK", "<html>maintenance</html>", "expected value"),
        ("200 OK", "{}", "Could not get"),
        // Half an answer: the registry died while it gave it.
        ("200 OK\r\ncontent-length: 1000", r#"{"schema":"\"str"#, "end of file"),
    ] {
        let server = Server::start();
        let mut options = bus.options().clone();
        options.registry.clone_from(&server.url);
        let far = Bus::connect(options).unwrap();
        server.answer(status, body);
        let error = far.schema(SchemaId(7)).unwrap_err();
        assert!(matches!(error, BusError::RegistryUnreachable { .. }), "{status} {body}: {error}");
        assert!(error.to_string().contains(reason), "{status} {body}: {error}");
        assert_eq!(error.recovery(), Recovery::Retry);
        server.answer("200 OK", r#"{"schema":"\"string\""}"#);
        far.schema(SchemaId(7)).unwrap();
    }
}

#[test]
fn a_registry_that_refuses_to_answer_stops_the_reader_and_spends_no_record() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..3);
    let server = Server::start();
    let mut options = bus.options().clone();
    options.registry.clone_from(&server.url);
    let far = Bus::connect(options).unwrap();
    server.answer("401 Unauthorized", r#"{"error_code":40101,"message":"who are you"}"#);
    let mut consumer = consumer(&far, &topic);
    let mut batch = throughline_event::RecordBatch::new();
    let error = loop {
        match consumer.poll(&mut batch, 10, 1 << 20, PATIENCE) {
            Ok(Polled::Assigned(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, BusError::RegistryRefused { code: 40101, .. }), "{error}");
    assert_eq!(error.recovery(), Recovery::Stop);
}

/// Gives every request the same answer.
struct Server {
    url: String,
    answer: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Server {
    /// Answers like a registry that has no schemas.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, answer: std::sync::Arc::default() };
        server.answer("200 OK", "[]");
        let answer = std::sync::Arc::clone(&server.answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4_096]).unwrap();
                let answer = answer.lock().unwrap().clone();
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        server
    }

    /// From now on; a status may bring headers with it.
    fn answer(&self, status: &str, body: &str) {
        let length = if status.contains("content-length") {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        let head = format!("HTTP/1.1 {status}\r\n{length}connection: close\r\n\r\n");
        *self.answer.lock().unwrap() = head + body;
    }
}

/// Answers one request with this JSON.
fn serve(server: &TcpListener, json: &str) {
    let (mut stream, _) = server.accept().unwrap();
    let _ = stream.read(&mut [0; 4_096]).unwrap();
    let length = json.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all((head + json).as_bytes()).unwrap();
}

#[test]
fn records_wait_for_a_registry_that_is_away_and_then_come() {
    let bus = start();
    let topic = topic(&bus, 1, Cleanup::Delete);
    let ids = register(&bus, &topic);
    write(&bus, &topic, ids, 0..3);

    // A relay stands for the registry: it is cut off, then let through.
    let relay = Relay::start(&bus.options().registry);
    let mut options = bus.options().clone();
    options.registry = relay.url.clone();
    options.timeout = Duration::from_secs(10);
    let far = Bus::connect(options).unwrap();
    relay.cut();
    let mut consumer = consumer(&far, &topic);
    let mut batch = throughline_event::RecordBatch::new();
    let error = loop {
        match consumer.poll(&mut batch, 10, 1 << 20, PATIENCE) {
            Ok(Polled::Assigned(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, BusError::RegistryUnreachable { .. }), "{error}");
    assert_eq!(error.recovery(), Recovery::Retry);
    relay.restore();
    assert_eq!(read_numbers(&mut consumer, 3), [0, 1, 2]);
}

/// Passes connections on to the registry, or closes them.
struct Relay {
    url: String,
    open: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Relay {
    fn start(registry: &str) -> Self {
        use std::sync::atomic::{AtomicBool, Ordering};
        let rest = registry.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/{path}", listener.local_addr().unwrap());
        let open = std::sync::Arc::new(AtomicBool::new(true));
        let (host, is_open) = (host.to_owned(), std::sync::Arc::clone(&open));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut near = stream.unwrap();
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                // One exchange, so that no connection outlives the cut.
                let mut request = [0; 65_536];
                let count = near.read(&mut request).unwrap();
                let text = String::from_utf8_lossy(&request[..count]).replacen(
                    "\r\n",
                    "\r\nconnection: close\r\n",
                    1,
                );
                let mut far = std::net::TcpStream::connect(&host).unwrap();
                far.write_all(text.as_bytes()).unwrap();
                let mut answer = Vec::new();
                far.read_to_end(&mut answer).unwrap();
                near.write_all(&answer).unwrap();
            }
        });
        Self { url, open }
    }

    fn cut(&self) {
        self.open.store(false, std::sync::atomic::Ordering::SeqCst);
    }

    fn restore(&self) {
        self.open.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}
