//! Files that are set aside: told by everything that tells what a worker does, until they are mended.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::letters::{json, text};
use crate::oracle;
use crate::sandbox::Sandbox;

pub(crate) const HEADER: &str = "customerEmail,orderNumber,lineitems.variant.sku,lineitems.price,\
                      lineitems.quantity,totalPrice\n";

pub(crate) fn append(sandbox: &Sandbox, rows: &str) {
    let file = sandbox.path("exports/orders.csv");
    let mut file = fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(rows.as_bytes()).unwrap();
}

/// Waits until `lag` says this of the producer, and `/readyz` agrees.
fn until_told(sandbox: &Sandbox, words: &[&str], ready: bool) {
    sandbox.until(&format!("{words:?}"), || {
        let rows = json(sandbox, &["lag"]);
        let row = rows.iter().find(|row| row["role"] == "producer").cloned().unwrap_or_default();
        let state = row["state"].as_str().unwrap_or_default();
        let answer = readyz(sandbox);
        let agrees = answer.starts_with(if ready { "HTTP/1.1 200" } else { "HTTP/1.1 503" });
        let told =
            words.iter().all(|word| state.contains(word) && (ready || answer.contains(word)));
        if told && agrees { Ok(()) } else { Err((state.to_owned(), answer)) }
    });
}

fn readyz(sandbox: &Sandbox) -> String {
    let running = fs::read(sandbox.path("data/running.json")).unwrap();
    let running: Value = serde_json::from_slice(&running).unwrap();
    let mut stream = TcpStream::connect(running["metrics"].as_str().unwrap()).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn logged(sandbox: &Sandbox, word: &str) -> usize {
    let log = fs::read_to_string(sandbox.path("up.log")).unwrap();
    log.lines().filter(|line| line.contains(word)).count()
}

const READ: &str = "running, all of its source is read";

#[test]
fn an_append_only_file_that_is_set_aside_is_told_until_it_is_moved_away() {
    let sandbox = Sandbox::new();
    append(&sandbox, HEADER);
    append(&sandbox, "7,1,A,10.00,1,10.00\n");
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    until_told(&sandbox, &[READ], true);
    append(&sandbox, &"7,2,A,many,1,10.00\n".repeat(20));
    let aside = ["TL1033", "orders.csv is set aside with TL1021"];
    until_told(&sandbox, &aside, false);
    assert_eq!(logged(&sandbox, "a part of the source waits"), 1);

    // Its letter can be resolved, and that changes nothing.
    let all = sandbox.output(&["dlq", "resolve", "shop-exports", "--all"]);
    assert!(text(&all.stdout).contains("dead letters resolved, 0 are parked"));
    assert_eq!(json(&sandbox, &["dlq", "list"]), Vec::<Value>::new());
    append(&sandbox, "7,3,A,10.00,1,10.00\n");
    // The others flow meanwhile.
    sandbox.replace("exports/inventory.csv", "sku,quantityOnStock,supplyChannel\nA,1,\n");
    sandbox.until("the stock arrives", || {
        let state = oracle::at_target(&sandbox);
        if state.stock.len() == 1 { Ok(()) } else { Err(state.stock.len()) }
    });
    until_told(&sandbox, &aside, false);
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());

    // A restart says it once more.
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    until_told(&sandbox, &aside, false);
    assert_eq!(logged(&sandbox, "a part of the source waits"), 2);
    fs::rename(sandbox.path("exports/orders.csv"), sandbox.path("orders.bad")).unwrap();
    append(&sandbox, HEADER);
    append(&sandbox, "7,4,A,10.00,1,10.00\n");
    until_told(&sandbox, &[READ], true);
    sandbox.until("the new file is read", || {
        let orders = oracle::at_target(&sandbox).orders.len();
        if orders == 2 { Ok(()) } else { Err(orders) }
    });
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

pub(crate) fn stock(sandbox: &Sandbox, rows: usize) {
    let rows: String = (0..rows).map(|n| format!("S{n},{n},\n")).collect();
    let text = format!("sku,quantityOnStock,supplyChannel\n{rows}");
    sandbox.replace("exports/inventory.csv", &text);
}

#[test]
fn a_dump_that_is_set_aside_is_told_until_a_better_one_is_there() {
    let sandbox = Sandbox::new();
    stock(&sandbox, 100);
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    until_told(&sandbox, &[READ], true);
    stock(&sandbox, 3);
    until_told(&sandbox, &["TL1033", "inventory.csv is set aside with TL1022"], false);
    sandbox.replace("exports/inventory.csv", "sku,stock\nA,1\n");
    until_told(&sandbox, &["TL1033", "inventory.csv is set aside with TL1020"], false);
    stock(&sandbox, 100);
    until_told(&sandbox, &[READ], true);
    assert_eq!(json(&sandbox, &["dlq", "list"]), Vec::<Value>::new());
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn a_delivery_that_is_moved_out_and_in_again_is_read_again_and_the_log_says_so() {
    let sandbox = Sandbox::new();
    sandbox.configure(|yaml| {
        let entities = "entities: {inventory: {mode: deliver, path: 'stock*.csv'}}";
        yaml.replace("poll: 20ms", &format!("poll: 20ms, {entities}"))
    });
    let deliver = |name: &str, pieces: i64| {
        let text = format!("sku,quantityOnStock,supplyChannel\nA,{pieces},\n");
        sandbox.replace(&format!("exports/{name}"), &text);
    };
    let arrives = |pieces: i64| {
        sandbox.until(&format!("{pieces} pieces"), || {
            let stock = oracle::at_target(&sandbox).stock;
            if stock.values().eq([&pieces]) { Ok(()) } else { Err(stock) }
        });
    };
    let up = sandbox.start(&["up"]);
    deliver("stock-1.csv", 9);
    arrives(9);
    deliver("stock-2.csv", 11);
    arrives(11);
    fs::rename(sandbox.path("exports/stock-1.csv"), sandbox.path("away.csv")).unwrap();
    deliver("stock-3.csv", 12);
    arrives(12);
    fs::rename(sandbox.path("away.csv"), sandbox.path("exports/stock-1.csv")).unwrap();
    arrives(9);
    let log = fs::read_to_string(sandbox.path("up.log")).unwrap();
    let told = |line: &&str| line.contains("stock-1.csv") && line.contains("is read again");
    assert_eq!(log.lines().filter(told).count(), 1, "{log}");
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn a_file_that_is_not_there_is_named_by_check_and_by_lag() {
    let sandbox = Sandbox::new();
    stock(&sandbox, 3);
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    until_told(&sandbox, &[READ], true);
    let missing = || {
        let rows = json(&sandbox, &["lag"]);
        let row = rows.into_iter().find(|row| row["role"] == "producer").unwrap();
        row["missing"].as_str().unwrap_or_default().to_owned()
    };
    let found = missing();
    assert!(found.contains("order: no file fits orders.csv"), "{found}");
    assert!(!found.contains("inventory.csv"), "{found}");
    // The likeliest mistakes: a file that was removed, and a name in capitals.
    fs::rename(sandbox.path("exports/inventory.csv"), sandbox.path("exports/INVENTORY.CSV"))
        .unwrap();
    sandbox.until("it is missing", || {
        let found = missing();
        if found.contains("inventory: no file fits inventory.csv") { Ok(()) } else { Err(found) }
    });
    let lag = text(&sandbox.output(&["lag"]).stdout);
    assert!(lag.contains(&format!("{READ}; ")) && lag.contains("no file fits"), "{lag}");
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
    let check = text(&sandbox.output(&["check"]).stdout);
    let told = |line: &str| {
        line.starts_with("producer shop-exports, source: ok; ")
            && line.contains("inventory: no file fits inventory.csv")
    };
    assert!(check.lines().any(told), "{check}");
}
