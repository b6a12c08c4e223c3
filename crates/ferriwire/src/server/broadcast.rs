//! Addressing many sockets, from a socket or from anywhere.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::queue::Overflow;
use ferriwire_proto::value::Value;
use serde::Serialize;

use super::answers::Answers;
use super::hub::{Data, Hub};
use super::membership::Membership;
use super::namespaces::Namespaces;
use super::remote::RemoteSocket;
pub use super::rooms::Target;
use super::seat::Children;
use crate::error::EmitError;
use crate::event::Accepts;
use crate::socket_id::SocketId;

/// Whom a message is for, and how. Every method makes a new value, so that a broadcast can be kept
/// and used many times; nothing is sent before [`emit`](Self::emit).
///
/// Several targets are a union: a socket that is in two of them gets the message once.
///
/// # Examples
///
/// ```
/// use ferriwire::{EmitError, Socket};
///
/// fn announce(socket: &Socket) -> Result<(), EmitError> {
///     socket.to("lobby").to("news").except("muted").emit("said", "hello")
/// }
/// ```
#[derive(Clone)]
#[must_use = "a broadcast does nothing until `emit`"]
#[doc(alias = "BroadcastOperator")]
pub struct Broadcast {
    namespace: Addressed,
    to: Vec<Target>,
    except: Vec<Target>,
    volatile: bool,
    compress: bool,
    timeout: Duration,
    overflow: Option<Overflow>,
    latest: Option<Arc<str>>,
}

/// Which namespace, or namespaces.
#[derive(Clone, Debug)]
pub(crate) enum Addressed {
    Hub(Arc<Hub>),
    /// The one that has this name when it is spoken to.
    Named(Weak<Namespaces>, Arc<str>),
    /// All children of a dynamic namespace.
    Children(Arc<Children>),
}

impl Addressed {
    /// Calls `visit` with each namespace that there is now. A child that may come but is not there
    /// has no sockets, and is no error.
    pub(crate) fn each<F>(&self, mut visit: F) -> Result<(), EmitError>
    where
        F: FnMut(&Arc<Hub>) -> Result<(), EmitError>,
    {
        match self {
            Self::Hub(hub) => match hub.child().filter(|child| child.is_retired()) {
                None => visit(hub),
                Some(child) => named(child.namespaces(), hub.name(), visit),
            },
            Self::Named(namespaces, name) => named(namespaces, name, visit),
            Self::Children(children) => children.all().iter().try_for_each(visit),
        }
    }
}

fn named<F>(namespaces: &Weak<Namespaces>, name: &str, mut visit: F) -> Result<(), EmitError>
where
    F: FnMut(&Arc<Hub>) -> Result<(), EmitError>,
{
    let missing = || EmitError::NoSuchNamespace(name.to_owned());
    let namespaces = namespaces.upgrade().ok_or_else(missing)?;
    match namespaces.hub(name) {
        Some(hub) => visit(&hub),
        None if namespaces.may_come(name) => Ok(()),
        None => Err(missing()),
    }
}

impl Broadcast {
    pub(crate) fn new(namespace: Addressed, timeout: Duration) -> Self {
        Self {
            namespace,
            to: Vec::new(),
            except: Vec::new(),
            volatile: false,
            compress: true,
            timeout,
            overflow: None,
            latest: None,
        }
    }

    /// These as well: the name of a room, or a [`SocketId`].
    #[doc(alias = "in")]
    pub fn to(mut self, target: impl Into<Target>) -> Self {
        self.to.push(target.into());
        self
    }

    /// Not these: the name of a room, or a [`SocketId`].
    pub fn except(mut self, target: impl Into<Target>) -> Self {
        self.except.push(target.into());
        self
    }

    /// Whoever cannot take the event at once does not get it.
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Whether transports that compress may compress the event. Default `true`.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// What becomes of the event where more waits for a client than may; see
    /// [`Config::overflow`](crate::Config::overflow).
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = Some(overflow);
        self
    }

    /// While the event waits for a slow client, a later one with the same key takes its place; see
    /// [`Modified::latest`](super::Modified::latest).
    pub fn latest(mut self, key: impl Into<Arc<str>>) -> Self {
        self.latest = Some(key.into());
        self
    }

    /// Only sockets of this node. There are no others yet: servers do not form clusters so far.
    pub fn local(self) -> Self {
        self
    }

    /// Acknowledgements are waited for so long. Default
    /// [`Limits::ack_timeout`](crate::Limits::ack_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends an event to all that are addressed. It is encoded once. When this returns, it stands
    /// in every receiver's queue, in order; nobody receiving it is not an error.
    ///
    /// # Errors
    ///
    /// The name is reserved, the payload cannot be written, or there is no such namespace.
    #[doc(alias = "send")]
    #[doc(alias = "write")]
    pub fn emit<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.namespace.each(|hub| {
            let message = hub.encode_event(None, event.name(), &payload)?;
            let message = self.modify(hub, message);
            let (to, except) = (&self.to, &self.except);
            if hub.is_observed() {
                let mut receivers = Vec::new();
                hub.send(to, except, message, self.volatile, &mut |receiver| {
                    receivers.push(Arc::clone(receiver));
                });
                hub.show_outgoing(&receivers, event.name(), &payload);
            } else {
                hub.send(to, except, message, self.volatile, &mut |_| {});
            }
            Ok(())
        })
    }

    /// Sends an event to all that are addressed, and returns their answers as they come.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit). Who does not answer in time, or leaves, is told in the answers.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{EmitError, Event, NamespaceHandle};
    ///
    /// const VOTE: Event<String, bool> = Event::new("vote");
    ///
    /// async fn count(lobby: &NamespaceHandle) -> Result<usize, EmitError> {
    ///     let answers = lobby.to("lobby").emit_with_ack(VOTE, "tea?")?.all().await;
    ///     Ok(answers.iter().filter(|answer| matches!(answer.result, Ok(true))).count())
    /// }
    /// ```
    #[doc(alias = "emitWithAck")]
    pub fn emit_with_ack<E, P>(&self, event: E, payload: P) -> Result<Answers<E::Answer>, EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        let mut answers = Answers::new(self.timeout);
        self.namespace.each(|hub| {
            let id = hub.next_ack();
            let message = hub.encode_event(Some(id), event.name(), &payload)?;
            let message = Arc::new(self.modify(hub, message));
            answers.collect_from(id, |receiver| {
                hub.broadcast(&self.to, &self.except, &message, self.volatile, receiver);
            });
            if hub.is_observed() {
                hub.show_outgoing(&answers.receivers(), event.name(), &payload);
            }
            Ok(())
        })?;
        Ok(answers)
    }

    /// Puts all that are addressed into rooms. Who is in too many rooms already, or has just left,
    /// is passed over.
    ///
    /// # Errors
    ///
    /// There is no such namespace.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{EmitError, NamespaceHandle};
    ///
    /// fn merge(chat: &NamespaceHandle) -> Result<(), EmitError> {
    ///     chat.to("red").to("blue").sockets_join(["violet"])?;
    ///     chat.to("violet").sockets_leave(["red", "blue"])
    /// }
    /// ```
    #[doc(alias = "socketsJoin")]
    pub fn sockets_join<R: AsRef<str>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), EmitError> {
        let selected = self.select()?;
        for room in rooms {
            for (socket, _) in &selected {
                if let Err(error) = socket.join(room.as_ref()) {
                    tracing::warn!(socket = %socket.shown_id(), %error, "a socket cannot join a room");
                }
            }
        }
        Ok(())
    }

    /// Takes all that are addressed out of rooms.
    ///
    /// # Errors
    ///
    /// There is no such namespace.
    #[doc(alias = "socketsLeave")]
    pub fn sockets_leave<R: AsRef<str>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), EmitError> {
        let selected = self.select()?;
        for room in rooms {
            for (socket, _) in &selected {
                socket.leave(room.as_ref());
            }
        }
        Ok(())
    }

    /// Takes all that are addressed out of the namespace; with `close` it also closes their
    /// connections, and so takes them out of all their namespaces.
    ///
    /// # Errors
    ///
    /// There is no such namespace.
    #[doc(alias = "disconnectSockets")]
    pub fn disconnect_sockets(&self, close: bool) -> Result<(), EmitError> {
        for (socket, _) in self.select()? {
            socket.disconnect(close);
        }
        Ok(())
    }

    /// All that are addressed, with their rooms and the [public](super::Namespace::public) part of
    /// their data.
    ///
    /// # Errors
    ///
    /// There is no such namespace.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{EmitError, NamespaceHandle};
    ///
    /// async fn names(chat: &NamespaceHandle) -> Result<Vec<String>, EmitError> {
    ///     let sockets = chat.to("lobby").fetch_sockets().await?;
    ///     Ok(sockets.iter().filter_map(|socket| socket.data().ok()).collect())
    /// }
    /// ```
    #[doc(alias = "fetchSockets")]
    #[doc(alias = "allSockets")]
    #[expect(
        clippy::unused_async,
        reason = "other nodes of a cluster have to be asked"
    )]
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, EmitError> {
        let selected = self.select()?.into_iter();
        let sockets = selected.map(|(socket, data)| RemoteSocket {
            id: socket.id().clone(),
            rooms: socket.rooms(),
            data: socket
                .hub()
                .hooks()
                .map_or(Value::Null, |hooks| hooks.public(&data)),
            address: Self::new(self.namespace.clone(), self.timeout).to(socket.id()),
        });
        Ok(sockets.collect())
    }

    fn select(&self) -> Result<Vec<(Arc<Membership>, Data)>, EmitError> {
        let mut selected = Vec::new();
        self.namespace.each(|hub| {
            selected.extend(hub.select(&self.to, &self.except));
            Ok(())
        })?;
        Ok(selected)
    }

    /// Writes the modifiers into the message.
    fn modify(&self, hub: &Hub, message: Encoded) -> Encoded {
        let key = self.latest.as_deref().map(|key| hub.conflation_key(key));
        message
            .with_compress(self.compress)
            .with_overflow(self.overflow)
            .with_conflation_key(key)
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Broadcast")
            .field("to", &self.to)
            .field("except", &self.except)
            .field("volatile", &self.volatile)
            .finish_non_exhaustive()
    }
}

impl From<&str> for Target {
    fn from(room: &str) -> Self {
        Self::Room(room.into())
    }
}

impl From<&String> for Target {
    fn from(room: &String) -> Self {
        Self::Room(room.as_str().into())
    }
}

impl From<String> for Target {
    fn from(room: String) -> Self {
        Self::Room(room.into())
    }
}

impl From<Arc<str>> for Target {
    fn from(room: Arc<str>) -> Self {
        Self::Room(room)
    }
}

impl From<SocketId> for Target {
    fn from(id: SocketId) -> Self {
        Self::Socket(id)
    }
}

impl From<&SocketId> for Target {
    fn from(id: &SocketId) -> Self {
        Self::Socket(id.clone())
    }
}
