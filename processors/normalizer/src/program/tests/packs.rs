//! The mappings of the shipped packs, on their fixtures and on random documents.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use throughline_avro::{Node as AvroNode, json_to_datum};

use super::*;
use crate::check::Contract;
use crate::decode::{self, DocumentPlan};
use crate::diagnostics::Source;
use crate::mapping::{Engine, Mapping};

/// Pack, raw entity, canonical entities.
const MAPPINGS: &[(&str, &str, &[&str])] = &[
    ("retail-export", "invoice", &["order", "adjustment"]),
    ("sunrise", "channel", &["location"]),
    ("sunrise", "customer", &["customer"]),
    ("sunrise", "inventory", &["inventory"]),
    ("sunrise", "order", &["order"]),
];

/// Texts that mappings look at, and some that they do not expect.
const TEXTS: &[&str] = &[
    "",
    " ",
    "1",
    "12.50",
    "-3.2",
    "0.001",
    "abc",
    "C1234",
    "536365",
    "POST",
    "bank charges",
    "D",
    "17850",
    "United Kingdom",
    "DE",
    "de",
    "XX",
    "physicalStore",
    "shipping-1",
    "a@example.com",
    "+49 30 123456",
    "030 123",
    "Grüße",
    "2026-11-23",
    "999999999999999999999",
];

fn folder(pack: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systems").join(pack)
}

/// A mapping as it is loaded, with the schema and the vocabulary of its documents.
struct Shipped {
    mapping: Mapping,
    document: Schema,
    plan: DocumentPlan,
    vocabulary: crate::value::Vocabulary,
}

impl Shipped {
    fn load(pack: &str, entity: &str, canonical: &[&str]) -> Self {
        let read = |path: String| std::fs::read_to_string(folder(pack).join(path)).unwrap();
        let document = Schema::parse(&read(format!("schemas/{entity}.avsc"))).unwrap();
        let settings = json!({
            "currency": "EUR", "tax_included": true, "locale": "de", "default_location": "main"
        });
        let metadata = kinds::metadata_kind(settings.as_object().unwrap());
        let canonical: Vec<_> =
            canonical.iter().map(|name| crate::canonical_entity(name).unwrap()).collect();
        let contract = Contract { document: &document, metadata: &metadata, canonical: &canonical };
        let (file, text) =
            (format!("mappings/{entity}.vrl"), read(format!("mappings/{entity}.vrl")));
        let source = Source { file: &file, text: &text };
        let mut words = VocabularyBuilder::new();
        let metadata = VrlValue::from(json!({"settings": settings, "system": "shop"}));
        let mapping = Mapping::new(entity, source, &contract, metadata, &mut words);
        let mapping = mapping.unwrap_or_else(|errors| panic!("{errors:?}"));
        let reads = |field: &str| mapping.reads(field);
        decode::add_shapes(document.root(), &reads, &mut words);
        let vocabulary = words.build();
        let plan =
            DocumentPlan::new(document.root(), document.root(), &reads, &vocabulary).unwrap();
        Self { mapping, document, plan, vocabulary }
    }

    /// Both engines answer the same; whether they answer at all.
    fn check(&self, document: &Json) -> Result<bool, TestCaseError> {
        let mut datum = Vec::new();
        json_to_datum(self.document.root(), document, &mut datum).unwrap();
        let arena = Arena::default();
        let scope = arena.scope(&self.vocabulary);
        let value = self.plan.read(&datum, scope).unwrap();
        let found = self.mapping.run(value, scope).map(to_vrl);
        let expected = self.mapping.run_by_vrl(value, scope).map(to_vrl);
        prop_assert_eq!(format!("{:?}", found), format!("{:?}", expected), "{}", document);
        Ok(found.is_ok())
    }
}

/// Documents of a schema as JSON.
fn any_document(node: &AvroNode) -> BoxedStrategy<Json> {
    match node {
        AvroNode::Null => Just(Json::Null).boxed(),
        AvroNode::Boolean => any::<bool>().prop_map(Json::from).boxed(),
        AvroNode::Long(Some(_)) => {
            let times = ["2010-12-01T08:26:00Z", "2010-12-01T08:27:00Z", "2011-12-09T12:50:00.5Z"];
            proptest::sample::select(times.to_vec()).prop_map(Json::from).boxed()
        }
        AvroNode::Int(_) | AvroNode::Long(None) => {
            let numbers = prop_oneof![4 => -2..5_i64, 1 => Just(i64::from(i32::MAX))];
            numbers.prop_map(Json::from).boxed()
        }
        AvroNode::Double => any::<i32>().prop_map(|n| json!(f64::from(n) / 1e6)).boxed(),
        AvroNode::Array(item) => {
            proptest::collection::vec(any_document(item), 0..4).prop_map(Json::from).boxed()
        }
        AvroNode::Map(value) => {
            let keys = proptest::sample::select(vec!["en", "de", "it"]);
            let entries = proptest::collection::btree_map(keys, any_document(value), 0..3);
            entries.prop_map(|entries| json!(entries)).boxed()
        }
        AvroNode::Union(branches) => {
            proptest::strategy::Union::new(branches.iter().map(|branch| any_document(branch)))
                .boxed()
        }
        AvroNode::Record(record) => {
            let fields = record.fields.iter().map(|field| {
                let name = field.name.clone();
                any_document(&field.node).prop_map(move |value| (name.clone(), value)).boxed()
            });
            let fields: Vec<_> = fields.collect();
            fields.prop_map(|fields| Json::Object(fields.into_iter().collect())).boxed()
        }
        AvroNode::String(_) => proptest::sample::select(TEXTS).prop_map(Json::from).boxed(),
        other => panic!("no shipped document has {other:?}"),
    }
}

#[test]
fn the_normalizer_runs_every_shipped_mapping_itself() {
    for (pack, entity, canonical) in MAPPINGS {
        let shipped = Shipped::load(pack, entity, canonical);
        assert_eq!(*shipped.mapping.engine(), Engine::Compiled, "{pack}/{entity}");
    }
}

#[test]
fn fixtures_give_the_same_as_by_vrl() {
    let mut answered = 0;
    for (pack, entity, canonical) in MAPPINGS {
        let shipped = Shipped::load(pack, entity, canonical);
        for file in std::fs::read_dir(folder(pack).join("fixtures").join(entity)).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let case: Json = serde_json::from_str(&text).unwrap();
            for side in ["before", "after"] {
                let document = case.get(side).filter(|document| !document.is_null());
                let Some(document) = document else { continue };
                answered += usize::from(shipped.check(document).unwrap());
            }
        }
    }
    assert!(answered > 30, "{answered} documents were mapped");
}

#[test]
fn random_documents_give_the_same_as_by_vrl() {
    for (pack, entity, canonical) in MAPPINGS {
        let shipped = Shipped::load(pack, entity, canonical);
        let documents = any_document(shipped.document.root());
        // Failures print their seed as a line for a file of regressions.
        let mut runner = TestRunner::new(Config::with_source_file(file!()));
        let result = runner.run(&documents, |document| shipped.check(&document).map(drop));
        result.unwrap_or_else(|error| panic!("{pack}/{entity}: {error}"));
    }
}
