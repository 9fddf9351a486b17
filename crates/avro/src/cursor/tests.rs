use super::*;
use crate::{Schema, put_block, put_block_end, put_long, put_str};

fn number(bytes: &[u8]) -> Result<i64, DecodeError> {
    Cursor::new(bytes).long()
}

fn skip(schema: &str, bytes: &[u8]) -> Result<usize, DecodeError> {
    let schema = Schema::parse(schema).unwrap();
    let mut cursor = Cursor::new(bytes);
    cursor.skip(schema.root()).map(|()| cursor.position())
}

#[test]
fn numbers_at_the_edges_of_their_encoding_come_back() {
    for bits in 0..64 {
        for near in [-1, 0, 1] {
            for value in [(1i64 << bits).wrapping_add(near), (-1i64 << bits).wrapping_add(near)] {
                let mut out = Vec::new();
                put_long(&mut out, value);
                assert_eq!(number(&out), Ok(value));
            }
        }
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let long = DecodeError::Range { offset: 0, expected: "a long" };
    assert_eq!(number(&[0xff; 10]), Err(long));
    assert_eq!(number(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]), Err(long));
    assert_eq!(number(&[0x80; 9]), Err(DecodeError::End { offset: 0, expected: "a long" }));
    let mut out = Vec::new();
    put_long(&mut out, i64::from(i32::MAX) + 1);
    let int = DecodeError::Range { offset: 0, expected: "an int" };
    assert_eq!(Cursor::new(&out).int(), Err(int));
}

#[test]
fn every_truncation_is_an_error_at_the_value_that_is_cut() {
    let schema = Schema::parse(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"},
            {"name":"b","type":"string"},{"name":"c","type":"double"},
            {"name":"d","type":{"type":"fixed","name":"F","size":3}},
            {"name":"e","type":{"type":"array","items":"float"}},{"name":"g","type":"boolean"}]}"#,
    )
    .unwrap();
    let mut datum = vec![0x80, 1, 4, b'a', b'b'];
    datum.extend([7; 8 + 3]);
    datum.extend([2, 0, 0, 0, 0, 0, 1]);
    let mut cursor = Cursor::new(&datum);
    cursor.skip(schema.root()).unwrap();
    cursor.finish().unwrap();
    for len in 0..datum.len() {
        let error = Cursor::new(&datum[..len]).skip(schema.root()).unwrap_err();
        assert!(error.offset() <= len, "{error}");
        assert!(matches!(error, DecodeError::End { .. } | DecodeError::Length { .. }), "{error}");
    }
}

#[test]
fn wrong_bytes_are_named_with_their_place() {
    let mut cursor = Cursor::new(&[1, 2, 8, 6]);
    assert_eq!(cursor.boolean(), Ok(true));
    assert_eq!(cursor.boolean(), Err(DecodeError::Boolean { offset: 1, found: 2 }));
    assert_eq!(
        Cursor::new(&[8, 1]).bytes().unwrap_err().to_string(),
        "expected bytes with their length at byte 0, found 4 with 1 bytes left"
    );
    assert!(matches!(Cursor::new(&[1]).str(), Err(DecodeError::Length { found: -1, .. })));
    assert_eq!(
        Cursor::new(&[4]).union_branch(2).unwrap_err().to_string(),
        "expected a union branch below 2 at byte 0, found 2"
    );
    assert!(matches!(Cursor::new(&[1]).enum_index(2), Err(DecodeError::Index { found: -1, .. })));
    assert_eq!(Cursor::new(&[6, b'a', 0xff, b'b']).str(), Err(DecodeError::Utf8 { offset: 2 }));
    let trailing = DecodeError::Trailing { offset: 0, remaining: 1 };
    assert_eq!(Cursor::new(&[0]).finish(), Err(trailing));
}

#[test]
fn values_are_borrowed_ranges_of_the_datum() {
    let schema = Schema::parse(r#"["null", {"type":"array","items":"string"}]"#).unwrap();
    let mut datum = vec![9, 2];
    put_block(&mut datum, 2);
    put_str(&mut datum, "a");
    put_str(&mut datum, "");
    put_block_end(&mut datum);
    let end = datum.len();
    datum.push(9);
    let mut cursor = Cursor::new(&datum);
    cursor.fixed(1).unwrap();
    assert_eq!(cursor.value(schema.root()), Ok(&datum[1..end]));
    assert_eq!(cursor.since(1), &datum[1..end]);
    assert_eq!(cursor.since(end + 1), b"");
    assert_eq!(cursor.remaining(), 1);
}

#[test]
fn blocks_with_a_byte_size_are_read_and_skipped() {
    // Two items in a block of 3 bytes, one in a plain block, the end.
    let datum = [3, 6, 0x80, 1, 6, 2, 8, 0, 99];
    assert_eq!(skip(r#"{"type":"array","items":"long"}"#, &datum), Ok(8));
    let mut cursor = Cursor::new(&datum);
    let mut items = Vec::new();
    while let Some(block) = cursor.block().unwrap() {
        for _ in 0..block.items {
            items.push(cursor.long().unwrap());
        }
    }
    assert_eq!(items, [64, 3, 4]);
    assert_eq!(
        Cursor::new(&datum).block(),
        Ok(Some(Block { items: 2, bytes: Some(3) })),
        "a negative count comes with the size of the block"
    );
    assert!(matches!(
        skip(r#"{"type":"map","values":"long"}"#, &[1, 20, 0]),
        Err(DecodeError::Length { expected: "a block size", found: 10, .. })
    ));
}

#[test]
fn counts_that_the_bytes_cannot_hold_are_refused() {
    let mut datum = Vec::new();
    put_block(&mut datum, 1 << 40);
    datum.extend([0; 100]);
    let error = Cursor::new(&datum).block().unwrap_err();
    assert!(matches!(error, DecodeError::Length { expected: "a block count", .. }), "{error}");
    let mut datum = Vec::new();
    put_long(&mut datum, i64::MIN);
    datum.push(0);
    assert!(Cursor::new(&datum).block().is_err());
}

#[test]
fn items_without_bytes_are_accepted_in_moderation() {
    let schema = r#"{"type":"array","items":{"type":"array","items":"null"}}"#;
    let mut honest = Vec::new();
    put_block(&mut honest, 1);
    put_block(&mut honest, 1_000);
    put_block_end(&mut honest);
    put_block_end(&mut honest);
    assert_eq!(skip(schema, &honest), Ok(honest.len()));

    // Each inner array claims fewer items than bytes remain, all together far more.
    let mut hostile = Vec::new();
    put_block(&mut hostile, 1_000);
    for _ in 0..1_000 {
        put_block(&mut hostile, 500);
        put_block_end(&mut hostile);
    }
    put_block_end(&mut hostile);
    assert!(matches!(skip(schema, &hostile), Err(DecodeError::Length { .. })));
}

#[test]
fn nesting_is_bounded() {
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}"#;
    let mut deep = vec![2; MAX_DEPTH];
    deep.push(0);
    assert!(matches!(skip(schema, &deep), Err(DecodeError::Depth { .. })));
    assert_eq!(skip(schema, &[2, 2, 2, 0]), Ok(4));
}

#[test]
fn dropped_schema_is_an_error() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]}"#;
    let next = Schema::parse(text).unwrap().record().unwrap().fields[0].node.clone();
    let error = Cursor::new(&[2, 0]).skip(&next).unwrap_err();
    assert_eq!(error, DecodeError::SchemaDropped { offset: 1 });
}
