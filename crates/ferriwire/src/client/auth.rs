//! What identifies a client in a namespace: a value, or what a function makes for each attempt.

use std::future::Future;
use std::sync::Arc;

use ferriwire_proto::codec::to_value;
use ferriwire_proto::value::{Object, Value};
use serde::Serialize;

use super::error::ConnectFailure;
use crate::engine::running::BoxFuture;
use crate::event::HandlerError;

/// One attempt to join a namespace, for which `auth` is made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// How many there were before, counted from the first one on.
    pub number: u32,
    /// The namespace.
    pub namespace: Arc<str>,
}

/// The object that a CONNECT packet carries.
pub(crate) type Claims = Result<Object, ConnectFailure>;

#[derive(Clone)]
pub(crate) enum Auth {
    Value(Claims),
    Made(Arc<Make>),
}

/// Makes it for one attempt.
pub(crate) type Make = dyn Fn(Attempt) -> BoxFuture<Claims> + Send + Sync;

impl Default for Auth {
    fn default() -> Self {
        Self::Value(Ok(Object::default()))
    }
}

impl Auth {
    pub(crate) fn of_value<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::Value(object(value))
    }

    pub(crate) fn made_by<F, Fut, V>(make: F) -> Self
    where
        F: Fn(Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, HandlerError>> + Send + 'static,
        V: Serialize,
    {
        let make = Arc::new(make);
        Self::Made(Arc::new(move |attempt| {
            let make = Arc::clone(&make);
            // Called inside the future, where a panic is caught.
            Box::pin(async move {
                let value = make(attempt).await;
                let value = value.map_err(|error| ConnectFailure::Auth(error.to_string()))?;
                object(&value)
            })
        }))
    }
}

fn object<T: Serialize + ?Sized>(value: &T) -> Claims {
    match to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Object::default()),
        Ok(
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Binary(_),
        ) => Err(ConnectFailure::Auth("it is no object".to_owned())),
        Err(error) => Err(ConnectFailure::Auth(error.to_string())),
    }
}
