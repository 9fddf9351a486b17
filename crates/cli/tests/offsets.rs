//! What workers do and where they go on, on the command line.

use std::fs;

use serde_json::Value;

use crate::letters::{json, refused, text};
use crate::oracle;
use crate::sandbox::Sandbox;

#[test]
fn lag_tells_what_every_worker_does_and_offsets_where_it_goes_on() {
    let sandbox = Sandbox::new();
    let stock = "sku,quantityOnStock,supplyChannel\nA,1,\nB,2,\n";
    sandbox.replace("exports/inventory.csv", stock);
    let bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();
    let states = |role: &str| -> Vec<(String, String)> {
        let of = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let rows = json(&sandbox, &["lag"]).into_iter().filter(|row| row["role"] == role);
        rows.map(|row| (of(&row, "worker"), of(&row, "state"))).collect()
    };
    let producer = states("producer");
    assert_eq!(producer.len(), 1);
    let elsewhere = "runs elsewhere or not at all: it is not in the process at 127.0.0.1:";
    assert!(producer[0].1.starts_with(elsewhere), "{producer:?}");
    let processor = sandbox.start(&["run", "processor", "shop"]);
    sandbox.until("it is a member", || {
        let states = states("processor");
        let one = |(_, state): &(String, String)| state.ends_with("its group has a member");
        if !states.is_empty() && states.iter().all(one) { Ok(()) } else { Err(states) }
    });
    assert_eq!(processor.drain(), Some(0), "{}", sandbox.logs());
    assert_eq!(bus.drain(), Some(0), "{}", sandbox.logs());

    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    sandbox.until("all is read", || {
        let rows = json(&sandbox, &["lag"]);
        let read = |row: &Value| match row["role"].as_str() {
            Some("producer") => {
                row["state"] == "running, all of its source is read" && row["version"] == 2
            }
            _ => row["behind"] == 0 && row["state"] == "running",
        };
        let reads = |row: &&Value| row["topic"] == "canonical.inventory";
        let any = rows.iter().any(|row| reads(&row));
        if any && rows.iter().all(read) { Ok(()) } else { Err(rows) }
    });
    let topic = "cdc.shop.inventory";
    let mut offset = 0;
    sandbox.until("the processor has committed", || {
        let rows = json(&sandbox, &["offsets", "list", "shop"]);
        let row = rows.iter().find(|row| row["topic"] == topic).cloned().unwrap_or_default();
        offset = row["offset"].as_i64().unwrap_or(0);
        if offset > 0 && row["ours"] == true { Ok(()) } else { Err(rows) }
    });
    let described = sandbox.output(&["--output", "json", "topics", topic]).stdout;
    let described: Value = serde_json::from_slice(&described).unwrap();
    let subjects = serde_json::json!(["cdc.shop.inventory-key", "cdc.shop.inventory-value"]);
    assert_eq!((&described["topic"], &described["cleanup"]), (&topic.into(), &"compact".into()));
    assert_eq!(described["subjects"], subjects, "{described}");
    assert_eq!(described["partitions"][0]["start"], 0, "{described}");
    let shown = text(&sandbox.output(&["topics", topic]).stdout);
    let head = format!(
        "topic       {topic}\ncleanup     compact\nsubjects    {topic}-key, {topic}-value\n"
    );
    assert!(shown.starts_with(&head), "{shown}");

    let set = |offset: &str| sandbox.output(&["offsets", "set", "shop", topic, "0", offset]);
    let error = text(&set("0").stderr);
    assert!(error.contains("TL0528: throughline-processor-shop has members"), "{error}");
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());

    let bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();
    // It waits for the session of the worker that has ended.
    let output = set("1");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = states("processor");
    assert!(!told.is_empty());
    for (_, state) in told {
        assert_eq!(state, "does not run: its group has no member");
    }
    let rows = json(&sandbox, &["offsets", "list", "throughline-processor-shop"]);
    let row = rows.iter().find(|row| row["topic"] == topic).unwrap();
    assert_eq!((&row["offset"], &row["ours"]), (&1.into(), &true.into()), "{row}");
    let beyond = (offset + 900).to_string();
    refused(&sandbox, &["offsets", "set", "shop", topic, "0", &beyond], 64, &["TL9026", "ends at"]);
    refused(&sandbox, &["offsets", "set", "shop", "canonical.order", "0", "0"], 64, &["TL9026"]);
    refused(&sandbox, &["offsets", "set", "nobody", topic, "0", "0"], 64, &["TL9004", "lake"]);
    refused(&sandbox, &["offsets", "set", "shop-exports", "0"], 64, &["TL9026", "beginning"]);
    assert_eq!(bus.drain(), Some(0), "{}", sandbox.logs());
}

/// Waits until the producer has read all there is.
fn until_read(sandbox: &Sandbox) {
    sandbox.until("all is read", || {
        let rows = json(sandbox, &["lag"]);
        let producer = rows.iter().find(|row| row["role"] == "producer").unwrap();
        if producer["state"] == "running, all of its source is read" { Ok(()) } else { Err(rows) }
    });
}

#[test]
fn a_producer_that_begins_anew_publishes_what_changed_and_joins_no_row_twice() {
    let sandbox = Sandbox::new();
    let header = "customerEmail,orderNumber,lineitems.variant.sku,lineitems.price,\
                  lineitems.quantity,totalPrice\n";
    let row = |order: u32, sku: &str| format!("7,{order},{sku},10.00,1,20.00\n");
    let rows: String = (0..40).map(|order| row(order, "A")).collect();
    let more: String = (0..40).map(|order| row(order, "B")).collect();
    sandbox.replace("exports/orders.csv", &format!("{header}{rows}{more}"));
    sandbox.replace("exports/inventory.csv", "sku,quantityOnStock,supplyChannel\nA,1,\n");
    let arrived = || {
        let expected = oracle::expected(&sandbox);
        sandbox.until("the target never held what the files say", || {
            oracle::difference(&expected, &oracle::at_target(&sandbox))
        });
    };
    let up = sandbox.start(&["up"]);
    arrived();
    until_read(&sandbox);
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());

    let mut bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();
    let published = sandbox.records("cdc.shop.order");
    let begin = sandbox.output(&["offsets", "set", "shop-exports", "beginning"]);
    assert!(text(&begin.stdout).contains("from the beginning"), "{}", text(&begin.stderr));
    bus.kill();

    // A start that is killed, wherever it is, and one that reads to the end.
    fs::remove_file(sandbox.path("data/running.json")).unwrap();
    let mut up = sandbox.start(&["up"]);
    sandbox.until_running();
    up.kill();
    fs::remove_file(sandbox.path("data/running.json")).unwrap();
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    until_read(&sandbox);
    assert_eq!(sandbox.records("cdc.shop.order"), published);

    let all = format!("{header}{rows}{more}7,99,A,10.00,1,10.00\n");
    fs::write(sandbox.path("exports/orders.csv"), all).unwrap();
    arrived();
    assert_eq!(sandbox.records("cdc.shop.order").len(), published.len() + 1);
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn a_target_that_holds_more_than_is_set_is_named_and_nobody_seems_behind() {
    let sandbox = Sandbox::new();
    sandbox.replace("exports/inventory.csv", "sku,quantityOnStock,supplyChannel\nA,1,\nB,2,\n");
    let topic = "canonical.inventory";
    let files = || {
        let listed = fs::read_dir(sandbox.path("target").join(topic)).into_iter().flatten();
        let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".jsonl")).collect::<Vec<_>>()
    };
    let delivered = || {
        sandbox.until("all is delivered, and nobody is behind", || {
            let rows = json(&sandbox, &["lag"]);
            let row = rows.iter().find(|row| row["worker"] == "lake" && row["topic"] == topic);
            let done = row.is_some_and(|row| row["behind"] == 0) && !files().is_empty();
            if done { Ok(()) } else { Err(rows) }
        });
    };
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    delivered();
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
    let held = files();
    let begin = || {
        let bus = sandbox.start(&["run", "bus"]);
        sandbox.until_running();
        let mut told = String::new();
        sandbox.until("the worker has left its group", || {
            let output = sandbox.output(&["offsets", "set", "lake", topic, "0", "0"]);
            told = text(&output.stdout);
            output.status.success().then_some(()).ok_or_else(|| text(&output.stderr))
        });
        assert_eq!(bus.drain(), Some(0), "{}", sandbox.logs());
        told
    };

    let told = begin();
    let parts = ["but lake goes on at 2", "remove ./target/canonical.inventory/0-*.jsonl"];
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    delivered();
    assert_eq!(files(), held);
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());

    held.iter().for_each(|name| {
        fs::remove_file(sandbox.path("target").join(topic).join(name)).unwrap();
    });
    assert!(begin().contains("lake goes on at offset 0"), "it is not held");
    let up = sandbox.start(&["up"]);
    sandbox.until_running();
    delivered();
    assert_eq!(files(), held);
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}
