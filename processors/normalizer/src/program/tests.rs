//! Every program here is run twice, by VRL and by this module, and the answers must be equal.

mod limits;
mod packs;
mod programs;
mod random;

use std::sync::LazyLock;

use chrono::DateTime;
use serde_json::{Value as Json, json};
use throughline_avro::Schema;
use vrl::compiler::state::ExternalEnv;
use vrl::compiler::{CompileConfig, compile_with_external};
use vrl::diagnostic::DiagnosticMessage as _;
use vrl::value::{Kind, Value as VrlValue};

use super::*;
use crate::mapping::by_vrl::{self, Failed};
use crate::value::{Arena, from_vrl, to_vrl};
use crate::{functions, kinds};

/// Fields of most types; `x` is of any.
const DOCUMENT: &str = r#"{"type": "record", "name": "Document", "fields": [
    {"name": "n", "type": "long"},
    {"name": "m", "type": ["null", "long"]},
    {"name": "t", "type": "string"},
    {"name": "u", "type": ["null", "string"]},
    {"name": "b", "type": "boolean"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "rows", "type": {"type": "array", "items": {"type": "record", "name": "Row", "fields": [
        {"name": "q", "type": "long"}, {"name": "p", "type": "string"},
        {"name": "s", "type": ["null", "string"]}]}}},
    {"name": "o", "type": ["null", {"type": "record", "name": "O", "fields": [
        {"name": "a", "type": "long"}, {"name": "b", "type": ["null", "string"]}]}]}
]}"#;

static FUNCTIONS: LazyLock<Vec<Box<dyn vrl::compiler::Function>>> = LazyLock::new(functions::all);

/// A value, or the reason, the whole message and the place of a failure.
type Outcome = Result<VrlValue, (String, String, Option<usize>)>;

/// A mapping with both ways to run it.
struct Pair {
    by_vrl: vrl::compiler::Program,
    compiled: Result<Program, Unsupported>,
    vocabulary: crate::value::Vocabulary,
    metadata: VrlValue,
}

impl Pair {
    /// Nothing when VRL refuses the program.
    fn new(text: &str) -> Option<Self> {
        let settings = json!({"currency": "EUR", "list": ["a", {"b": 2}], "yes": true});
        let metadata_kind = kinds::metadata_kind(settings.as_object().unwrap());
        let metadata = VrlValue::from(json!({"settings": settings, "system": "shop"}));
        let mut document = kinds::of_node(Schema::parse(DOCUMENT).unwrap().root());
        document.as_object_mut().unwrap().known_mut().insert("x".into(), Kind::any());
        let external = ExternalEnv::new_with_kind(document, metadata_kind);
        let mut config = CompileConfig::default();
        config.set_read_only();
        let by_vrl = compile_with_external(text, &FUNCTIONS, &external, config).ok()?;
        let tree = vrl::parser::parse(text).unwrap();
        let mut words = VocabularyBuilder::new();
        let compiled = Program::lower(&tree, &metadata, &mut words);
        Some(Self { by_vrl: by_vrl.program, compiled, vocabulary: words.build(), metadata })
    }

    fn run_by_vrl(&self, document: &VrlValue) -> Outcome {
        by_vrl::run(&self.by_vrl, document.clone(), &self.metadata).map_err(|failed| {
            let Failed::Expression(error) = failed else { panic!("VRL panicked") };
            let (reason, at) = by_vrl::reason(&error);
            (reason, error.message(), at)
        })
    }

    fn run(&self, document: &VrlValue) -> Outcome {
        let arena = Arena::default();
        let scope = arena.scope(&self.vocabulary);
        let program = self.compiled.as_ref().unwrap_or_else(|error| panic!("{error:?}"));
        let result = program.run(from_vrl(document, scope), scope);
        result.map(to_vrl).map_err(|failure| {
            let (reason, at) = failure.reason();
            (reason.to_owned(), failure.message().to_owned(), at)
        })
    }
}

fn document(json: Json) -> VrlValue {
    let mut document = VrlValue::from(json);
    let at = DateTime::from_timestamp_millis(1_795_428_000_123).unwrap();
    document.as_object_mut().unwrap().insert("at".into(), VrlValue::Timestamp(at));
    document
}

/// Documents that differ in everything that programs branch on.
fn documents() -> Vec<VrlValue> {
    let row = |q: i64, p: &str, s: Json| json!({"q": q, "p": p, "s": s});
    let rows =
        [row(2, "12.50", json!(null)), row(-1, " 0.1 ", json!("POST")), row(0, "x", json!(""))];
    let first = json!({
        "n": 3, "m": null, "t": "Äb C", "u": null, "b": true, "rows": rows, "o": null, "x": null
    });
    let second = json!({
        "n": i64::MAX, "m": 7, "t": "", "u": "  ", "b": false, "rows": [],
        "o": {"a": 1, "b": "+49 30 123456"}, "x": "12"
    });
    let mut all = vec![document(first.clone()), document(second)];
    let others =
        [json!(5), json!(true), json!([1, null, "a", ["b"]]), json!({"a": {"b": ""}, "c": null})];
    for x in others {
        let mut other = first.clone();
        other["x"] = x;
        other["o"] = json!({"a": -4, "b": null});
        all.push(document(other));
    }
    let mut bytes = document(first);
    bytes.as_object_mut().unwrap().insert("x".into(), VrlValue::from(&b"a\xffb"[..]));
    all.push(bytes);
    all
}

/// Both give the same for every document.
#[track_caller]
fn check(text: &str) {
    let pair = Pair::new(text).unwrap_or_else(|| panic!("VRL refuses {text}"));
    for document in documents() {
        assert_eq!(pair.run(&document), pair.run_by_vrl(&document), "{text}\n{document}");
    }
}

/// Left to VRL, for this construct.
#[track_caller]
fn check_unsupported(text: &str, construct: &str, at: usize) {
    let pair = Pair::new(text).unwrap_or_else(|| panic!("VRL refuses {text}"));
    let found = pair.compiled.unwrap_err();
    assert_eq!(found, Unsupported { construct: construct.to_owned(), at });
}
