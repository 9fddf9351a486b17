//! A state store that is made anew from what was published.

use std::ops::ControlFlow;

use throughline_avro::{Cursor, write_json};
use throughline_bus::{Entry, Isolation};
use throughline_event::Offset;

use crate::scripted::{OTHER, Script, Step, THING, run, things};
use crate::support::Flow;

/// An entity, a key, and its text, or that it is gone.
type Told<'a> = (usize, &'a str, Option<&'a str>);

fn tell(flow: &Flow, moved: bool, told: &[Told<'_>], count: usize) {
    let step = |&(entity, id, text): &Told<'_>| match text {
        Some(text) => Step::Document(entity, id.to_owned(), text.to_owned()),
        None => Step::Gone(entity, id.to_owned()),
    };
    run(flow, &Script { steps: told.iter().map(step).collect(), moved }, count);
}

#[test]
fn a_key_that_was_created_again_is_known_to_a_store_that_is_made_anew() {
    let flow = Flow::start();
    // The other entity is read first, and its versions are higher than all of the key's.
    let again = [(THING, "a", Some("x")), (THING, "a", None), (THING, "a", Some("y"))];
    let higher = [(OTHER, "b", Some("1")), (OTHER, "b", Some("2")), (OTHER, "b", Some("3"))];
    tell(&flow, false, &[again, higher].concat(), 4);
    std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
    tell(&flow, false, &[(THING, "a", Some("y")), (THING, "c", Some("z"))], 5);
}

#[test]
fn what_was_published_keeps_its_meaning_when_columns_are_moved_and_added() {
    let flow = Flow::start();
    tell(
        &flow,
        false,
        &[(THING, "a", Some("x")), (THING, "b", Some("x")), (THING, "c", Some("x"))],
        3,
    );
    // One that is the same but for the new column, one that changed, and one that is gone.
    tell(&flow, true, &[(THING, "a", Some("x")), (THING, "b", Some("y")), (THING, "c", None)], 6);
    let mut before = Vec::new();
    let look = |entry: Entry<'_>| {
        let Entry::Record(record) = entry else { panic!("a record that cannot be read") };
        let Some(value) = record.value else { return ControlFlow::Continue(()) };
        let mut text = Vec::new();
        write_json(value.schema.root(), &mut Cursor::new(value.bytes), &mut text).unwrap();
        let event: serde_json::Value = serde_json::from_slice(&text).unwrap();
        before.push(event["before"].clone());
        ControlFlow::Continue(())
    };
    flow.bus().read_to_end(&things(), Offset(0), Isolation::ReadCommitted, look).unwrap();
    let was = |id: &str| serde_json::json!({"new": null, "text": "x", "id": id});
    assert_eq!(before[3..], [was("b"), was("c")]);
}
