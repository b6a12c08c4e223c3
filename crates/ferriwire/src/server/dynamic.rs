//! Declaring a namespace that stands for many: its children come and go with their clients.

use std::future::Future;
use std::sync::Arc;

use ferriwire_proto::codec::decode_connect_payload;
use serde::de::DeserializeOwned;

use super::names::{Ask, Names, Params, Rule};
use super::namespace::{Fresh, Namespace};
use crate::handshake::{Handshake, Presented};

/// # Dynamic namespaces
///
/// One declaration serves every namespace that its rule describes. Such a child is made when the first
/// client joins it, and is removed when the last one has left, unless
/// [`Config::cleanup_empty_child_namespaces`](crate::Config::cleanup_empty_child_namespaces) says
/// otherwise; there may be
/// [`Limits::max_dynamic_namespaces`](crate::Limits::max_dynamic_namespaces). Static namespaces come
/// first, then the dynamic ones in the order in which they were added. Children do not hear each other.
impl Namespace<(), Fresh> {
    /// A dynamic namespace of all names that fit a pattern: `{parameter}` stands for any text without
    /// a slash, and [`Handshake::params`] tells it. A missing leading slash is added.
    ///
    /// A pattern that cannot be read is an [error](crate::Error) when the server starts.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{ConnectError, Handshake, Namespace, Server};
    ///
    /// struct Order(u64);
    ///
    /// let orders = Namespace::pattern("/orders/{id}")
    ///     .auth(async |handshake: Handshake| {
    ///         let id = handshake.params.get("id").and_then(|id| id.parse().ok());
    ///         id.map(Order).ok_or(ConnectError::new("no such order"))
    ///     })
    ///     .on("status", async |socket, _: ()| format!("order {}", socket.data().0));
    /// let mut server = Server::new();
    /// let all_orders = server.add(orders);
    /// all_orders.emit("closing time", ())?;
    /// # Ok::<(), ferriwire::EmitError>(())
    /// ```
    #[must_use]
    #[doc(alias = "of")]
    pub fn pattern(pattern: impl AsRef<str>) -> Self {
        Self::named(Names::pattern(pattern.as_ref()))
    }

    /// A dynamic namespace of all names that a regular expression matches as a whole (the reference:
    /// anywhere), in the syntax of the `regex` crate. Named groups become
    /// [`Handshake::params`]. Matching takes time linear in the name, whatever the expression.
    ///
    /// One that cannot be read is an [error](crate::Error) when the server starts.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::Namespace;
    ///
    /// let dynamic = Namespace::regex(r"/dynamic-(?<number>\d+)");
    /// ```
    #[must_use]
    #[doc(alias = "of")]
    pub fn regex(expression: impl AsRef<str>) -> Self {
        Self::named(Names::regex(expression.as_ref()))
    }

    /// A dynamic namespace of all names that the program takes. It is asked for every client that
    /// comes with a name that is not static, within the time of
    /// [`Limits::auth_timeout`](crate::Limits::auth_timeout); the reference asks only until the child
    /// exists. An `auth` payload that does not fit `T` is not taken. `false` lets the next dynamic
    /// namespace try.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Handshake, Namespace};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Credentials { token: String }
    ///
    /// let tenants = Namespace::matching(async |handshake: Handshake<Credentials>| {
    ///     handshake.namespace.starts_with("/tenant-") && handshake.auth.token == "secret"
    /// });
    /// ```
    #[must_use]
    #[doc(alias = "of")]
    pub fn matching<T, F, Fut>(decide: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: FnOnce(Handshake<T>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        let ask: Ask = Box::new(move |name, payload, request| {
            let Ok(auth) = decode_connect_payload::<T>(payload) else {
                return Box::pin(std::future::ready(false));
            };
            let presented = Presented {
                namespace: Arc::clone(name),
                params: Params::default(),
                request,
            };
            let decide = decide.clone();
            Box::pin(async move { decide(presented.with(auth)).await })
        });
        Self::named(Names::Many(Rule::Asking(ask)))
    }
}
