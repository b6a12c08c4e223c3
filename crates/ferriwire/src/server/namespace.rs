//! Declaring a namespace: who may join, and what happens to its events.

pub(crate) mod server_events;
mod watching;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use ferriwire_proto::codec::{ArgumentsError, Payload, Violation, decode_connect_payload};
use ferriwire_proto::packet::{AckId, is_reserved};
use ferriwire_proto::value::{Args, Value};
use foldhash::fast::FixedState;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::server_events::ServerListener;
use self::watching::Watching;
use super::handler::{self, Ack, AnyHandler, EventHandler};
use super::hooks::Hooks;
use super::hub::Data;
use super::joining::{Admission, Decision, Joining};
use super::listeners::Listeners;
use super::membership::Membership;
use super::names::Names;
use super::reason::DisconnectReason;
use super::recovery::{Beginning, Returning};
use super::seat::Seat;
use super::socket::Socket;
use super::starter::{Arrival, Starter};
use crate::engine::LimitKind;
use crate::engine::running::BoxFuture;
use crate::event::{Event, HandlerError, Listens};
use crate::handshake::{ConnectError, Handshake, Presented};

/// A namespace: declared once, shared by all its sockets, frozen when the server starts.
///
/// `D` is what [`auth`](Namespace::auth) makes of a client, the type of
/// [`Socket::data`](super::Socket::data). `S` is only there so that `auth` comes first.
///
/// # Examples
///
/// ```
/// use ferriwire::{Event, Namespace, Server};
///
/// const JOIN: Event<String> = Event::new("join");
/// const SAY: Event<(String, String), usize> = Event::new("say");
///
/// let chat = Namespace::new("/chat")
///     .on(JOIN, async |socket, room| {
///         socket.join(room)?;
///         Ok(())
///     })
///     .on(SAY, async |socket, (room, text)| {
///         socket.to(&room).emit("said", &text)?;
///         Ok(text.len())
///     })
///     .on_disconnect(async |socket, reason| {
///         println!("{} left: {reason}", socket.id());
///     });
/// let server = Server::new().namespace(chat);
/// ```
///
/// `auth` decides the type of the data that handlers see, so it cannot come after them:
///
/// ```compile_fail
/// use ferriwire::{ConnectError, Handshake, Namespace};
///
/// let late = Namespace::new("/")
///     .on("event", async |_socket, _: ()| ())
///     .auth(async |_: Handshake| Ok::<u64, ConnectError>(7));
/// ```
pub struct Namespace<D = (), S = Declared> {
    declaration: Declaration<D>,
    stage: PhantomData<S>,
}

/// The stage of a [`Namespace`] that has no handlers yet.
#[derive(Debug)]
pub struct Fresh(());

/// The stage of a [`Namespace`] whose type of data is decided.
#[derive(Debug)]
pub struct Declared(());

type Authorize<D> =
    Box<dyn Fn(Option<Payload<'_>>, Presented) -> BoxFuture<Result<D, ConnectError>> + Send + Sync>;

type Middleware<D> = Box<dyn Fn(Socket<D>) -> BoxFuture<Result<(), ConnectError>> + Send + Sync>;

pub(crate) type ConnectHook<D> = Box<dyn Fn(Socket<D>) -> BoxFuture<()> + Send + Sync>;
type DisconnectHook<D> = Box<dyn Fn(Socket<D>, DisconnectReason) -> BoxFuture<()> + Send + Sync>;

pub(crate) struct Declaration<D> {
    names: Names,
    authorize: Authorize<D>,
    middleware: Vec<Middleware<D>>,
    /// Only the program adds to it, so its hasher need not withstand an attack.
    events: HashMap<&'static str, Vec<EventHandler<D>>, FixedState>,
    server_events: HashMap<&'static str, Vec<ServerListener>>,
    any: Vec<AnyHandler<D>>,
    connect: Option<ConnectHook<D>>,
    disconnecting: Option<DisconnectHook<D>>,
    disconnect: Option<DisconnectHook<D>>,
    watching: Watching<D>,
    pub(super) recovery: Returning<D>,
    /// The first reserved name that was given to `on`, reported when the server starts.
    reserved: Option<&'static str>,
}

impl<D> Declaration<D> {
    fn new(names: Names, authorize: Authorize<D>) -> Self {
        Self {
            names,
            authorize,
            middleware: Vec::new(),
            events: HashMap::default(),
            server_events: HashMap::new(),
            any: Vec::new(),
            connect: None,
            disconnecting: None,
            disconnect: None,
            watching: Watching::default(),
            recovery: Returning::default(),
            reserved: None,
        }
    }
}

impl Namespace<(), Fresh> {
    /// A namespace that everybody may join. A missing leading slash is added; `/` is the main
    /// namespace.
    #[must_use]
    #[doc(alias = "of")]
    pub fn new(name: impl AsRef<str>) -> Self {
        Self::named(Names::one(name.as_ref()))
    }

    pub(super) fn named(names: Names) -> Self {
        let open: Authorize<()> = Box::new(|_, _| Box::pin(std::future::ready(Ok(()))));
        Self {
            declaration: Declaration::new(names, open),
            stage: PhantomData,
        }
    }

    /// Decides who may join, and what is known about them from then on. The client's `auth` payload
    /// is decoded into `T`; one that does not fit is refused with `invalid auth`, and one that takes
    /// longer than [`Limits::auth_timeout`](crate::Limits::auth_timeout) as well.
    ///
    /// Mirrors the reference's `use`; a socket that exists is authenticated.
    #[must_use]
    #[doc(alias = "use")]
    pub fn auth<T, D, F, Fut>(self, decide: F) -> Namespace<D, Declared>
    where
        T: DeserializeOwned + Send + 'static,
        D: Send + Sync + 'static,
        F: FnOnce(Handshake<T>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<D, ConnectError>> + Send + 'static,
    {
        let authorize: Authorize<D> =
            Box::new(
                move |payload, presented| match decode_connect_payload::<T>(payload) {
                    Ok(auth) => {
                        let decide = decide.clone();
                        Box::pin(async move { decide(presented.with(auth)).await })
                    }
                    Err(error) => Box::pin(std::future::ready(Err(invalid_auth(error)))),
                },
            );
        Namespace {
            declaration: Declaration::new(self.declaration.names, authorize),
            stage: PhantomData,
        }
    }
}

fn invalid_auth(error: ArgumentsError) -> ConnectError {
    let refusal = ConnectError::new("invalid auth");
    match error {
        ArgumentsError::Mismatch { path, .. } => {
            refusal.data(Value::Object([("path".to_owned(), path.into())].into()))
        }
        ArgumentsError::Syntax(_) => refusal,
    }
}

impl<D: Send + Sync + 'static, S> Namespace<D, S> {
    /// Runs for each client that `auth` has let through, before it is told that it has joined; several
    /// run one after the other, in the order in which they were added. The first `Err` refuses the client.
    /// Together with `auth` they have [`Limits::auth_timeout`](crate::Limits::auth_timeout).
    ///
    /// The socket is not [connected](Socket::is_connected) yet, and nobody can reach it. The rooms
    /// that it joins and what is emitted to it are held until it is accepted, and forgotten when it is
    /// refused or leaves meanwhile. Its client cannot answer yet, so do not wait for an acknowledgement;
    /// volatile events are dropped, and [`Socket::disconnect`] does nothing.
    ///
    /// Mirrors the reference's `namespace.use`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{ConnectError, Namespace};
    ///
    /// let news = Namespace::new("/news")
    ///     .middleware(async |socket| match socket.handshake().query("lang") {
    ///         Some(language) => Ok(socket.join(language)?),
    ///         None => Err(ConnectError::new("which language?").data(400)),
    ///     })
    ///     .middleware(async |socket| Ok(socket.emit("welcome", ())?));
    /// ```
    #[must_use]
    #[doc(alias = "use")]
    pub fn middleware<F, Fut>(mut self, middleware: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        self.declaration.middleware.push(Box::new(move |socket| {
            let middleware = middleware.clone();
            Box::pin(async move { middleware(socket).await })
        }));
        self.declared()
    }

    /// Handles an event. What the handler returns answers the client's acknowledgement, if it asked
    /// for one. Several handlers of one event all run, and the first one answers.
    ///
    /// Handlers of one socket start in the order in which its events arrive, and interleave only at
    /// `.await`. They wait until `on_connect` has finished. The closure is cloned for each event:
    /// capture handles, not data.
    #[must_use]
    pub fn on<E, T, F, Fut>(self, event: E, handler: F) -> Namespace<D, Declared>
    where
        E: Listens<T, Fut::Output> + 'static,
        T: DeserializeOwned + Send + 'static,
        F: FnOnce(Socket<D>, T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        E::Answer: Send,
    {
        let name = event.name();
        self.add(name, handler::answering(event, handler))
    }

    /// Handles an event, and lets the handler answer early, later or never, through an [`Ack`].
    #[must_use]
    pub fn on_with_ack<T, A, F, Fut>(self, event: Event<T, A>, handler: F) -> Namespace<D, Declared>
    where
        T: DeserializeOwned + Send + 'static,
        A: Serialize + 'static,
        F: FnOnce(Socket<D>, T, Ack<A>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.add(event.name(), handler::with_ack(event.name(), handler))
    }

    /// Sees every event, in front of its own handlers, with its name and arguments.
    #[must_use]
    #[doc(alias = "onAny")]
    pub fn on_any<F, Fut>(mut self, handler: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>, String, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration.any.push(handler::any(handler));
        self.declared()
    }

    /// Is called when a client has joined. Its events wait until this has finished.
    #[must_use]
    #[doc(alias = "connection")]
    #[doc(alias = "connect")]
    pub fn on_connect<F, Fut>(mut self, handler: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration.connect = Some(Box::new(move |socket| {
            let handler = handler.clone();
            Box::pin(async move { handler(socket).await })
        }));
        self.declared()
    }

    /// Is called once when a client leaves, before [`on_disconnect`](Self::on_disconnect), while
    /// [`Socket::rooms`](super::Socket::rooms) still tells which rooms it was in: up to the
    /// handler's first `.await` that waits. Nothing is sent to it any more.
    #[must_use]
    #[doc(alias = "disconnecting")]
    pub fn on_disconnecting<F, Fut>(mut self, handler: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>, DisconnectReason) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration.disconnecting = Some(disconnect_hook(handler));
        self.declared()
    }

    /// Is called once when a client has left, whatever the reason. It is in no room any more.
    #[must_use]
    #[doc(alias = "disconnect")]
    pub fn on_disconnect<F, Fut>(mut self, handler: F) -> Namespace<D, Declared>
    where
        F: FnOnce(Socket<D>, DisconnectReason) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.declaration.disconnect = Some(disconnect_hook(handler));
        self.declared()
    }

    fn add(mut self, name: &'static str, handler: EventHandler<D>) -> Namespace<D, Declared> {
        if is_reserved(name) {
            self.declaration.reserved.get_or_insert(name);
        }
        let handlers = self.declaration.events.entry(name).or_default();
        handlers.push(handler);
        self.declared()
    }

    pub(super) fn declaration_mut(&mut self) -> &mut Declaration<D> {
        &mut self.declaration
    }

    pub(super) fn declared(self) -> Namespace<D, Declared> {
        Namespace {
            declaration: self.declaration,
            stage: PhantomData,
        }
    }

    pub(crate) fn reserved_event(&self) -> Option<&'static str> {
        self.declaration.reserved
    }

    /// Freezes the declaration.
    pub(crate) fn serve(self) -> Arc<dyn Serving> {
        Arc::new(Served {
            declaration: Arc::new(self.declaration),
        })
    }
}

fn disconnect_hook<D, F, Fut>(handler: F) -> DisconnectHook<D>
where
    D: Send + Sync + 'static,
    F: FnOnce(Socket<D>, DisconnectReason) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Box::new(move |socket, reason| {
        let handler = handler.clone();
        Box::pin(async move { handler(socket, reason).await })
    })
}

impl<D, S> fmt::Debug for Namespace<D, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Namespace")
            .field("names", &self.declaration.names)
            .finish_non_exhaustive()
    }
}

/// A declaration that is being served, without the type of its sockets' data.
pub(crate) trait Serving: Send + Sync {
    fn names(&self) -> &Names;

    /// Asks `auth` and then the middleware whether a client may join.
    fn join(&self, payload: Option<Payload<'_>>, joining: Joining) -> BoxFuture<Decision>;

    /// What the hubs ask.
    fn hooks(&self) -> Arc<dyn Hooks>;
}

/// What decides on an event before its handlers run.
pub(crate) type Screening = BoxFuture<Result<(), HandlerError>>;

/// A socket of a served namespace, without the type of its data.
pub(crate) trait Joined: Send + Sync {
    fn membership(&self) -> &Arc<Membership>;

    /// The hook for its beginning.
    fn connected(&self, beginning: Beginning) -> Option<BoxFuture<()>>;

    fn data(&self) -> Data;

    /// The hooks for its end, while its rooms are still known.
    fn disconnecting(&self, reason: DisconnectReason) -> Vec<BoxFuture<()>>;

    /// The hooks for its end.
    fn disconnected(&self, reason: DisconnectReason) -> Vec<BoxFuture<()>>;

    /// Starts the catch-all listeners of an event and then its handlers, unless something has to decide on
    /// it before. `Err` when the arguments break the protocol.
    fn handle(
        &self,
        event: &Arrival<'_>,
        starter: &mut Starter<'_, '_>,
    ) -> Result<Handled, Violation>;

    /// The names of the events that are listened to; `None` when somebody listens to all of them.
    fn declared_events(&self) -> Option<Vec<&'static str>>;

    /// The event was refused: tells the client if it asked, and returns the hook for that.
    fn refused(&self, name: &str, ack: Option<AckId>, error: HandlerError)
    -> Option<BoxFuture<()>>;

    /// Starts the handlers of an event in their order. One that the arguments do not fit is left out, and
    /// the client told if that one was to answer. `Err` when the arguments break the protocol.
    fn dispatch(
        &self,
        event: &Arrival<'_>,
        starter: &mut Starter<'_, '_>,
    ) -> Result<Handled, Violation>;
}

/// What became of an event.
pub(crate) enum Handled {
    /// It was handed to its handlers, or its socket has left.
    Begun,
    /// Nobody listens to it.
    Unheard,
    /// This decides on it before its handlers may be started.
    Screened(Screening),
}

struct Served<D> {
    declaration: Arc<Declaration<D>>,
}

struct JoinedSocket<D> {
    socket: Socket<D>,
    declaration: Arc<Declaration<D>>,
    /// Keeps a child of a dynamic namespace until the socket has left.
    _seat: Seat,
}

impl<D: Send + Sync + 'static> Serving for Served<D> {
    fn names(&self) -> &Names {
        &self.declaration.names
    }

    fn hooks(&self) -> Arc<dyn Hooks> {
        Arc::clone(&self.declaration) as Arc<dyn Hooks>
    }

    fn join(&self, payload: Option<Payload<'_>>, joining: Joining) -> BoxFuture<Decision> {
        let decision = (self.declaration.authorize)(payload, joining.presented());
        let declaration = Arc::clone(&self.declaration);
        Box::pin(async move {
            let data = decision.await?;
            let (seat, candidate, returning) =
                joining.enter(|| declaration.recovery.identity(&data))?;
            let socket = Socket::new(Arc::clone(candidate.membership()), Arc::new(data));
            if !declaration.middleware.is_empty() {
                candidate.membership().present(socket.shared_data());
            }
            for middleware in &declaration.middleware {
                middleware(socket.clone()).await?;
            }
            seat.settle();
            let socket = Box::new(JoinedSocket {
                socket,
                declaration,
                _seat: seat,
            });
            Ok(Admission {
                socket,
                candidate,
                returning,
            })
        })
    }
}

impl<D: Send + Sync + 'static> Joined for JoinedSocket<D> {
    fn membership(&self) -> &Arc<Membership> {
        self.socket.membership()
    }

    fn connected(&self, beginning: Beginning) -> Option<BoxFuture<()>> {
        let (hooks, connect) = (&self.declaration.recovery, &self.declaration.connect);
        hooks.begin(&self.socket, beginning, connect.as_ref())
    }

    fn data(&self) -> Data {
        self.socket.shared_data()
    }

    fn disconnecting(&self, reason: DisconnectReason) -> Vec<BoxFuture<()>> {
        let declared = self.declaration.disconnecting.iter();
        let declared = declared.map(|hook| hook(self.socket.clone(), reason));
        let late = self.membership().listeners();
        let late = late.map(Listeners::take_disconnecting).unwrap_or_default();
        let late = late.into_iter().map(|hook| hook(self.membership(), reason));
        declared.chain(late).collect()
    }

    fn disconnected(&self, reason: DisconnectReason) -> Vec<BoxFuture<()>> {
        let declared = self.declaration.disconnect.iter();
        let declared = declared.map(|hook| hook(self.socket.clone(), reason));
        let late = self.membership().listeners();
        let late = late.map(Listeners::take_disconnect).unwrap_or_default();
        let late = late.into_iter().map(|hook| hook(self.membership(), reason));
        declared.chain(late).collect()
    }

    fn handle(
        &self,
        event: &Arrival<'_>,
        starter: &mut Starter<'_, '_>,
    ) -> Result<Handled, Violation> {
        if !self.membership().is_connected() {
            return Ok(Handled::Begun);
        }
        let declared = &self.declaration;
        let is_watched = !declared.any.is_empty() || !declared.watching.screens.is_empty();
        if (is_watched || self.membership().listeners().is_some())
            && let Some(screening) = self.announce(event, starter)?
        {
            return Ok(Handled::Screened(screening));
        }
        self.dispatch(event, starter)
    }

    fn declared_events(&self) -> Option<Vec<&'static str>> {
        let late = self.membership().listeners();
        let hears_all = late.is_some_and(|late| !late.any().is_empty());
        if hears_all || !self.declaration.any.is_empty() {
            return None;
        }
        Some(self.declaration.events.keys().copied().collect())
    }

    fn refused(
        &self,
        name: &str,
        ack: Option<AckId>,
        error: HandlerError,
    ) -> Option<BoxFuture<()>> {
        handler::answer_failure(self.membership(), name, ack, &error);
        let hook = self.declaration.watching.error.as_ref()?;
        Some(hook(self.socket.clone(), name.to_owned(), error))
    }

    fn dispatch(
        &self,
        event: &Arrival<'_>,
        starter: &mut Starter<'_, '_>,
    ) -> Result<Handled, Violation> {
        let mut ack = event.ack;
        let mut handled = Handled::Unheard;
        // Of several handlers the first one answers.
        for handler in self
            .declaration
            .events
            .get(event.name)
            .into_iter()
            .flatten()
        {
            let ack = ack.take();
            let begun = handler(&self.socket, event.arguments, ack, starter);
            self.check(event, ack, begun)?;
            handled = Handled::Begun;
        }
        if let Some(late) = self.membership().listeners()
            && self.dispatch_late(late, event, ack, starter)?
        {
            handled = Handled::Begun;
        }
        Ok(handled)
    }
}

impl<D: Send + Sync + 'static> JoinedSocket<D> {
    /// Starts the catch-all listeners of an event, and returns what has to decide on it before it may be
    /// dispatched.
    #[inline(never)]
    fn announce(
        &self,
        event: &Arrival<'_>,
        starter: &mut Starter<'_, '_>,
    ) -> Result<Option<Screening>, Violation> {
        for handler in &self.declaration.any {
            self.check(event, None, handler(&self.socket, event, starter))?;
        }
        let late = self.membership().listeners();
        for handler in late.map(Listeners::any).unwrap_or_default() {
            self.check(event, None, handler(self.membership(), event, starter))?;
        }
        let screens = late.map(Listeners::screens).unwrap_or_default();
        if self.declaration.watching.screens.is_empty() && screens.is_empty() {
            return Ok(None);
        }
        let args: Args = match event.arguments.decode() {
            Ok(args) => args,
            Err(ArgumentsError::Syntax(violation)) => return Err(violation),
            // Any arguments fit; but what cannot be decided on is not let through.
            Err(ArgumentsError::Mismatch { .. }) => {
                let refusal = HandlerError::refuse("invalid payload");
                return Ok(Some(Box::pin(std::future::ready(Err(refusal)))));
            }
        };
        let (socket, declaration) = (self.socket.clone(), Arc::clone(&self.declaration));
        let name = event.name.to_owned();
        let membership = Arc::clone(self.membership());
        let decision = async move {
            for screen in &declaration.watching.screens {
                screen(socket.clone(), name.clone(), args.clone()).await?;
            }
            for screen in screens {
                screen(socket.membership(), name.clone(), args.clone()).await?;
            }
            Ok(())
        };
        Ok(Some(Box::pin(async move {
            let timeout = membership.config().limits.event_middleware_timeout;
            let decided = tokio::time::timeout(timeout, decision).await;
            decided.unwrap_or_else(|_| {
                let session = membership.session();
                session.limited(LimitKind::EventMiddlewareTime);
                Err(HandlerError::refuse("event middleware timed out"))
            })
        })))
    }

    /// The same as `dispatch` for the handlers that the socket got late. Says whether there are any.
    #[inline(never)]
    fn dispatch_late(
        &self,
        late: &Listeners,
        event: &Arrival<'_>,
        ack: Option<AckId>,
        starter: &mut Starter<'_, '_>,
    ) -> Result<bool, Violation> {
        let mut ack = ack;
        let mut handled = false;
        for handler in late.take(event.name) {
            let ack = ack.take();
            let begun = handler(self.membership(), event.arguments, ack, starter);
            self.check(event, ack, begun)?;
            handled = true;
        }
        Ok(handled)
    }

    /// Tells the client when its payload does not fit the handler.
    fn check(
        &self,
        event: &Arrival<'_>,
        ack: Option<AckId>,
        begun: Result<(), ArgumentsError>,
    ) -> Result<(), Violation> {
        match begun {
            Ok(()) => Ok(()),
            Err(ArgumentsError::Syntax(violation)) => Err(violation),
            Err(ArgumentsError::Mismatch { path, message }) => {
                handler::answer_mismatch(self.membership(), event.name, ack, path, &message);
                Ok(())
            }
        }
    }
}
