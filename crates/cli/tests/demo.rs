//! What the demo prints while it runs.

use std::fs;

use crate::aside::{HEADER, append, stock};
use crate::sandbox::Sandbox;

#[test]
fn the_demo_tells_what_is_refused_while_it_runs() {
    let sandbox = Sandbox::new();
    stock(&sandbox, 100);
    append(&sandbox, HEADER);
    let demo = sandbox.start(&["demo", "--folder", "."]);
    let printed = |line: &str| {
        sandbox.until(line, || {
            let out = fs::read_to_string(sandbox.path("demo---folder-..out")).unwrap();
            if out.lines().any(|told| told.starts_with(line)) { Ok(()) } else { Err(out) }
        });
    };
    printed("nothing was refused");
    printed("Ctrl-C drains");
    stock(&sandbox, 3);
    printed(
        "refused: shop-exports +1 with TL1022, the first: inventory.csv line 5: the dump has 3 keys",
    );
    // A total that is not the sum of its lines.
    append(&sandbox, "7,1,A,10.00,1,11.00\n");
    printed("refused: shop +1 (parked) with TL");
    assert_eq!(demo.drain(), Some(0), "{}", sandbox.logs());
}
