//! What the workers of the running process say of themselves, at its `/workers`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;
use throughline_config::Bus;
use throughline_event::WorkerName;

use crate::flow::Flow;
use crate::running::Running;

/// A process of this machine answers at once.
const ANSWER: Duration = Duration::from_secs(2);

/// Far more than thousands of workers have to say.
const MOST: u64 = 4 << 20;

/// The workers of a process, or why nobody tells.
pub(super) enum States {
    Told(SocketAddr, Vec<State>),
    Silent(String),
}

/// A worker as the process tells it.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    name: String,
    ready: bool,
    caught_up: bool,
    problem: Option<String>,
    missing: Option<String>,
}

impl States {
    /// Asks the process that serves the bus, or, with a cluster, the one at the configured address.
    pub(super) fn ask(flow: &Flow) -> Self {
        let address = match &flow.config.bus {
            Bus::Embedded(_) => {
                Running::read(&flow.config.data).and_then(|running| running.metrics)
            }
            Bus::Kafka { .. } => Some(flow.config.metrics).filter(|at| at.port() != 0),
        };
        let Some(address) = address else {
            return Self::Silent("unknown: `metrics` names no port".to_owned());
        };
        match get(address) {
            Ok(states) => Self::Told(address, states),
            Err(error) => Self::Silent(silent(address, &error)),
        }
    }

    /// What is not there of a worker's source.
    pub(super) fn missing(&self, worker: &WorkerName) -> Option<&str> {
        let Self::Told(_, states) = self else { return None };
        states.iter().find(|state| state.name == worker.as_str())?.missing.as_deref()
    }

    /// What a worker says of itself.
    pub(super) fn told(&self, worker: &WorkerName) -> Option<String> {
        let Self::Told(_, states) = self else { return None };
        let state = states.iter().find(|state| state.name == worker.as_str())?;
        Some(match state {
            State { problem: Some(problem), .. } => problem.clone(),
            State { ready: false, .. } => "is not ready".to_owned(),
            State { caught_up: true, .. } => "running, all of its source is read".to_owned(),
            _ => "running".to_owned(),
        })
    }

    /// What is known of a worker that says nothing of itself and is in no group.
    pub(super) fn unknown(&self) -> String {
        match self {
            Self::Told(address, _) => {
                format!("runs elsewhere or not at all: it is not in the process at {address}")
            }
            Self::Silent(why) => why.clone(),
        }
    }
}

/// What the members of its group tell of a worker that says nothing of itself.
pub(super) fn of_members(members: usize) -> String {
    match members {
        0 => "does not run: its group has no member".to_owned(),
        1 => "runs elsewhere, or ended seconds ago: its group has a member".to_owned(),
        members => format!("runs elsewhere, or ended seconds ago: its group has {members} members"),
    }
}

/// Nobody answers: that says nothing of workers whose process has another port.
fn silent(address: SocketAddr, error: &std::io::Error) -> String {
    format!(
        "unknown: nobody answers at {address} ({error}); parts that `throughline run` starts have \
         ports of their own"
    )
}

fn get(address: SocketAddr) -> std::io::Result<Vec<State>> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let request = format!("GET /workers HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    body(&answer).ok_or_else(|| std::io::Error::other("it is no Throughline"))
}

/// The list in an answer, whichever way its body is framed.
fn body(answer: &[u8]) -> Option<Vec<State>> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then_some(())?;
    serde_json::from_str(body.get(body.find('[')?..=body.rfind(']')?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_another_process_are_not_said_to_be_down() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let told = silent(free, &get(free).unwrap_err());
        assert!(told.starts_with(&format!("unknown: nobody answers at {free} (")), "{told}");
    }

    #[test]
    fn only_the_answer_of_a_process_of_ours_is_taken() {
        let list = r#"[{"name":"lake","ready":true,"caught_up":false,"problem":null}]"#;
        let answer = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\nA: b\r\n\r\n{body}");
        let of = |answer: String| body(answer.as_bytes()).map(|states| states.len());
        assert_eq!(of(answer("200 OK", list)), Some(1));
        assert_eq!(of(answer("404 Not Found", list)), None);
        assert_eq!(of(answer("200 OK", "hello")), None);
        assert_eq!(of(String::new()), None);
    }
}
