//! Numbers: integers of 64 bits where they fit, `f64` otherwise.

use serde::de::{Error as _, Expected, Unexpected, Visitor};

use super::{Error, Reader};

/// What a number in the text is.
#[derive(Clone, Copy, Debug)]
pub(in crate::codec::json) enum Number {
    Unsigned(u64),
    /// Below zero.
    Signed(i64),
    Float(f64),
    /// Beyond `f64`. No type of ours holds it.
    Beyond,
}

impl Number {
    /// For whoever wants a number.
    #[inline]
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Unsigned(value) => visitor.visit_u64(value),
            Self::Signed(value) => visitor.visit_i64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::Beyond => Err(out_of_range()),
        }
    }

    pub(super) fn invalid_type(self, expected: &dyn Expected) -> Error {
        let unexpected = match self {
            Self::Unsigned(value) => Unexpected::Unsigned(value),
            Self::Signed(value) => Unexpected::Signed(value),
            Self::Float(value) => Unexpected::Float(value),
            Self::Beyond => return out_of_range(),
        };
        Error::invalid_type(unexpected, expected)
    }
}

impl<'de> Reader<'de> {
    /// Reads a number, at whose first byte it stands.
    #[inline]
    pub(in crate::codec::json) fn number(&mut self) -> Result<Number, Error> {
        let start = self.at;
        let is_negative = self.byte(start) == b'-';
        let first_digit = start.wrapping_add(usize::from(is_negative));
        let mut end = first_digit;
        let mut value = 0_u64;
        let behind = loop {
            let byte = self.byte(end);
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break byte;
            }
            // Only used if there are so few digits that it does not wrap around.
            value = value.wrapping_mul(10).wrapping_add(digit.into());
            end = end.wrapping_add(1);
        };
        let digits = end.wrapping_sub(first_digit);
        let has_leading_zero = digits > 1 && self.byte(first_digit) == b'0';
        if digits == 0 || digits > MAX_DIGITS || has_leading_zero {
            return self.long_number();
        }
        match behind {
            b'.' => return self.decimal(is_negative, value, end),
            b'e' | b'E' => return self.long_number(),
            _ => self.at = end,
        }
        if !is_negative {
            return Ok(Number::Unsigned(value));
        }
        Ok(match 0_i64.checked_sub_unsigned(value) {
            Some(value @ ..=-1) => Number::Signed(value),
            Some(_) => Number::Float(-0.0),
            None => Number::Float(-(value as f64)),
        })
    }

    /// Reads a number whose point is at this offset, behind that integer.
    fn decimal(
        &mut self,
        is_negative: bool,
        mut value: u64,
        point: usize,
    ) -> Result<Number, Error> {
        let start = point.wrapping_add(1);
        let mut end = start;
        while self.byte(end).is_ascii_digit() {
            let digit = self.byte(end).wrapping_sub(b'0');
            value = value.saturating_mul(10).saturating_add(digit.into());
            end = end.wrapping_add(1);
        }
        let Some(power) = POWERS_OF_TEN.get(end.wrapping_sub(start)) else {
            return self.long_number();
        };
        if end == start || value > MAX_EXACT || matches!(self.byte(end), b'e' | b'E') {
            return self.long_number();
        }
        self.at = end;
        // Both are exact, so the quotient is rounded once.
        let value = value as f64 / power;
        Ok(Number::Float(if is_negative { -value } else { value }))
    }

    /// Reads what is no short number.
    #[cold]
    fn long_number(&mut self) -> Result<Number, Error> {
        let number = self.number_text()?;
        if let Ok(value) = number.parse() {
            return Ok(Number::Unsigned(value));
        }
        let value: f64 = parse_float(number);
        Ok(if value.is_finite() {
            Number::Float(value)
        } else {
            Number::Beyond
        })
    }

    /// Reads a number for a type of 32 bits, to which it is rounded once.
    pub(super) fn single<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let start = self.at;
        match self.number()? {
            Number::Float(_) | Number::Beyond => {
                let value: f32 = parse_float(self.slice(start, self.at));
                if !value.is_finite() {
                    return Err(out_of_range());
                }
                visitor.visit_f64(value.into())
            }
            number @ (Number::Unsigned(_) | Number::Signed(_)) => number.visit(visitor),
        }
    }

    /// Reads an integer of 128 bits.
    pub(super) fn wide<T: std::str::FromStr>(
        &mut self,
        expected: &dyn Expected,
    ) -> Result<T, Error> {
        let start = self.at;
        let number = self.number()?;
        let text = self.slice(start, self.at);
        text.parse().map_err(|_| {
            if text.contains(['.', 'e', 'E']) {
                number.invalid_type(expected)
            } else {
                out_of_range()
            }
        })
    }

    /// Reads a number for its syntax.
    pub(super) fn number_text(&mut self) -> Result<&'de str, Error> {
        let start = self.at;
        if self.byte(start) == b'-' {
            self.advance();
        }
        match self.byte(self.at) {
            b'0' => self.advance(),
            _ => self.digits()?,
        }
        if self.byte(self.at).is_ascii_digit() {
            return Err(Error::syntax("number with a leading zero"));
        }
        if self.byte(self.at) == b'.' {
            self.advance();
            self.digits()?;
        }
        if let b'e' | b'E' = self.byte(self.at) {
            self.advance();
            if let b'+' | b'-' = self.byte(self.at) {
                self.advance();
            }
            self.digits()?;
        }
        Ok(self.slice(start, self.at))
    }

    /// Reads at least one digit.
    #[inline]
    fn digits(&mut self) -> Result<(), Error> {
        let mut end = self.at;
        while self.byte(end).is_ascii_digit() {
            end = end.wrapping_add(1);
        }
        if end == self.at {
            return Err(self.unexpected("expected a digit"));
        }
        self.at = end;
        Ok(())
    }
}

#[cold]
fn out_of_range() -> Error {
    Error::custom("number out of range")
}

/// `number` is one by the rules of JSON.
fn parse_float<T>(number: &str) -> T
where
    T: std::str::FromStr + From<f32> + serde::de::DeserializeOwned,
{
    let parsed = if number.len() < MAX_PARSED {
        number.parse().ok()
    } else {
        serde_json::from_str(number).ok()
    };
    // Serde_json refuses what is infinite.
    parsed.unwrap_or_else(|| f32::INFINITY.into())
}

/// How many digits an integer may have so that 64 bits hold it in any case.
const MAX_DIGITS: usize = 19;

/// The largest integer up to which `f64` holds all.
const MAX_EXACT: u64 = 1 << 53;

const POWERS_OF_TEN: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// `str::parse` counts exponents only up to some 65,536, and so errs for a number that has as many
/// digits for it to move the point across.
const MAX_PARSED: usize = 60_000;
