//! The same client as a stream of what happens to it: for bots, commands and tests.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use ferriwire_proto::value::Args;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::dispatch::{Ack, Came};
use super::error::ConnectFailure;
use super::handle::{Client, Owner};
use super::reason::DisconnectReason;
use super::shared::Membership;

/// Something that happened to a client in its namespace.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The namespace is joined.
    Connected {
        /// The server has kept the session, so that nothing was missed.
        recovered: bool,
    },
    /// The server sent an event.
    Event {
        /// Its name.
        name: String,
        /// What it carries.
        args: Args,
        /// For the answer, if the server waits for one.
        ack: Ack<Args>,
    },
    /// The namespace could not be joined.
    ConnectError(ConnectFailure),
    /// The namespace is joined no more.
    Disconnected(DisconnectReason),
}

/// What happens to a client, in order: see [`ClientBuilder::events`](super::ClientBuilder::events). It ends
/// when the client is closed.
///
/// What is not taken counts as events that wait for handlers: above
/// [`ClientBuilder::max_incoming`](super::ClientBuilder::max_incoming) the connection is not read.
pub struct Events {
    membership: Arc<Membership>,
    owner: Weak<Owner>,
    happened: Arc<Happened>,
}

/// What waits for the program.
#[derive(Default)]
pub(crate) struct Happened {
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct Waiting {
    all: VecDeque<(Kept, usize)>,
    bytes: usize,
    ended: bool,
}

/// Without a handle, which would keep the client alive.
pub(crate) enum Kept {
    Connected {
        recovered: bool,
    },
    Event {
        name: String,
        args: Args,
        came: Came,
    },
    ConnectError(ConnectFailure),
    Disconnected(DisconnectReason),
}

impl Happened {
    pub(crate) fn push(&self, what: Kept, bytes: usize) {
        let mut waiting = self.waiting.lock();
        if waiting.ended {
            return;
        }
        let bytes = bytes.saturating_add(size_of::<Kept>());
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        waiting.all.push_back((what, bytes));
        drop(waiting);
        self.waker.wake();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.waiting.lock().bytes
    }

    /// Nothing more happens.
    pub(crate) fn end(&self) {
        self.waiting.lock().ended = true;
        self.waker.wake();
    }
}

impl Events {
    pub(crate) fn new(client: &Client, happened: Arc<Happened>) -> Self {
        Self {
            membership: Arc::clone(client.membership()),
            owner: Arc::downgrade(client.owner()),
            happened,
        }
    }

    /// Waits for what happens next; `None` when the client is closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ferriwire::client::ClientEvent;
    ///
    /// # async fn run() -> Result<(), ferriwire::ConnectFailure> {
    /// let builder = ferriwire::Client::builder("http://localhost:3000");
    /// let (client, mut events) = builder.events().await?;
    /// while let Some(event) = events.next().await {
    ///     if let ClientEvent::Event { name, args, .. } = event {
    ///         println!("{name}: {args:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<ClientEvent> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Events {
    type Item = ClientEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        self.happened.waker.register(cx.waker());
        loop {
            let mut waiting = self.happened.waiting.lock();
            let Some((kept, bytes)) = waiting.all.pop_front() else {
                return match waiting.ended {
                    true => Poll::Ready(None),
                    false => Poll::Pending,
                };
            };
            waiting.bytes = waiting.bytes.saturating_sub(bytes);
            drop(waiting);
            // It may not have been reading for want of room.
            self.membership.shared.waker.wake();
            return Poll::Ready(Some(match kept {
                Kept::Connected { recovered } => ClientEvent::Connected { recovered },
                Kept::ConnectError(failure) => ClientEvent::ConnectError(failure),
                Kept::Disconnected(reason) => ClientEvent::Disconnected(reason),
                Kept::Event { name, args, came } => {
                    let Some(owner) = self.owner.upgrade() else {
                        continue;
                    };
                    let client = Client::new(Arc::clone(&self.membership), owner);
                    let ack = Ack::new(client, came);
                    ClientEvent::Event { name, args, ack }
                }
            }));
        }
    }
}

impl Drop for Events {
    /// Nobody looks any more: nothing is kept, and nothing counts.
    fn drop(&mut self) {
        let dropped = std::mem::replace(
            &mut *self.happened.waiting.lock(),
            Waiting {
                ended: true,
                ..Waiting::default()
            },
        );
        drop(dropped);
        self.membership.shared.waker.wake();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Events").finish_non_exhaustive()
    }
}
