//! Dates. MessagePack carries them as such, JSON as text: a program gets that text from both.

/// The text that JavaScript's `Date.toJSON` gives; nothing for a date that JavaScript cannot have.
pub(super) fn to_json(milliseconds: i64) -> Option<String> {
    if milliseconds.unsigned_abs() > MAX_MILLISECONDS {
        return None;
    }
    let (days, time) = (milliseconds.div_euclid(DAY), milliseconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let year = match year {
        0..=9_999 => format!("{year:04}"),
        year if year < 0 => format!("-{:06}", year.unsigned_abs()),
        year => format!("+{year:06}"),
    };
    let (hours, minutes) = (time / 3_600_000, time / 60_000 % 60);
    let (seconds, milliseconds) = (time / 1_000 % 60, time % 1_000);
    Some(format!(
        "{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}Z"
    ))
}

/// Year, month and day of a day since 1970 in the Gregorian calendar. The year is taken to begin in
/// March, so that the leap day is its last one, and eras of 400 years repeat.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Days in 400 years.
const ERA: i64 = 146_097;

/// A hundred million days, as far as JavaScript's dates reach.
const MAX_MILLISECONDS: u64 = 8_640_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_what_javascript_makes_of_them() {
        // From `new Date(n).toJSON()` in Node.js.
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_577_836_800_123, "2020-01-01T00:00:00.123Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-5, "1969-12-31T23:59:59.995Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (8_640_000_000_000_000, "+275760-09-13T00:00:00.000Z"),
            (-8_640_000_000_000_000, "-271821-04-20T00:00:00.000Z"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(to_json(milliseconds).as_deref(), Some(text));
        }
        assert_eq!(to_json(8_640_000_000_000_001), None);
        assert_eq!(to_json(i64::MIN), None);
    }
}
