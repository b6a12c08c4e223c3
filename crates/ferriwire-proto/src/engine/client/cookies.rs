//! The cookies that a server sets: load balancers use them to find a session again (case 89).
//!
//! As in the reference there is one jar for each client, which knows no domains and paths: all requests
//! go to one server.

use std::time::{Duration, SystemTime};

/// How many cookies are kept; the oldest give way.
const MAX_COOKIES: usize = 64;

/// How long one may be, name and value together, in bytes.
const MAX_LEN: usize = 4096;

const BLANK: [char; 2] = [' ', '\t'];

/// The cookies of one client.
#[derive(Debug, Default)]
pub struct Cookies {
    /// In the order in which their names were first set.
    all: Vec<Cookie>,
}

struct Cookie {
    name: Box<str>,
    value: Box<str>,
    expires: Option<SystemTime>,
}

impl Cookies {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { all: Vec::new() }
    }

    /// Takes the value of a `Set-Cookie` header. What cannot be sent back is ignored.
    pub fn handle_set_cookie(&mut self, header: &str, now: SystemTime) {
        let Some(cookie) = Cookie::parse(header, now) else {
            return;
        };
        let is_over = cookie.is_over(now);
        let place = self.all.iter().position(|one| one.name == cookie.name);
        match place.and_then(|place| self.all.get_mut(place)) {
            Some(one) => *one = cookie,
            None if is_over => return,
            None => {
                if self.all.len() >= MAX_COOKIES {
                    self.all.remove(0);
                }
                self.all.push(cookie);
            }
        }
        self.all.retain(|cookie| !cookie.is_over(now));
    }

    /// The value of the `Cookie` header for a request; `None` without cookies.
    pub fn header(&mut self, now: SystemTime) -> Option<String> {
        self.all.retain(|cookie| !cookie.is_over(now));
        let pairs = self.all.iter();
        let pairs: Vec<_> = pairs
            .map(|Cookie { name, value, .. }| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

impl Cookie {
    fn parse(header: &str, now: SystemTime) -> Option<Self> {
        let mut parts = header.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        // A line break stays, and makes it unsendable.
        let (name, value) = (name.trim_matches(BLANK), value.trim_matches(BLANK));
        // Quotes around a value are no part of it for the reference.
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        let is_sendable = |text: &str| text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        let len = name.len().saturating_add(value.len());
        if name.is_empty() || name.contains(' ') || len > MAX_LEN {
            return None;
        }
        if !is_sendable(name) || !is_sendable(value) {
            return None;
        }
        let (mut max_age, mut expires) = (None, None);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("Max-Age") {
                max_age = value.parse::<i64>().ok().or(max_age);
            } else if name.eq_ignore_ascii_case("Expires") {
                expires = parse_date(value).or(expires);
            }
        }
        // Max-Age takes precedence (RFC 6265, section 4.1.2.2).
        if let Some(seconds) = max_age {
            let age = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            expires = now.checked_add(age);
        }
        Some(Self {
            name: name.into(),
            value: value.into(),
            expires,
        })
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Without the value, which is often a secret.
impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=..", self.name)
    }
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// A date as cookies have it: day, month, year and time in this order, whatever stands between them.
fn parse_date(text: &str) -> Option<SystemTime> {
    let mut tokens = text
        .split([' ', ',', '-'])
        .filter(|token| !token.is_empty());
    let mut tokens = tokens
        .by_ref()
        .skip_while(|token| token.parse::<u8>().is_err());
    let day: u64 = tokens.next()?.parse().ok()?;
    let month = tokens.next()?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|name| month.starts_with(name))?;
    let year: u64 = tokens.next()?.parse().ok()?;
    let year = match year {
        0..=69 => year.saturating_add(2000),
        70..=99 => year.saturating_add(1900),
        1970..=9999 => year,
        _ => return None,
    };
    let mut time = tokens
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_epoch(year, month).checked_add(day.checked_sub(1)?)?;
    let hours = days.checked_mul(24)?.checked_add(hour)?;
    let seconds = hours
        .checked_mul(60)?
        .checked_add(minute)?
        .checked_mul(60)?;
    let since = Duration::from_secs(seconds.checked_add(second)?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// The days from the first of January 1970 to the first of a month, the first of which is 0.
fn days_since_epoch(year: u64, month: usize) -> u64 {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let years = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 });
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    years.chain(months.into_iter().take(month)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The 21st of October 2015, 07:28:00.
    const NOW: u64 = 1_445_412_480;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn jar(headers: &[&str]) -> Cookies {
        let mut cookies = Cookies::new();
        for header in headers {
            cookies.handle_set_cookie(header, at(NOW));
        }
        cookies
    }

    #[test]
    fn what_was_set_is_sent_back() {
        // Case 89
        for (headers, expected) in [
            (&[][..], None),
            (&["io=abc; Path=/; HttpOnly; SameSite=Lax"], Some("io=abc")),
            (&["a=1", "b=2; Secure"], Some("a=1; b=2")),
            (&["a=1", "b=2", "a=3"], Some("a=3; b=2")),
            (&["a=\"x y\""], Some("a=x y")),
            (&["a=b=c=="], Some("a=b=c==")),
            (&["a="], Some("a=")),
            (&[" a = 1 ;x"], Some("a=1")),
            (
                &["a", "=1", "; a=1", "a b=1", "\u{e9}=1", "a=\r\nX: y"],
                None,
            ),
        ] {
            let header = jar(headers).header(at(NOW));
            assert_eq!(header.as_deref(), expected, "{headers:?}");
        }
    }

    #[test]
    fn cookies_end_when_they_are_to() {
        for (header, seconds) in [
            ("a=1; Max-Age=10", Some(10)),
            (
                "a=1; max-age=10; expires=Thu, 01 Jan 1970 00:00:00 GMT",
                Some(10),
            ),
            ("a=1; Expires=Wed, 21 Oct 2015 07:28:10 GMT", Some(10)),
            ("a=1; EXPIRES=Wednesday, 21-Oct-15 07:29:00 GMT", Some(60)),
            (
                "a=1; expires=Thu, 29 Feb 2024 07:28:00 GMT",
                Some(263_779_200),
            ),
            ("a=1; Max-Age=x", None),
            ("a=1; expires=tomorrow", None),
            ("a=1; expires=Wed, 21 Oct 2015 25:00:00 GMT", None),
        ] {
            let mut cookies = jar(&[header]);
            let last = NOW + seconds.unwrap_or(1_000_000_000);
            assert_eq!(
                cookies.header(at(last - 1)).as_deref(),
                Some("a=1"),
                "{header}"
            );
            assert_eq!(
                cookies.header(at(last)).is_none(),
                seconds.is_some(),
                "{header}"
            );
        }
    }

    #[test]
    fn a_cookie_of_the_past_is_deleted() {
        for header in [
            "a=; Max-Age=0",
            "a=; Max-Age=-1",
            "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
        ] {
            let header = jar(&["a=1", "b=2", header]).header(at(NOW));
            assert_eq!(header.as_deref(), Some("b=2"));
        }
    }

    #[test]
    fn a_server_cannot_fill_the_memory() {
        let many: Vec<String> = (0..1000).map(|number| format!("c{number}=x")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let header = jar(&many).header(at(NOW)).unwrap();
        assert_eq!(header.matches("; ").count(), MAX_COOKIES - 1);
        assert!(header.ends_with("c999=x"), "the oldest gave way");
        let long = format!("a={}", "x".repeat(MAX_LEN));
        assert_eq!(jar(&[&long]).header(at(NOW)), None);
    }

    #[test]
    fn logs_do_not_show_values() {
        assert_eq!(
            format!("{:?}", jar(&["io=secret"])),
            "Cookies { all: [io=..] }"
        );
    }

    proptest! {
        #[test]
        fn no_header_panics_or_breaks_a_line(
            name in ".{0,8}", value in ".*", date in "[0-9A-Za-z ,:-]*", age: i64,
        ) {
            for header in [
                format!("{name}={value}; Expires={date}"),
                format!("{name}={value}; Max-Age={age}"),
                format!("a=1; Expires=1 jan {date}"),
            ] {
                let sent = jar(&[&header]).header(at(NOW)).unwrap_or_default();
                prop_assert!(!sent.contains(|c: char| !c.is_ascii() || c.is_control()), "{sent:?}");
            }
        }
    }
}
