//! What is said about a file that is wrong.

use crate::catalog::{GOOD, findings, read};

#[test]
fn ten_mistakes_give_ten_findings() {
    let text = "\
# 1: an unknown key
dta: ./x
memory: 256M
bus: {embedded: {flush: sometimes}}
metrics: 0.0.0.0:9464
systems:
  shop: {pack: test-shp, settings: {currency: EUR}}
  erp: {pack: test-shop, settings: {currency: 5}}
ownership: {order: each, inventory: eerp, customer: each, customer: erp}
producers:
  shop-exports: {kind: file, system: shop, folder: ./exports}
sinks:
  lake: {kind: files, topics: [canonical.order], foldr: ./target, folder: ./target}
";
    assert_eq!(
        findings(text),
        [
            "TL0110 2 dta",
            "TL0114 3 memory",
            "TL0113 4 bus.embedded.flush",
            "TL0118 5 metrics",
            "TL0120 7 systems.shop.pack",
            "TL0129 8 systems.erp.settings.currency",
            "TL0121 9 ownership.inventory",
            "TL0107 9 ownership.customer",
            "TL0123 11 producers.shop-exports.kind",
            "TL0110 13 sinks.lake.foldr",
        ]
    );
}

#[test]
fn a_report_is_a_text_that_says_how_to_repair_the_file() {
    let report = read(&GOOD.replace("folder: ./target", "foldr: ./target")).unwrap_err();
    assert_eq!(
        report.render(false),
        "\
TL0111 throughline.yaml:7:3
  sinks.lake: `folder` is missing
  fix: add `folder:`
TL0110 throughline.yaml:7:71
  sinks.lake.foldr: unknown key `foldr`
  fix: did you mean `folder`?
2 problems
"
    );
}

/// A file with one part replaced, and the only finding that follows.
fn one(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let found = findings(&GOOD.replace(from, to));
    assert_eq!(found.len(), 1, "{to}: {found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    for (bus, expected) in [
        ("{brokers: ['u:hunter2@k:9092'], registry: 'http://r'}", "TL0130 1 bus.brokers[0]"),
        ("{brokers: ['u:hunter2@k'], registry: 'http://r'}", "TL0130 1 bus.brokers[0]"),
        ("{brokers: ['k:1'], registry: 'http://u:hunter2@r:8081'}", "TL0130 1 bus.registry"),
        ("{brokers: ['k:1'], registry: 'u:hunter2@r'}", "TL0130 1 bus.registry"),
        ("{brokers: 'u:hunter2@k:9092', registry: 'http://r'}", "TL0112 1 bus.brokers"),
        ("{embedded: {kafka: 'u:hunter2@localhost:1'}}", "TL0117 1 bus.embedded.kafka"),
    ] {
        let text = GOOD.replace("systems:\n", &format!("bus: {bus}\nsystems:\n"));
        assert_eq!(findings(&text), [expected], "{bus}");
        let said = read(&text).unwrap_err().render(false);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn each_mistake_is_found_alone() {
    for (from, to, expected) in [
        (
            "systems:\n",
            "systems:\n  Shop!: {pack: test-shop, settings: {currency: EUR}}\n",
            "TL0116 2 systems.\"Shop!\"",
        ),
        ("pack: test-shop", "pack: ./nowhere", "TL0120 2 systems.shop.pack"),
        ("pack: test-shop, ", "", "TL0111 2 systems.shop"),
        ("{currency: EUR}", "{}", "TL0129 2 systems.shop.settings"),
        (
            "{currency: EUR}",
            "{currency: '${env:CURRENCY}'}",
            "TL0129 2 systems.shop.settings.currency",
        ),
        ("{currency: EUR}", "{currency: EURO}", "TL0129 2 systems.shop.settings.currency"),
        ("{currency: EUR}", "{currency: eur}", "TL0129 2 systems.shop.settings.currency"),
        ("systems:\n", "version: 99999999999999999999\nsystems:\n", "TL0112 1 version"),
        (
            "{currency: EUR}",
            "{currency: EUR, curency: EUR}",
            "TL0129 2 systems.shop.settings.curency",
        ),
        ("{currency: EUR}", "EUR", "TL0112 2 systems.shop.settings"),
        ("order: each", "ordr: each, order: each", "TL0122 3 ownership.ordr"),
        ("order: each, ", "", "TL0125 3 ownership"),
        ("order: each", "order: each, price: shop", "TL0126 3 ownership.price"),
        ("order: each", "order: [each]", "TL0112 3 ownership.order"),
        ("system: shop", "system: shp", "TL0121 5 producers.shop-exports.system"),
        ("kind: files, system", "kind: 7, system", "TL0112 5 producers.shop-exports.kind"),
        ("shop-exports: {", "shop: {", "TL0127 5 producers.shop"),
        ("lake: {", "shop-exports: {", "TL0127 7 sinks.shop-exports"),
        ("canonical.order,", "canonical.ordr,", "TL0124 7 sinks.lake.topics[0]"),
        ("canonical.order,", "canonical.price,", "TL0124 7 sinks.lake.topics[0]"),
        ("canonical.order,", "observed.shop.order,", "TL0124 7 sinks.lake.topics[0]"),
        ("canonical.order,", "observed.erp.order,", "TL0124 7 sinks.lake.topics[0]"),
        ("canonical.order,", "cdc.shop.order,", "TL0124 7 sinks.lake.topics[0]"),
        ("canonical.order,", "canonical.inventory,", "TL0115 7 sinks.lake.topics"),
        ("[canonical.order, canonical.inventory]", "[]", "TL0115 7 sinks.lake.topics"),
        ("folder: ./target", "folder: ./target, roll: 5", "TL0114 7 sinks.lake.roll"),
        (
            "folder: ./target",
            "folder: ./target, layout: {folders: day, foldrs: x}",
            "TL0110 7 sinks.lake.layout.foldrs",
        ),
        (
            "folder: ./target",
            "folder: ./target, layout: {folders: 5}",
            "TL0112 7 sinks.lake.layout.folders",
        ),
        ("folder: ./target", "folder: ./target, layout: day", "TL0112 7 sinks.lake.layout"),
        ("folder: ./target", "folder: ./target, format: paquet", "TL0113 7 sinks.lake.format"),
        ("folder: ./target", "folder: /", "TL3001 7 sinks.lake.folder"),
        (
            "folder: ./exports",
            "folder: ./exports, token: hunter2",
            "TL0130 5 producers.shop-exports.token",
        ),
        ("systems:\n", "version: 2\nsystems:\n", "TL0115 1 version"),
        ("systems:\n", "memory: 1MiB\nsystems:\n", "TL0115 1 memory"),
        ("systems:\n", "data: ''\nsystems:\n", "TL0115 1 data"),
        ("systems:\n", "metrics: 9464\nsystems:\n", "TL0112 1 metrics"),
        ("systems:\n", "metrics: nine\nsystems:\n", "TL0117 1 metrics"),
        ("systems:\n", "metrics: 127.0.0.1:9092\nsystems:\n", "TL0117 1 metrics"),
        ("systems:\n", "bus: kafka\nsystems:\n", "TL0113 1 bus"),
        ("systems:\n", "bus: 5\nsystems:\n", "TL0112 1 bus"),
        ("systems:\n", "bus: {}\nsystems:\n", ""),
        ("systems:\n", "bus: {brokers: ['a:1']}\nsystems:\n", "TL0111 1 bus"),
        (
            "systems:\n",
            "bus: {brokers: [a], registry: 'http://r'}\nsystems:\n",
            "TL0117 1 bus.brokers[0]",
        ),
        ("systems:\n", "bus: {brokers: ['a:1'], registry: r}\nsystems:\n", "TL0117 1 bus.registry"),
        ("systems:\n", "bus: {embedded: {}, brokers: ['a:1']}\nsystems:\n", "TL0113 1 bus"),
        ("systems:\n", "bus: {embeded: {}}\nsystems:\n", "TL0110 1 bus.embeded"),
        (
            "systems:\n",
            "bus: {embedded: {kafka: '192.168.0.1:9092'}}\nsystems:\n",
            "TL0118 1 bus.embedded.kafka",
        ),
    ] {
        if expected.is_empty() {
            let found = findings(&GOOD.replace(from, to));
            assert_eq!(found, ["TL0111 1 bus", "TL0111 1 bus"], "{to}");
        } else {
            assert_eq!(one(from, to), expected, "{to}");
        }
    }
}

#[test]
fn a_producer_that_the_pack_cannot_serve_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shop = crate::catalog::shop();
    crate::packs::copy(&shop, folder.path());
    std::fs::remove_file(folder.path().join("capture.yaml")).unwrap();
    let text = GOOD.replace("test-shop", folder.path().to_str().unwrap());
    assert_eq!(findings(&text), ["TL0128 5 producers.shop-exports.kind"]);
}

#[test]
fn a_mistake_in_a_pack_is_reported_once_and_at_its_own_line() {
    let folder = tempfile::tempdir().unwrap();
    crate::packs::copy(&crate::catalog::shop(), folder.path());
    let file = folder.path().join("system.yaml");
    let system = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, system.replace("single_partition", "single_partiton")).unwrap();
    let pack = folder.path().to_str().unwrap();
    let text = GOOD.replace("test-shop", pack).replace(
        "systems:\n",
        &format!("systems:\n  erp: {{pack: {pack}, settings: {{currency: EUR}}}}\n"),
    );
    assert_eq!(findings(&text), ["TL0110 16 entities.stock-row.single_partiton"]);
    let report = read(&text).unwrap_err();
    assert_eq!(report.findings()[0].file, format!("{pack}/system.yaml"));
}

#[test]
fn a_file_that_is_a_list_or_a_word_is_one_mistake() {
    assert_eq!(findings("[a, b]\n"), ["TL0112 1 "]);
    assert_eq!(findings("throughline\n"), ["TL0112 1 "]);
    assert_eq!(findings("systems: [a]\n"), ["TL0112 1 systems"]);
}

#[test]
fn a_broken_file_is_one_mistake() {
    assert_eq!(findings("systems:\n\tshop: {}\n"), ["TL0105 2 "]);
    assert_eq!(findings(""), ["TL0104 1 "]);
}

#[test]
fn a_name_that_is_refused_itself_is_never_proposed() {
    let text = GOOD
        .replace("  shop: {pack", "  Shop: {pack")
        .replace("inventory: shop", "inventory: each");
    let report = read(&text).unwrap_err();
    let fixes: Vec<&str> = report.findings().iter().map(|finding| finding.fix.as_str()).collect();
    assert!(fixes.contains(&"add `shop:` under `systems`"), "{fixes:?}");
    assert!(fixes.contains(&"add the system that publishes it, and its owner"), "{fixes:?}");
    assert!(!fixes.iter().any(|fix| fix.contains("did you mean")), "{fixes:?}");
}
