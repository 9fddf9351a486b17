//! A registry that refuses, hangs, fails or breaks off: the workers say so, wait, and go on.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::oracle;
use crate::sandbox::{Running, Sandbox, free_ports};

/// What the registry does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    /// It answers.
    Well,
    /// It takes the connection and never answers.
    Hangs,
    /// It answers 500, with the page of whatever stands before it.
    Page,
    /// It answers 500 in its own words.
    Fails,
    /// It dies in the middle of the answer.
    Breaks,
}

/// Stands between the workers and the registry.
struct Relay {
    mood: Arc<Mutex<Mood>>,
}

impl Relay {
    /// Listens at this port and passes on to that one. Only requests whose first line has `what` in
    /// it meet the mood.
    fn start(port: u16, registry: &str, what: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let mood = Arc::new(Mutex::new(Mood::Well));
        let (shared, registry) = (Arc::clone(&mood), registry.to_owned());
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (mood, registry) = (Arc::clone(&shared), registry.clone());
                std::thread::spawn(move || exchange(near.unwrap(), &mood, &registry, what));
            }
        });
        Self { mood }
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

/// One request and its answer. A client that went away meanwhile is none of the relay's business.
fn exchange(mut near: TcpStream, mood: &Mutex<Mood>, registry: &str, what: &str) {
    let mut request = vec![0; 1 << 20];
    let count = near.read(&mut request).unwrap_or(0);
    let text = String::from_utf8_lossy(&request[..count]).into_owned();
    let met = text.lines().next().is_some_and(|line| line.contains(what));
    let mood = if met { *mood.lock().unwrap() } else { Mood::Well };
    let answer = |status: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    };
    let answer = match mood {
        Mood::Hangs => {
            // Until the client gives up.
            let _ended: std::io::Result<usize> = near.read(&mut [0; 1]);
            return;
        }
        Mood::Page => answer("500 Internal Server Error", "<html>backend away</html>").into(),
        Mood::Fails => {
            let body = r#"{"error_code":50001,"message":"the store is away"}"#;
            answer("500 Internal Server Error", body).into()
        }
        Mood::Well | Mood::Breaks => {
            let mut far = TcpStream::connect(registry).unwrap();
            let text = text.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            far.write_all(text.as_bytes()).unwrap();
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).unwrap();
            if mood == Mood::Breaks {
                answer.truncate(answer.len() - 5);
            }
            answer
        }
    };
    let _gone: std::io::Result<()> = near.write_all(&answer);
}

/// A sandbox whose workers reach the bus over the addresses in `workers.yaml`.
fn sandbox() -> (Sandbox, u16, String) {
    let sandbox = Sandbox::new();
    let yaml = fs::read_to_string(sandbox.path("throughline.yaml")).unwrap();
    let address = |name: &str| {
        let line = yaml.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    let (kafka, registry) = (address("kafka:"), address("registry:"));
    let [port] = free_ports();
    let begin = yaml.find("bus:\n").unwrap();
    let end = yaml.find("metrics:").unwrap();
    let bus = format!("bus: {{brokers: [\"{kafka}\"], registry: \"http://127.0.0.1:{port}\"}}\n");
    let workers = format!("{}{bus}{}", &yaml[..begin], &yaml[end..]);
    fs::write(sandbox.path("workers.yaml"), workers).unwrap();
    (sandbox, port, registry)
}

const WORKERS: [[&str; 3]; 3] =
    [["run", "producer", "shop-exports"], ["run", "processor", "shop"], ["run", "sink", "lake"]];

fn start(sandbox: &Sandbox, worker: [&str; 3]) -> Running {
    sandbox.start(&[&["--config", "workers.yaml"][..], &worker].concat())
}

/// What a worker has logged so far.
fn logged(sandbox: &Sandbox, worker: [&str; 3]) -> Vec<Value> {
    let name = format!("--config-workers.yaml-{}.log", worker.join("-"));
    let text = fs::read_to_string(sandbox.path(&name)).unwrap_or_default();
    // The last line may be half written.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn error(line: &Value) -> String {
    line["fields"]["error"].as_str().or(line["error"].as_str()).unwrap_or_default().to_owned()
}

fn wait_ms(line: &Value) -> Option<u64> {
    let found =
        if line["fields"].is_null() { &line["wait_ms"] } else { &line["fields"]["wait_ms"] };
    found.as_u64().or_else(|| found.as_str()?.parse().ok())
}

/// Waits until every one of the workers has logged the registry's failure in these words after so
/// many lines; the place is the registry's address.
fn until_told(
    sandbox: &Sandbox,
    workers: &[[&'static str; 3]],
    after: &BTreeMap<&str, usize>,
    port: u16,
    words: &str,
) {
    for worker in workers {
        sandbox.until("the failure was not logged", || {
            let lines = logged(sandbox, *worker);
            let new = &lines[after.get(worker[2]).copied().unwrap_or(0)..];
            let told = new.iter().map(error).any(|text| {
                text.contains("TL0503")
                    && text.contains(&format!("http://127.0.0.1:{port}"))
                    && text.contains("check `bus.registry`")
                    && text.contains(words)
            });
            if told { Ok(()) } else { Err((*worker, words.to_owned(), lines)) }
        });
    }
}

fn lines(sandbox: &Sandbox) -> BTreeMap<&'static str, usize> {
    WORKERS.iter().map(|worker| (worker[2], logged(sandbox, *worker).len())).collect()
}

fn stock(sandbox: &Sandbox, rows: usize) {
    let rows: String = (0..300).map(|n| format!("SKU{n},{},\n", (n + rows) % 50)).collect();
    sandbox.replace("exports/inventory.csv", &format!("sku,quantityOnStock,supplyChannel\n{rows}"));
}

fn until_right(sandbox: &Sandbox) {
    let expected = oracle::expected(sandbox);
    sandbox.until("the target never held what the files say", || {
        oracle::difference(&expected, &oracle::at_target(sandbox))
    });
    oracle::difference(&expected, &oracle::on_topics(sandbox)).unwrap();
    let letters = sandbox.output(&["--output", "json", "dlq", "list"]);
    let letters: Vec<Value> = serde_json::from_slice(&letters.stdout).unwrap();
    assert_eq!(letters, Vec::<Value>::new(), "no record pays for it");
}

#[test]
fn workers_that_start_before_the_registry_answers_wait_for_it() {
    let (sandbox, port, registry) = sandbox();
    stock(&sandbox, 1);
    let bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();

    // GIVEN nobody at the address, then a registry that hangs, then one that fails,
    let mut workers = WORKERS.map(|worker| start(&sandbox, worker));
    until_told(&sandbox, &WORKERS, &BTreeMap::new(), port, "refused");
    let relay = Relay::start(port, &registry, "");
    for (mood, words) in [
        (Mood::Page, "500 Internal Server Error"),
        (Mood::Fails, "the store is away"),
        (Mood::Hangs, "timed out"),
    ] {
        relay.set(mood);
        until_told(&sandbox, &WORKERS, &lines(&sandbox), port, words);
    }
    // WHEN it answers, THEN everything flows, and nobody has ended or tried in a hot loop.
    relay.set(Mood::Well);
    until_right(&sandbox);
    for worker in WORKERS {
        let waits: Vec<u64> = logged(&sandbox, worker).iter().filter_map(wait_ms).collect();
        assert!(waits.len() >= 4 && waits.is_sorted(), "{worker:?}: {waits:?}");
    }
    for worker in &mut workers {
        assert!(!worker.has_ended(), "{}", sandbox.logs());
    }
    for process in workers.into_iter().chain([bus]) {
        assert_eq!(process.drain(), Some(0), "{}", sandbox.logs());
    }
}

#[test]
fn records_wait_for_a_registry_that_fails_in_the_middle() {
    let (sandbox, port, registry) = sandbox();
    let relay = Relay::start(port, &registry, "/schemas/ids/");
    stock(&sandbox, 1);
    let bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();
    let producer = start(&sandbox, WORKERS[0]);
    let reading = &WORKERS[1..];
    for (round, (mood, words)) in [
        (Mood::Breaks, ""),
        (Mood::Page, "500 Internal Server Error"),
        (Mood::Fails, "the store is away"),
        (Mood::Hangs, "timed out"),
    ]
    .into_iter()
    .enumerate()
    {
        // The workers know no schema yet and meet the failure with their first record.
        let before = lines(&sandbox);
        relay.set(mood);
        stock(&sandbox, round + 2);
        let mut workers: Vec<_> = reading.iter().map(|worker| start(&sandbox, *worker)).collect();
        until_told(&sandbox, &reading[..1], &before, port, words);
        relay.set(Mood::Well);
        until_right(&sandbox);
        // The sink has its own schemas to ask for.
        let before = lines(&sandbox);
        workers[1].kill();
        relay.set(mood);
        stock(&sandbox, round + 10);
        workers[1] = start(&sandbox, reading[1]);
        until_told(&sandbox, &reading[1..], &before, port, words);
        relay.set(Mood::Well);
        until_right(&sandbox);
        for worker in &mut workers {
            assert!(!worker.has_ended(), "{}", sandbox.logs());
        }
        for worker in workers {
            assert_eq!(worker.drain(), Some(0), "{}", sandbox.logs());
        }
    }
    for process in [producer, bus] {
        assert_eq!(process.drain(), Some(0), "{}", sandbox.logs());
    }
}
