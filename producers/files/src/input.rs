//! A file as a window of bytes: read in chunks, given out from the front.
//!
//! UTF-16 is turned into UTF-8 on the way in, so that lines and delimiters are single bytes; other
//! encodings keep ASCII as ASCII and are decoded value by value. A half surrogate becomes the three
//! bytes that UTF-8 forbids for it: the value is refused later, with its line and column, and every
//! character still has a known length in the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use encoding_rs::Encoding;

/// One read: large enough that system calls do not count, small enough for many files.
const CHUNK: usize = 256 << 10;

/// A byte that is no UTF-8 in any place.
const NEVER_UTF8: u8 = 0xff;

#[derive(Debug)]
pub(crate) struct Input {
    file: File,
    window: Vec<u8>,
    /// Bytes at the front of the window that were given out.
    used: usize,
    utf16: Option<Utf16>,
    at_end: bool,
}

#[derive(Debug)]
struct Utf16 {
    big_endian: bool,
    raw: Vec<u8>,
    odd: Option<u8>,
    high: Option<u16>,
}

/// The encoding that a byte order mark names, else the declared one, and the length of the mark.
pub(crate) fn sniff(
    file: &File,
    declared: &'static Encoding,
) -> io::Result<(&'static Encoding, u64)> {
    let mut start = [0; 3];
    let mut len = 0;
    while len < start.len() {
        match file.read_at(&mut start[len..], len as u64)? {
            0 => break,
            read => len += read,
        }
    }
    Ok(match Encoding::for_bom(&start[..len]) {
        Some((encoding, mark)) => (encoding, mark as u64),
        None => (declared, 0),
    })
}

impl Input {
    /// Reads from byte `offset` of the file on.
    pub(crate) fn new(
        mut file: File,
        encoding: &'static Encoding,
        offset: u64,
    ) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        let utf16 =
            (encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE).then(|| {
                Utf16 {
                    big_endian: encoding == encoding_rs::UTF_16BE,
                    raw: Vec::new(),
                    odd: None,
                    high: None,
                }
            });
        Ok(Self { file, window: Vec::new(), used: 0, utf16, at_end: false })
    }

    /// Goes on at another byte of the file.
    pub(crate) fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.window.clear();
        self.used = 0;
        self.at_end = false;
        if let Some(utf16) = &mut self.utf16 {
            (utf16.odd, utf16.high) = (None, None);
        }
        Ok(())
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// What was read and not yet given out.
    pub(crate) fn window(&self) -> &[u8] {
        &self.window[self.used..]
    }

    /// Whether the window ends at the end of the file.
    pub(crate) fn at_end(&self) -> bool {
        self.at_end
    }

    /// Gives out `len` bytes of the window; returns how many they are in the file.
    pub(crate) fn give(&mut self, len: usize) -> u64 {
        let given = &self.window[self.used..self.used + len];
        let raw = match &self.utf16 {
            None => len,
            // Four bytes of UTF-8 are two units, everything shorter is one.
            Some(_) => given
                .iter()
                .map(|&byte| match byte {
                    0x80..=0xbf => 0,
                    0xf0..=0xf7 => 4,
                    _ => 2,
                })
                .sum(),
        };
        self.used += len;
        raw as u64
    }

    /// Makes the window longer; does nothing at the end of the file.
    pub(crate) fn more(&mut self) -> io::Result<()> {
        if self.used > 0 {
            self.window.drain(..self.used);
            self.used = 0;
        }
        let read = match &mut self.utf16 {
            None => {
                self.window.reserve(CHUNK);
                (&mut self.file).take(CHUNK as u64).read_to_end(&mut self.window)?
            }
            Some(utf16) => {
                utf16.raw.clear();
                let read = (&mut self.file).take(CHUNK as u64).read_to_end(&mut utf16.raw)?;
                utf16.decode(&mut self.window);
                read
            }
        };
        self.at_end = read < CHUNK;
        Ok(())
    }

    /// The file is complete: what is left of a character is shown as wrong bytes.
    pub(crate) fn finish(&mut self) {
        if let Some(utf16) = &mut self.utf16 {
            if let Some(high) = utf16.high.take() {
                put_unit(high, &mut self.window);
            }
            if utf16.odd.take().is_some() {
                self.window.push(NEVER_UTF8);
            }
        }
    }
}

impl Utf16 {
    fn decode(&mut self, out: &mut Vec<u8>) {
        let mut bytes = self.raw.as_slice();
        if let (Some(odd), Some((&first, rest))) = (self.odd, bytes.split_first()) {
            let pair = [odd, first];
            bytes = rest;
            self.odd = None;
            self.high = put(self.high, self.unit(pair), out);
        }
        let (pairs, odd) = bytes.as_chunks::<2>();
        let mut high = self.high;
        for &pair in pairs {
            high = put(high, self.unit(pair), out);
        }
        self.high = high;
        if let [odd] = *odd {
            self.odd = Some(odd);
        }
    }

    fn unit(&self, pair: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    }
}

/// Appends a unit behind an open high surrogate; returns the surrogate that is open now.
fn put(high: Option<u16>, unit: u16, out: &mut Vec<u8>) -> Option<u16> {
    match (high, unit) {
        (Some(high), 0xdc00..=0xdfff) => {
            let point = 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + u32::from(unit) - 0xdc00;
            let mut bytes = [0; 4];
            let char = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(char.encode_utf8(&mut bytes).as_bytes());
            None
        }
        (open, unit) => {
            if let Some(open) = open {
                put_unit(open, out);
            }
            if matches!(unit, 0xd800..=0xdbff) {
                return Some(unit);
            }
            put_unit(unit, out);
            None
        }
    }
}

/// One unit in UTF-8's scheme; for a surrogate that is not valid UTF-8.
fn put_unit(unit: u16, out: &mut Vec<u8>) {
    let tail = |shift: u16| 0x80 | (unit >> shift & 0x3f) as u8;
    match unit {
        0..=0x7f => out.push(unit as u8),
        0x80..=0x7ff => out.extend([0xc0 | (unit >> 6) as u8, tail(0)]),
        _ => out.extend([0xe0 | (unit >> 12) as u8, tail(6), tail(0)]),
    }
}

#[cfg(test)]
mod tests;
