use std::io::Write;

use super::*;

fn open(bytes: &[u8], encoding: &'static Encoding, offset: u64) -> Input {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Input::new(file, encoding, offset).unwrap()
}

fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
    text.encode_utf16()
        .flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() })
        .collect()
}

#[test]
fn utf16_is_read_as_utf8_and_every_character_keeps_its_length() {
    let text = "a,é,€,😀\n";
    for (big_endian, encoding) in [(true, encoding_rs::UTF_16BE), (false, encoding_rs::UTF_16LE)] {
        let bytes = utf16(text, big_endian);
        let mut input = open(&bytes, encoding, 0);
        input.more().unwrap();
        assert_eq!(input.window(), text.as_bytes());
        let mut offset = 0;
        for char in text.chars() {
            offset += input.give(char.len_utf8());
            let mut rest = open(&bytes, encoding, offset);
            rest.more().unwrap();
            assert_eq!(rest.window(), input.window());
        }
        assert_eq!(offset, bytes.len() as u64);
    }
}

#[test]
fn units_and_pairs_that_a_chunk_cuts_are_put_together() {
    let text = "😀é".repeat(CHUNK / 3);
    let mut bytes = utf16(&text, false);
    bytes.insert(0, b'x');
    let mut input = open(&bytes, encoding_rs::UTF_16LE, 1);
    while !input.at_end() {
        input.more().unwrap();
    }
    assert!(input.window() == text.as_bytes());
}

#[test]
fn half_characters_are_not_utf8() {
    for units in [&[0xd83d_u16][..], &[0xd83d, 0x41], &[0xde00], &[0xd83d, 0xd83d, 0xde00]] {
        let bytes: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
        let mut input = open(&bytes, encoding_rs::UTF_16LE, 0);
        input.more().unwrap();
        input.finish();
        assert!(std::str::from_utf8(input.window()).is_err(), "{units:x?}");
        assert_eq!(input.give(input.window().len()), bytes.len() as u64, "{units:x?}");
    }
    let mut input = open(b"a\0b", encoding_rs::UTF_16LE, 0);
    input.more().unwrap();
    assert_eq!(input.window(), b"a");
    input.finish();
    assert_eq!(input.window(), [b'a', NEVER_UTF8]);
}

#[test]
fn a_byte_order_mark_decides() {
    for (start, expected) in [
        (&b"\xef\xbb\xbfa"[..], (encoding_rs::UTF_8, 3)),
        (b"\xff\xfea\0", (encoding_rs::UTF_16LE, 2)),
        (b"\xfe\xff\0a", (encoding_rs::UTF_16BE, 2)),
        (b"abc", (encoding_rs::WINDOWS_1252, 0)),
        (b"", (encoding_rs::WINDOWS_1252, 0)),
    ] {
        let input = open(start, encoding_rs::UTF_8, 0);
        assert_eq!(sniff(input.file(), encoding_rs::WINDOWS_1252).unwrap(), expected);
    }
}
