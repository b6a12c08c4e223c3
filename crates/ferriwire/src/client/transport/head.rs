//! Where the head of an answer ends, before it is read.

/// How long the head of an answer may be, in bytes, with those of answers that are not final before it.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// What an answer begins with, whose last digit follows.
pub(super) const VERSION: &[u8] = b"HTTP/1.";

/// Whether an answer may begin so.
pub(super) fn is_begin(head: &[u8]) -> bool {
    VERSION.iter().zip(head).all(|(one, other)| one == other)
}

/// Where the empty line ends, which is not within the first `from` bytes.
pub(super) fn find_end(head: &[u8], from: usize) -> Option<usize> {
    let mut rest = head.get(from..)?;
    while let Some(position) = rest.iter().position(|&byte| byte == b'\n') {
        rest = rest.get(position + 1..)?;
        for empty in [&b"\r\n"[..], b"\n"] {
            if rest.starts_with(empty) {
                return Some(head.len() - rest.len() + empty.len());
            }
        }
    }
    None
}
