//! Dates as JavaScript and HTTP write them.

use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// An instant in UTC, to the millisecond. Nothing before 1970 exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    days: u64,
    milliseconds: u64,
}

impl Date {
    /// The date of that instant.
    #[must_use]
    pub fn of(instant: SystemTime) -> Self {
        let since = instant.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        Self {
            days: seconds / 86_400,
            milliseconds: seconds % 86_400 * 1_000 + u64::from(since.subsec_millis()),
        }
    }

    /// The date of now.
    #[must_use]
    pub fn now() -> Self {
        Self::of(SystemTime::now())
    }

    /// Milliseconds since 1970, as `Date.now()`.
    #[must_use]
    pub fn unix_milliseconds(self) -> u64 {
        self.days * 86_400_000 + self.milliseconds
    }

    /// As `toISOString()`: `2026-11-22T17:21:32.005Z`.
    #[must_use]
    pub fn iso(self) -> String {
        let (year, month, day) = self.calendar();
        let (time, milliseconds) = (self.time(), self.milliseconds % 1_000);
        format!("{year:04}-{month:02}-{day:02}T{time}.{milliseconds:03}Z")
    }

    /// As `toUTCString()` and RFC 9110, section 5.6.7: `Sun, 22 Nov 2026 17:21:32 GMT`.
    #[must_use]
    pub fn http(self) -> String {
        let (year, month, day) = self.calendar();
        let weekday = name(&DAYS, self.days % 7);
        let (month, time) = (name(&MONTHS, month - 1), self.time());
        format!("{weekday}, {day:02} {month} {year:04} {time} GMT")
    }

    fn time(self) -> String {
        let seconds = self.milliseconds / 1_000;
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
    }

    /// Year, month and day, both from 1. Years are counted from March, so that the leap day is last.
    fn calendar(self) -> (u64, u64, u64) {
        const DAYS_TO_1970: u64 = 719_468;
        const DAYS_OF_400_YEARS: u64 = 146_097;
        let days = self.days + DAYS_TO_1970;
        let day = days % DAYS_OF_400_YEARS;
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, next_year) = match month {
            0..10 => (month + 3, 0),
            _ => (month - 9, 1),
        };
        let year = days / DAYS_OF_400_YEARS * 400 + year + next_year;
        (year, month, day_of_month)
    }
}

fn name<const N: usize>(names: &[&'static str; N], index: u64) -> &'static str {
    usize::try_from(index)
        .ok()
        .and_then(|index| names.get(index))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_written_as_javascript_writes_them() {
        for (milliseconds, iso, http) in [
            (
                0,
                "1970-01-01T00:00:00.000Z",
                "Thu, 01 Jan 1970 00:00:00 GMT",
            ),
            (
                951_782_399_999,
                "2000-02-28T23:59:59.999Z",
                "Mon, 28 Feb 2000 23:59:59 GMT",
            ),
            (
                951_782_400_000,
                "2000-02-29T00:00:00.000Z",
                "Tue, 29 Feb 2000 00:00:00 GMT",
            ),
            (
                1_735_689_599_000,
                "2024-12-31T23:59:59.000Z",
                "Tue, 31 Dec 2024 23:59:59 GMT",
            ),
            (
                4_107_542_400_000,
                "2100-03-01T00:00:00.000Z",
                "Mon, 01 Mar 2100 00:00:00 GMT",
            ),
        ] {
            let date = Date::of(UNIX_EPOCH + Duration::from_millis(milliseconds));
            assert_eq!(date.iso(), iso);
            assert_eq!(date.http(), http);
            assert_eq!(date.unix_milliseconds(), milliseconds);
        }
    }
}
