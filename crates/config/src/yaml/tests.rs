use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(text: &str) -> (Option<Node>, Vec<Finding>) {
    let mut found = Vec::new();
    let node = parse("throughline.yaml", text.as_bytes(), &mut found);
    (node, found)
}

/// The only finding of a text that must not be usable.
fn refused(bytes: &[u8]) -> (&'static str, usize, usize, String) {
    let mut found = Vec::new();
    assert_eq!(parse("throughline.yaml", bytes, &mut found), None);
    assert_eq!(found.len(), 1, "{found:?}");
    let Finding { code, mark, message, .. } = found.remove(0);
    (code, mark.line, mark.column, message)
}

#[test]
fn values_and_their_places_are_kept() {
    let (node, found) = parsed("a:\n  b: [1, two]\n  \"c.d\": ~\n");
    let node = node.unwrap();
    assert!(found.is_empty());
    assert_eq!(node.to_json(), json!({"a": {"b": [1, "two"], "c.d": null}}));
    let b = Path::from(["a", "b"]);
    assert_eq!(node.key_mark_of(&b), Mark { line: 2, column: 3 });
    assert_eq!(node.mark_of(&b), Mark { line: 2, column: 3 });
    assert_eq!(node.mark_of(&b.index(1)), Mark { line: 2, column: 10 });
    assert_eq!(node.mark_of(&Path::from(["a", "c.d"])).line, 3);
}

#[test]
fn a_missing_key_is_shown_at_the_key_of_its_map() {
    let (node, _) = parsed("sinks:\n  lake:\n    kind: files\n");
    let missing = Path::from(["sinks", "lake", "folder"]);
    assert_eq!(node.unwrap().mark_of(&missing), Mark { line: 2, column: 3 });
}

#[test]
fn anchors_are_copied() {
    let (node, found) = parsed("a: &x {k: 1}\nb: *x\n");
    assert!(found.is_empty());
    assert_eq!(node.unwrap().to_json(), json!({"a": {"k": 1}, "b": {"k": 1}}));
}

#[test]
fn every_repeated_key_is_found_and_the_first_one_counts() {
    let (node, found) = parsed("a: 1\nb:\n  - {c: 1, c: {d: 2, d: 3}}\na: 2\n");
    assert_eq!(node.unwrap().to_json(), json!({"a": 1, "b": [{"c": 1}]}));
    let places: Vec<_> = found.iter().map(|f| (f.path.to_string(), f.mark.line)).collect();
    assert_eq!(places, [("b[0].c".into(), 3), ("b[0].c.d".into(), 3), ("a".to_owned(), 4)]);
    assert!(found.iter().all(|f| f.code == codes::DUPLICATE_KEY));
    assert!(found[2].message.contains("first in line 1"));
}

#[test]
fn a_file_without_content_is_said_to_be_empty() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "~\n", "\u{feff}"] {
        assert_eq!(refused(text.as_bytes()).0, codes::EMPTY, "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_text_are_shown_at_the_first_of_them() {
    assert_eq!(refused(b"a: 1\nb: \xff\xfe").0, codes::NOT_TEXT);
    let (_, line, column, _) = refused(
        "ä: 1\nü: ö\u{0}"
            .as_bytes()
            .split_last()
            .unwrap()
            .1
            .iter()
            .chain(&[0xff])
            .copied()
            .collect::<Vec<_>>()
            .as_slice(),
    );
    assert_eq!((line, column), (2, 5));
}

#[test]
fn a_tab_as_indentation_is_named() {
    let (code, line, _, message) = refused(b"a:\n\tb: 1\n");
    assert_eq!((code, line), (codes::SYNTAX, 2));
    assert!(message.contains("tab"), "{message}");
}

#[test]
fn broken_syntax_is_shown_at_its_line() {
    for text in ["a: [1, 2\nb: 3\n", "a: 'open\n", "a: b: c\n", "a: {b: 1]\n", "{a: \"\\q\"}\n"] {
        assert_eq!(refused(text.as_bytes()).0, codes::SYNTAX, "{text:?}");
    }
}

#[test]
fn what_is_not_supported_is_refused() {
    for (text, what) in [
        ("a: 1\n---\nb: 2\n", "second document"),
        ("a: !!python/object x\n", "tag"),
        ("a: !secret x\n", "tag"),
        ("? [1, 2]\n: x\n", "as a key"),
        ("a: &x [*x]\n", "contains it"),
    ] {
        let (code, _, _, message) = refused(text.as_bytes());
        assert_eq!(code, codes::NOT_SUPPORTED, "{text:?}");
        assert!(message.contains(what), "{text:?}: {message}");
    }
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    let flow = format!("a: {}", "[".repeat(200));
    assert_eq!(refused(flow.as_bytes()).0, codes::NOT_SUPPORTED);
    let block: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(refused(block.as_bytes()).0, codes::NOT_SUPPORTED);
}

#[test]
fn an_alias_bomb_is_refused_before_it_grows() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{row}]\n");
    }
    let (code, _, _, message) = refused(bomb.as_bytes());
    assert_eq!(code, codes::NOT_SUPPORTED);
    assert!(message.contains("100000"), "{message}");
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let large = vec![b'a'; MAX_BYTES as usize + 1];
    assert_eq!(refused(&large).0, codes::TOO_LARGE);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_with_a_finding(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut found = Vec::new();
        let node = parse("x", &bytes, &mut found);
        prop_assert!(node.is_some() || !found.is_empty());
    }

    #[test]
    fn any_text_of_yaml_signs_is_read_or_refused_with_a_finding(
        text in r#"[a-c0-9 :,\-\[\]{}&*!|>'"%@#?\n\t~.\\]{0,120}"#
    ) {
        let mut found = Vec::new();
        let node = parse("x", text.as_bytes(), &mut found);
        prop_assert!(node.is_some() || !found.is_empty());
    }
}
