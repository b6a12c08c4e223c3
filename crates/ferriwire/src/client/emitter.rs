//! Sending an event with what was said of it.

use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::codec::to_args;
use ferriwire_proto::connection::client::{Emission, Emitted};
use ferriwire_proto::reconnect::{Kept, RetryConfig};
use serde::Serialize;
use tokio::sync::oneshot;

use super::acknowledgement::{Acknowledgement, Asked};
use super::handle::Client;
use super::shared::{Waiter, now};
use crate::error::{AckError, EmitError};
use crate::event::Accepts;

/// An emission with modifiers. Nothing is remembered in the client.
#[derive(Clone, Copy, Debug)]
#[must_use = "modifiers do nothing until `emit`"]
pub struct Emitter<'a> {
    client: &'a Client,
    volatile: bool,
    compress: bool,
    timeout: Option<Duration>,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self {
            client,
            volatile: false,
            compress: true,
            timeout: None,
        }
    }

    /// The event is dropped when it cannot be sent at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// let sent = client.compress(false).volatile().emit("position", (52.5, 13.4));
    /// # }
    /// ```
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Whether a transport that compresses may compress the event. Default `true`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// let sent = client.volatile().compress(false).emit("position", (52.5, 13.4));
    /// # }
    /// ```
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// The acknowledgement is waited for so long.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn run(client: &ferriwire::Client) {
    /// let asked = client.compress(false).timeout(Duration::from_millis(500));
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// As [`Client::emit`].
    ///
    /// # Errors
    ///
    /// As [`Client::emit`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(client: &ferriwire::Client) {
    /// let sent = client.volatile().emit("position", (52.5, 13.4));
    /// # }
    /// ```
    pub fn emit<E, P>(self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        // Where events are sent until they are acknowledged, each has to ask for that.
        let waiter: Option<Waiter> = self.retries().map(|_| None);
        self.send(event.name(), &payload, waiter).map(drop)
    }

    /// How the event is sent until it is acknowledged, if it is.
    fn retries(self) -> Option<RetryConfig> {
        self.client
            .membership()
            .lane
            .retries
            .filter(|_| !self.volatile)
    }

    /// As [`Client::emit_with_ack`].
    ///
    /// # Errors
    ///
    /// As [`Client::emit_with_ack`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ferriwire::{AckError, Client, Event};
    ///
    /// const ADD: Event<(i64, i64), i64> = Event::new("add");
    ///
    /// async fn add(client: &Client) -> Result<i64, AckError> {
    ///     let timeout = Duration::from_millis(500);
    ///     client.timeout(timeout).emit_with_ack(ADD, (1, 2)).await
    /// }
    /// ```
    pub fn emit_with_ack<E, P>(self, event: E, payload: P) -> Acknowledgement<E::Answer>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        let (answered, answer) = oneshot::channel();
        let timeout = match self.retries() {
            Some(retries) => Some(retries.ack_timeout),
            None => self.timeout.or(self.client.membership().ack_timeout),
        };
        let waiter: Waiter = Some(Box::new(move |answer| {
            let answer = answer.and_then(|arguments| super::acknowledgement::decode(&arguments));
            // Whoever asked may not wait any more.
            drop(answered.send(answer));
        }));
        match self.send(event.name(), &payload, Some(waiter)) {
            Ok(asked) => Acknowledgement::waiting(answer, asked, timeout),
            Err(error) => Acknowledgement::failed(AckError::Emit(error)),
        }
    }

    fn send<P: Serialize>(
        self,
        name: &str,
        payload: &P,
        waiter: Option<Waiter>,
    ) -> Result<Option<Asked>, EmitError> {
        let membership = self.client.membership();
        let shared = &membership.shared;
        let key = match membership.key.get() {
            Some(key) if !shared.is_closed() => *key,
            _ => return Err(EmitError::Closed),
        };
        let now = now();
        // Who is sent again is given up after the last try.
        let timeout = match self.retries() {
            Some(_) => None,
            None => self.timeout.or(membership.ack_timeout),
        };
        let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        let id = waiter.and_then(|waiter| {
            let mut outgoing = shared.outgoing.lock();
            outgoing.expect_answer(key, waiter, deadline)
        });
        // From here on it is forgotten with this, when the event cannot be sent.
        let asked = id.map(|id| Asked::new(Arc::clone(membership), key, id));
        let message = membership.encode(id, name, payload)?;
        let message = Arc::new(message.with_compress(self.compress));
        let how = if self.volatile {
            let is_writable = shared.is_writable();
            Emission::Volatile { is_writable }
        } else {
            Emission::Ordinary
        };
        let emitted = shared
            .outgoing
            .lock()
            .emit(key, Kept { message, id }, how, now);
        match emitted.map_err(EmitError::from)? {
            Emitted::Queued => shared.waker.wake(),
            Emitted::Kept(displaced) => {
                for waiter in displaced.into_iter().flatten() {
                    waiter(Err(AckError::Emit(EmitError::Displaced)));
                }
                // Its deadline may be the next one.
                shared.waker.wake();
            }
            // Nobody is to wait for the answer to what was not asked.
            Emitted::Dropped if asked.is_some() => return Err(EmitError::Dropped),
            Emitted::Dropped => return Ok(None),
        }
        self.show(name, payload);
        Ok(asked)
    }

    fn show<P: Serialize>(self, name: &str, payload: &P) {
        let listeners = self.client.membership().listeners.lock().outgoing();
        if listeners.is_empty() {
            return;
        }
        match to_args(payload) {
            Ok(args) => {
                for listener in listeners {
                    listener(self.client, name, &args);
                }
            }
            Err(error) => tracing::error!(%error, "an event cannot be shown"),
        }
    }
}
