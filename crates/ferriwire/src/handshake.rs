//! What a client presents when it joins a namespace, and how it is refused.

use std::ops::Deref;
use std::sync::Arc;

use ferriwire_proto::value::Value;
use serde::Serialize;

use crate::engine::{LimitKind, Request};
use crate::error::{EmitError, JoinError};
use crate::server::Params;

/// What a client presents when it joins a namespace: its `auth` payload, decoded, and the request
/// that opened its session.
///
/// # Examples
///
/// ```
/// use ferriwire::{ConnectError, Handshake, Namespace};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Credentials { token: String }
///
/// struct User { name: String }
///
/// let admin = Namespace::new("/admin").auth(async |handshake: Handshake<Credentials>| {
///     match handshake.auth.token.as_str() {
///         "secret" => Ok(User { name: "root".to_owned() }),
///         _ => Err(ConnectError::new("unknown token")),
///     }
/// });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Handshake<T = Value> {
    /// The client's `auth` payload; `{}` when it sent none.
    pub auth: T,
    /// The name of the namespace.
    pub namespace: Arc<str>,
    /// What its name says, for a [dynamic namespace](crate::Namespace::pattern).
    pub params: Params,
    /// The request that opened the session; the handshake dereferences to it.
    pub request: Arc<Request>,
}

/// All of it but the `auth` payload.
pub(crate) struct Presented {
    pub(crate) namespace: Arc<str>,
    pub(crate) params: Params,
    pub(crate) request: Arc<Request>,
}

impl Presented {
    pub(crate) fn with<T>(self, auth: T) -> Handshake<T> {
        Handshake {
            auth,
            namespace: self.namespace,
            params: self.params,
            request: self.request,
        }
    }
}

impl<T> Deref for Handshake<T> {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

/// A client is refused: it sees this as the `connect_error` event.
///
/// # Examples
///
/// ```
/// use ferriwire::ConnectError;
///
/// let refusal = ConnectError::new("not authorized").data(401);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[doc(alias = "connect_error")]
#[doc(alias = "ExtendedError")]
pub struct ConnectError {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    /// The limit that refused the client, unless the program did.
    #[serde(skip)]
    limit: Option<LimitKind>,
}

impl ConnectError {
    /// With a message that the client sees as `err.message`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
            limit: None,
        }
    }

    /// Adds what the client sees as `err.data`.
    #[must_use]
    pub fn data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(data.into());
        self
    }

    pub(crate) fn because_of(mut self, limit: LimitKind) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The limit that refused the client.
    pub(crate) fn limit(&self) -> Option<LimitKind> {
        self.limit
    }

    /// The data, unless it counts as nothing in JavaScript.
    pub(crate) fn truthy_data(&self) -> Option<&Value> {
        let data = self.data.as_ref()?;
        let is_nothing = *data == Value::Null
            || data.as_bool() == Some(false)
            || data.as_str() == Some("")
            || data.as_f64() == Some(0.0);
        (!is_nothing).then_some(data)
    }

    /// What it carries beside the message.
    #[must_use]
    pub fn details(&self) -> Option<&Value> {
        self.data.as_ref()
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ConnectError {}

/// Refused because a room could not be joined; the client is told why.
impl From<JoinError> for ConnectError {
    fn from(error: JoinError) -> Self {
        Self::new(error.to_string())
    }
}

/// Refused because a message could not be sent; the client is told no more than that.
impl From<EmitError> for ConnectError {
    fn from(error: EmitError) -> Self {
        tracing::error!(%error, "middleware could not emit");
        Self::new("internal error")
    }
}
