//! What listens to a namespace: handlers of events, and hooks of its life.

use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use ferriwire_proto::codec::{Arguments, ArgumentsError};
use ferriwire_proto::packet::AckId;
use ferriwire_proto::value::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ConnectFailure;
use super::handle::Client;
use super::reason::DisconnectReason;
use super::reconnection::Reconnection;
use crate::engine::Transport;
use crate::engine::running::BoxFuture;
use crate::error::EmitError;
use crate::event::{ErrorAnswer, HandlerError, Listens, Payload};
use crate::shown::shown;

/// Names one listener of a client, to be removed with [`Client::off`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// An event that came, and where its answer goes.
#[derive(Clone, Copy)]
pub(crate) struct Came {
    /// Which time of being joined it belongs to: an answer to an earlier one is not sent.
    pub(crate) joined: u64,
    pub(crate) id: Option<AckId>,
}

pub(crate) type EventHandler = Arc<
    dyn Fn(&Client, Arguments<'_>, Came) -> Result<BoxFuture<()>, ArgumentsError> + Send + Sync,
>;
pub(crate) type AnyHandler = Arc<
    dyn Fn(&Client, &str, Arguments<'_>) -> Result<BoxFuture<()>, ArgumentsError> + Send + Sync,
>;
pub(crate) type OutgoingListener = Arc<dyn Fn(&Client, &str, &Args) + Send + Sync>;
pub(crate) type Hook<T> = Arc<dyn Fn(Client, T) -> BoxFuture<()> + Send + Sync>;

/// All that listens to one namespace.
#[derive(Default)]
pub(crate) struct Listeners {
    added: u64,
    events: HashMap<&'static str, Vec<Listener>>,
    any: Vec<(ListenerId, AnyHandler)>,
    outgoing: Vec<(ListenerId, OutgoingListener)>,
    pub(crate) connect: Vec<Hook<()>>,
    pub(crate) connect_error: Vec<Hook<ConnectFailure>>,
    pub(crate) disconnect: Vec<Hook<DisconnectReason>>,
    pub(crate) reconnection: Vec<Hook<Reconnection>>,
    pub(crate) upgrade: Vec<Hook<Transport>>,
}

struct Listener {
    id: ListenerId,
    once: bool,
    handler: EventHandler,
}

/// The handlers of one event that came, in their order.
#[derive(Default)]
pub(crate) struct Matching {
    pub(crate) any: Vec<AnyHandler>,
    pub(crate) events: Vec<EventHandler>,
}

impl Listeners {
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        once: bool,
        handler: EventHandler,
    ) -> ListenerId {
        let id = self.next_id();
        let listener = Listener { id, once, handler };
        self.events.entry(name).or_default().push(listener);
        id
    }

    pub(crate) fn add_any(&mut self, first: bool, handler: AnyHandler) -> ListenerId {
        let id = self.next_id();
        let place = if first { 0 } else { self.any.len() };
        self.any.insert(place, (id, handler));
        id
    }

    pub(crate) fn add_outgoing(&mut self, first: bool, listener: OutgoingListener) -> ListenerId {
        let id = self.next_id();
        let place = if first { 0 } else { self.outgoing.len() };
        self.outgoing.insert(place, (id, listener));
        id
    }

    /// What listens to an event; what does so once is removed.
    pub(crate) fn matching(&mut self, name: &str) -> Matching {
        let any = self.any.iter().map(|(_, any)| Arc::clone(any)).collect();
        let Some(listeners) = self.events.get_mut(name) else {
            let events = Vec::new();
            return Matching { any, events };
        };
        let events = listeners.iter();
        let events = events.map(|one| Arc::clone(&one.handler)).collect();
        if listeners.iter().any(|one| one.once) {
            listeners.retain(|one| !one.once);
            if listeners.is_empty() {
                self.events.remove(name);
            }
        }
        Matching { any, events }
    }

    /// What sees the events that are sent.
    pub(crate) fn outgoing(&self) -> Vec<OutgoingListener> {
        let listeners = self.outgoing.iter();
        listeners.map(|(_, one)| Arc::clone(one)).collect()
    }

    pub(crate) fn remove(&mut self, id: ListenerId) -> Removed {
        let any = take_from(&mut self.any, |(own, _)| *own == id);
        let outgoing = take_from(&mut self.outgoing, |(own, _)| *own == id);
        let mut event = None;
        self.events.retain(|_, listeners| {
            event = event
                .take()
                .or_else(|| take_from(listeners, |one| one.id == id));
            !listeners.is_empty()
        });
        Removed {
            any: any.map(|(_, any)| any),
            outgoing: outgoing.map(|(_, outgoing)| outgoing),
            event: event.map(|event| event.handler),
        }
    }

    fn next_id(&mut self) -> ListenerId {
        self.added = self.added.wrapping_add(1);
        ListenerId(self.added)
    }
}

/// A listener that is none any more, to be dropped outside of locks: it may hold a client.
pub(crate) struct Removed {
    any: Option<AnyHandler>,
    outgoing: Option<OutgoingListener>,
    event: Option<EventHandler>,
}

impl Removed {
    pub(crate) fn is_some(&self) -> bool {
        self.any.is_some() || self.outgoing.is_some() || self.event.is_some()
    }
}

fn take_from<T>(list: &mut Vec<T>, is_it: impl FnMut(&T) -> bool) -> Option<T> {
    let position = list.iter().position(is_it)?;
    Some(list.remove(position))
}

/// Makes a handler whose return value is the acknowledgement.
pub(crate) fn answering<E, T, F, Fut>(event: E, handler: F) -> EventHandler
where
    E: Listens<T, Fut::Output>,
    T: DeserializeOwned + Send + 'static,
    F: FnOnce(Client, T) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    E::Answer: Send,
{
    let name = event.name();
    Arc::new(move |client, arguments, came| {
        let payload: T = arguments.decode()?;
        let (handler, client) = (handler.clone(), client.clone());
        Ok(Box::pin(async move {
            let returned = handler(client.clone(), payload).await;
            match E::reply(returned) {
                Ok(answer) => answer_with(&client, name, came, &answer),
                Err(error) => answer_failure(&client, name, came, &error),
            }
        }))
    })
}

/// Makes a handler that answers when, and if, it likes.
pub(crate) fn with_ack<T, A, F, Fut>(handler: F) -> EventHandler
where
    T: DeserializeOwned + Send + 'static,
    A: 'static,
    F: FnOnce(Client, T, Ack<A>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |client, arguments, came| {
        let payload: T = arguments.decode()?;
        let (handler, client) = (handler.clone(), client.clone());
        let ack = Ack::new(client.clone(), came);
        Ok(Box::pin(async move { handler(client, payload, ack).await }))
    })
}

/// Makes a handler of all events.
pub(crate) fn any<F, Fut>(handler: F) -> AnyHandler
where
    F: FnOnce(Client, String, Args) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |client, name, arguments| {
        let payload: Args = arguments.decode()?;
        let (handler, client, name) = (handler.clone(), client.clone(), name.to_owned());
        Ok(Box::pin(
            async move { handler(client, name, payload).await },
        ))
    })
}

/// Makes a hook.
pub(crate) fn hook<T, F, Fut>(hook: F) -> Hook<T>
where
    T: Send + 'static,
    F: FnOnce(Client, T) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |client, what| {
        let hook = hook.clone();
        Box::pin(async move { hook(client, what).await })
    })
}

/// The payload is correct, but not what the handler takes.
pub(crate) fn answer_mismatch(client: &Client, name: &str, came: Came, path: String, why: &str) {
    tracing::debug!(event = %shown(name), path = %shown(&path), why = %shown(why), "payload does not fit the handler");
    answer_with(client, name, came, &ErrorAnswer::mismatch(path));
}

fn answer_with<A: Serialize>(client: &Client, name: &str, came: Came, answer: &A) {
    match client.answer(came, answer) {
        // A server that has gone does not wait for its answer.
        Ok(()) | Err(EmitError::Disconnected | EmitError::Closed) => {}
        Err(error) => {
            tracing::error!(event = %shown(name), %error, "an acknowledgement cannot be written");
            let failure = ErrorAnswer::new("internal error");
            if client.answer(came, &failure).is_err() {
                tracing::debug!(event = %shown(name), "nor can an error be sent for it");
            }
        }
    }
}

fn answer_failure(client: &Client, name: &str, came: Came, error: &HandlerError) {
    if let Some(error) = error.internal() {
        tracing::error!(event = %shown(name), error = %shown(error), "a handler failed");
    }
    answer_with(client, name, came, &error.to_answer());
}

/// The answer that the server waits for, to be given early, later, or not at all.
#[derive(Debug)]
pub struct Ack<A = ()> {
    client: Client,
    came: Came,
    answer: PhantomData<fn(A)>,
}

impl<A> Ack<A> {
    pub(crate) fn new(client: Client, came: Came) -> Self {
        Self {
            client,
            came,
            answer: PhantomData,
        }
    }

    /// Whether the server asked for an answer at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::client::Ack;
    ///
    /// fn answer(ack: Ack<u32>) {
    ///     if ack.is_wanted() {
    ///         drop(ack.send(42));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.came.id.is_some()
    }

    /// Answers. Nothing happens when the server did not ask.
    ///
    /// # Errors
    ///
    /// The connection on which it asked has gone, or the answer cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::EmitError;
    /// use ferriwire::client::Ack;
    ///
    /// fn answer(ack: Ack<u32>) -> Result<(), EmitError> {
    ///     ack.send(42)
    /// }
    /// ```
    pub fn send<P: Payload<A>>(self, answer: P) -> Result<(), EmitError> {
        self.client.answer(self.came, &answer)
    }
}

impl std::fmt::Debug for Came {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Came").field(&self.id).finish()
    }
}
