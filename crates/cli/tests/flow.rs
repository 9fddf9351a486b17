//! The main job on the sample shop's exports.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::oracle;
use crate::sandbox::Sandbox;

/// The sample exports of the repository.
fn sample(sandbox: &Sandbox, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systems/sunrise/data").join(name);
    let mut text = fs::read_to_string(from).unwrap();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    sandbox.replace(&format!("exports/{name}"), &text);
}

#[test]
fn the_sample_shop_is_in_the_target_and_only_changes_follow() {
    let sandbox = Sandbox::new();
    for name in ["orders.csv", "inventory.csv", "customers.json", "channels.json"] {
        sample(&sandbox, name);
    }
    let up = sandbox.start(&["up"]);
    let first = oracle::expected(&sandbox);
    assert_eq!((first.orders.len(), first.stock.len()), (309, 26_137));
    let arrived = |expected: &oracle::State| {
        sandbox.until("the target never held what the files say", || {
            oracle::difference(expected, &oracle::at_target(&sandbox))
        });
    };
    arrived(&first);

    // One order more, one stock row gone, one changed: three records, no more.
    let lines = |sandbox: &Sandbox| -> usize {
        ["canonical.order", "canonical.inventory"]
            .iter()
            .flat_map(|topic| fs::read_dir(sandbox.path("target").join(topic)).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .map(|path| fs::read_to_string(path).unwrap().lines().count())
            .sum()
    };
    let before = lines(&sandbox);
    let orders = sandbox.path("exports/orders.csv");
    let mut file = fs::OpenOptions::new().append(true).open(orders).unwrap();
    file.write_all(b"1119,9001,A0E20000000252G,148.75,2,297.5\n").unwrap();
    let stock = fs::read_to_string(sandbox.path("exports/inventory.csv")).unwrap();
    let mut rows: Vec<&str> = stock.lines().collect();
    let changed = format!("{}9,", rows[2].trim_end_matches(','));
    rows[2] = &changed;
    rows.remove(1);
    sandbox.replace("exports/inventory.csv", &(rows.join("\n") + "\n"));
    let second = oracle::expected(&sandbox);
    arrived(&second);
    assert_eq!(lines(&sandbox) - before, 3);

    let on_topics = oracle::on_topics(&sandbox);
    oracle::difference(&second, &on_topics).unwrap();
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
    no_secret_left_the_producer(&sandbox);
}

/// The customers' export holds plain passwords; nothing on the log, in the state or in the target
/// may.
fn no_secret_left_the_producer(sandbox: &Sandbox) {
    let raw = fs::read_to_string(sandbox.path("exports/customers.json")).unwrap();
    let secret = b"p@ssword";
    assert!(raw.contains("p@ssword"));
    let mut folders = vec![sandbox.path("data"), sandbox.path("target")];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            looked_at += 1;
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} holds a password", path.display());
        }
    }
    assert!(looked_at > 20, "the log's files were looked at");
}

#[test]
fn a_second_process_on_one_data_folder_is_refused() {
    let sandbox = Sandbox::new();
    sample(&sandbox, "channels.json");
    let up = sandbox.start(&["up"]);
    sandbox.until("it never ran", || {
        sandbox.path("data/running.json").exists().then_some(()).ok_or("no running.json")
    });
    let second = sandbox.output(&["up"]);
    assert_eq!(second.status.code(), Some(69));
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(error.contains("TL0") && error.contains("data/bus"), "{error}");
    assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
}

#[test]
fn a_drained_flow_continues_where_it_was() {
    let sandbox = Sandbox::new();
    sample(&sandbox, "orders.csv");
    sample(&sandbox, "inventory.csv");
    for round in 0..3 {
        let up = sandbox.start(&["up"]);
        let expected = oracle::expected(&sandbox);
        sandbox.until("the target never held what the files say", || {
            oracle::difference(&expected, &oracle::at_target(&sandbox))
        });
        assert_eq!(up.drain(), Some(0), "{}", sandbox.logs());
        let orders = sandbox.path("exports/orders.csv");
        let mut file = fs::OpenOptions::new().append(true).open(orders).unwrap();
        writeln!(file, "1119,{},A0E20000000252G,10.00,2,20.00", 9_000 + round).unwrap();
    }
}
