use throughline_avro::SchemaId;
use throughline_event::TopicName;
use throughline_runtime::dead_letter::DeadLetter;

use crate::foreign::ids;
use crate::support::Flow;

/// A key that the target refused, and others that it took.
fn refused() -> Flow {
    let flow = Flow::start();
    flow.refuse("a");
    flow.write(&[("a", 1), ("b", 2), ("a", 3), ("c", 4)]);
    flow.run_until("the others go on", || flow.held("c").is_some() && flow.letters().len() == 2);
    assert_eq!((flow.held("a"), flow.held("b")), (None, Some(2)));
    for letter in flow.letters() {
        assert!(letter.parked && letter.code == "TL9999", "{letter:?}");
    }
    flow
}

#[test]
fn a_key_that_the_target_refused_resumes_at_the_start_of_a_worker_when_it_is_mended() {
    let flow = refused();
    flow.mend("a");
    flow.run_until("the parked key resumes", || flow.letters().is_empty());
    assert_eq!(flow.held("a"), Some(3), "the newest record stands for all");
}

#[test]
fn a_key_that_the_target_still_refuses_stays_parked_over_restarts() {
    let flow = refused();
    let before = flow.letters();
    flow.write(&[("b", 5)]);
    flow.run_until("the worker runs", || flow.held("b") == Some(5));
    assert_eq!((flow.held("a"), flow.letters()), (None, before));
}

#[test]
fn a_parked_key_resumes_by_a_newer_record_that_the_target_takes() {
    let flow = Flow::start();
    flow.refuse("a");
    flow.write(&[("a", 1), ("b", 2)]);
    let mended = std::cell::Cell::new(false);
    flow.run_until("the newer record resolves the letter", || {
        if !mended.get() && flow.held("b").is_some() && flow.letters().len() == 1 {
            flow.mend("a");
            flow.write(&[("a", 3)]);
            mended.set(true);
        }
        mended.get() && flow.letters().is_empty()
    });
    assert_eq!(flow.held("a"), Some(3));
}

#[test]
fn a_refusal_of_a_record_that_is_not_in_the_batch_stops_the_worker_and_writes_no_letter() {
    let flow = Flow::start();
    flow.refuse("a");
    flow.lie();
    flow.write(&[("a", 1), ("b", 2)]);
    // The supervisor starts it again, and then it tells the truth.
    flow.run_until("the others go on", || flow.held("b").is_some());
    let letters = flow.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].input.as_ref().map(|input| input.offset.0), Some(0));
}

#[test]
fn a_parked_record_whose_schema_is_gone_holds_back_nothing_and_is_resolved_by_a_newer_one() {
    let flow = refused();
    let mut letter = flow.letters().remove(1);
    letter.value.as_mut().unwrap().schema = Some(SchemaId(99_999));
    let topic = TopicName::dead(&letter.worker);
    let (key, value) = ids(&flow, &topic);
    let (id, datum) = (DeadLetter::key_datum(&letter.id), letter.to_datum());
    flow.write_to(&topic, Some((key, &id)), Some((value, &datum)));
    flow.mend("a");
    flow.write(&[("b", 5)]);
    flow.run_until("the others go on", || flow.held("b") == Some(5));
    assert_eq!((flow.held("a"), flow.letters().len()), (None, 2));
    flow.write(&[("a", 6)]);
    flow.run_until("the newer record resolves it", || flow.letters().is_empty());
    assert_eq!(flow.held("a"), Some(6));
}
