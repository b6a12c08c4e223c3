//! What time it is, as answers tell it (RFC 9110, section 6.6.1).

use std::cell::Cell;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// How long a date is, of any year of four digits.
const LEN: usize = 29;

/// What was written last, and of which second since the epoch.
#[derive(Clone, Copy)]
struct Written {
    second: u64,
    text: [u8; LEN],
}

thread_local! {
    static LAST: Cell<Option<Written>> = const { Cell::new(None) };
}

/// Appends the present date, which each thread makes once a second.
pub(super) fn append(answer: &mut Vec<u8>) {
    append_at(answer, SystemTime::now());
}

fn append_at(answer: &mut Vec<u8>, now: SystemTime) {
    let since = now.duration_since(UNIX_EPOCH);
    let second = since.map_or(0, |since| since.as_secs());
    let last = LAST.get().filter(|last| last.second == second);
    let written = last.unwrap_or_else(|| {
        let written = Written {
            second,
            text: text_of(second),
        };
        LAST.set(Some(written));
        written
    });
    answer.extend_from_slice(&written.text);
}

fn text_of(second: u64) -> [u8; LEN] {
    let mut text = [b' '; LEN];
    // The only dates that it cannot tell come behind the year 9999.
    if second < 253_402_300_800
        && let Some(time) = UNIX_EPOCH.checked_add(Duration::from_secs(second))
    {
        // It has exactly that length.
        let _ = write!(text.as_mut_slice(), "{}", HttpDate::from(time));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_its_second() {
        for (nanoseconds, expected) in [
            (784_111_777_000_000_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777_999_999_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778_000_000_000, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            let mut answer = b"date: ".to_vec();
            append_at(&mut answer, UNIX_EPOCH + Duration::from_nanos(nanoseconds));
            assert_eq!(answer, format!("date: {expected}").as_bytes());
        }
    }
}
