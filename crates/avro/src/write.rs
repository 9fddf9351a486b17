//! Writers of single values; each appends to a buffer that the caller owns.

/// Appends a `boolean`: one byte.
#[inline]
pub fn put_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends an `int` (also an enum's symbol index): zig-zag, variable length.
#[inline]
pub fn put_int(out: &mut Vec<u8>, value: i32) {
    put_long(out, i64::from(value));
}

/// Appends a `long`: zig-zag, variable length, 1 to 10 bytes.
#[inline]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a `float`: 4 bytes, little endian.
#[inline]
pub fn put_float(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `double`: 8 bytes, little endian.
#[inline]
pub fn put_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends `bytes`: the length, then the bytes. A `fixed` has no length: extend the buffer instead.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_long(out, value.len() as i64);
    out.extend_from_slice(value);
}

/// Appends a `string`: the length in bytes, then UTF-8.
#[inline]
pub fn put_str(out: &mut Vec<u8>, value: &str) {
    put_bytes(out, value.as_bytes());
}

/// Appends the index of a union's branch; the branch's value follows.
#[inline]
pub fn put_union_branch(out: &mut Vec<u8>, branch: usize) {
    put_long(out, branch as i64);
}

/// Appends the head of a block of `items` array items or map entries; they follow.
///
/// A block of no items is the end of the array or map, so an empty one is [`put_block_end`] alone.
#[inline]
pub fn put_block(out: &mut Vec<u8>, items: usize) {
    put_long(out, items as i64);
}

/// Appends the end of an array or map.
#[inline]
pub fn put_block_end(out: &mut Vec<u8>) {
    out.push(0);
}
