//! Topics that are deleted while workers need them.

use throughline_event::TopicName;
use throughline_runtime::{Shutdown, positions};

use crate::scripted::{documents, name, run, things, worker};
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
