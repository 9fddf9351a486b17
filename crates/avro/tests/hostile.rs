//! Bytes that nobody promised anything about.

use proptest::prelude::*;
use throughline_avro::{
    Cursor, DecodeError, Schema, put_block, put_block_end, unframe, write_json,
};

use crate::random::{oracle_bytes, pairs, schema, shapes};

/// What one reader accepts of array items that take no bytes.
const FREE_ITEMS: usize = 1 << 16;

/// Everything that reads `bytes` may refuse them, never panic, and stays inside them.
fn read(schema: &Schema, bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut cursor = Cursor::new(bytes);
    let skipped = cursor.skip(schema.root());
    prop_assert!(cursor.position() <= bytes.len());
    if let Err(error) = skipped {
        prop_assert!(error.offset() <= bytes.len(), "{}", error);
    }
    let mut text = Vec::new();
    let mut cursor = Cursor::new(bytes);
    match write_json(schema.root(), &mut cursor, &mut text) {
        Ok(()) => prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok()),
        Err(error) => prop_assert!(error.offset() <= bytes.len(), "{}", error),
    }
    // What an item without bytes writes is in its schema: its keys, and nothing else. One value
    // that takes bytes writes no more than that and 64 characters, so nothing can multiply.
    let items = FREE_ITEMS + bytes.len() + 1;
    let item = schema.text().len() + 64;
    prop_assert!(text.len() <= items * item, "{} from {}", text.len(), bytes.len());
    Ok(())
}

#[test]
fn items_without_bytes_are_written_up_to_their_limit() {
    let schema = Schema::parse(r#"{"type":"array","items":"null"}"#).unwrap();
    // One block of 24,586 items, and one of one more than all readers accept together.
    let mut text = Vec::new();
    write_json(schema.root(), &mut Cursor::new(&[148, 128, 3, 0]), &mut text).unwrap();
    assert_eq!(text.len(), "null,".len() * 24_586 + 1);
    let mut datum = Vec::new();
    put_block(&mut datum, FREE_ITEMS + 1);
    put_block_end(&mut datum);
    let refused = write_json(schema.root(), &mut Cursor::new(&datum), &mut Vec::new());
    assert!(matches!(refused, Err(DecodeError::Length { .. })), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

    #[test]
    fn random_bytes_never_panic(
        shape in shapes(true),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..8], 0..200),
    ) {
        read(&schema(&shape), &bytes)?;
        let _ = unframe(&bytes);
    }

    #[test]
    fn damaged_datums_never_panic(
        (schema, value) in pairs(true),
        cut in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let mut datum = oracle_bytes(&schema, &value);
        read(&schema, &datum[..cut.index(datum.len() + 1)])?;
        if !datum.is_empty() {
            let at = flip.0.index(datum.len());
            datum[at] ^= flip.1;
        }
        read(&schema, &datum)?;
    }

    #[test]
    fn random_text_is_never_a_panicking_schema(text in "\\PC{0,40}|[\\[\\]{}\",:a-z0-9]{0,60}") {
        let _ = Schema::parse(&text);
    }
}
