//! What goes wrong around a flow, and that it heals.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::letters::json;
use crate::oracle;
use crate::sandbox::Sandbox;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn stock(sandbox: &Sandbox, quantities: [i64; 3]) {
    let [a, b, c] = quantities;
    let text = format!("sku,quantityOnStock,supplyChannel\nA,{a},\nB,{b},\nC,{c},\n");
    sandbox.replace("exports/inventory.csv", &text);
}

fn held(sandbox: &Sandbox) -> Vec<(String, i64)> {
    let state = oracle::at_target(sandbox);
    state.stock.into_iter().map(|((sku, _), quantity)| (sku, quantity)).collect()
}

fn pairs(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect()
}

fn dead_letters(sandbox: &Sandbox) -> Vec<Value> {
    let output = sandbox.output(&["--output", "json", "dlq", "list"]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
fn a_key_that_a_mapping_refuses_waits_alone_and_resumes_when_the_mapping_is_mended() {
    let sandbox = Sandbox::new();
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systems/sunrise");
    copy(&pack, &sandbox.path("pack"));
    let yaml = fs::read_to_string(sandbox.path("throughline.yaml")).unwrap();
    fs::write(sandbox.path("throughline.yaml"), yaml.replace("pack: sunrise", "pack: ./pack"))
        .unwrap();
    let mapping = sandbox.path("pack/mappings/inventory.vrl");
    let good = fs::read_to_string(&mapping).unwrap();
    fs::write(&mapping, format!("if .sku == \"B\" {{ abort \"not this one\" }}\n{good}")).unwrap();

    // GIVEN a mapping that fails for one key, WHEN all keys change twice,
    stock(&sandbox, [1, 2, 3]);
    let up = sandbox.start(&["up"]);
    sandbox.until("the others flow", || {
        let held = held(&sandbox);
        if held == pairs(&[("A", 1), ("C", 3)]) { Ok(()) } else { Err(held) }
    });
    stock(&sandbox, [10, 20, 30]);
    sandbox.until("the others go on", || {
        let held = held(&sandbox);
        if held == pairs(&[("A", 10), ("C", 30)]) { Ok(()) } else { Err(held) }
    });
    // THEN the key waits with its reason,
    sandbox.until("both events wait", || {
        let letters = dead_letters(&sandbox);
        let parked = letters.iter().filter(|letter| letter["parked"] == true).count();
        if parked == 2 { Ok(()) } else { Err(letters) }
    });
    let letter = &dead_letters(&sandbox)[0];
    assert!(letter["reason"].as_str().unwrap().contains("not this one"), "{letter}");
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());

    // AND when the mapping is mended, its newest state arrives and nothing waits any more.
    fs::write(&mapping, good).unwrap();
    let up = sandbox.start(&["up"]);
    sandbox.until("the key resumes", || {
        let held = held(&sandbox);
        if held == pairs(&[("A", 10), ("B", 20), ("C", 30)]) { Ok(()) } else { Err(held) }
    });
    sandbox.until("nothing waits", || {
        let letters = dead_letters(&sandbox);
        if letters.is_empty() { Ok(()) } else { Err(letters) }
    });
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn a_key_that_the_source_mends_resumes_by_itself() {
    let sandbox = Sandbox::new();
    let header = "customerEmail,orderNumber,lineitems.variant.sku,lineitems.price,\
                  lineitems.quantity,totalPrice\n";
    let row = |total: &str| format!("7,1,A,10.00,1,{total}\n");
    sandbox.replace("exports/orders.csv", &format!("{header}{}", row("15.00")));
    let up = sandbox.start(&["up"]);
    sandbox.until("the order is refused", || {
        let letters = dead_letters(&sandbox);
        if letters.len() == 1 { Ok(()) } else { Err(letters) }
    });
    let mut text = fs::read_to_string(sandbox.path("exports/orders.csv")).unwrap();
    text.push_str("7,1,B,5.00,1,15.00\n");
    fs::write(sandbox.path("exports/orders.csv"), text).unwrap();
    let expected = oracle::expected(&sandbox);
    assert_eq!(expected.orders.len(), 1);
    sandbox
        .until("the order arrives", || oracle::difference(&expected, &oracle::at_target(&sandbox)));
    sandbox.until("nothing waits", || {
        let letters = dead_letters(&sandbox);
        if letters.is_empty() { Ok(()) } else { Err(letters) }
    });
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn a_target_that_cannot_be_written_heals_by_itself() {
    let sandbox = Sandbox::new();
    // Permissions do not stop root, a file in the place of a folder does.
    fs::create_dir(sandbox.path("target")).unwrap();
    fs::write(sandbox.path("target/canonical.inventory"), "in the way").unwrap();
    stock(&sandbox, [1, 2, 3]);
    let up = sandbox.start(&["up"]);
    sandbox.until("the problem is logged", || {
        let log = fs::read_to_string(sandbox.path("up.log")).unwrap_or_default();
        if log.contains("TL30") { Ok(()) } else { Err(log) }
    });
    fs::remove_file(sandbox.path("target/canonical.inventory")).unwrap();
    sandbox.until("it heals", || {
        let held = held(&sandbox);
        if held == pairs(&[("A", 1), ("B", 2), ("C", 3)]) { Ok(()) } else { Err(held) }
    });
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn malformed_rows_are_dead_letters_with_their_place_and_the_rest_flows() {
    let sandbox = Sandbox::new();
    let text = "sku,quantityOnStock,supplyChannel\nA,1,\nB,99999999999999999999,\nC,3,\n";
    let good: String = (0..30).map(|n| format!("S{n},{n},\n")).collect();
    sandbox.replace("exports/inventory.csv", &format!("{text}{good}"));
    let up = sandbox.start(&["up"]);
    sandbox.until("the rest flows", || {
        let held = held(&sandbox);
        if held.len() == 32 { Ok(()) } else { Err(held) }
    });
    let letters = dead_letters(&sandbox);
    assert_eq!(letters.len(), 1, "{letters:?}");
    let place = letters[0]["place"].as_str().unwrap();
    assert!(place.contains("inventory.csv") && place.contains("line 3"), "{place}");
    assert!(letters[0]["code"].as_str().unwrap().starts_with("TL10"));
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn a_target_that_is_taken_away_is_missed_while_it_runs_and_at_the_next_start() {
    let sandbox = Sandbox::new();
    stock(&sandbox, [1, 2, 3]);
    let up = sandbox.start(&["up"]);
    let all = |a, b, c| {
        sandbox.until("the target never held what the export says", || {
            let held = held(&sandbox);
            if held == pairs(&[("A", a), ("B", b), ("C", c)]) { Ok(()) } else { Err(held) }
        });
    };
    let told = |code: &str| {
        let log = || fs::read_to_string(sandbox.path("up.log")).unwrap();
        sandbox.until(code, || if log().contains(code) { Ok(()) } else { Err(()) });
    };
    all(1, 2, 3);
    // A folder that goes away in the middle of a write halts the sink; this is about one at rest.
    sandbox.until("what was written is committed", || {
        let rows = json(&sandbox, &["lag"]);
        let behind = rows.iter().any(|row| row["worker"] == "lake" && row["behind"] != 0);
        if behind { Err(rows) } else { Ok(()) }
    });

    // WHEN the folder goes away under the sink, as an unmounted volume does, THEN nothing is written
    // in its place, AND all arrives when it is back.
    let (target, away) = (sandbox.path("target"), sandbox.path("away"));
    fs::rename(&target, &away).unwrap();
    stock(&sandbox, [1, 20, 3]);
    told("TL3008");
    assert!(!target.exists());
    fs::rename(&away, &target).unwrap();
    all(1, 20, 3);
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());

    // WHEN it is gone at the next start, THEN the sink stops, and fills no new folder by half.
    fs::rename(&target, &away).unwrap();
    stock(&sandbox, [1, 20, 30]);
    let up = sandbox.start(&["up"]);
    told("TL0620");
    assert_eq!(held(&sandbox), []);
    assert_eq!(up.drain(), Some(1), "a worker halted");
    fs::remove_dir_all(&target).unwrap();
    fs::rename(&away, &target).unwrap();
    let _up = sandbox.start(&["up"]);
    all(1, 20, 30);
}
