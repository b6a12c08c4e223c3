//! Values without a type, read without asking a visitor for each: what catch-all listeners, and
//! handlers of [`Args`] or [`Value`], get.

use std::any::Any;
use std::cell::Cell;

use super::access::State;
use super::number::Number;
use super::{Error, Items, Reader};
use crate::value::{Args, Object, Value};

/// How many entries an object has room for at first.
const USUAL_ENTRIES: usize = 4;

/// The same of a list, as a vector has it.
const USUAL_ELEMENTS: usize = 4;

/// The arguments in `items`, at most `limit`, if `T` is [`Args`]; `progress` is the one that is at fault
/// when there is an error.
///
/// `T` tells what it is only to whoever looks at its type, and that it is the same type twice only to
/// [`Any`].
#[inline]
pub(in crate::codec) fn untyped<T: 'static>(
    items: &mut Items<'_, '_>,
    limit: usize,
    progress: &Cell<usize>,
) -> Option<Result<T, Error>> {
    let mut read: Option<T> = None;
    let args = (&mut read as &mut dyn Any).downcast_mut::<Option<Args>>()?;
    let mut values = Vec::new();
    if let Err(error) = items.values(&mut values, limit) {
        progress.set(values.len());
        return Some(Err(error));
    }
    *args = Some(Args(values));
    read.map(Ok)
}

impl Items<'_, '_> {
    fn values(&mut self, values: &mut Vec<Value>, limit: usize) -> Result<(), Error> {
        while self.reader.next(&mut self.state, b']')? {
            if values.len() >= limit {
                return Err(Error::syntax("too many elements"));
            }
            let value = self.reader.value()?;
            if values.capacity() == 0 {
                *values = Vec::with_capacity(USUAL_ELEMENTS);
            }
            values.push(value);
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// Reads any value. Not deeper than the levels that are left, each of which recurses once.
    fn value(&mut self) -> Result<Value, Error> {
        Ok(match self.peek() {
            b'"' => Value::String(self.string()?.into_owned()),
            b'{' => match self.placeholder()? {
                Some(data) => Value::Binary(data.clone()),
                None => Value::Object(self.within(Self::entries)?),
            },
            b'[' => Value::Array(self.within(Self::elements)?),
            b'-' | b'0'..=b'9' => match self.number()? {
                Number::Unsigned(value) => value.into(),
                Number::Signed(value) => value.into(),
                Number::Float(value) => value.into(),
                Number::Beyond => Value::Null,
            },
            b't' => {
                self.literal("true")?;
                Value::Bool(true)
            }
            b'f' => {
                self.literal("false")?;
                Value::Bool(false)
            }
            b'n' => {
                self.literal("null")?;
                Value::Null
            }
            _ => return Err(self.unexpected("expected a value")),
        })
    }

    fn elements(&mut self) -> Result<Vec<Value>, Error> {
        let mut values = Vec::new();
        Items::new(self, State::First).values(&mut values, usize::MAX)?;
        Ok(values)
    }

    fn entries(&mut self) -> Result<Object, Error> {
        let mut state = State::First;
        let mut entries = Vec::new();
        while self.next(&mut state, b'}')? {
            if self.peek() != b'"' {
                return Err(self.unexpected("expected a name"));
            }
            let name = self.string()?.into_owned();
            self.colon()?;
            let value = self.value()?;
            if entries.capacity() == 0 {
                entries = Vec::with_capacity(USUAL_ENTRIES);
            }
            entries.push((name, value));
        }
        Ok(Object::from_entries(entries))
    }
}
