//! Listeners that a single socket gets after it has joined, beside those that its namespace declares
//! for all. A socket without any pays for one empty place.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ferriwire_proto::codec::{Arguments, ArgumentsError};
use ferriwire_proto::packet::{AckId, is_reserved};
use ferriwire_proto::value::Args;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::handler::{self, AnyHandler, EventHandler};
use super::membership::Membership;
use super::reason::DisconnectReason;
use super::socket::Socket;
use super::starter::{Arrival, Starter};
use crate::engine::running::BoxFuture;
use crate::event::{HandlerError, Listens};
use crate::shown::shown;

/// Names one listener of one socket, to be removed with [`Socket::off`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// The listeners of one socket. They are called with the membership rather than holding it, so that a
/// socket does not keep itself alive.
#[derive(Default)]
pub(crate) struct Listeners {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    added: u64,
    /// The socket has left: nothing is kept for it any more.
    closed: bool,
    events: HashMap<&'static str, Vec<(ListenerId, bool, LateHandler)>>,
    any: Vec<(ListenerId, LateAny)>,
    screens: Vec<(ListenerId, LateScreen)>,
    outgoing: Vec<(ListenerId, LateOutgoing)>,
    disconnecting: Vec<(ListenerId, LateEnd)>,
    disconnect: Vec<(ListenerId, LateEnd)>,
}

pub(crate) type LateHandler = Arc<
    dyn Fn(
            &Arc<Membership>,
            &Arguments<'_>,
            Option<AckId>,
            &mut Starter<'_, '_>,
        ) -> Result<(), ArgumentsError>
        + Send
        + Sync,
>;
pub(crate) type LateAny = Arc<
    dyn Fn(&Arc<Membership>, &Arrival<'_>, &mut Starter<'_, '_>) -> Result<(), ArgumentsError>
        + Send
        + Sync,
>;
pub(crate) type LateScreen = Arc<
    dyn Fn(&Arc<Membership>, String, Args) -> BoxFuture<Result<(), HandlerError>> + Send + Sync,
>;
type LateOutgoing = Arc<dyn Fn(&Arc<Membership>, &str, &Args) + Send + Sync>;
type LateEnd = Box<dyn FnOnce(&Arc<Membership>, DisconnectReason) -> BoxFuture<()> + Send>;

impl Listeners {
    /// The handlers of an event, in their order; those that run once are removed.
    pub(crate) fn take(&self, name: &str) -> Vec<LateHandler> {
        let mut entries = self.entries.lock();
        let Some(listeners) = entries.events.get_mut(name) else {
            return Vec::new();
        };
        let handlers = listeners.iter();
        let handlers = handlers
            .map(|(_, _, handler)| Arc::clone(handler))
            .collect();
        listeners.retain(|(_, once, _)| !once);
        if listeners.is_empty() {
            entries.events.remove(name);
        }
        handlers
    }

    pub(crate) fn any(&self) -> Vec<LateAny> {
        copies(&self.entries.lock().any)
    }

    pub(crate) fn screens(&self) -> Vec<LateScreen> {
        copies(&self.entries.lock().screens)
    }

    /// Shows an event that is sent to this socket.
    pub(crate) fn show_outgoing(&self, membership: &Arc<Membership>, name: &str, args: &Args) {
        let listeners = copies(&self.entries.lock().outgoing);
        for listener in listeners {
            listener(membership, name, args);
        }
    }

    pub(crate) fn take_disconnecting(&self) -> Vec<LateEnd> {
        taken(&mut self.entries.lock().disconnecting)
    }

    pub(crate) fn take_disconnect(&self) -> Vec<LateEnd> {
        taken(&mut self.entries.lock().disconnect)
    }

    /// Drops all listeners, and takes no more. Returns how many saw what is sent.
    pub(crate) fn close(&self) -> usize {
        let closed = Entries {
            closed: true,
            ..Entries::default()
        };
        // What they hold is dropped outside the lock.
        let dropped = std::mem::replace(&mut *self.entries.lock(), closed);
        dropped.outgoing.len()
    }

    fn add(&self, add: impl FnOnce(&mut Entries, ListenerId)) -> ListenerId {
        let mut entries = self.entries.lock();
        entries.added = entries.added.wrapping_add(1);
        let id = ListenerId(entries.added);
        if !entries.closed {
            add(&mut entries, id);
        }
        id
    }
}

fn copies<T: ?Sized>(listeners: &[(ListenerId, Arc<T>)]) -> Vec<Arc<T>> {
    let listeners = listeners.iter();
    listeners
        .map(|(_, listener)| Arc::clone(listener))
        .collect()
}

fn taken(hooks: &mut Vec<(ListenerId, LateEnd)>) -> Vec<LateEnd> {
    std::mem::take(hooks)
        .into_iter()
        .map(|(_, hook)| hook)
        .collect()
}

/// Removes one of a list. What it holds is dropped by the caller.
fn remove<T>(list: &mut Vec<(ListenerId, T)>, id: ListenerId) -> Option<T> {
    let position = list.iter().position(|(own, _)| *own == id)?;
    Some(list.remove(position).1)
}

impl fmt::Debug for Listeners {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Listeners").finish_non_exhaustive()
    }
}

/// Listeners of this socket alone. Those of the namespace come first, and cost less: use these for
/// what is decided while the socket lives. They are dropped when it has left.
impl<D: Send + Sync + 'static> Socket<D> {
    /// Handles an event of this client from now on. Handlers that the namespace declares for it run
    /// first, and of all the first one answers.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Event, Namespace};
    ///
    /// const CONFIRM: Event<bool> = Event::new("confirm");
    ///
    /// let orders = Namespace::new("/orders").on("order", async |socket, item: String| {
    ///     socket.once(CONFIRM, async move |socket, yes| {
    ///         if yes {
    ///             drop(socket.emit("ordered", &item));
    ///         }
    ///     });
    /// });
    /// ```
    pub fn on<E, T, F, Fut>(&self, event: E, handler: F) -> ListenerId
    where
        E: Listens<T, Fut::Output> + 'static,
        T: DeserializeOwned + Send + 'static,
        F: FnOnce(Self, T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        E::Answer: Send,
    {
        let name = event.name();
        self.add_handler(name, false, handler::answering(event, handler))
    }

    /// Handles an event of this client the next time it comes, whether the payload fits or not.
    pub fn once<E, T, F, Fut>(&self, event: E, handler: F) -> ListenerId
    where
        E: Listens<T, Fut::Output> + 'static,
        T: DeserializeOwned + Send + 'static,
        F: FnOnce(Self, T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        E::Answer: Send,
    {
        let name = event.name();
        self.add_handler(name, true, handler::answering(event, handler))
    }

    /// Sees every event of this client from now on, in front of its own handlers and of middleware.
    #[doc(alias = "onAny")]
    pub fn on_any<F, Fut>(&self, handler: F) -> ListenerId
    where
        F: FnOnce(Self, String, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let late = self.late_any(handler::any(handler));
        self.listeners()
            .add(|entries, id| entries.any.push((id, late)))
    }

    /// The same, in front of this socket's other catch-all listeners.
    #[doc(alias = "prependAny")]
    pub fn prepend_any<F, Fut>(&self, handler: F) -> ListenerId
    where
        F: FnOnce(Self, String, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let late = self.late_any(handler::any(handler));
        let listeners = self.listeners();
        listeners.add(|entries, id| entries.any.insert(0, (id, late)))
    }

    /// Decides on every event of this client from now on, behind the namespace's
    /// [`event_middleware`](super::Namespace::event_middleware).
    #[doc(alias = "use")]
    pub fn event_middleware<F, Fut>(&self, decide: F) -> ListenerId
    where
        F: FnOnce(Self, String, Args) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let data = self.shared_data();
        let late: LateScreen = Arc::new(move |membership, name, args| {
            let socket = Self::new(Arc::clone(membership), Arc::clone(&data));
            let decide = decide.clone();
            Box::pin(async move { decide(socket, name, args).await })
        });
        let listeners = self.listeners();
        listeners.add(|entries, id| entries.screens.push((id, late)))
    }

    /// Sees every event that is sent to this client, broadcasts included, but no acknowledgements.
    /// It is called by whoever emits, and must not block.
    #[doc(alias = "onAnyOutgoing")]
    pub fn on_any_outgoing<F>(&self, listener: F) -> ListenerId
    where
        F: Fn(&Self, &str, &Args) + Send + Sync + 'static,
    {
        self.add_outgoing(listener, false)
    }

    /// The same, in front of this socket's other ones.
    #[doc(alias = "prependAnyOutgoing")]
    pub fn prepend_any_outgoing<F>(&self, listener: F) -> ListenerId
    where
        F: Fn(&Self, &str, &Args) + Send + Sync + 'static,
    {
        self.add_outgoing(listener, true)
    }

    /// Is called once when this client leaves, behind the namespace's hook of that name.
    #[doc(alias = "disconnecting")]
    pub fn on_disconnecting<F, Fut>(&self, hook: F) -> ListenerId
    where
        F: FnOnce(Self, DisconnectReason) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let late = self.late_end(hook);
        let listeners = self.listeners();
        listeners.add(|entries, id| entries.disconnecting.push((id, late)))
    }

    /// Is called once when this client has left, behind the namespace's hook of that name
    /// (`socket.on("disconnect", ..)`).
    #[doc(alias = "disconnect")]
    pub fn on_disconnect<F, Fut>(&self, hook: F) -> ListenerId
    where
        F: FnOnce(Self, DisconnectReason) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let late = self.late_end(hook);
        let listeners = self.listeners();
        listeners.add(|entries, id| entries.disconnect.push((id, late)))
    }

    fn add_handler(&self, name: &'static str, once: bool, handler: EventHandler<D>) -> ListenerId {
        if is_reserved(name) {
            tracing::error!(event = %shown(name), "no client can send an event of this name");
        }
        let data = self.shared_data();
        let late: LateHandler = Arc::new(move |membership, arguments, ack, starter| {
            let socket = Self::new(Arc::clone(membership), Arc::clone(&data));
            handler(&socket, arguments, ack, starter)
        });
        self.listeners().add(|entries, id| {
            entries
                .events
                .entry(name)
                .or_default()
                .push((id, once, late));
        })
    }

    fn late_any(&self, handler: AnyHandler<D>) -> LateAny {
        let data = self.shared_data();
        Arc::new(move |membership, event, starter| {
            let socket = Self::new(Arc::clone(membership), Arc::clone(&data));
            handler(&socket, event, starter)
        })
    }

    fn late_end<F, Fut>(&self, hook: F) -> LateEnd
    where
        F: FnOnce(Self, DisconnectReason) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let data = self.shared_data();
        Box::new(move |membership, reason| {
            let socket = Self::new(Arc::clone(membership), data);
            Box::pin(async move { hook(socket, reason).await })
        })
    }

    fn add_outgoing<F>(&self, listener: F, first: bool) -> ListenerId
    where
        F: Fn(&Self, &str, &Args) + Send + Sync + 'static,
    {
        let data = self.shared_data();
        let late: LateOutgoing = Arc::new(move |membership, name, args| {
            let socket = Self::new(Arc::clone(membership), Arc::clone(&data));
            listener(&socket, name, args);
        });
        let observers = self.membership().hub().observers();
        self.listeners().add(|entries, id| {
            observers.fetch_add(1, Ordering::Relaxed);
            let position = if first { 0 } else { entries.outgoing.len() };
            entries.outgoing.insert(position, (id, late));
        })
    }
}

impl<D> Socket<D> {
    /// Removes one of this socket's own listeners, of whatever kind. `false` when it is not there any
    /// more.
    #[doc(alias = "removeListener")]
    #[doc(alias = "offAny")]
    #[doc(alias = "offAnyOutgoing")]
    pub fn off(&self, listener: ListenerId) -> bool {
        let Some(listeners) = self.membership().listeners() else {
            return false;
        };
        let mut entries = listeners.entries.lock();
        let mut handler = None;
        for handlers in entries.events.values_mut() {
            if let Some(position) = handlers.iter().position(|(id, _, _)| *id == listener) {
                handler = Some(handlers.remove(position).2);
            }
        }
        entries.events.retain(|_, handlers| !handlers.is_empty());
        let any = remove(&mut entries.any, listener);
        let screen = remove(&mut entries.screens, listener);
        let outgoing = remove(&mut entries.outgoing, listener);
        let disconnecting = remove(&mut entries.disconnecting, listener);
        let disconnect = remove(&mut entries.disconnect, listener);
        // What the listener holds is dropped outside the lock, at the end.
        drop(entries);
        self.forget_observers(usize::from(outgoing.is_some()));
        handler.is_some()
            || any.is_some()
            || screen.is_some()
            || outgoing.is_some()
            || disconnecting.is_some()
            || disconnect.is_some()
    }

    /// Removes all of this socket's own handlers of an event.
    #[doc(alias = "removeAllListeners")]
    pub fn off_event(&self, name: &str) {
        let listeners = self.membership().listeners();
        drop(listeners.map(|listeners| listeners.entries.lock().events.remove(name)));
    }

    /// Removes all of this socket's own catch-all listeners of what comes in.
    #[doc(alias = "offAny")]
    pub fn off_any(&self) {
        let listeners = self.membership().listeners();
        drop(listeners.map(|listeners| std::mem::take(&mut listeners.entries.lock().any)));
    }

    /// Removes all of this socket's own catch-all listeners of what goes out.
    #[doc(alias = "offAnyOutgoing")]
    pub fn off_any_outgoing(&self) {
        let listeners = self.membership().listeners();
        let removed =
            listeners.map(|listeners| std::mem::take(&mut listeners.entries.lock().outgoing));
        self.forget_observers(removed.map_or(0, |removed| removed.len()));
    }

    /// The events for which this socket has handlers of its own, in no particular order.
    #[must_use]
    #[doc(alias = "eventNames")]
    pub fn event_names(&self) -> Vec<&'static str> {
        let listeners = self.membership().listeners();
        listeners.map_or_else(Vec::new, |listeners| {
            listeners.entries.lock().events.keys().copied().collect()
        })
    }

    /// How many handlers of its own this socket has for an event.
    #[must_use]
    #[doc(alias = "listenerCount")]
    pub fn listener_count(&self, name: &str) -> usize {
        let listeners = self.membership().listeners();
        listeners.map_or(0, |listeners| {
            let entries = listeners.entries.lock();
            entries.events.get(name).map_or(0, Vec::len)
        })
    }

    fn listeners(&self) -> &Listeners {
        self.membership().listeners_or_new()
    }

    fn forget_observers(&self, count: usize) {
        let observers = self.membership().hub().observers();
        observers.fetch_sub(count, Ordering::Relaxed);
    }
}
