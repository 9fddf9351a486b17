//! What workers do and where they go on, on the command line.

use serde_json::Value;

use crate::letters::{json, refused, text};
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
    assert!(producer[0].1.starts_with("not in the process at 127.0.0.1:"), "{producer:?}");
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
    let set = |offset: &str| sandbox.output(&["offsets", "set", "shop", topic, "0", offset]);
    let error = text(&set("0").stderr);
    assert!(error.contains("TL0528: throughline-processor-shop has members"), "{error}");
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());

    let bus = sandbox.start(&["run", "bus"]);
    sandbox.until_running();
    sandbox.until("the worker has left its group", || {
        let output = set("1");
        output.status.success().then_some(()).ok_or_else(|| text(&output.stderr))
    });
    let rows = json(&sandbox, &["offsets", "list", "throughline-processor-shop"]);
    let row = rows.iter().find(|row| row["topic"] == topic).unwrap();
    assert_eq!((&row["offset"], &row["ours"]), (&1.into(), &true.into()), "{row}");
    let beyond = (offset + 900).to_string();
    refused(&sandbox, &["offsets", "set", "shop", topic, "0", &beyond], 64, &["TL9026", "ends at"]);
    refused(&sandbox, &["offsets", "set", "shop", "canonical.order", "0", "0"], 64, &["TL9026"]);
    refused(&sandbox, &["offsets", "set", "nobody", topic, "0", "0"], 64, &["TL9004", "lake"]);
    refused(&sandbox, &["offsets", "set", "shop-exports", "0"], 64, &["TL9026", "beginning"]);
    let begin = ["offsets", "set", "shop-exports", "beginning"];
    refused(&sandbox, &begin, 64, &["TL9028", "--anyway"]);
    let begin = sandbox.output(&[&begin[..], &["--anyway"]].concat());
    assert!(text(&begin.stdout).contains("from the beginning"), "{}", text(&begin.stderr));
    assert_eq!(bus.drain(), Some(0), "{}", sandbox.logs());
}
