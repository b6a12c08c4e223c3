//! Why text could not be read.

use std::fmt;

use serde::de::{Expected, Unexpected};

/// Behind a pointer, so that the results of whatever may fail stay small.
#[derive(Debug)]
pub(in crate::codec) struct Error(Box<Cause>);

#[derive(Debug)]
enum Cause {
    /// The text is not JSON, or holds what the type that was asked for cannot take.
    Syntax(&'static str),
    TooDeep,
    /// A type refuses what the text says.
    Type(String),
}

impl Error {
    #[cold]
    pub(in crate::codec::json) fn syntax(what: &'static str) -> Self {
        Self(Box::new(Cause::Syntax(what)))
    }

    #[cold]
    pub(super) fn too_deep() -> Self {
        Self(Box::new(Cause::TooDeep))
    }

    pub(super) fn is_too_deep(&self) -> bool {
        matches!(*self.0, Cause::TooDeep)
    }
}

impl serde::de::Error for Error {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Cause::Type(message.to_string())))
    }

    #[cold]
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        if let Unexpected::Unit = unexpected {
            return Self::custom(format_args!("invalid type: null, expected {expected}"));
        }
        Self::custom(format_args!(
            "invalid type: {unexpected}, expected {expected}"
        ))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Syntax(what) => f.write_str(what),
            Cause::TooDeep => f.write_str("nested too deep"),
            Cause::Type(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}
