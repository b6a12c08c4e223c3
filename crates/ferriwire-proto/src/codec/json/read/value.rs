//! Values without a type, read without asking a visitor for each: what catch-all listeners, and
//! handlers of [`Args`] or [`Value`], get.

use std::any::Any;
use std::borrow::Cow;
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
    match items.values(limit, progress) {
        Ok(values) => *args = Some(Args(values)),
        Err(error) => return Some(Err(error)),
    }
    read.map(Ok)
}

impl Items<'_, '_> {
    fn values(&mut self, limit: usize, progress: &Cell<usize>) -> Result<Vec<Value>, Error> {
        if !self.reader.next(&mut self.state, b']')? {
            return Ok(Vec::new());
        }
        let mut values = Vec::with_capacity(USUAL_ELEMENTS);
        loop {
            progress.set(values.len());
            if values.len() >= limit {
                return Err(Error::syntax("too many elements"));
            }
            values.push(self.reader.value()?);
            if !self.reader.goes_on(b']')? {
                return Ok(values);
            }
        }
    }
}

/// Each kind of value has a function of its own, so that what is read touches no code of what is not.
impl Reader<'_> {
    /// Reads any value. Not deeper than the levels that are left, each of which recurses once.
    fn value(&mut self) -> Result<Value, Error> {
        match self.peek() {
            b'"' => self.owned_string().map(Value::String),
            b'{' => self.object_value(),
            b'-' | b'0'..=b'9' => self.number_value(),
            b'[' => self.array_value(),
            b't' => self.literal("true").map(|()| Value::Bool(true)),
            b'f' => self.literal("false").map(|()| Value::Bool(false)),
            b'n' => self.literal("null").map(|()| Value::Null),
            _ => Err(self.unexpected("expected a value")),
        }
    }

    #[inline(never)]
    fn owned_string(&mut self) -> Result<String, Error> {
        self.string().map(Cow::into_owned)
    }

    #[inline(never)]
    fn number_value(&mut self) -> Result<Value, Error> {
        Ok(match self.number()? {
            Number::Unsigned(value) => value.into(),
            Number::Signed(value) => value.into(),
            Number::Float(value) => value.into(),
            Number::Beyond => Value::Null,
        })
    }

    #[inline(never)]
    fn array_value(&mut self) -> Result<Value, Error> {
        let read = |reader: &mut Self| {
            Items::new(reader, State::First).values(usize::MAX, &Cell::default())
        };
        self.within(read).map(Value::Array)
    }

    #[inline(never)]
    fn object_value(&mut self) -> Result<Value, Error> {
        match self.placeholder()? {
            Some(data) => Ok(Value::Binary(data.clone())),
            None => self.within(Self::entries).map(Value::Object),
        }
    }

    fn entries(&mut self) -> Result<Object, Error> {
        if !self.next(&mut State::First, b'}')? {
            return Ok(Object::new());
        }
        let mut entries = Vec::with_capacity(USUAL_ENTRIES);
        loop {
            if self.peek() != b'"' {
                return Err(self.unexpected("expected a name"));
            }
            let name = self.owned_string()?;
            self.colon()?;
            entries.push((name, self.value()?));
            if !self.goes_on(b'}')? {
                return Ok(Object::from_entries(entries));
            }
        }
    }
}
