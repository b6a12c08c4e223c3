//! Arguments, counted.

use serde::ser::Serialize;

use super::ValueWriter;
use crate::codec::args::{ArgumentWriter, Outermost, SerializeError};
use crate::codec::depth;

/// Appends the arguments of `payload`, and returns how many there are.
pub(in super::super) fn serialize_arguments<P: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    payload: &P,
    max_depth: usize,
) -> Result<usize, SerializeError> {
    let mut arguments = Arguments {
        out,
        count: 0,
        max_depth: depth::capped(max_depth),
    };
    payload.serialize(Outermost(&mut arguments))?;
    Ok(arguments.count)
}

struct Arguments<'a> {
    out: &'a mut Vec<u8>,
    count: usize,
    max_depth: usize,
}

impl ArgumentWriter for Arguments<'_> {
    type Error = SerializeError;
    type Value<'a>
        = ValueWriter<'a>
    where
        Self: 'a;

    fn next(&mut self) -> ValueWriter<'_> {
        self.count = self.count.saturating_add(1);
        ValueWriter {
            out: self.out,
            left: self.max_depth,
        }
    }
}
