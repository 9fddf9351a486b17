//! Topics that are deleted while workers need them.

use std::ops::ControlFlow;

use throughline_bus::{Cleanup, Entry, Isolation, Partitions, TopicSpec};
use throughline_event::{Offset, PartitionId, Record, TopicName, TopicPartition};
use throughline_runtime::{Shutdown, positions};

use crate::scripted::{DUMP, Script, Step, THING, documents, name, run, things, worker};
use crate::support::{Flow, run_until_halted};

/// A producer that has published one document.
fn published_one() -> Flow {
    let flow = Flow::start();
    run(&flow, &documents(&[10]), 1);
    flow
}

#[test]
fn a_producer_whose_position_is_gone_halts_until_it_is_told_to_begin_anew() {
    let flow = published_one();
    let topic = TopicName::positions(&name());
    for state in ["kept", "lost"] {
        flow.delete_topic(&topic);
        if state == "lost" {
            std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
        }
        let shutdown = Shutdown::new();
        let error = run_until_halted(worker(&flow, &shutdown, &documents(&[10])), &shutdown, || ());
        assert!(error.contains("TL0611: positions.shop holds no position of shop"), "{error}");
        assert!(error.contains("`throughline offsets set shop beginning`"), "{error}");
    }

    positions::begin_anew(flow.bus(), &name()).unwrap();
    run(&flow, &documents(&[10, 20]), 2);
    run(&flow, &documents(&[11]), 3);
}

#[test]
fn a_producer_whose_position_is_older_than_what_it_published_halts() {
    let flow = published_one();
    let at = TopicPartition { topic: TopicName::positions(&name()), partition: PartitionId(0) };
    let mut older = None;
    let take = |entry: Entry<'_>| {
        if let Entry::Record(Record { key: Some(key), value: Some(value), .. }) = entry {
            older = Some((key.bytes.to_vec(), value.bytes.to_vec()));
        }
        ControlFlow::Continue(())
    };
    flow.bus().read_to_end(&at, Offset(0), Isolation::ReadCommitted, take).unwrap();
    let (key, value) = older.unwrap();
    run(&flow, &documents(&[20]), 2);
    let id = |subject: String| flow.bus().version(&subject, None).unwrap().id;
    let (key_id, value_id) = (id(at.topic.key_subject()), id(at.topic.value_subject()));
    for state in ["kept", "lost"] {
        flow.delete_topic(&at.topic);
        let spec = TopicSpec::new(at.topic.clone(), Partitions::Exactly(1), Cleanup::Compact);
        flow.bus().ensure_topic(&spec).unwrap();
        flow.write_to(&at.topic, Some((key_id, &key)), Some((value_id, &value)));
        if state == "lost" {
            std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
        }
        // A restart does not make it right.
        for _ in 0..2 {
            let (shutdown, script) = (Shutdown::new(), documents(&[20]));
            let error = run_until_halted(worker(&flow, &shutdown, &script), &shutdown, || ());
            assert!(
                error.contains("TL0614: positions.shop-0 ends at offset 2,"),
                "{state}: {error}"
            );
            assert!(error.contains("`throughline offsets set shop beginning`"), "{error}");
        }
    }

    positions::begin_anew(flow.bus(), &name()).unwrap();
    run(&flow, &documents(&[20, 30]), 3);
}

#[test]
fn a_key_that_comes_back_after_a_sweep_that_was_interrupted_is_published() {
    let flow = Flow::start();
    let script = |steps| Script { steps, moved: false };
    let dump = |ids: std::ops::Range<usize>, scopes: &[&str]| {
        let shown = ids.map(|id| Step::Shown(format!("k{id}")));
        let ends = scopes.iter().map(|scope| Step::SweepEnd((*scope).to_owned()));
        script([Step::SweepBegin].into_iter().chain(shown).chain(ends).collect())
    };
    run(&flow, &dump(0..5_001, &[DUMP]), 5_001);
    // A piece of the deletes and of the tombstones is committed before it fails.
    run(&flow, &dump(0..0, &[DUMP, "nothing"]), 5_001 + 2 * 5_000);
    let back = Step::Document(THING, "k4999".to_owned(), "again".to_owned());
    run(&flow, &script(vec![back]), 5_001 + 2 * 5_000 + 1);
}

#[test]
fn a_producer_whose_topic_is_deleted_halts_and_names_it() {
    let flow = published_one();
    flow.delete_topic(&things().topic);
    let shutdown = Shutdown::new();
    let error = run_until_halted(worker(&flow, &shutdown, &documents(&[11])), &shutdown, || ());
    assert!(error.contains("TL0519: cdc.test.thing-0 ends at 0"), "{error}");
}

#[test]
fn a_sink_whose_topic_is_deleted_under_it_halts_and_names_it() {
    let flow = Flow::start();
    flow.write(&[("a", 1), ("b", 2)]);
    let shutdown = Shutdown::new();
    let error = run_until_halted(flow.sink(&shutdown), &shutdown, || {
        flow.until("it is delivered", || flow.held("b") == Some(2));
        flow.until("it is committed", || flow.committed().is_some());
        flow.delete_topic(flow.topic());
    });
    let told = "TL0529: canonical.number was deleted while throughline-sink-shop read it";
    assert!(error.contains(told), "{error}");
}
