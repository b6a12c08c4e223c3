//! Text in quotes, escaped as JSON wants it.

/// Appends `text` as a JSON string.
pub(in crate::codec) fn write_string(out: &mut Vec<u8>, text: &str) {
    // Without room it is not worth the registers that a call from here would cost.
    let has_room = out.capacity().wrapping_sub(out.len()) >= size_of::<u128>();
    match quote_short(text.as_bytes()) {
        Some(quoted) if has_room => {
            let end = out.len().wrapping_add(text.len()).wrapping_add(2);
            out.extend_from_slice(&quoted.to_le_bytes());
            out.truncate(end);
        }
        _ => write_long(out, text),
    }
}

/// Most names and many values are so short that they fit into one number together with their
/// quotes. Nothing if it does not fit, or if something is to be escaped.
#[inline]
fn quote_short(bytes: &[u8]) -> Option<u128> {
    const QUOTE: u64 = b'"' as u64;
    let len = bytes.len();
    if len > 14 {
        return None;
    }
    // Two words that overlap hold all of it. The last quote lies behind the second one.
    let (specials, rest) = if let Some((first, last)) = first_and_last(bytes) {
        let (first, last) = (u64::from_le_bytes(first), u64::from_le_bytes(last));
        let end = u128::from(last) | u128::from(QUOTE) << 64;
        let rest = u128::from(first) | end << (8 * (len - 8));
        (specials(first) | specials(last), rest)
    } else if let Some((first, last)) = first_and_last(bytes) {
        let [first, last] = [first, last].map(|word| u64::from(u32::from_le_bytes(word)));
        let rest = first | (last | QUOTE << 32) << (8 * (len - 4));
        (specials(first | last << 32), rest.into())
    } else if let Some((first, last)) = first_and_last(bytes) {
        let [first, last] = [first, last].map(|word| u64::from(u16::from_le_bytes(word)));
        let rest = first | (last | QUOTE << 16) << (8 * (len - 2));
        let both = first | last << 16;
        (specials(both | both << 32), rest.into())
    } else if let Some(only) = bytes.first() {
        let rest = u64::from(*only) | QUOTE << 8;
        (u64::from(is_special(*only)), rest.into())
    } else {
        (0, QUOTE.into())
    };
    (specials == 0).then_some(rest << 8 | u128::from(QUOTE))
}

#[inline]
fn first_and_last<const N: usize>(bytes: &[u8]) -> Option<([u8; N], [u8; N])> {
    Some((*bytes.first_chunk()?, *bytes.last_chunk()?))
}

#[inline(never)]
fn write_long(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len().saturating_add(2));
    out.push(b'"');
    write_contents(out, text);
    out.push(b'"');
}

/// Appends what stands between the quotes.
#[inline]
pub(super) fn write_contents(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        write_escaped(out, bytes);
    }
}

/// Whether nothing is to be escaped, which holds for nearly all strings. The last word overlaps the
/// one before it.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return !bytes.iter().any(|byte| is_special(*byte));
    };
    let (words, _) = bytes.as_chunks();
    // No branch, so that several words are looked at together.
    let words = words.iter().chain([last]);
    words.fold(0, |all, word| all | specials(u64::from_le_bytes(*word))) == 0
}

/// Marks, among eight bytes, those that are to be escaped, and perhaps some behind the first of them.
///
/// A subtraction borrows the high bit of a byte that is smaller. With one bit flipped, control
/// characters stay below 0x21, and of all others only the quote comes there.
#[inline]
fn specials(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let control_or_quote = (word ^ (0x02 * EACH)).wrapping_sub(0x21 * EACH);
    let backslash = (word ^ (0x5c * EACH)).wrapping_sub(EACH);
    (control_or_quote | backslash) & !word & (0x80 * EACH)
}

#[inline]
fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\')
}

#[inline(never)]
fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((plain, behind)) = rest.split_at_checked(plain_len(rest)) {
        out.extend_from_slice(plain);
        let Some((special, behind)) = behind.split_first() else {
            break;
        };
        write_escape(out, *special);
        rest = behind;
    }
}

/// How many bytes stand before the first one that is to be escaped.
fn plain_len(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    let mut len = 0_usize;
    for word in words {
        let specials = specials(u64::from_le_bytes(*word));
        if specials != 0 {
            let before = specials.trailing_zeros() / 8;
            return len.saturating_add(before as usize);
        }
        len = len.saturating_add(word.len());
    }
    let special = rest.iter().position(|byte| is_special(*byte));
    len.saturating_add(special.unwrap_or(rest.len()))
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let digit = |value: u8| match value {
                0..=9 => b'0' | value,
                _ => value.saturating_add(b'a' - 10),
            };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}
