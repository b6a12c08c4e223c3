//! Single values into bytes, each in its shortest form.

pub(super) fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

pub(super) fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

pub(super) fn unsigned(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    match value {
        0..=0x7f => out.extend_from_slice(&bytes[7..]),
        0x80..=0xff => prefixed(out, 0xcc, &bytes[7..]),
        0x100..=0xffff => prefixed(out, 0xcd, &bytes[6..]),
        0x1_0000..=0xffff_ffff => prefixed(out, 0xce, &bytes[4..]),
        0x1_0000_0000.. => prefixed(out, 0xcf, &bytes),
    }
}

pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    let bytes = value.to_be_bytes();
    match value {
        0.. => unsigned(out, value.cast_unsigned()),
        -0x20..0 => out.extend_from_slice(&bytes[7..]),
        -0x80..-0x20 => prefixed(out, 0xd0, &bytes[7..]),
        -0x8000..-0x80 => prefixed(out, 0xd1, &bytes[6..]),
        -0x8000_0000..-0x8000 => prefixed(out, 0xd2, &bytes[4..]),
        ..-0x8000_0000 => prefixed(out, 0xd3, &bytes),
    }
}

pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    prefixed(out, 0xcb, &value.to_be_bytes());
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        len @ 0..=0x1f => out.push(0xa0 | low_byte(len)),
        len => sized(out, [Some(0xd9), Some(0xda), Some(0xdb)], len),
    }
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn binary(out: &mut Vec<u8>, data: &[u8]) {
    sized(out, [Some(0xc4), Some(0xc5), Some(0xc6)], data.len());
    out.extend_from_slice(data);
}

pub(super) fn array(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=0x0f => out.push(0x90 | low_byte(len)),
        _ => sized(out, [None, Some(0xdc), Some(0xdd)], len),
    }
}

pub(super) fn map(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=0x0f => out.push(0x80 | low_byte(len)),
        _ => sized(out, [None, Some(0xde), Some(0xdf)], len),
    }
}

/// A length of one, two or four bytes, each behind its prefix. What is longer than four bytes can
/// say does not fit into memory together with its own serialised form.
fn sized(out: &mut Vec<u8>, prefixes: [Option<u8>; 3], len: usize) {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    let bytes = len.to_be_bytes();
    match (len, prefixes) {
        (0..=0xff, [Some(prefix), ..]) => prefixed(out, prefix, &bytes[3..]),
        (0..=0xffff, [_, Some(prefix), _]) => prefixed(out, prefix, &bytes[2..]),
        (_, [.., Some(prefix)]) => prefixed(out, prefix, &bytes),
        (_, [.., None]) => {}
    }
}

fn prefixed(out: &mut Vec<u8>, prefix: u8, bytes: &[u8]) {
    out.push(prefix);
    out.extend_from_slice(bytes);
}

fn low_byte(len: usize) -> u8 {
    len.to_le_bytes()[0]
}
