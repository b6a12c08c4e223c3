//! Events as typed constants, what may be sent as their payload, and what a handler may return.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use ferriwire_proto::value::{Args, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A named message with the type of its payload, and of the acknowledgement that answers it.
///
/// A tuple payload is an argument list, as is a fixed-size array; anything else is one argument,
/// and `()` is none. [`Bytes`] anywhere in a payload travel as an attachment, while a `Vec<u8>` is
/// an array of numbers.
///
/// # Examples
///
/// ```
/// use ferriwire::Event;
///
/// /// A room and a text; acknowledged with the message's id.
/// const SAY: Event<(String, String), u64> = Event::new("say");
/// assert_eq!(SAY.name(), "say");
/// ```
///
/// A payload of another type does not compile:
///
/// ```compile_fail,E0277
/// # use ferriwire::{EmitError, Event, Socket};
/// const SAID: Event<(String, u64)> = Event::new("said");
///
/// fn say(socket: &Socket) -> Result<(), EmitError> {
///     socket.emit(SAID, ("text", "no number"))
/// }
/// ```
///
/// and neither does a handler that returns another acknowledgement:
///
/// ```compile_fail,E0277
/// # use ferriwire::{Event, Namespace};
/// const COUNT: Event<String, usize> = Event::new("count");
///
/// let namespace = Namespace::new("/").on(COUNT, async |_, text| text);
/// ```
pub struct Event<T = (), A = ()> {
    name: &'static str,
    types: PhantomData<fn(T) -> A>,
}

impl<T, A> Event<T, A> {
    /// An event of that name.
    ///
    /// Six names belong to the library: `connect`, `connect_error`, `disconnect`, `disconnecting`,
    /// `newListener` and `removeListener`. Emitting one is an error, and so is starting a server
    /// that has a handler for one.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            types: PhantomData,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T, A> Clone for Event<T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A> Copy for Event<T, A> {}

impl<T, A> fmt::Debug for Event<T, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Event").field(&self.name).finish()
    }
}

/// What can be emitted: an [`Event`] with a payload of its type, or a plain name with any payload.
#[diagnostic::on_unimplemented(
    message = "`{P}` is not a payload of `{Self}`",
    note = "give the event's payload by reference, primitives by value, and tuples element by element"
)]
pub trait Accepts<P> {
    /// What an acknowledgement of this event is decoded into.
    type Answer: DeserializeOwned + Send + 'static;

    /// The name on the wire.
    fn name(&self) -> &str;
}

impl<T, A, P> Accepts<P> for Event<T, A>
where
    P: Payload<T>,
    A: DeserializeOwned + Send + 'static,
{
    type Answer = A;

    fn name(&self) -> &str {
        self.name
    }
}

impl<P: Serialize> Accepts<P> for &str {
    type Answer = Args;

    fn name(&self) -> &str {
        self
    }
}

/// Something that can be sent where a `T` is expected: `&T`, primitives by value, `&str` for
/// `String`, and tuples element by element.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent where `{T}` is expected",
    note = "give `&{T}`"
)]
pub trait Payload<T>: Serialize {}

impl<T: Serialize> Payload<T> for &T {}
impl Payload<String> for &str {}
impl Payload<Self> for () {}

macro_rules! payload_by_value {
    ($($type:ty)*) => { $(impl Payload<Self> for $type {})* };
}

payload_by_value! {
    bool char String Bytes Value Args
    i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64
}

impl<T, P: Payload<T>> Payload<Option<T>> for Option<P> {}
impl<T: Serialize> Payload<Self> for Vec<T> {}

macro_rules! payload_of_tuples {
    ($(($($expected:ident $given:ident),+))*) => {
        $(impl<$($expected,)+ $($given: Payload<$expected>,)+> Payload<($($expected,)+)>
            for ($($given,)+) {})*
    };
}

payload_of_tuples! {
    (T1 P1)
    (T1 P1, T2 P2)
    (T1 P1, T2 P2, T3 P3)
    (T1 P1, T2 P2, T3 P3, T4 P4)
    (T1 P1, T2 P2, T3 P3, T4 P4, T5 P5)
    (T1 P1, T2 P2, T3 P3, T4 P4, T5 P5, T6 P6)
    (T1 P1, T2 P2, T3 P3, T4 P4, T5 P5, T6 P6, T7 P7)
    (T1 P1, T2 P2, T3 P3, T4 P4, T5 P5, T6 P6, T7 P7, T8 P8)
}

/// What a handler can be declared for: an [`Event`], or a plain name. With a plain name the
/// payload's type is that of the handler's parameter, and what it returns is the acknowledgement.
#[diagnostic::on_unimplemented(
    message = "a handler of `{Self}` cannot take `{T}` and return `{R}`",
    note = "a fallible handler needs a typed event: `Event::<_, u64>::new(\"name\")`"
)]
pub trait Listens<T, R> {
    /// What the acknowledgement carries.
    type Answer: Serialize;

    /// The name on the wire.
    fn name(&self) -> &'static str;

    /// What a handler's return value says.
    fn reply(returned: R) -> Result<Self::Answer, HandlerError>;
}

impl<T, A: Serialize, R: Reply<A>> Listens<T, R> for Event<T, A> {
    type Answer = A;

    fn name(&self) -> &'static str {
        self.name
    }

    fn reply(returned: R) -> Result<A, HandlerError> {
        returned.into_result()
    }
}

impl<T, R: Serialize> Listens<T, R> for &'static str {
    type Answer = R;

    fn name(&self) -> &'static str {
        self
    }

    fn reply(returned: R) -> Result<R, HandlerError> {
        Ok(returned)
    }
}

/// What a handler may return: the acknowledgement, or a `Result` with it.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`: its event is acknowledged with `{A}`",
    note = "return `{A}`, or `Result<{A}, HandlerError>`"
)]
pub trait Reply<A> {
    /// The acknowledgement, or why there is none.
    fn into_result(self) -> Result<A, HandlerError>;
}

impl<A> Reply<A> for A {
    fn into_result(self) -> Result<A, HandlerError> {
        Ok(self)
    }
}

impl<A> Reply<A> for Result<A, HandlerError> {
    fn into_result(self) -> Self {
        self
    }
}

/// A handler has failed.
///
/// What comes in through `?` is logged, and the client is told `internal error` and no more. Only
/// what [`refuse`](Self::refuse) says reaches the client.
///
/// # Examples
///
/// ```
/// use ferriwire::HandlerError;
///
/// fn check(amount: u64) -> Result<u64, HandlerError> {
///     if amount > 1_000 {
///         return Err(HandlerError::refuse("too much").data(1_000));
///     }
///     let doubled: u64 = "2".parse()?;
///     Ok(amount * doubled)
/// }
/// assert!(check(2_000).is_err());
/// ```
pub struct HandlerError(Failure);

#[derive(Debug)]
enum Failure {
    Internal(Box<dyn std::error::Error + Send + Sync>),
    Refused {
        message: String,
        data: Option<Value>,
    },
}

/// An error acknowledgement on the wire: one argument, `{"error":{..}}`.
#[derive(Serialize)]
pub(crate) struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Serialize)]
struct ErrorBody {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl HandlerError {
    /// Answers the client's acknowledgement with an error that it may read.
    #[must_use]
    pub fn refuse(message: impl Into<String>) -> Self {
        Self(Failure::Refused {
            message: message.into(),
            data: None,
        })
    }

    /// Adds something for the client to act upon.
    #[must_use]
    pub fn data(mut self, value: impl Into<Value>) -> Self {
        if let Failure::Refused { data, .. } = &mut self.0 {
            *data = Some(value.into());
        }
        self
    }

    /// What came in through `?`, which the client does not see; nothing for a refusal.
    #[must_use]
    pub fn internal(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        match &self.0 {
            Failure::Internal(error) => Some(&**error),
            Failure::Refused { .. } => None,
        }
    }

    /// What the client is told.
    pub(crate) fn to_answer(&self) -> ErrorAnswer {
        match &self.0 {
            Failure::Internal(_) => ErrorAnswer::new("internal error"),
            Failure::Refused { message, data } => {
                let mut answer = ErrorAnswer::new(message);
                answer.error.data.clone_from(data);
                answer
            }
        }
    }
}

/// The whole text, for logs: the message of a refusal, or of the error that came in through `?`.
impl fmt::Display for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Failure::Internal(error) => error.fmt(formatter),
            Failure::Refused { message, .. } => formatter.write_str(message),
        }
    }
}

impl ErrorAnswer {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            error: ErrorBody {
                message: message.into(),
                data: None,
                path: None,
            },
        }
    }

    /// The payload did not fit the handler's type there.
    pub(crate) fn mismatch(path: String) -> Self {
        let mut answer = Self::new("invalid payload");
        answer.error.path = Some(path);
        answer
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<E> From<E> for HandlerError
where
    E: std::error::Error + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        Self(Failure::Internal(Box::new(error)))
    }
}
