//! One value after the other out of a message, without trust in any length that it declares.

use bytes::Bytes;

use super::list::List;
use crate::codec::Violation;

/// A place in a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'de> {
    message: &'de Bytes,
    at: usize,
}

/// A value, or the beginning of one that holds others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'de> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Always negative.
    Signed(i64),
    Float(f64),
    String(&'de str),
    /// Binary data, an `ArrayBuffer` and the views of one included.
    Binary(&'de [u8]),
    /// How many elements follow.
    Array(usize),
    /// How many entries follow.
    Map(usize),
    /// JavaScript's `undefined`.
    Undefined,
    /// JavaScript's `Date`, in milliseconds since 1970.
    Date(i64),
    /// Any other extension.
    Extension(i8, &'de [u8]),
}

impl<'de> Reader<'de> {
    pub(super) const fn new(message: &'de Bytes, at: usize) -> Self {
        Self { message, at }
    }

    /// The `len` values that follow.
    pub(super) const fn list(&self, len: usize) -> List<'de> {
        List::new(self.message, self.at, len)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.message.len()
    }

    /// A handle of a part of the message, unless that would keep much more memory alive than the
    /// part takes: that one is to be copied.
    pub(super) fn share(&self, part: &'de [u8]) -> Option<Bytes> {
        let is_large = part.len().saturating_mul(MAX_KEPT) >= self.message.len();
        is_large.then(|| self.message.slice_ref(part))
    }

    pub(super) fn next(&mut self) -> Result<Token<'de>, Violation> {
        let [prefix] = self.array()?;
        Ok(match prefix {
            0x00..=0x7f => Token::Unsigned(prefix.into()),
            0x80..=0x8f => self.map_of(u32::from(prefix & 0x0f))?,
            0x90..=0x9f => self.array_of(u32::from(prefix & 0x0f))?,
            0xa0..=0xbf => self.string(u32::from(prefix & 0x1f))?,
            0xc0 => Token::Nil,
            0xc1 => return Err(malformed("unused prefix c1")),
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4..=0xc6 => {
                let len = self.len(prefix - 0xc4)?;
                Token::Binary(self.bytes(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.len(prefix - 0xc7)?;
                let [kind] = self.array()?;
                let data = self.bytes(len)?;
                match kind {
                    0 => Token::Binary(data),
                    kind => Token::Extension(kind.cast_signed(), data),
                }
            }
            0xca => Token::Float(f32::from_be_bytes(self.array()?).into()),
            0xcb => Token::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Token::Unsigned(u8::from_be_bytes(self.array()?).into()),
            0xcd => Token::Unsigned(u16::from_be_bytes(self.array()?).into()),
            0xce => Token::Unsigned(u32::from_be_bytes(self.array()?).into()),
            0xcf => Token::Unsigned(u64::from_be_bytes(self.array()?)),
            0xd0 => signed(i8::from_be_bytes(self.array()?).into()),
            0xd1 => signed(i16::from_be_bytes(self.array()?).into()),
            0xd2 => signed(i32::from_be_bytes(self.array()?).into()),
            0xd3 => signed(i64::from_be_bytes(self.array()?)),
            0xd4..=0xd8 => self.fixed_extension(1 << (prefix - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.len(prefix - 0xd9)?;
                self.string(len)?
            }
            0xdc..=0xdd => {
                let len = self.len(prefix - 0xdc + 1)?;
                self.array_of(len)?
            }
            0xde..=0xdf => {
                let len = self.len(prefix - 0xde + 1)?;
                self.map_of(len)?
            }
            0xe0..=0xff => Token::Signed(prefix.cast_signed().into()),
        })
    }

    /// Goes past one value. Checks everything in it, and that it is not nested deeper than that.
    pub(super) fn skip(&mut self, max_depth: usize) -> Result<(), Violation> {
        // What is left to read of each array or map around the current place.
        let mut levels: Vec<Level> = Vec::new();
        loop {
            let token = self.next()?;
            let entered = match token {
                Token::Array(len) => Some(Level {
                    values: len,
                    is_map: false,
                }),
                Token::Map(len) => Some(Level {
                    values: len,
                    is_map: true,
                }),
                _ => None,
            };
            if let Some(level) = entered {
                if levels.len() >= max_depth {
                    return Err(Violation::TooDeep);
                }
                levels.push(level);
            }
            loop {
                let Some(level) = levels.last_mut() else {
                    return Ok(());
                };
                let Some(values) = level.values.checked_sub(1) else {
                    levels.pop();
                    continue;
                };
                level.values = values;
                if level.is_map {
                    self.key()?;
                }
                break;
            }
        }
    }

    /// The name of an entry: text, or an integer, which JavaScript turns into text.
    pub(super) fn key(&mut self) -> Result<Token<'de>, Violation> {
        match self.next()? {
            key @ (Token::String(_) | Token::Unsigned(_) | Token::Signed(_)) => Ok(key),
            _ => Err(malformed("a name is neither text nor an integer")),
        }
    }

    fn fixed_extension(&mut self, len: u32) -> Result<Token<'de>, Violation> {
        let [kind] = self.array()?;
        let data = self.bytes(len)?;
        Ok(match (kind, data) {
            (0, [_]) => Token::Undefined,
            (0, &[a, b, c, d, e, f, g, h]) => {
                Token::Date(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            (kind, data) => Token::Extension(kind.cast_signed(), data),
        })
    }

    /// A length of `2.pow(power)` bytes.
    fn len(&mut self, power: u8) -> Result<u32, Violation> {
        Ok(match power {
            0 => u8::from_be_bytes(self.array()?).into(),
            1 => u16::from_be_bytes(self.array()?).into(),
            _ => u32::from_be_bytes(self.array()?),
        })
    }

    fn array_of(&self, len: u32) -> Result<Token<'de>, Violation> {
        self.fits(len, 1).map(Token::Array)
    }

    fn map_of(&self, len: u32) -> Result<Token<'de>, Violation> {
        self.fits(len, 2).map(Token::Map)
    }

    /// Whether so many values can follow at all, each of at least `size` bytes.
    fn fits(&self, len: u32, size: usize) -> Result<usize, Violation> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let left = self.message.len().saturating_sub(self.at);
        if len.saturating_mul(size) > left {
            return Err(malformed("a length exceeds the message"));
        }
        Ok(len)
    }

    fn string(&mut self, len: u32) -> Result<Token<'de>, Violation> {
        let text = str::from_utf8(self.bytes(len)?);
        text.map(Token::String)
            .map_err(|_| malformed("text is not UTF-8"))
    }

    fn bytes(&mut self, len: u32) -> Result<&'de [u8], Violation> {
        let rest = self.message.get(self.at..).unwrap_or_default();
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (part, _) = rest
            .split_at_checked(len)
            .ok_or_else(|| malformed("a length exceeds the message"))?;
        self.at = self.at.saturating_add(len);
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let rest = self.message.get(self.at..).unwrap_or_default();
        let part = rest
            .first_chunk::<N>()
            .ok_or_else(|| malformed("the message ends too early"))?;
        self.at = self.at.saturating_add(N);
        Ok(*part)
    }
}

/// An array or a map around what is being skipped.
struct Level {
    values: usize,
    is_map: bool,
}

fn signed(value: i64) -> Token<'static> {
    u64::try_from(value).map_or(Token::Signed(value), Token::Unsigned)
}

pub(super) fn malformed(what: &str) -> Violation {
    Violation::MessagePack(what.to_owned())
}

/// By what factor memory that is kept may exceed what was asked for.
const MAX_KEPT: usize = 4;
