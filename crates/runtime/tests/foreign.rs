//! Records of other programs in the topics of a worker, and damaged ones of its own.

use throughline_avro::{Schema, SchemaId, put_str};
use throughline_event::{PartitionId, TopicName};
use throughline_runtime::Shutdown;
use throughline_runtime::dead_letter::{resolve, unresolved};

use crate::scripted::{documents, name, run, worker};
use crate::support::{Flow, run_until_halted};

/// The newest schemas of a topic's keys and values.
pub(crate) fn ids(flow: &Flow, topic: &TopicName) -> (SchemaId, SchemaId) {
    let of = |subject: String| flow.bus().version(&subject, None).unwrap().id;
    (of(topic.key_subject()), of(topic.value_subject()))
}

#[test]
fn records_of_other_programs_in_the_topics_of_a_producer_are_passed_over() {
    let flow = Flow::start();
    run(&flow, &documents(&[10, 1_500_000]), 1);
    let text = flow.bus().register("other-value", &Schema::parse("\"string\"").unwrap()).unwrap();
    let (positions, dead) = (TopicName::positions(&name()), TopicName::dead(&name()));
    for topic in [&positions, &dead] {
        flow.write_to(topic, Some((text, b"\x02a")), Some((text, b"\x02b")));
        flow.write_to(topic, Some((SchemaId(99_999), b"\x02a")), None);
        // Our key, and something else behind it.
        let (key, _) = ids(&flow, topic);
        let mut own = Vec::new();
        put_str(&mut own, name().as_str());
        flow.write_to(topic, Some((key, &own)), Some((text, b"\x02b")));
    }
    let found = unresolved(flow.bus(), &dead, 1).unwrap();
    assert_eq!((found.letters.len(), found.damaged.len(), found.foreign), (1, 0, 3));
    run(&flow, &documents(&[11]), 2);
}

#[test]
fn a_damaged_position_halts_its_producer_and_is_named() {
    let flow = Flow::start();
    run(&flow, &documents(&[10]), 1);
    let topic = TopicName::positions(&name());
    let (key, value) = ids(&flow, &topic);
    let mut own = Vec::new();
    put_str(&mut own, name().as_str());
    let offset = flow.bus().describe(&topic).unwrap()[0].end;
    flow.write_to(&topic, Some((key, &own)), Some((value, b"\x02")));
    let shutdown = Shutdown::new();
    let error = run_until_halted(worker(&flow, &shutdown, &documents(&[11])), &shutdown, || ());
    let place = format!("TL0604: the record at offset {offset} of positions.shop-0 is ours");
    assert!(error.contains(&place) && error.contains("restore the topic"), "{error}");
}

#[test]
fn a_damaged_letter_halts_its_worker_until_it_is_resolved() {
    let flow = Flow::start();
    flow.write(&[("a", 1)]);
    flow.run_until("it is delivered", || flow.held("a").is_some());
    let topic = TopicName::dead(&name());
    let (key, value) = ids(&flow, &topic);
    let mut id = Vec::new();
    put_str(&mut id, "broken");
    flow.write_to(&topic, Some((key, &id)), Some((value, b"\x02x")));
    let found = unresolved(flow.bus(), &topic, 1).unwrap();
    assert_eq!((found.letters.len(), found.damaged.len(), found.foreign), (0, 1, 0));

    let shutdown = Shutdown::new();
    let error = run_until_halted(flow.sink(&shutdown), &shutdown, || ());
    let place = "TL0604: the record at offset 0 of dead.shop-0 is ours and cannot be read; \
                 `throughline dlq resolve shop 'broken'` removes it: TL0601";
    assert!(error.contains(place), "{error}");
    resolve(flow.bus(), &name(), &[("broken".to_owned(), PartitionId(0))]).unwrap();
    flow.write(&[("b", 2)]);
    flow.run_until("it goes on", || flow.held("b").is_some());
}
