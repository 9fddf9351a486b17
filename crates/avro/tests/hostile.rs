//! Bytes that nobody promised anything about.

use proptest::prelude::*;
use throughline_avro::{Cursor, Schema, unframe, write_json};

use crate::random::{oracle_bytes, pairs, schema, shapes};

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
    // The longest text of one byte is a symbol or the names of empty records around it.
    prop_assert!(
        text.len() <= 100_000 + bytes.len() * 1_000,
        "{} from {}",
        text.len(),
        bytes.len()
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

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
