//! Packs, good and broken.

use std::{fs, path::Path, sync::Arc};

use throughline_config::{
    Violations,
    pack::{Folder, PackFiles, load},
};
use throughline_event::EntityName;

use crate::catalog::{TestCatalog, shop};

pub(crate) fn copy(pack: &Folder, to: &Path) {
    for folder in ["", "mappings", "schemas", "fixtures"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for name in pack.list_files(folder) {
            let bytes = pack.read(&name).unwrap().unwrap();
            fs::write(to.join(name), bytes).unwrap();
        }
    }
}

trait ListFiles {
    fn list_files(&self, folder: &str) -> Vec<String>;
}

impl ListFiles for Folder {
    fn list_files(&self, folder: &str) -> Vec<String> {
        let root = ["system.yaml", "capture.yaml"].map(str::to_owned);
        if folder.is_empty() {
            return root.into();
        }
        self.list(folder).unwrap().into_iter().map(|name| format!("{folder}/{name}")).collect()
    }
}

/// The findings of the test pack after an edit, as `code file:line path`.
fn after(edit: impl FnOnce(&Path)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    copy(&shop(), folder.path());
    edit(folder.path());
    let Err(report) = load(Arc::new(Folder::new(folder.path())), &TestCatalog) else {
        return vec![];
    };
    let place = format!("{}/", folder.path().display());
    report
        .findings()
        .iter()
        .map(|f| format!("{} {}:{} {}", f.code, f.file.replace(&place, ""), f.mark.line, f.path))
        .collect()
}

fn replaced(file: &str, from: &str, to: &str) -> Vec<String> {
    after(|folder| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(folder.join(file), text.replace(from, to)).unwrap();
    })
}

#[test]
fn a_pack_is_read_with_all_its_texts() {
    let pack = load(Arc::new(shop()), &TestCatalog).unwrap();
    assert_eq!((pack.name.as_str(), pack.version.as_str()), ("test-shop", "1.0"));
    let order = &pack.entities[&EntityName::new("order").unwrap()];
    assert_eq!(order.mapping.as_ref().unwrap().text, ".number = .orderNumber\n");
    assert!(order.schema.text.contains("record"));
    let stock = &pack.entities[&EntityName::new("stock-row").unwrap()];
    assert!(stock.single_partition);
    assert_eq!(stock.ignore, ["updated_at"]);
    assert!(pack.writes("customer") && !pack.writes("price"));
    assert_eq!(pack.capture("files").unwrap().len(), 2);
    assert!(pack.capture("http").is_none());
    assert_eq!(pack.files().list("fixtures").unwrap(), ["order.json"]);
}

#[test]
fn what_a_producer_finds_in_the_capture_file_gets_its_line() {
    let pack = load(Arc::new(shop()), &TestCatalog).unwrap();
    let mut found = Violations::new();
    found.add("TL1000", ["files", "stock-row", "key"], "no column `sku`", "add the column");
    let report = pack.capture_report(found);
    assert_eq!(report.findings()[0].mark.line, 3);
    assert!(report.findings()[0].file.ends_with("shop/capture.yaml"));
}

#[test]
fn mistakes_in_the_files_of_a_pack_are_found() {
    for (file, from, to, expected) in [
        ("system.yaml", "name: test-shop", "name: Test", "TL0116 system.yaml:1 name"),
        ("system.yaml", "version: \"1.0\"", "version: 1.0", "TL0112 system.yaml:3 version"),
        ("system.yaml", "title: A shop for tests\n", "", "TL0111 system.yaml:1 "),
        (
            "system.yaml",
            "default: 2",
            "default: two",
            "TL0112 system.yaml:6 settings.decimals.default",
        ),
        (
            "system.yaml",
            "type: integer",
            "type: int",
            "TL0113 system.yaml:6 settings.decimals.type",
        ),
        (
            "system.yaml",
            "[order, customer]",
            "[order, custmer]",
            "TL0122 system.yaml:11 entities.order.canonical[1]",
        ),
        (
            "system.yaml",
            "    canonical: [inventory]\n",
            "",
            "TL0111 system.yaml:13 entities.stock-row.mapping",
        ),
        (
            "system.yaml",
            "    mapping: mappings/stock.vrl\n",
            "",
            "TL0111 system.yaml:14 entities.stock-row.canonical",
        ),
        (
            "system.yaml",
            "mappings/order.vrl",
            "mappings/ordr.vrl",
            "TL0140 system.yaml:9 entities.order.mapping",
        ),
        (
            "system.yaml",
            "mappings/order.vrl",
            "../order.vrl",
            "TL0140 system.yaml:9 entities.order.mapping",
        ),
        (
            "schemas/order.avsc",
            "\"fields\": []",
            "\"fields\": [",
            "TL0141 system.yaml:10 entities.order.schema",
        ),
        ("capture.yaml", "  order:", "  ordr:", "TL0122 capture.yaml:2 files.ordr"),
        ("capture.yaml", "files:", "fils:", "TL0123 capture.yaml:1 fils"),
        (
            "capture.yaml",
            "path: inventory.csv",
            "pth: inventory.csv, path: x",
            "TL0110 capture.yaml:3 files.stock-row.pth",
        ),
        ("capture.yaml", "key: [sku]", "key: []", "TL1001 capture.yaml:3 files.stock-row.key"),
        ("capture.yaml", "files:", "files: [", "TL0105 capture.yaml:3 "),
    ] {
        let found = replaced(file, from, to);
        assert_eq!(found.len(), 1, "{to}: {found:?}");
        // Where the parser notices a missing bracket is its own business.
        if !expected.starts_with("TL0105") {
            assert_eq!(found[0], expected, "{to}");
        }
    }
}

#[test]
fn mistakes_in_all_files_of_a_pack_are_found_in_one_round() {
    let found = after(|folder| {
        let edit = |file: &str, pairs: &[(&str, &str)]| {
            let mut text = fs::read_to_string(folder.join(file)).unwrap();
            for (from, to) in pairs {
                assert!(text.contains(from), "{from}");
                text = text.replace(from, to);
            }
            fs::write(folder.join(file), text).unwrap();
        };
        let system = [
            ("type: integer", "type: int"),
            ("mapping: mappings/stock.vrl", "maping: mappings/stock.vrl"),
            ("[order, customer]", "[order, custmer]"),
        ];
        edit("system.yaml", &system);
        edit(
            "capture.yaml",
            &[("path: inventory.csv", "pth: x, path: x"), ("  order:", "  ordr:")],
        );
        edit("schemas/order.avsc", &[("\"fields\": []", "\"fields\": [")]);
    });
    assert_eq!(
        found,
        [
            "TL0113 system.yaml:6 settings.decimals.type",
            "TL0141 system.yaml:10 entities.order.schema",
            "TL0122 system.yaml:11 entities.order.canonical[1]",
            "TL0110 system.yaml:13 entities.stock-row.maping",
            "TL0122 capture.yaml:2 files.ordr",
            "TL0110 capture.yaml:3 files.stock-row.pth",
        ]
    );
}

#[test]
fn a_named_pipe_is_no_file_of_a_pack_and_is_not_waited_for() {
    let found = after(|folder| {
        let mapping = folder.join("mappings/order.vrl");
        fs::remove_file(&mapping).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&mapping).status().unwrap();
        assert!(made.success());
    });
    assert_eq!(found, ["TL0140 system.yaml:9 entities.order.mapping"]);
}

#[test]
fn a_default_setting_of_another_type_is_found() {
    let found = replaced("system.yaml", "required: true", "default: 5");
    assert_eq!(found, ["TL0112 system.yaml:5 settings.currency.default"]);
}

#[test]
fn a_folder_without_a_pack_is_said_to_have_none() {
    let found = after(|folder| fs::remove_file(folder.join("system.yaml")).unwrap());
    assert_eq!(found, ["TL0140 system.yaml:1 "]);
}

#[test]
fn a_file_that_cannot_be_read_as_text_is_found() {
    let found = after(|folder| fs::write(folder.join("mappings/order.vrl"), [0xff]).unwrap());
    assert_eq!(found, ["TL0140 system.yaml:9 entities.order.mapping"]);
    let found = after(|folder| {
        fs::remove_file(folder.join("system.yaml")).unwrap();
        fs::create_dir(folder.join("system.yaml")).unwrap();
    });
    assert_eq!(found, ["TL0140 system.yaml:1 "]);
}
