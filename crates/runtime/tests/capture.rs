//! Producers: what cannot be published, and what a start waits for.

use std::time::Instant;

use throughline_avro::Schema;
use throughline_bus::{Cleanup, Outgoing, Partitions, READ_PATIENCE, TopicSpec};
use throughline_event::{Offset, PartitionId, TopicName};
use throughline_runtime::Shutdown;

use crate::scripted::{Step, documents, name, published, run, things, worker};
use crate::support::{Flow, PATIENCE, run_until};

#[test]
fn a_document_that_is_too_large_is_a_dead_letter_and_the_others_flow() {
    let flow = Flow::start();
    run(&flow, &documents(&[10, 1_500_000, 20]), 2);
    let letters = flow.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let (letter, value) = (&letters[0], letters[0].value.as_ref());
    assert_eq!((letter.code.as_str(), letter.place.as_str()), ("TL0514", "line 2"));
    assert!(letter.reason.contains("cdc.test.thing"), "{letter:?}");
    assert!(value.is_none_or(|value| value.bytes.is_empty()), "the document is in its letter");

    // The next document of the key is compared with what was published, which was nothing.
    run(&flow, &documents(&[10, 30, 20]), 3);
    run(&flow, &documents(&[10, 30, 21]), 4);
}

#[test]
fn a_start_that_waits_for_what_it_reads_says_so_and_ends_with_a_drain() {
    for (topic, what) in [
        (TopicName::positions(&name()), "the source's position"),
        (things().topic, "what it has published"),
        (TopicName::dead(&name()), "its dead letters"),
    ] {
        waits(&topic, what);
    }
}

fn waits(topic: &TopicName, what: &str) {
    let flow = Flow::start();
    let spec = TopicSpec::new(topic.clone(), Partitions::Exactly(1), Cleanup::Compact);
    flow.bus().ensure_topic(&spec).unwrap();
    let mut other = flow.bus().producer("other").unwrap();
    other.begin().unwrap();
    let (headers, timestamp) = (&[][..], None);
    let (partition, value) = (Some(PartitionId(0)), None);
    let id = flow.bus().register("other-key", &Schema::parse("\"string\"").unwrap()).unwrap();
    let key = Some((id, &b"\x02a"[..]));
    other.send(&Outgoing { topic, partition, key, value, headers, timestamp }).unwrap();
    flow.until("the record is written", || flow.bus().describe(topic).unwrap()[0].end > Offset(0));

    let shutdown = Shutdown::new();
    let worker = worker(&flow, &shutdown, &documents(&[10]));
    let health = worker.health.clone();
    let waits = || {
        let problem = health.workers().into_iter().find_map(|worker| worker.problem);
        let told = format!("waits for {what}: ");
        problem.is_some_and(|text| text.starts_with(&told) && text.contains("TL0517"))
    };
    let began = Instant::now();
    run_until(worker, &shutdown, what, waits);
    assert!(began.elapsed() < READ_PATIENCE.min(PATIENCE), "the drain had to wait");
    other.abort().unwrap();
}

#[test]
fn a_part_of_the_source_that_waits_is_named_and_the_others_flow() {
    let flow = Flow::start();
    let shutdown = Shutdown::new();
    let mut script = documents(&[10]);
    script.steps.insert(0, Step::Waits);
    let worker = worker(&flow, &shutdown, &script);
    let health = worker.health.clone();
    let told = || {
        let workers = health.workers();
        let waits = |text: &String| text.contains("a part of its source: TL9998");
        workers.iter().any(|w| !w.ready && w.problem.as_ref().is_some_and(waits))
    };
    run_until(worker, &shutdown, "it says so", || told() && published(&flow) == 1);
}
