use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use throughline_connector::{CaptureError, Producer, ProducerContext};
use throughline_event::{Position, SystemName, WorkerName};
use throughline_producer_files::FilesProducer;

use crate::support::{Folder, Log, Model, now, read, settings, stock};

fn check(content: impl AsRef<[u8]>, expected: &[(&'static str, &str)], good: usize) {
    let mut folder = Folder::new(stock("deliver"));
    folder.set(&["quarantine"], json!({"percent": 100, "rows": 100}));
    folder.set(&["entities", "stock", "max_row"], json!("200B"));
    folder.put("stock.csv", content);
    let log = read(&folder, None);
    let places = log.places();
    let found: Vec<_> = places.iter().map(|(code, place)| (*code, place.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(Model::of(&log).documents.len(), good);
}

#[test]
fn a_malformed_row_is_rejected_with_its_place_and_the_rest_flows() {
    check(
        b"sku,stock\na,1\nb\nc,1,2\nd,x\ne,9223372036854775808\nf,\n,1\n\xff,1\nz,26\n",
        &[
            ("TL1010", "stock.csv line 3"),
            ("TL1010", "stock.csv line 4"),
            ("TL1013", "stock.csv line 5 column 2"),
            ("TL1014", "stock.csv line 6 column 2"),
            ("TL1015", "stock.csv line 7 column 2"),
            ("TL1015", "stock.csv line 8 column 1"),
            ("TL1012", "stock.csv line 9 column 1"),
        ],
        2,
    );
}

#[test]
fn bytes_that_are_no_utf_8_name_the_encoding_that_they_mostly_have() {
    let folder = Folder::new(stock("deliver"));
    folder.put("stock.csv", b"sku,stock\nJ\xfcrgen,1\n");
    let log = read(&folder, None);
    let reason = &log.rejected()[0].reason;
    assert!(reason.contains("not text in UTF-8; `encoding: windows-1252`?"), "{reason}");
}

#[test]
fn a_stray_quote_costs_one_line() {
    check("sku,stock\na,1\n\"b,2\nc,3\nd,4\n", &[("TL1011", "stock.csv line 3")], 3);
    check("sku,stock\n\"b\"x,2\nc,3\n", &[("TL1011", "stock.csv line 2 column 1")], 1);
    // The next quotation would close the stray one and swallow a row.
    check("sku,stock\n\"b,2\nc,3\n\"d\",4\n", &[("TL1011", "stock.csv line 2 column 1")], 2);
}

#[test]
fn a_row_that_is_too_long_costs_one_line() {
    let long = "x".repeat(1_000);
    check(format!("sku,stock\n{long},1\nb,2\n"), &[("TL1016", "stock.csv line 2")], 1);
    let quoted: String = (0..100).map(|n| format!("line{n},1\n")).collect();
    check(format!("sku,stock\n\"open,2\n{quoted}"), &[("TL1016", "stock.csv line 2")], 100);
    let end = "x".repeat(300);
    check(format!("sku,stock\na,1\n{end}"), &[("TL1016", "stock.csv line 3")], 1);
}

#[test]
fn a_quotation_may_hold_line_breaks_and_lines_are_counted_as_the_file_has_them() {
    check("sku,stock\n\"a\n\nb\",1\n\nc,x\n", &[("TL1013", "stock.csv line 6 column 2")], 1);
}

#[test]
fn dropped_columns_never_leave() {
    let mut folder = Folder::new(stock("deliver"));
    folder.set(&["entities", "stock", "drop"], json!(["password"]));
    folder.put(
        "stock.csv",
        "sku,password,stock\na,hunter2,1\n\"b,b\",hunter2,none\nc,hunter2,1,2\n\"d\"hunter2,x\n",
    );
    let log = read(&folder, None);
    assert!(!format!("{:?}", log.items).contains("hunter2"));
    assert!(
        !format!("{:?}", log.items).contains(format!("{:?}", b"hunter2").trim_matches(['[', ']']))
    );
    let inputs: Vec<_> =
        log.rejected().iter().map(|r| String::from_utf8_lossy(&r.input).into_owned()).collect();
    assert_eq!(inputs, ["\"b,b\",none", "", ""]);
    assert!(log.rejected()[1].reason.contains("withheld"), "{}", log.rejected()[1].reason);
}

#[test]
fn what_may_be_a_dropped_column_under_another_name_does_not_leave() {
    for (format, rows) in [
        (
            json!("jsonl"),
            r#"{"sku": "a", "stock": 1, "PASSWORD": "hunter2"}
{"sku": "b", "stock": "none", "login": {"password": "hunter2"}}
{"sku": "c", "stock": {"Password": "hunter2"}}
{"sku": "d", "stock": [{"password\u0000": "hunter2"}], "password": "hunter2"}
"#,
        ),
        (json!("csv"), "sku,PASSWORD,password,stock\na,hunter2,hunter2,none\n"),
    ] {
        for extra in ["refuse", "ignore"] {
            let mut folder = Folder::new(stock("deliver"));
            folder.set(&["entities", "stock", "drop"], json!(["password"]));
            folder.set(&["entities", "stock", "format"], format.clone());
            folder.set(&["entities", "stock", "extra_columns"], json!(extra));
            folder.put("stock.csv", rows);
            let log = read(&folder, None);
            assert!(!log.rejected().is_empty());
            for rejected in log.rejected() {
                let input = String::from_utf8_lossy(&rejected.input).into_owned();
                assert!(!input.contains("hunter2"), "{input}");
                assert!(!rejected.reason.contains("hunter2"), "{}", rejected.reason);
            }
        }
    }
}

#[test]
fn a_header_that_differs_refuses_the_file_and_names_the_columns() {
    let mut folder = Folder::new(stock("replace"));
    for (content, word) in [
        ("sku,quantity\na,1\n", "[\"stock\"] is missing"),
        ("sku,stock,color\na,1,red\n", "[\"color\"] is not expected"),
        ("sku,stock,sku\na,1,b\n", "\"sku\" stands twice"),
        ("sku,quantity\na,1\n", "[\"quantity\"] is not expected: declare it, `drop` it, or write"),
        ("sku;stock\na;1\n", "the header is one field, is the `delimiter` right?"),
    ] {
        folder.put("stock.csv", content);
        let log = read(&folder, None);
        assert_eq!(log.places(), [("TL1020", "stock.csv line 1".to_owned())]);
        assert!(log.rejected()[0].reason.contains(word), "{}", log.rejected()[0].reason);
        assert!(read(&folder, log.position).items.is_empty(), "said once");
    }
    folder.put("stock.csv", "color,stock,sku\nred,1,a\n");
    folder.set(&["entities", "stock", "extra_columns"], json!("ignore"));
    assert_eq!(Model::of(&read(&folder, None)).documents.len(), 1, "the order does not matter");
}

#[test]
fn a_file_that_is_plainly_wrong_is_set_aside_until_it_is_replaced() {
    for mode in ["replace", "deliver"] {
        let folder = Folder::new(stock(mode));
        let rows: String =
            (0..1_000).map(|n| format!("{n},{}\n", if n < 500 { "1" } else { "x" })).collect();
        folder.put("stock.csv", format!("sku,stock\n{rows}"));
        let mut log = read(&folder, None);
        assert_eq!(log.rejected().last().unwrap().code, "TL1021", "{mode}");
        assert_eq!(log.rejected().len(), 12, "{mode}");
        let reason = &log.rejected()[11].reason;
        assert!(reason.contains("11 of 11 rows are bad"), "{reason}");
        let mut producer = folder.producer(log.position.clone());
        log.drain(&mut producer, 1 << 20);
        assert_eq!(log.rejected().len(), 12, "{mode}");
        assert_eq!(log.aside, aside("stock.csv is set aside with TL1021", "TL1021"), "{mode}");
        folder.put("stock.csv", "sku,stock\nnew,1\n");
        log.drain(&mut producer, 1 << 20);
        assert_eq!(log.aside, [""; 0], "{mode}");
        assert!(Model::of(&log).documents.keys().any(|key| key.ends_with(b"new")), "{mode}");
    }
}

#[test]
fn a_file_whose_rows_are_all_bad_is_set_aside() {
    let folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku,stock\na,x\n");
    let log = read(&folder, None);
    let told = log.rejected().pop().unwrap().clone();
    assert_eq!(told.code, "TL1021");
    let counted = "1 of 1 rows are bad, allowed are 10 % of 100";
    assert!(told.reason.contains(counted), "{}", told.reason);
}

#[test]
fn an_append_only_file_that_turns_wrong_is_set_aside_until_its_description_is_right() {
    let mut folder = Folder::new(stock("append"));
    folder.append("stock.csv", "sku,stock\na,1\n");
    let rows: String = (0..20).map(|n| format!("{n},1.5\n")).collect();
    folder.append("stock.csv", rows);
    let log = read(&folder, None);
    assert_eq!(log.rejected().last().unwrap().code, "TL1021");
    assert_eq!(log.rejected().len(), 12);
    folder.append("stock.csv", "z,1\n");
    let again = read(&folder, log.position.clone());
    assert!(again.items.is_empty(), "{:?}", again.items);
    assert_eq!(again.aside, aside("stock.csv is set aside with TL1021", "TL1021"));
    folder.set(&["entities", "stock", "columns", "stock", "type"], json!("decimal"));
    let mended = read(&folder, again.position);
    assert_eq!(Model::of(&mended).documents.len(), 10, "20 - 11 and z");
    assert_eq!(mended.aside, [""; 0]);
}

/// What is said of an entity whose files are set aside.
fn aside(what: &str, code: &str) -> Vec<String> {
    let fix = format!("`throughline explain {code}` says how, or move it out of the folder");
    vec![format!("TL1033: {what}; mend it, {fix}")]
}

#[test]
fn a_file_that_is_set_aside_is_told_for_as_long_as_it_is_there() {
    let content = |mode: &str| match mode {
        "append" => format!("sku,stock\na,1\n{}", "b,1.5\n".repeat(20)),
        _ => "sku,quantity\na,1\n".to_owned(),
    };
    for (mode, code) in [("append", "TL1021"), ("replace", "TL1020"), ("deliver", "TL1020")] {
        let mut folder = Folder::new(stock(mode));
        folder.set(&["entities", "other"], stock("append")["stock"].clone());
        folder.set(&["entities", "other", "path"], json!("other.csv"));
        folder.append("other.csv", "sku,stock\na,1\n");
        folder.put("stock-1.csv", "sku,stock\nz,1\n");
        let mut producer = folder.producer(None);
        let mut log = Log::default();
        log.drain(&mut producer, 1 << 20);
        assert_eq!(log.aside, [""; 0], "{mode}");
        folder.put("stock-2.csv", content(mode));
        log.drain(&mut producer, 1 << 20);
        let one = aside(&format!("stock-2.csv is set aside with {code}"), code);
        assert_eq!(log.aside, one, "{mode}");
        folder.put("stock-3.csv", content(mode) + "\n");
        log.drain(&mut producer, 1 << 20);
        let two = format!("stock-2.csv is set aside with {code}, and 1 more of stock");
        assert_eq!(log.aside, aside(&two, code), "{mode}");
        std::fs::remove_file(folder.path("stock-3.csv")).unwrap();

        // Also with batches that are about other entities, and after a restart.
        let mut again = folder.producer(log.position.clone());
        for producer in [&mut producer, &mut again] {
            folder.append("other.csv", "b,1\n");
            log.drain(producer, 1 << 20);
            assert_eq!(log.aside, one, "{mode}");
        }
        let before = Model::of(&log).documents.len();
        folder.rename("stock-2.csv", "away");
        log.drain(&mut producer, 1 << 20);
        assert_eq!(log.aside, [""; 0], "{mode}");
        assert_eq!(Model::of(&log).documents.len(), before, "{mode}: nothing of it is read");
        assert_eq!(log.whole.iter().filter(|of| of.source == "stock-2.csv").count(), 0, "{mode}");
    }
}

#[test]
fn a_file_that_was_refused_before_codes_were_kept_is_told_without_one() {
    let folder = Folder::new(stock("replace"));
    folder.put("stock.csv", "sku\na\n");
    let position = read(&folder, None).position.unwrap();
    let code = r#","refused_with":"TL1020""#;
    assert!(position.as_str().contains(code), "{position:?}");
    let before = Position::new(position.as_str().replace(code, ""));
    let told = &read(&folder, Some(before)).aside[0];
    assert!(
        told.starts_with("TL1033: stock.csv is set aside; mend it, `throughline dlq"),
        "{told}"
    );
}

#[test]
fn a_log_that_is_set_aside_is_not_read_when_it_is_removed() {
    let folder = Folder::new(stock("append"));
    folder.append("stock-1.csv", "sku,stock\na,1\n");
    folder.append("stock-2.csv", "sku,stock\nb,1\n");
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    log.drain(&mut producer, 1 << 20);
    folder.append("stock-2.csv", "x,1.5\n".repeat(20) + "c,1\n");
    log.drain(&mut producer, 1 << 20);
    assert_eq!(log.rejected().last().unwrap().code, "TL1021");
    // It is still open, and what is left of a removed file is read otherwise.
    std::fs::remove_file(folder.path("stock-2.csv")).unwrap();
    log.drain(&mut producer, 1 << 20);
    assert_eq!((Model::of(&log).documents.len(), log.whole.len()), (2, 0));
    assert_eq!(log.aside, [""; 0]);
}

#[test]
fn links_that_lead_out_of_the_folder_are_refused_once() {
    let folder = Folder::new(stock("deliver"));
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("x"), "sku,stock\na,1\n").unwrap();
    symlink(outside.path().join("x"), folder.path("stock.csv")).unwrap();
    let log = read(&folder, None);
    assert_eq!(log.places(), [("TL1024", "stock.csv".to_owned())]);
    assert_eq!(log.items.len(), 1);
    assert!(read(&folder, log.position).items.is_empty());
}

#[test]
fn a_folder_that_is_not_there_can_be_tried_again() {
    let folder = Folder::new(stock("deliver"));
    let mut producer = folder.producer(None);
    let root = folder.root().to_owned();
    std::fs::remove_dir(&root).unwrap();
    let error = Log::default().try_drain(&mut producer, 1).unwrap_err();
    assert!(matches!(error, CaptureError::Unavailable { code: "TL1002", .. }), "{error}");
    let cx = ProducerContext {
        name: WorkerName::new("w").unwrap(),
        system: SystemName::new("shop").unwrap(),
        base: root.clone(),
    };
    let options = json!({"folder": ".", "entities": stock("append")});
    let error = now(FilesProducer::connect(settings(options).unwrap(), cx)).unwrap_err();
    assert!(error.to_string().starts_with("TL1002"), "{error}");
    std::fs::create_dir(&root).unwrap();
    Log::default().try_drain(&mut producer, 1).unwrap();
}

#[test]
fn a_scratch_folder_that_is_not_there_gives_the_dump_up_and_can_be_tried_again() {
    let mut folder = Folder::new(crate::support::orders("replace"));
    folder.set(&["scratch"], json!("not-there"));
    let row = "y".repeat(1 << 16);
    let mut content = crate::support::ORDERS.to_owned();
    (0..300).for_each(|n| content += &format!("{n},{row},1\n"));
    folder.put("orders.csv", content);
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    let error = log.try_drain(&mut producer, 1 << 20).unwrap_err();
    assert!(matches!(error, CaptureError::Unavailable { code: "TL1004", .. }), "{error}");
    std::fs::create_dir(folder.path("not-there")).unwrap();
    log.drain(&mut producer, 1 << 20);
    assert_eq!(Model::of(&log).documents.len(), 300);
}

/// Two files that nobody can read, not even root, and one that everybody can. The kernel's own
/// files stand for a missing permission and for a bad place on the disk.
fn unreadable(mode: &str, header: bool) -> Folder {
    let mut folder = Folder::new(stock(mode));
    let below = folder.root().strip_prefix("/").unwrap().to_str().unwrap().to_owned();
    folder.set(&["folder"], json!("/"));
    folder.set(&["entities", "stock", "path"], json!(format!("{below}/stock*.csv")));
    folder.set(&["entities", "stock", "header"], json!(header));
    symlink("/proc/sys/vm/compact_memory", folder.path("stock1.csv")).unwrap();
    symlink("/proc/self/mem", folder.path("stock2.csv")).unwrap();
    folder.put("stock3.csv", if header { "sku,stock\na,1\n" } else { "a,1\n" });
    folder
}

#[test]
fn a_file_that_cannot_be_read_is_set_aside_until_it_can_and_the_others_go_on() {
    for (mode, header) in [("deliver", true), ("deliver", false), ("replace", true)] {
        let mut folder = unreadable(mode, header);
        // What the kernel makes up is always of this moment.
        folder.set(&["poll"], json!("10ms"));
        let mut producer = folder.producer(None);
        let mut log = Log::default();
        let good = |log: &Log| Model::of(log).documents.len();
        let told = |log: &Log, file| {
            let of = |(code, place): &(&str, String)| *code == "TL1003" && place.contains(file);
            log.places().iter().any(of)
        };
        while !(told(&log, "stock1.csv") && told(&log, "stock2.csv") && good(&log) == 1) {
            log.drain(&mut producer, 1 << 20);
        }
        folder.put("stock1.csv", if header { "sku,stock\nb,1\n" } else { "b,1\n" });
        let again = read(&folder, log.position.clone());
        log.items.extend(again.items);
        assert_eq!(good(&log), 2, "{mode}");
    }
}

#[test]
fn a_log_that_cannot_be_read_is_waited_for() {
    let folder = unreadable("append", true);
    let mut producer = folder.producer(None);
    let mut log = Log::default();
    let error = log.try_drain(&mut producer, 1 << 20).unwrap_err();
    assert!(matches!(error, CaptureError::Unavailable { code: "TL1003", .. }), "{error}");
    assert!(log.items.is_empty());
    folder.put("stock1.csv", "sku,stock\nb,1\n");
    std::fs::remove_file(folder.path("stock2.csv")).unwrap();
    log.drain(&mut producer, 1 << 20);
    assert_eq!(Model::of(&log).documents.len(), 2);
}

#[test]
fn a_file_that_could_not_be_opened_is_tried_again_although_it_did_not_change() {
    let folder = Folder::new(stock("deliver"));
    folder.put("stock.csv", "sku\na\n");
    let refused = read(&folder, None);
    assert_eq!(refused.places()[0].0, "TL1020");
    // As if it had been refused before anything of it was read.
    let mut position: serde_json::Value =
        serde_json::from_str(refused.position.as_ref().unwrap().as_str()).unwrap();
    let head = &mut position["entities"]["stock"]["files"]["stock.csv"]["refused"]["head"];
    assert_ne!(head["len"], 0);
    *head = json!({"len": 0, "hash": 0});
    let again = read(&folder, Some(Position::new(position.to_string())));
    assert_eq!(again.places()[0].0, "TL1020");
    assert!(read(&folder, again.position).items.is_empty());
}

/// The versions that were read whole, and those that rejections came from, in order.
fn readings(log: &Log) -> (Vec<u64>, Vec<Option<u64>>) {
    assert!(log.whole.iter().all(|reading| reading.source == "stock.csv"), "{:?}", log.whole);
    let rejected = log.rejected().into_iter();
    let rejected = rejected.map(|r| r.reading.as_ref().map(|reading| reading.version));
    (log.whole.iter().map(|reading| reading.version).collect(), rejected.collect())
}

#[test]
fn a_file_that_is_read_whole_says_so_and_its_rejections_say_of_which_version_they_are() {
    for mode in ["replace", "deliver"] {
        let folder = Folder::new(stock(mode));
        let rows: String = (0..20).map(|n| format!("{n},1\n")).collect();
        folder.put("stock.csv", format!("sku,stock\n{rows}x,none\n"));
        let log = read(&folder, None);
        let (whole, rejected) = readings(&log);
        // A delivery mends nothing when nothing was refused before it.
        assert_eq!(whole.len(), usize::from(mode == "replace"));
        assert!(whole.iter().all(|whole| rejected == [Some(*whole)]), "it is good but for a row");
        assert_eq!(rejected.len(), 1, "{mode}");

        // Refused as a whole: nothing is mended.
        folder.put("stock.csv", "sku,wrong\n1,1\n");
        let refused = read(&folder, log.position);
        let (none, of_refused) = readings(&refused);
        assert_eq!((none.len(), of_refused.len()), (0, 1), "{mode}");
        assert!(of_refused[0].is_some() && of_refused != rejected, "{mode}");

        folder.put("stock.csv", format!("sku,stock\n{rows}"));
        let mended = read(&folder, refused.position);
        let (again, none) = readings(&mended);
        assert_eq!((again.len(), none.len()), (1, 0), "{mode}");
        assert!(!rejected.contains(&Some(again[0])) && !of_refused.contains(&Some(again[0])));
    }
}

#[test]
fn an_append_only_file_that_was_refused_says_when_it_is_read_again() {
    let mut folder = Folder::new(stock("append"));
    folder.append("stock.csv", "sku,quantity\na,1\nb,none\n");
    let log = read(&folder, None);
    let (whole, rejected) = readings(&log);
    assert_eq!((whole.len(), rejected.len()), (0, 1));
    assert!(rejected[0].is_some());
    folder.set(&["entities", "stock", "columns"], json!({"sku": {}, "quantity": {"type": "long"}}));
    let log = read(&folder, log.position);
    // Its rows are read once: no later version mends the letter of one.
    assert_eq!(readings(&log), (vec![0], vec![None]));
    folder.append("stock.csv", "c,3\n");
    assert_eq!(readings(&read(&folder, log.position)), (vec![], vec![]), "said once");
}

#[test]
fn a_delivery_does_not_mend_an_earlier_one_of_the_same_name() {
    let mut log = Log::default();
    let folder = Folder::new(stock("deliver"));
    for (delivery, budget) in [(1, 1 << 20), (2, 1 << 20), (3, 1)] {
        let mut producer = folder.producer(log.position.clone());
        let rows: String = (0..20).map(|n| format!("{delivery}-{n},1\n")).collect();
        folder.put("stock.csv", format!("sku,stock\n{rows}x,none\n"));
        log.drain(&mut producer, budget);
    }
    let (whole, rejected) = readings(&log);
    assert_eq!((whole, rejected.len()), (vec![], 3), "whatever the size of the batches");
}

#[test]
fn more_files_than_can_be_remembered_wait_until_some_are_moved_away() {
    for mode in ["append", "replace"] {
        let folder = Folder::new(stock(mode));
        folder.put("stock-1.csv", "sku,stock\na,1\n");
        let first = read(&folder, None).position.unwrap();
        let mut position: Value = serde_json::from_str(first.as_str()).unwrap();
        // As many as fit, of which all but the first were moved away while nothing ran.
        let files = &mut position["entities"]["stock"]["files"];
        for file in 1..1_250 {
            let name = format!("stock-away-{file}.csv");
            files[name] = files["stock-1.csv"].clone();
        }
        let mut producer = folder.producer(Some(Position::new(position.to_string())));
        folder.put("stock-2.csv", "sku,stock\nb,1\n");
        // A refused one takes as much.
        folder.put("stock-3.csv", "sku\nc\n");
        folder.put("stock-1.csv", "sku,stock\na,1\nd,1\n");
        let mut log = Log::default();
        let error = log.try_drain(&mut producer, 1 << 20).unwrap_err().to_string();
        assert!(error.starts_with("TL1032") && error.contains("1250"), "{mode}: {error}");
        let model = Model::of(&log);
        assert!(model.documents.keys().any(|key| key.ends_with(b"d")), "{mode}: it is read on");
        assert!(!model.documents.keys().any(|key| key.ends_with(b"b")), "{mode}");
        assert_eq!(log.places(), [], "{mode}");
        log.drain(&mut producer, 1 << 20);
        let model = Model::of(&log);
        assert!(model.documents.keys().any(|key| key.ends_with(b"b")), "{mode}");
        assert_eq!(log.places()[0].0, "TL1020", "{mode}");
        assert!(log.position.unwrap().as_str().len() < 3_000, "{mode}: the others are forgotten");
    }
}
