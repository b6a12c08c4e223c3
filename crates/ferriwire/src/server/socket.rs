//! One client in one namespace, with the data that `auth` gave it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::queue::Overflow;
use serde::Serialize;

use super::answers::Acknowledgement;
use super::broadcast::{Addressed, Broadcast, Target};
use super::handle::NamespaceHandle;
use super::membership::Membership;
use super::recovery::Tracking;
use crate::engine::{Request, Session, Transport};
use crate::error::{AckError, EmitError, JoinError};
use crate::event::Accepts;
use crate::handshake::{Handshake, Presented};
use crate::socket_id::SocketId;

/// One client in one namespace. Cheap to clone, usable from any task, also after the client has
/// gone: what is emitted then answers [`EmitError::Disconnected`].
///
/// `D` is what the namespace's `auth` returned.
pub struct Socket<D = ()> {
    membership: Arc<Membership>,
    data: Arc<D>,
}

impl<D> Socket<D> {
    pub(crate) fn new(membership: Arc<Membership>, data: Arc<D>) -> Self {
        Self { membership, data }
    }

    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// Its public id: a new one for every connection to every namespace, but kept when it
    /// [recovers](Self::recovered).
    #[must_use]
    pub fn id(&self) -> &SocketId {
        self.membership.id()
    }

    pub(crate) fn shared_data(&self) -> Arc<D> {
        Arc::clone(&self.data)
    }

    /// What `auth` made of its handshake.
    #[must_use]
    pub fn data(&self) -> &D {
        &self.data
    }

    /// The namespace's name.
    #[must_use]
    #[doc(alias = "nsp")]
    pub fn namespace(&self) -> &str {
        self.membership.hub().name()
    }

    /// What it presented when it joined, but for the `auth` payload, which is not kept: what is needed
    /// of it later, `auth` puts into [`data`](Self::data).
    #[must_use]
    pub fn handshake(&self) -> Handshake<()> {
        let hub = self.membership.hub();
        let presented = Presented {
            namespace: Arc::clone(hub.name()),
            params: hub
                .child()
                .map(|child| child.params().clone())
                .unwrap_or_default(),
            request: Arc::clone(self.request()),
        };
        presented.with(())
    }

    /// The request that opened its session: headers, query, address.
    #[must_use]
    pub fn request(&self) -> &Arc<Request> {
        self.membership.session().request()
    }

    /// The Engine.IO session that carries it, and its client's other sockets: the transport in use,
    /// what waits to be written.
    #[must_use]
    #[doc(alias = "conn")]
    pub fn session(&self) -> &Session {
        self.membership.session()
    }

    /// The transport in use now: an upgrade changes it.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.session().transport()
    }

    /// Where its client's TCP connection comes from, when that is known.
    #[must_use]
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.request().address()
    }

    /// Whether its client has come back with the id and the rooms that it had, and got all that it
    /// has missed. See [`Config::recovery`](crate::Config::recovery).
    #[must_use]
    pub fn recovered(&self) -> bool {
        let tracking = self.membership.tracking();
        tracking.is_some_and(Tracking::is_recovered)
    }

    /// Whether it is in its namespace now.
    #[must_use]
    #[doc(alias = "connected")]
    #[doc(alias = "disconnected")]
    pub fn is_connected(&self) -> bool {
        self.membership.is_connected()
    }

    /// How many bytes wait to be written to its client, those of its other namespaces included.
    #[must_use]
    #[doc(alias = "writeBuffer")]
    pub fn buffered_bytes(&self) -> usize {
        self.membership.session().buffered_bytes()
    }

    /// Sends an event to this client. When this returns, the event stands in the client's queue, in
    /// order; it is written at the end of the current turn.
    ///
    /// # Errors
    ///
    /// The client has gone, or reads too slowly; the name is reserved; the payload cannot be
    /// written.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{EmitError, Event, Socket};
    ///
    /// const SAID: Event<(String, String)> = Event::new("said");
    ///
    /// fn greet(socket: &Socket) -> Result<(), EmitError> {
    ///     socket.emit(SAID, ("server", "hello"))?;
    ///     socket.emit("any-name", 42)
    /// }
    /// ```
    #[doc(alias = "send")]
    #[doc(alias = "write")]
    pub fn emit<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.modified().emit(event, payload)
    }

    /// Sends an event and returns what its client answers: await it. It waits for
    /// [`Limits::ack_timeout`](crate::Limits::ack_timeout).
    ///
    /// # Errors
    ///
    /// The returned future tells every failure, also one to send.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{AckError, Event, Socket};
    ///
    /// const ASK: Event<String, bool> = Event::new("ask");
    ///
    /// async fn confirm(socket: &Socket) -> Result<bool, AckError> {
    ///     socket.emit_with_ack(ASK, "really?").await
    /// }
    /// ```
    #[doc(alias = "emitWithAck")]
    pub fn emit_with_ack<E, P>(&self, event: E, payload: P) -> Acknowledgement<E::Answer>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.modified().emit_with_ack(event, payload)
    }

    /// The next event is dropped when the client cannot take it at once.
    pub fn volatile(&self) -> Modified<'_> {
        self.modified().volatile()
    }

    /// Whether a transport that compresses may compress the next event. Default `true`.
    pub fn compress(&self, compress: bool) -> Modified<'_> {
        self.modified().compress(compress)
    }

    /// The next acknowledgement is waited for so long.
    pub fn timeout(&self, timeout: Duration) -> Modified<'_> {
        self.modified().timeout(timeout)
    }

    /// What becomes of the next event when more waits for the client than may; see
    /// [`Config::overflow`](crate::Config::overflow).
    pub fn overflow(&self, overflow: Overflow) -> Modified<'_> {
        self.modified().overflow(overflow)
    }

    /// While the next event waits, a later one with the same key takes its place: see
    /// [`Modified::latest`].
    pub fn latest<'a>(&'a self, key: &'a str) -> Modified<'a> {
        self.modified().latest(key)
    }

    /// What becomes of its events that have no policy of their own, from now on. It holds for the
    /// client's connection: its other namespaces share the queue.
    pub fn set_overflow(&self, overflow: Overflow) {
        self.membership.session().set_overflow(overflow);
    }

    /// Sends an event as soon as at most half of [`Limits::max_buffered`](crate::Limits::max_buffered)
    /// waits for the client: a producer that awaits this keeps to its client's speed, and never makes
    /// it a slow consumer. Cancel-safe: the event is sent, or it is not.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit); also when the client leaves before.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{EmitError, Socket};
    ///
    /// async fn export(socket: &Socket, rows: Vec<String>) -> Result<(), EmitError> {
    ///     for row in &rows {
    ///         socket.emit_when_ready("row", row).await?;
    ///     }
    ///     socket.emit("done", ())?;
    ///     socket.drained().await
    /// }
    /// ```
    pub async fn emit_when_ready<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.membership.session().ready().await?;
        self.emit(event, payload)
    }

    /// Waits until everything that was sent to its client has been handed to the operating system.
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`EmitError::Disconnected`] when the client has gone before.
    #[doc(alias = "drain")]
    pub async fn drained(&self) -> Result<(), EmitError> {
        self.membership.session().drained().await
    }

    fn modified(&self) -> Modified<'_> {
        Modified {
            membership: &self.membership,
            volatile: false,
            compress: true,
            timeout: None,
            overflow: None,
            latest: None,
        }
    }

    /// Everybody in a room but this socket; chain `.to(..)` for more rooms.
    #[doc(alias = "in")]
    pub fn to(&self, target: impl Into<Target>) -> Broadcast {
        self.broadcast().to(target)
    }

    /// Everybody in the namespace but this socket and those in a room.
    pub fn except(&self, target: impl Into<Target>) -> Broadcast {
        self.broadcast().except(target)
    }

    /// Everybody in the namespace but this socket.
    pub fn broadcast(&self) -> Broadcast {
        self.handle().all().except(self.id())
    }

    /// Joins a room. Joining one twice is the same as once.
    ///
    /// # Errors
    ///
    /// The socket has left, the name is too long, or it is in too many rooms.
    pub fn join(&self, room: impl AsRef<str>) -> Result<(), JoinError> {
        self.membership.join(room.as_ref())
    }

    /// Joins several rooms, in their order, up to the first that cannot be joined.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join). The rooms in front of that one have been joined.
    #[doc(alias = "join")]
    pub fn join_all<R: AsRef<str>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), JoinError> {
        let mut rooms = rooms.into_iter();
        rooms.try_for_each(|room| self.join(room))
    }

    /// Leaves all its rooms. It can still be addressed by its id (reference: not even that).
    #[doc(alias = "leaveAll")]
    pub fn leave_all(&self) {
        for room in self.rooms() {
            self.leave(room);
        }
    }

    /// Leaves a room. Leaving one that it is not in is nothing.
    pub fn leave(&self, room: impl AsRef<str>) {
        self.membership.leave(room.as_ref());
    }

    /// The rooms that it is in, without the private one that every socket has.
    #[must_use]
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.membership.rooms()
    }

    /// The namespace as seen from outside: `socket.handle().to(room)` reaches all members of a room,
    /// this socket included (`io.to(room)`).
    #[must_use]
    #[doc(alias = "nsp")]
    pub fn handle(&self) -> NamespaceHandle<D> {
        let hub = Arc::clone(self.membership.hub());
        NamespaceHandle::new(
            Addressed::Hub(hub),
            self.membership.config().limits.ack_timeout,
        )
    }

    /// Takes the client out of this namespace; its other namespaces live on.
    pub fn disconnect(&self) {
        self.membership.disconnect(false);
    }

    /// Takes the client out of all its namespaces and closes its connection
    /// (`socket.disconnect(true)`).
    #[doc(alias = "disconnect")]
    pub fn disconnect_connection(&self) {
        self.membership.disconnect(true);
    }
}

impl<D> Clone for Socket<D> {
    fn clone(&self) -> Self {
        Self {
            membership: Arc::clone(&self.membership),
            data: Arc::clone(&self.data),
        }
    }
}

impl<D> fmt::Debug for Socket<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Socket")
            .field("namespace", &self.namespace())
            .field("id", &self.id().as_str())
            .finish_non_exhaustive()
    }
}

/// An emission to one socket with modifiers. Nothing is remembered in the socket.
#[derive(Clone, Copy, Debug)]
#[must_use = "modifiers do nothing until `emit`"]
pub struct Modified<'a> {
    membership: &'a Arc<Membership>,
    volatile: bool,
    compress: bool,
    timeout: Option<Duration>,
    overflow: Option<Overflow>,
    latest: Option<&'a str>,
}

impl<'a> Modified<'a> {
    /// The event is dropped when the client cannot take it at once.
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Whether a transport that compresses may compress the event. Default `true`.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// What becomes of the event when more waits for the client than may; see
    /// [`Config::overflow`](crate::Config::overflow).
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = Some(overflow);
        self
    }

    /// While the event waits for a slow client, a later one with the same key takes its place, so
    /// that the client gets the latest price or position and not all that were missed. A key names
    /// events of one namespace. What is being written is not replaced any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{EmitError, Socket};
    ///
    /// fn moved(socket: &Socket, player: &str, x: i32, y: i32) -> Result<(), EmitError> {
    ///     socket.latest(player).emit("moved", (player, x, y))
    /// }
    /// ```
    pub fn latest(mut self, key: &'a str) -> Self {
        self.latest = Some(key);
        self
    }

    /// The acknowledgement is waited for so long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// As [`Socket::emit`].
    ///
    /// # Errors
    ///
    /// As [`Socket::emit`].
    #[doc(alias = "send")]
    #[doc(alias = "write")]
    pub fn emit<E, P>(self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        if !self.membership.takes_messages() {
            return Err(EmitError::Disconnected);
        }
        let hub = self.membership.hub();
        let message = hub.encode_event(None, event.name(), &payload)?;
        let message = self.modify(message);
        self.membership.push(message, self.volatile)?;
        self.show(event.name(), &payload);
        Ok(())
    }

    /// As [`Socket::emit_with_ack`].
    ///
    /// # Errors
    ///
    /// As [`Socket::emit_with_ack`].
    #[doc(alias = "emitWithAck")]
    pub fn emit_with_ack<E, P>(self, event: E, payload: P) -> Acknowledgement<E::Answer>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        match self.ask(event, payload) {
            Ok(acknowledgement) => acknowledgement,
            Err(error) => Acknowledgement::failed(error),
        }
    }

    /// Writes the modifiers into the message.
    fn modify(&self, message: Encoded) -> Encoded {
        let hub = self.membership.hub();
        let key = self.latest.map(|key| hub.conflation_key(key));
        message
            .with_compress(self.compress)
            .with_overflow(self.overflow)
            .with_conflation_key(key)
    }

    fn ask<E, P>(self, event: E, payload: P) -> Result<Acknowledgement<E::Answer>, AckError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        let hub = self.membership.hub();
        let id = hub.next_ack();
        let message = hub
            .encode_event(Some(id), event.name(), &payload)
            .map_err(EmitError::from)?;
        // Entered before the event is queued, so that no answer can come too early.
        let answer = self.membership.expect_ack(id)?;
        let timeout = match self.timeout {
            Some(timeout) => timeout,
            None => self.membership.config().limits.ack_timeout,
        };
        let membership = Arc::clone(self.membership);
        let acknowledgement = Acknowledgement::waiting(answer, membership, id, timeout);
        let message = self.modify(message);
        self.membership.push(message, self.volatile)?;
        self.show(event.name(), &payload);
        Ok(acknowledgement)
    }

    fn show<P: Serialize>(&self, name: &str, payload: &P) {
        let hub = self.membership.hub();
        if hub.is_observed() {
            hub.show_outgoing(std::slice::from_ref(self.membership), name, payload);
        }
    }
}
