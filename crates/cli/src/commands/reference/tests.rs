use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::*;
use crate::commands::demo::folder;
use crate::process::{Process, Scope};

/// The body of an answer to `GET path`.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Name, type and labels of every metric in a scrape, as the page writes them.
fn scraped(text: &str) -> BTreeSet<(String, String, Vec<String>)> {
    let mut found = BTreeSet::new();
    let mut current = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            current = (name.to_owned(), kind.to_owned());
        } else if line.starts_with(&current.0) && !current.0.is_empty() {
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.split('}').next().unwrap());
            let mut labels: Vec<String> = labels
                .split("\",")
                .filter_map(|pair| pair.split_once('=').map(|(name, _)| name.to_owned()))
                .filter(|name| name != "le")
                .collect();
            labels.sort();
            found.insert((current.0.clone(), current.1.clone(), labels));
        }
    }
    found
}

#[test]
fn the_page_has_every_metric_that_the_running_demo_exposes() {
    let sandbox = tempfile::tempdir().unwrap();
    folder::prepare(sandbox.path()).unwrap();
    let config = sandbox.path().join("throughline.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    // Other tests and a demo of a person may have the usual ports.
    let free: String = text
        .lines()
        .map(|line| match line.rsplit_once("127.0.0.1:") {
            Some((head, _)) => format!("{head}127.0.0.1:0\n"),
            None => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&config, free).unwrap();
    let flow = crate::flow::load(&config).unwrap();
    let mut process = Process::start(&flow, &Scope::All).unwrap();
    let address = process.metrics_address().unwrap();
    let deadline = Instant::now() + Duration::from_secs(90);
    let scrape = loop {
        let text = get(address, "/metrics");
        // The last thing that happens to a record: it is in the target.
        if text.contains("throughline_end_to_end_seconds") || Instant::now() > deadline {
            break text;
        }
        assert!(!process.signalled(Duration::from_millis(20)));
    };
    process.drain().unwrap();
    let page = metrics();
    let scraped = scraped(&scrape);
    assert!(scraped.len() > 20, "{scrape}");
    for (name, kind, mut labels) in scraped {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("the page lacks {name}"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2], kind, "{row}");
        let mut written: Vec<String> =
            cells[3].split(", ").map(|label| label.replace('`', "")).collect();
        written.retain(|label| !label.is_empty());
        written.sort();
        labels.dedup();
        assert_eq!(written, labels, "{row}");
        assert!(cells[4].len() > 10, "{row}");
    }
}

#[test]
fn the_schema_knows_the_options_of_the_built_in_connectors() {
    let schema = schema().unwrap();
    for option in ["quarantine", "max_delete_percent", "max_age", "jsonl"] {
        assert!(schema.contains(&format!("\"{option}\"")), "{option}");
    }
    let page = reference::page(&BuiltIn);
    for row in ["| `roll.max_age` | duration |", "| `entities.NAME.columns.NAME.type` | text |"] {
        assert!(page.contains(row), "{row}\n{page}");
    }
}
