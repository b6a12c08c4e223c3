//! What a namespace declares beside its handlers: who sees what comes in and goes out, who decides
//! on it, and what others see of its sockets.

use std::future::Future;
use std::sync::Arc;

use ferriwire_proto::codec::{EncodeError, to_value};
use ferriwire_proto::value::{Args, Value};
use serde::Serialize;

use super::{Declaration, Declared, Namespace, ServerListener};
use crate::engine::running::BoxFuture;
use crate::event::HandlerError;
use crate::server::handler;
use crate::server::hooks::Hooks;
use crate::server::hub::Data;
use crate::server::membership::Membership;
use crate::server::room_events::RoomEvent;
use crate::server::socket::Socket;

/// The watching part of a declaration.
pub(super) struct Watching<D> {
    pub(super) screens: Vec<Screen<D>>,
    pub(super) error: Option<ErrorHook<D>>,
    outgoing: Vec<Outgoing<D>>,
    public: Option<Public<D>>,
    room_event: Option<RoomHook>,
}

/// Decides on one event.
pub(super) type Screen<D> =
    Box<dyn Fn(Socket<D>, String, Args) -> BoxFuture<Result<(), HandlerError>> + Send + Sync>;

/// Is told of an event that was refused.
pub(super) type ErrorHook<D> =
    Box<dyn Fn(Socket<D>, String, HandlerError) -> BoxFuture<()> + Send + Sync>;

type Outgoing<D> = Box<dyn Fn(&Socket<D>, &str, &Args) + Send + Sync>;

/// What others see of a socket's data.
type Public<D> = Box<dyn Fn(&D) -> Result<Value, EncodeError> + Send + Sync>;

type RoomHook = Box<dyn Fn(&RoomEvent) + Send + Sync>;

impl<D> Default for Watching<D> {
    fn default() -> Self {
        Self {
            screens: Vec::new(),
            error: None,
            outgoing: Vec::new(),
            public: None,
            room_event: None,
        }
    }
}

impl<D: Send + Sync + 'static, S> Namespace<D, S> {
    /// As [`on_any`](Self::on_any), in front of the other catch-all listeners.
    #[must_use]
    #[doc(alias = "prependAny")]
    pub fn prepend_any<F, Fut>(mut self, handler: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>, String, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration.any.insert(0, handler::any(handler));
        self.declared()
    }

    /// Decides on every event after the catch-all listeners have seen it and before its handlers:
    /// an error keeps it from them, answers the client if it asked for an acknowledgement, and goes
    /// to [`on_error`](Self::on_error). It may wait: later events of the same socket wait behind it, so
    /// that handlers still start in the order of arrival. Several run one after the other; together they
    /// have [`Limits::event_middleware_timeout`](crate::Limits::event_middleware_timeout), and what
    /// they have not let pass by then is refused.
    ///
    /// Mirrors the reference's `socket.use`; it cannot change the event.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{HandlerError, Namespace};
    ///
    /// let orders = Namespace::new("/orders").event_middleware(async |socket, event, _args| {
    ///     if event.starts_with("admin:") && !socket.rooms().iter().any(|room| &**room == "admins") {
    ///         return Err(HandlerError::refuse("for admins only"));
    ///     }
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    #[doc(alias = "use")]
    pub fn event_middleware<F, Fut>(mut self, decide: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>, String, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let screen: Screen<D> = Box::new(move |socket, name, args| {
            let decide = decide.clone();
            Box::pin(async move { decide(socket, name, args).await })
        });
        self.declaration.watching.screens.push(screen);
        self.declared()
    }

    /// Is told of each event that [`event_middleware`](Self::event_middleware) refused, with its name and the
    /// error.
    #[must_use]
    #[doc(alias = "error")]
    pub fn on_error<F, Fut>(mut self, hook: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>, String, HandlerError) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration.watching.error = Some(Box::new(move |socket, name, error| {
            let hook = hook.clone();
            Box::pin(async move { hook(socket, name, error).await })
        }));
        self.declared()
    }

    /// Sees every event that is sent to any socket, broadcasts included, once for each receiver; not
    /// acknowledgements. It is called by whoever emits, after the event was queued, and must not
    /// block. Events are then taken apart for it, which costs more than sending them.
    #[must_use]
    #[doc(alias = "onAnyOutgoing")]
    pub fn on_any_outgoing<F>(mut self, listener: F) -> Namespace<D, Declared>
    where
        F: Fn(&Socket<D>, &str, &Args) + Send + Sync + 'static,
    {
        self.declaration.watching.outgoing.push(Box::new(listener));
        self.declared()
    }

    /// The same, in front of the other ones.
    #[must_use]
    #[doc(alias = "prependAnyOutgoing")]
    pub fn prepend_any_outgoing<F>(mut self, listener: F) -> Namespace<D, Declared>
    where
        F: Fn(&Socket<D>, &str, &Args) + Send + Sync + 'static,
    {
        let outgoing = &mut self.declaration.watching.outgoing;
        outgoing.insert(0, Box::new(listener));
        self.declared()
    }

    /// Is told when rooms of this node begin and end, and who joins and leaves them: in order, each
    /// time once, and never for a join that changed nothing. It is called after the change, by whoever
    /// made one, and must not block: others go on meanwhile and leave what they changed to that call.
    /// If more than 65,536 changes wait for it, the next ones are not kept, and it is told how many it
    /// has missed ([`RoomChange::Missed`](crate::RoomChange::Missed)).
    /// The private room of a socket is none.
    ///
    /// Mirrors the adapter's `create-room`, `delete-room`, `join-room` and `leave-room`. Without it
    /// nothing is counted.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Namespace, RoomChange};
    ///
    /// let chat = Namespace::new("/chat").on_room_event(|event| {
    ///     if event.change == RoomChange::Deleted {
    ///         println!("{} is empty", event.room);
    ///     }
    /// });
    /// ```
    #[must_use]
    #[doc(alias = "create-room")]
    #[doc(alias = "delete-room")]
    #[doc(alias = "join-room")]
    #[doc(alias = "leave-room")]
    pub fn on_room_event<F>(mut self, hook: F) -> Namespace<D, Declared>
    where
        F: Fn(&RoomEvent) + Send + Sync + 'static,
    {
        self.declaration.watching.room_event = Some(Box::new(hook));
        self.declared()
    }

    /// Declares what others see of a socket's data: those who
    /// [`fetch_sockets`](crate::Broadcast::fetch_sockets), on this node and on others. Without it they
    /// see `null` (reference: everything in `socket.data`).
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{ConnectError, Handshake, Namespace};
    ///
    /// struct User { name: String, token: String }
    ///
    /// let chat = Namespace::new("/chat")
    ///     .auth(async |handshake: Handshake<String>| {
    ///         Ok::<_, ConnectError>(User { name: "somebody".to_owned(), token: handshake.auth })
    ///     })
    ///     .public(|user: &User| user.name.clone());
    /// ```
    #[must_use]
    #[doc(alias = "data")]
    pub fn public<F, P>(mut self, public: F) -> Namespace<D, Declared>
    where
        F: Fn(&D) -> P + Send + Sync + 'static,
        P: Serialize,
    {
        self.declaration.watching.public = Some(Box::new(move |data| to_value(&public(data))));
        self.declared()
    }
}

impl<D: Send + Sync + 'static> Hooks for Declaration<D> {
    fn public(&self, data: &Data) -> Value {
        let (Some(public), Some(data)) = (&self.watching.public, data.downcast_ref()) else {
            return Value::Null;
        };
        public(data).unwrap_or_else(|error| {
            tracing::error!(%error, "public data cannot be written");
            Value::Null
        })
    }

    fn sees_rooms(&self) -> bool {
        self.watching.room_event.is_some()
    }

    fn room_changed(&self, event: &RoomEvent) {
        if let Some(hook) = &self.watching.room_event {
            hook(event);
        }
    }

    fn sees_outgoing(&self) -> bool {
        !self.watching.outgoing.is_empty()
    }

    fn show_outgoing(&self, socket: &Arc<Membership>, data: &Data, name: &str, args: &Args) {
        let Ok(data) = Arc::clone(data).downcast() else {
            return;
        };
        let socket = Socket::new(Arc::clone(socket), data);
        for listener in &self.watching.outgoing {
            listener(&socket, name, args);
        }
    }

    fn server_event(&self, name: &str) -> Option<&[ServerListener]> {
        self.server_events.get(name).map(Vec::as_slice)
    }
}
