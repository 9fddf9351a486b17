//! `tail`: records of a topic, decoded, as they arrive.

use std::time::Duration;

use serde_json::{Value, json};
use throughline_bus::{Entry, Isolation, TailFrom, TailOptions, Tailed};
use throughline_event::TopicName;

use crate::args::{Global, TailArgs};
use crate::exit::{Exit, Fail, Failure};
use crate::{output, running, view};

pub(crate) fn run(global: &Global, args: &TailArgs) -> Result<Exit, Failure> {
    let from = match args.last.as_str() {
        "all" => TailFrom::Earliest,
        number => TailFrom::Last(number.parse().map_err(|_| {
            let text = format!("TL9005: --last {number:?} is neither a number nor `all`");
            Failure::new(Exit::Usage, text)
        })?),
    };
    let topic = TopicName::new(&args.topic).exit(Exit::Usage)?;
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    let mut tail = bus
        .tail(&TailOptions {
            topic,
            partitions: Vec::new(),
            from,
            follow: !args.exit,
            isolation: Isolation::ReadCommitted,
        })
        .exit(Exit::Data)?;
    loop {
        let next = tail
            .next(Duration::from_secs(3600), |tailed| match tailed {
                Tailed::Entry(Entry::Record(record)) => {
                    Some(Some(view::record(&record, args.keys)))
                }
                Tailed::Entry(Entry::Undecodable(bad)) => Some(Some(undecodable(&bad))),
                Tailed::Nothing => Some(None),
                Tailed::End => None,
            })
            .exit(Exit::Unavailable)?;
        match next {
            Some(Some(record)) => output::line(&record.to_string())?,
            Some(None) => {}
            None => return Ok(Exit::Ok),
        }
    }
}

fn undecodable(bad: &throughline_bus::Undecodable) -> Value {
    json!({
        "topic": bad.partition.topic,
        "partition": bad.partition.partition,
        "offset": bad.offset,
        "unreadable": throughline_runtime::chain(&bad.reason),
    })
}
