//! Addressing many sockets, from a socket or from anywhere.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ferriwire_proto::codec::to_args;
use ferriwire_proto::engine::queue::Overflow;
use ferriwire_proto::packet::is_reserved;
use ferriwire_proto::value::Args;
use serde::Serialize;

use super::answers::Answers;
use super::delivery;
use super::hub::Hub;
use super::namespaces::Namespaces;
use super::remote::RemoteSocket;
pub use super::rooms::Target;
use super::seat::Children;
use crate::cluster::node::Node;
use crate::cluster::requests::Reply;
use crate::cluster::{Body, Flags, Question, Seen, Selection};
use crate::error::{EmitError, FetchError};
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
    selection: Selection,
    flags: Flags,
    local: bool,
    ack_timeout: Duration,
    timeout: Option<Duration>,
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

    /// The other servers, and which namespaces this is there; `None` without a cluster. Of a dynamic
    /// namespace these are the children that this server has.
    pub(crate) fn others(&self) -> Option<(Arc<Node>, Vec<Arc<str>>)> {
        match self {
            Self::Hub(hub) => Some((Arc::clone(hub.cluster()?), vec![Arc::clone(hub.name())])),
            Self::Named(namespaces, name) => {
                let node = Arc::clone(namespaces.upgrade()?.cluster()?);
                Some((node, vec![Arc::clone(name)]))
            }
            Self::Children(children) => {
                let hubs = children.all();
                let node = Arc::clone(hubs.first()?.cluster()?);
                Some((
                    node,
                    hubs.iter().map(|hub| Arc::clone(hub.name())).collect(),
                ))
            }
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
    pub(crate) fn new(namespace: Addressed, ack_timeout: Duration) -> Self {
        Self {
            namespace,
            selection: Selection::default(),
            flags: Flags::default(),
            local: false,
            ack_timeout,
            timeout: None,
        }
    }

    /// These as well: the name of a room, or a [`SocketId`].
    #[doc(alias = "in")]
    pub fn to(mut self, target: impl Into<Target>) -> Self {
        self.selection.to.push(target.into());
        self
    }

    /// Not these: the name of a room, or a [`SocketId`].
    pub fn except(mut self, target: impl Into<Target>) -> Self {
        self.selection.except.push(target.into());
        self
    }

    /// Whoever cannot take the event at once does not get it.
    pub fn volatile(mut self) -> Self {
        self.flags.volatile = true;
        self
    }

    /// Whether transports that compress may compress the event. Default `true`.
    pub fn compress(mut self, compress: bool) -> Self {
        self.flags.compress = compress;
        self
    }

    /// What becomes of the event where more waits for a client than may; see
    /// [`Config::overflow`](crate::Config::overflow).
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.flags.overflow = Some(overflow);
        self
    }

    /// While the event waits for a slow client, a later one with the same key takes its place; see
    /// [`Modified::latest`](super::Modified::latest).
    pub fn latest(mut self, key: impl Into<Arc<str>>) -> Self {
        self.flags.latest = Some(key.into());
        self
    }

    /// Only sockets of this server, although it is one of several; see
    /// [`Server::cluster`](super::Server::cluster).
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Acknowledgements are waited for so long, and so are other servers by
    /// [`fetch_sockets`](Self::fetch_sockets). Default [`Limits::ack_timeout`](crate::Limits::ack_timeout)
    /// for the former and 5 s for the latter.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends an event to all that are addressed. It is encoded once. When this returns, it stands in
    /// every receiver's queue, in order; nobody receiving it is not an error.
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
            let (selection, flags) = (&self.selection, &self.flags);
            delivery::emit(hub, selection, flags, event.name(), &payload)?;
            Ok(())
        })?;
        let Some((node, names)) = self.others() else {
            return Ok(());
        };
        let args = args_of(event.name(), &payload)?;
        for name in names {
            let body = self.body(event.name(), args.clone(), None);
            node.send(None, &name, body);
        }
        Ok(())
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
        let timeout = self.timeout.unwrap_or(self.ack_timeout);
        let mut answers = Answers::new(timeout);
        let Selection { to, except } = &self.selection;
        self.namespace.each(|hub| {
            let id = hub.next_ack();
            let message = delivery::encode(hub, Some(id), &self.flags, event.name(), &payload)?;
            let message = Arc::new(message);
            answers.collect_from(id, |receiver| {
                hub.broadcast(to, except, &message, self.flags.volatile, receiver);
            });
            if hub.is_observed() {
                hub.show_outgoing(&answers.receivers(), event.name(), &payload);
            }
            Ok(())
        })?;
        let Some((node, names)) = self.others() else {
            return Ok(answers);
        };
        let args = args_of(event.name(), &payload)?;
        for name in names {
            let request = answers.collect_from_others(&node);
            let question = Question { request, timeout };
            let body = self.body(event.name(), args.clone(), Some(question));
            node.send(None, &name, body);
        }
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
        let rooms: Vec<_> = rooms.into_iter().map(|room| room.as_ref().into()).collect();
        self.namespace.each(|hub| {
            delivery::join(hub, &self.selection, &rooms);
            Ok(())
        })?;
        self.tell_others(|selection| Body::Join {
            selection,
            rooms: rooms.clone(),
        });
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
        let rooms: Vec<_> = rooms.into_iter().map(|room| room.as_ref().into()).collect();
        self.namespace.each(|hub| {
            delivery::leave(hub, &self.selection, &rooms);
            Ok(())
        })?;
        self.tell_others(|selection| Body::Leave {
            selection,
            rooms: rooms.clone(),
        });
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
        self.namespace.each(|hub| {
            delivery::disconnect(hub, &self.selection, close);
            Ok(())
        })?;
        self.tell_others(|selection| Body::Disconnect { selection, close });
        Ok(())
    }

    /// All that are addressed, with their rooms and the [public](super::Namespace::public) part of
    /// their data.
    ///
    /// # Errors
    ///
    /// There is no such namespace; or other servers have not answered in time, and then the error has
    /// the sockets of the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{FetchError, NamespaceHandle};
    ///
    /// async fn names(chat: &NamespaceHandle) -> Result<Vec<String>, FetchError> {
    ///     let sockets = chat.to("lobby").fetch_sockets().await?;
    ///     Ok(sockets.iter().filter_map(|socket| socket.data().ok()).collect())
    /// }
    /// ```
    #[doc(alias = "fetchSockets")]
    #[doc(alias = "allSockets")]
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, FetchError> {
        let mut sockets = Vec::new();
        let found = self.namespace.each(|hub| {
            let seen = delivery::fetch(hub, &self.selection).into_iter();
            let here = |seen| self.found(&Addressed::Hub(Arc::clone(hub)), seen, true);
            sockets.extend(seen.map(here));
            Ok(())
        });
        if let Err(EmitError::NoSuchNamespace(name)) = found {
            return Err(FetchError::NoSuchNamespace(name));
        }
        let Some((node, names)) = self.others() else {
            return Ok(sockets);
        };
        // All are asked before the first one is waited for.
        let ask = |name: Arc<str>| {
            let gathering = node.gather(self.timeout.unwrap_or_else(|| node.timeout()));
            let body = Body::Fetch {
                selection: self.selection.clone(),
                request: gathering.id().clone(),
            };
            node.send(None, &name, body);
            (name, gathering)
        };
        let asked: Vec<_> = names.into_iter().map(ask).collect();
        let mut missing = Vec::new();
        for (name, gathering) in asked {
            let there = match &self.namespace {
                Addressed::Children(children) => children.named(&name),
                Addressed::Hub(_) | Addressed::Named(..) => Some(self.namespace.clone()),
            };
            let read = |reply| {
                if let (Reply::Sockets(seen), Some(there)) = (reply, &there) {
                    sockets.extend(seen.into_iter().map(|seen| self.found(there, seen, false)));
                }
            };
            missing.extend(gathering.all(read).await);
        }
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            Ok(sockets)
        } else {
            Err(FetchError::Incomplete { sockets, missing })
        }
    }

    fn found(&self, namespace: &Addressed, seen: Seen, local: bool) -> RemoteSocket {
        let mut address = Self::new(namespace.clone(), self.ack_timeout).to(&seen.id);
        address.local = local;
        RemoteSocket {
            id: seen.id,
            rooms: seen.rooms,
            data: seen.data,
            address,
        }
    }

    /// The other servers, if they are meant.
    fn others(&self) -> Option<(Arc<Node>, Vec<Arc<str>>)> {
        if self.local {
            return None;
        }
        self.namespace.others()
    }

    fn tell_others(&self, body: impl Fn(Selection) -> Body) {
        if let Some((node, names)) = self.others() {
            for name in names {
                node.send(None, &name, body(self.selection.clone()));
            }
        }
    }

    fn body(&self, event: &str, args: Args, question: Option<Question>) -> Body {
        Body::Broadcast {
            selection: self.selection.clone(),
            flags: self.flags.clone(),
            event: event.into(),
            args,
            question,
        }
    }
}

/// What other servers are sent of a payload. There may be no namespace here whose codec refuses it.
fn args_of<P: Serialize>(event: &str, payload: &P) -> Result<Args, EmitError> {
    if is_reserved(event) {
        return Err(EmitError::Reserved(event.to_owned()));
    }
    Ok(to_args(payload)?)
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Broadcast")
            .field("selection", &self.selection)
            .field("flags", &self.flags)
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
