//! Emitting from anywhere.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::codec::to_args;
use serde::Serialize;

use super::broadcast::{Addressed, Broadcast, Target};
use super::namespace::server_events::is_reserved_between_servers;
use super::remote::RemoteSocket;
use super::server_answers::ServerAnswers;
use super::socket::Socket;
use crate::cluster::node::Node;
use crate::cluster::{Body, RequestId};
use crate::error::{EmitError, FetchError};
use crate::event::Accepts;

/// A namespace as seen from outside its handlers: cheap to clone, usable from any task.
///
/// # Examples
///
/// ```
/// use ferriwire::{EmitError, Namespace, Server};
///
/// # fn run() -> Result<(), EmitError> {
/// let server = Server::new().namespace(Namespace::new("/chat"));
/// let chat = server.handle("/chat");
/// chat.to("lobby").emit("said", "the server is about to start")?;
/// assert!(server.handle("/nowhere").emit("said", "nobody hears this").is_err());
/// # Ok(())
/// # }
/// # run().unwrap();
/// ```
///
/// `D` is the type of its sockets' data, if the handle knows it: those that
/// [`Server::add`](super::Server::add) and [`Socket::handle`](super::Socket::handle) return do, and
/// they can list the sockets themselves.
pub struct NamespaceHandle<D = Untyped> {
    namespace: Addressed,
    ack_timeout: Duration,
    data: PhantomData<fn() -> D>,
}

/// The type of the data that an untyped [`NamespaceHandle`] knows: none.
#[derive(Debug)]
pub enum Untyped {}

impl<D> NamespaceHandle<D> {
    pub(crate) fn new(namespace: Addressed, ack_timeout: Duration) -> Self {
        Self {
            namespace,
            ack_timeout,
            data: PhantomData,
        }
    }

    /// The same without the type of the data, to be kept beside others.
    #[must_use]
    pub fn untyped(&self) -> NamespaceHandle {
        NamespaceHandle::new(self.namespace.clone(), self.ack_timeout)
    }

    /// The namespace's name; `None` for the handle to a dynamic namespace, which stands for all its
    /// children.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.namespace {
            Addressed::Hub(hub) => Some(hub.name()),
            Addressed::Named(_, name) => Some(name),
            Addressed::Children(_) => None,
        }
    }

    /// The children that a dynamic namespace has now, in the order of their names; none for another
    /// namespace.
    #[must_use]
    pub fn children(&self) -> Vec<Self> {
        let Addressed::Children(children) = &self.namespace else {
            return Vec::new();
        };
        let children = children.all().into_iter().map(Addressed::Hub);
        let handle = |child| Self::new(child, self.ack_timeout);
        children.map(handle).collect()
    }

    /// All sockets of the namespace.
    #[doc(alias = "sockets")]
    pub fn all(&self) -> Broadcast {
        Broadcast::new(self.namespace.clone(), self.ack_timeout)
    }

    /// The sockets in a room, or one socket by its id.
    #[doc(alias = "in")]
    pub fn to(&self, target: impl Into<Target>) -> Broadcast {
        self.all().to(target)
    }

    /// All sockets but those in a room, or one socket.
    pub fn except(&self, target: impl Into<Target>) -> Broadcast {
        self.all().except(target)
    }

    /// Sends an event to all sockets of the namespace.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    #[doc(alias = "send")]
    #[doc(alias = "write")]
    pub fn emit<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.all().emit(event, payload)
    }

    /// As [`Broadcast::sockets_join`], for all sockets.
    ///
    /// # Errors
    ///
    /// There is no such namespace.
    #[doc(alias = "socketsJoin")]
    pub fn sockets_join<R: AsRef<str>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), EmitError> {
        self.all().sockets_join(rooms)
    }

    /// As [`Broadcast::sockets_leave`], for all sockets.
    ///
    /// # Errors
    ///
    /// There is no such namespace.
    #[doc(alias = "socketsLeave")]
    pub fn sockets_leave<R: AsRef<str>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), EmitError> {
        self.all().sockets_leave(rooms)
    }

    /// As [`Broadcast::disconnect_sockets`], for all sockets.
    ///
    /// # Errors
    ///
    /// There is no such namespace.
    #[doc(alias = "disconnectSockets")]
    pub fn disconnect_sockets(&self, close: bool) -> Result<(), EmitError> {
        self.all().disconnect_sockets(close)
    }

    /// As [`Broadcast::fetch_sockets`], for all sockets.
    ///
    /// # Errors
    ///
    /// As there.
    #[doc(alias = "fetchSockets")]
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, FetchError> {
        self.all().fetch_sockets().await
    }

    /// Sends an event to all other servers of the cluster, not to clients and not to this server: their
    /// [`on_server_event`](super::Namespace::on_server_event) listeners of this namespace get it.
    ///
    /// # Errors
    ///
    /// The name is reserved (`connect`, `connection`, `new_namespace`); the payload cannot be written;
    /// there is no such namespace.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{EmitError, Event, NamespaceHandle};
    ///
    /// const LOAD: Event<(), u64> = Event::new("load");
    ///
    /// async fn total(chat: &NamespaceHandle) -> Result<u64, EmitError> {
    ///     chat.server_side_emit("counting", ())?;
    ///     let loads = chat.server_side_emit_with_ack(LOAD, ())?.await;
    ///     Ok(loads.values.iter().sum())
    /// }
    /// ```
    #[doc(alias = "serverSideEmit")]
    pub fn server_side_emit<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.tell_servers(event.name(), &payload, |_| None)
    }

    /// The same, and returns one answer of each other server: await it. Without other servers it is
    /// complete at once.
    ///
    /// # Errors
    ///
    /// As [`server_side_emit`](Self::server_side_emit).
    #[doc(alias = "serverSideEmitWithAck")]
    pub fn server_side_emit_with_ack<E, P>(
        &self,
        event: E,
        payload: P,
    ) -> Result<ServerAnswers<E::Answer>, EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        let mut asked = Vec::new();
        self.tell_servers(event.name(), &payload, |node| {
            let gathering = node.gather(node.timeout());
            let request = gathering.id().clone();
            asked.push(gathering);
            Some(request)
        })?;
        Ok(ServerAnswers::new(asked))
    }

    fn tell_servers<P: Serialize>(
        &self,
        event: &str,
        payload: &P,
        mut ask: impl FnMut(&Arc<Node>) -> Option<RequestId>,
    ) -> Result<(), EmitError> {
        if is_reserved_between_servers(event) {
            return Err(EmitError::Reserved(event.to_owned()));
        }
        let args = to_args(payload)?;
        self.namespace.each(|_| Ok(()))?;
        let Some((node, names)) = self.namespace.others() else {
            return Ok(());
        };
        for name in names {
            let body = Body::ServerEvent {
                event: event.into(),
                args: args.clone(),
                request: ask(&node),
            };
            node.send(None, &name, body);
        }
        Ok(())
    }

    /// How many servers there are in the cluster, this one included; 1 without a cluster. A server
    /// that has not joined yet waits for that, for 5 s at most.
    #[doc(alias = "serverCount")]
    pub async fn server_count(&self) -> usize {
        match self.namespace.others() {
            Some((node, _)) => node.count().await,
            None => 1,
        }
    }

    /// How many sockets are in the namespace on this node; none if there is no such namespace.
    #[must_use]
    #[doc(alias = "size")]
    pub fn socket_count(&self) -> usize {
        let mut count = 0;
        // Where there is no namespace there is no socket.
        let _ = self.namespace.each(|hub| {
            count += hub.len();
            Ok(())
        });
        count
    }
}

impl<D: Send + Sync + 'static> NamespaceHandle<D> {
    /// The sockets of this node in a room, or the one with an id.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{ConnectError, Handshake, Namespace, Server};
    ///
    /// let mut server = Server::new();
    /// let chat = server.add(
    ///     Namespace::new("/chat").auth(async |handshake: Handshake<String>| {
    ///         Ok::<_, ConnectError>(handshake.auth)
    ///     }),
    /// );
    /// let sockets = chat.sockets_in("lobby");
    /// let names: Vec<&String> = sockets.iter().map(|socket| socket.data()).collect();
    /// assert!(names.is_empty());
    /// ```
    #[must_use]
    #[doc(alias = "sockets")]
    pub fn sockets_in(&self, target: impl Into<Target>) -> Vec<Socket<D>> {
        let (target, mut selected) = ([target.into()], Vec::new());
        // Where there is no namespace there is no socket.
        let _ = self.namespace.each(|hub| {
            selected.extend(hub.select(&target, &[]));
            Ok(())
        });
        let typed = selected.into_iter().filter_map(|(membership, data)| {
            // All sockets of one namespace have data of one type.
            Some(Socket::new(membership, data.downcast().ok()?))
        });
        typed.collect()
    }
}

impl<D> Clone for NamespaceHandle<D> {
    fn clone(&self) -> Self {
        Self::new(self.namespace.clone(), self.ack_timeout)
    }
}

impl<D> fmt::Debug for NamespaceHandle<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_tuple("NamespaceHandle");
        match self.name() {
            Some(name) => debug.field(&name).finish(),
            None => debug.field(&self.namespace).finish(),
        }
    }
}
