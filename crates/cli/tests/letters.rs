//! Dead letters on the command line.

use serde_json::Value;

use crate::sandbox::Sandbox;

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn json(sandbox: &Sandbox, arguments: &[&str]) -> Vec<Value> {
    let output = sandbox.output(&[&["--output", "json"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stock(sandbox: &Sandbox, rows: &str) {
    let text = format!("sku,quantityOnStock,supplyChannel\n{rows}");
    sandbox.replace("exports/inventory.csv", &text);
}

/// Waits until just these places have letters.
fn until_open(sandbox: &Sandbox, what: &str, places: &[&str]) -> Vec<Value> {
    let mut letters = Vec::new();
    sandbox.until(what, || {
        letters = json(sandbox, &["dlq", "list"]);
        let mut open: Vec<_> = letters.iter().map(|l| l["place"].as_str().unwrap()).collect();
        open.sort_unstable();
        if open == places { Ok(()) } else { Err(letters.clone()) }
    });
    letters
}

#[track_caller]
pub(crate) fn refused(sandbox: &Sandbox, arguments: &[&str], exit: i32, words: &[&str]) {
    let output = sandbox.output(arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{error}");
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

#[test]
fn letters_of_a_dump_are_open_until_a_good_one_or_a_person_resolves_them() {
    let sandbox = Sandbox::new();
    let good: String = (0..100).map(|n| format!("S{n},{n},\n")).collect();
    stock(&sandbox, &format!("{good}B,many,\n"));
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    let letters = until_open(&sandbox, "a row is refused", &["inventory.csv line 102 column 2"]);
    let told = |line: &str| {
        let words = ["input refused", "TL1013", "inventory.csv line 102 column 2: column"];
        words.iter().all(|word| line.contains(word))
    };
    sandbox.until("the log names it", || {
        let log = std::fs::read_to_string(sandbox.path("up.log")).unwrap();
        if log.lines().any(told) { Ok(()) } else { Err(log) }
    });
    assert_eq!(letters[0]["parked"], false);
    assert!(letters[0]["failed_at"].as_str().unwrap().ends_with('Z'), "{}", letters[0]);
    let id = letters[0]["id"].as_str().unwrap();

    let list = text(&sandbox.output(&["dlq", "list", "shop-exports"]).stdout);
    for word in ["state", "since", "first id", "past", &format!("'{id}'")] {
        assert!(list.contains(word), "{list}");
    }
    let show = text(&sandbox.output(&["dlq", "show", "shop-exports", id]).stdout);
    assert!(show.contains("\n  \"input\": \"B,many,"), "{show}");
    for command in ["list", "show"] {
        refused(&sandbox, &["dlq", command, "nobody"], 65, &["TL9027", "nobody"]);
    }
    assert_eq!(json(&sandbox, &["dlq", "list", "shop"]), Vec::<Value>::new());

    // A better dump resolves it, another bad one makes another, and that a person resolves.
    stock(&sandbox, &good);
    until_open(&sandbox, "the dump is mended", &[]);
    stock(&sandbox, &format!("B,many,\n{good}"));
    let letters = until_open(&sandbox, "another row", &["inventory.csv line 2 column 2"]);
    let id = letters[0]["id"].as_str().unwrap();
    refused(&sandbox, &["dlq", "resolve", "shop-exports", id, "x"], 65, &["TL9006", "\"x\""]);
    assert_eq!(json(&sandbox, &["dlq", "list"]).len(), 1, "all or nothing");
    let resolved = text(&sandbox.output(&["dlq", "resolve", "shop-exports", id]).stdout);
    assert!(resolved.contains("1 dead letters resolved, 0 are parked"), "{resolved}");
    until_open(&sandbox, "it is resolved", &[]);
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn a_letter_of_a_parked_key_is_not_resolved_by_hand() {
    let sandbox = Sandbox::new();
    // Totals that do not add up are refused by the invariants of an order.
    let header = "customerEmail,orderNumber,lineitems.variant.sku,lineitems.price,\
                  lineitems.quantity,totalPrice";
    sandbox.replace("exports/orders.csv", &format!("{header}\n303,1,A,148.75,1,733.75\n"));
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    let mut letters = Vec::new();
    sandbox.until("an order is parked", || {
        letters = json(&sandbox, &["dlq", "list", "shop"]);
        if letters.is_empty() { Err("none") } else { Ok(()) }
    });
    assert_eq!(letters[0]["parked"], true);
    let id = letters[0]["id"].as_str().unwrap();
    refused(&sandbox, &["dlq", "resolve", "shop", id], 65, &["TL9025", id]);
    let all = text(&sandbox.output(&["dlq", "resolve", "shop", "--all"]).stdout);
    assert!(all.contains("0 dead letters resolved"), "{all}");
    assert_eq!(json(&sandbox, &["dlq", "list", "shop"]), letters);
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}
