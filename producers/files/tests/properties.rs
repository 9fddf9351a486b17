//! Random files, random budgets, random kills: what was committed is the same as without.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use throughline_connector::{CaptureBatch, Captured, Item, Producer};

use crate::support::{Folder, Log, Model, ORDERS, now, orders, read, stock};

/// Captures until the end, with kills: what was not committed is forgotten.
fn with_kills(folder: &Folder, log: &mut Log, random: &mut StdRng) {
    let mut producer = folder.producer(log.position.clone());
    loop {
        let mut batch = CaptureBatch::default();
        let budget = random.random_range(1..200);
        let captured = now(producer.capture(&mut batch, budget)).unwrap();
        if random.random_ratio(1, 8) {
            producer = folder.producer(log.position.clone());
            continue;
        }
        log.take(batch);
        if let Captured::Idle(_) = captured {
            return;
        }
    }
}

/// What a consumer sees of an append-only or delivered file, row by row.
fn flat(log: &Log) -> Vec<String> {
    let mut rows = Vec::new();
    for item in &log.items {
        match item {
            Item::Rows { key, rows: all, .. } => {
                rows.extend(all.iter().map(|row| format!("{key:?} {row:?}")));
            }
            Item::Document { key, document, place, .. } => {
                rows.push(format!("{key:?} {document:?} {place}"));
            }
            Item::Rejected(r) => rows.push(format!("{r:?}")),
            other => rows.push(format!("{other:?}")),
        }
    }
    rows
}

/// Lines that are mostly rows, and sometimes anything.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let row = (0..9_u8, "[a-z,\" \\n€]{0,8}", -9..99_i32).prop_map(|(key, text, price)| {
        let quoted = format!("\"{}\"", text.replace('"', "\"\""));
        format!("{key},{quoted},{price}\n")
    });
    let plain = (0..9_u8, "[a-zé]{1,6}").prop_map(|(key, sku)| format!("{key},{sku},1\r\n"));
    let any = "[0-9a-z,\"\\n\u{fffd} ]{0,20}\n".prop_map(|text| text);
    prop::collection::vec(prop_oneof![4 => plain, 4 => row, 1 => any], 0..40)
}

fn lenient(mut folder: Folder, entity: &str) -> Folder {
    folder.set(&["quarantine"], serde_json::json!({"percent": 100, "rows": 5000}));
    folder.set(&["entities", entity, "max_row"], serde_json::json!("64B"));
    folder
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_appended_file_is_read_once_whatever_happens(
        lines in lines(), grouped: bool, seed: u64, cuts in prop::collection::vec(1..60_usize, 0..8),
    ) {
        let mut options = orders("append");
        if !grouped {
            options["order"]["group"] = serde_json::Value::Null;
        }
        let folder = lenient(Folder::new(options.clone()), "order");
        let content = format!("{ORDERS}{}", lines.concat());
        let mut random = StdRng::seed_from_u64(seed);
        let mut log = Log::default();
        // It grows in pieces of any size.
        let mut rest = content.as_bytes();
        for cut in cuts {
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            folder.append("orders.csv", piece);
            rest = left;
            with_kills(&folder, &mut log, &mut random);
        }
        folder.append("orders.csv", rest);
        with_kills(&folder, &mut log, &mut random);
        let whole = lenient(Folder::new(options), "order");
        whole.append("orders.csv", &content);
        prop_assert_eq!(flat(&log), flat(&read(&whole, None)));
    }

    #[test]
    fn a_delivery_is_read_once_whatever_happens(lines in lines(), seed: u64, utf16: bool) {
        let mut options = orders("deliver");
        options["order"]["group"] = serde_json::Value::Null;
        let folder = lenient(Folder::new(options), "order");
        let content = format!("{ORDERS}{}", lines.concat());
        let bytes = if utf16 {
            [0xfeff].into_iter().chain(content.encode_utf16()).flat_map(u16::to_be_bytes).collect()
        } else {
            content.into_bytes()
        };
        folder.put("orders.csv", &bytes);
        let mut log = Log::default();
        with_kills(&folder, &mut log, &mut StdRng::seed_from_u64(seed));
        prop_assert_eq!(flat(&log), flat(&read(&folder, None)));
    }

    #[test]
    fn dumps_give_the_same_documents_whatever_happens(
        dumps in prop::collection::vec(prop::collection::vec((0..20_u8, 0..4_u8, 0..12_u8), 1..30), 1..4),
        seed: u64, grouped: bool,
    ) {
        let mut options = if grouped { orders("replace") } else { stock("replace") };
        let (entity, name, header) =
            if grouped { ("order", "orders.csv", ORDERS) } else { ("stock", "stock.csv", "sku,stock\n") };
        options[entity]["max_delete_percent"] = 100.into();
        let folder = lenient(Folder::new(options), entity);
        let mut random = StdRng::seed_from_u64(seed);
        let (mut killed, mut plain) = (Log::default(), Log::default());
        for dump in &dumps {
            let mut seen = std::collections::HashSet::new();
            let mut content = header.to_owned();
            for (key, value, bad) in dump {
                // A key stands once in a dump of documents.
                if !grouped && !seen.insert(key) { continue }
                let value = if *bad == 0 { "x".to_owned() } else { value.to_string() };
                content += &if grouped { format!("{key},s,{value}\n") } else { format!("{key},{value}\n") };
            }
            folder.put(name, &content);
            with_kills(&folder, &mut killed, &mut random);
            let mut producer = folder.producer(plain.position.clone());
            plain.drain(&mut producer, 1 << 20);
        }
        let (killed_model, plain_model) = (Model::of(&killed), Model::of(&plain));
        prop_assert_eq!(killed_model.documents, plain_model.documents);
        prop_assert_eq!(killed_model.writes, plain_model.writes, "nothing is published twice");
        prop_assert_eq!(killed.places(), plain.places(), "nothing is rejected twice");
    }
}
