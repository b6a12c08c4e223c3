//! What a client's handles and its task share: what is to be sent, what is asked, and where it stands.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ferriwire_proto::codec::{Arguments, Codec, EncodeError};
use ferriwire_proto::connection::Key;
use ferriwire_proto::connection::client::{LaneConfig, Outgoing};
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::engine::queue::{Entry, Queue};
use ferriwire_proto::packet::AckId;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;

use super::auth::Auth;
use super::dispatch::{Came, Listeners};
use super::error::ConnectFailure;
use super::stream::Happened;
use crate::engine::Transport;
use crate::error::{AckError, EmitError};

/// Who waits for an acknowledgement; `None` where it only has to come.
pub(crate) type Waiter = Option<Box<dyn FnOnce(Result<Arguments<'_>, AckError>) + Send>>;

/// Who waits for a namespace to be joined.
pub(crate) type Joining = oneshot::Sender<Result<(), ConnectFailure>>;

pub(crate) struct Shared {
    pub(crate) codec: Codec,
    pub(crate) outgoing: Mutex<Outgoing<Waiter>>,
    /// `None` when there is no task any more.
    notes: Mutex<Option<Vec<Note>>>,
    pub(crate) waker: AtomicWaker,
    transport: AtomicU8,
    writable: AtomicBool,
    /// How many bytes of events wait for handlers.
    incoming: AtomicUsize,
    closed: AtomicBool,
}

/// What a handle asks of the task.
pub(crate) enum Note {
    /// A namespace that is to be known, and joined.
    Add {
        membership: Arc<Membership>,
        joining: Joining,
        /// The first failure to connect is one to join.
        first_failure: bool,
    },
    Connect(Arc<Membership>),
    Disconnect(Arc<Membership>),
    /// Drop the connection without a word.
    Cut,
    /// The program wants no more of it. Whoever waits for that is told.
    Close(Option<oneshot::Sender<()>>),
}

/// One namespace of a client.
pub(crate) struct Membership {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: Arc<str>,
    /// Set when it is declared, but by the task when there is one of that name, which may have been left.
    pub(crate) key: OnceLock<Key>,
    pub(crate) lane: LaneConfig,
    /// How long an acknowledgement is waited for unless it is said.
    pub(crate) ack_timeout: Option<Duration>,
    pub(crate) auth: Auth,
    /// Where the program looks at what happens, if it does so by a stream.
    pub(crate) happened: Option<Arc<Happened>>,
    pub(crate) listeners: Mutex<Listeners>,
    pub(crate) status: Mutex<Status>,
}

/// Where a namespace stands, as its handles see it.
#[derive(Default)]
pub(crate) struct Status {
    /// While it is joined.
    pub(crate) id: Option<Arc<str>>,
    pub(crate) recovered: bool,
    pub(crate) active: bool,
    /// How often it has been joined.
    pub(crate) joined: u64,
    /// How often it was left of which the task does not know yet: nothing of the session is for it any more.
    pub(crate) leaving: u32,
    /// The namespace was left and joined again by another declaration, to which it belongs now.
    pub(crate) is_replaced: bool,
}

impl Shared {
    pub(crate) fn new(codec: Codec, outgoing: Outgoing<Waiter>) -> Self {
        Self {
            codec,
            outgoing: Mutex::new(outgoing),
            notes: Mutex::new(Some(Vec::new())),
            waker: AtomicWaker::new(),
            transport: AtomicU8::new(0),
            writable: AtomicBool::new(false),
            incoming: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn ask(&self, note: Note) {
        let unheard = match &mut *self.notes.lock() {
            Some(notes) => {
                notes.push(note);
                None
            }
            None => Some(note),
        };
        // Who waits for what it asks is told by this.
        drop(unheard);
        self.waker.wake();
    }

    /// Declares a namespace that is to be joined. What is emitted is kept from here on, unless there is one of
    /// that name already: that is known to the task alone.
    pub(crate) fn declare(
        &self,
        membership: Arc<Membership>,
        joining: Joining,
        first_failure: bool,
    ) {
        let unheard = {
            // Held over both: the task gives keys in the order of these notes.
            let mut notes = self.notes.lock();
            membership.declare();
            let note = Note::Add {
                membership,
                joining,
                first_failure,
            };
            match &mut *notes {
                Some(notes) => {
                    notes.push(note);
                    None
                }
                None => Some(note),
            }
        };
        drop(unheard);
        self.waker.wake();
    }

    pub(crate) fn take_notes(&self) -> Vec<Note> {
        let mut notes = self.notes.lock();
        notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The task has ended: nothing is heard, sent or answered any more.
    pub(crate) fn end(&self) {
        self.set_closed();
        self.set_transport(None);
        self.set_writable(false);
        let unheard = self.notes.lock().take();
        self.forget_all();
        drop(unheard);
    }

    /// Nothing is sent any more. Who waits for answers is told by what is dropped.
    pub(crate) fn forget_all(&self) {
        let nothing = Outgoing::new(Queue::new(), 0);
        let forgotten = std::mem::replace(&mut *self.outgoing.lock(), nothing);
        drop(forgotten);
    }

    pub(crate) fn transport(&self) -> Option<Transport> {
        match self.transport.load(Ordering::Acquire) {
            1 => Some(Transport::Polling),
            2 => Some(Transport::WebSocket),
            _ => None,
        }
    }

    pub(crate) fn set_transport(&self, transport: Option<Transport>) {
        let number = match transport {
            Some(Transport::Polling) => 1,
            Some(Transport::WebSocket) => 2,
            Some(Transport::WebTransport) | None => 0,
        };
        self.transport.store(number, Ordering::Release);
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }

    pub(crate) fn set_writable(&self, writable: bool) {
        self.writable.store(writable, Ordering::Release);
    }

    pub(crate) fn incoming(&self) -> usize {
        self.incoming.load(Ordering::Relaxed)
    }

    pub(crate) fn set_incoming(&self, bytes: usize) {
        self.incoming.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl Membership {
    /// From here on its events can be kept, if there was none of its name.
    pub(crate) fn declare(&self) {
        let key = self.shared.outgoing.lock().declare(&self.name, self.lane);
        if let Some(key) = key {
            self.key.get_or_init(|| key);
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.status.lock().id.is_some()
    }

    /// The program leaves the namespace, which counts from here on: what is emitted next is kept, not sent on
    /// the session.
    pub(crate) fn leave(&self) {
        let lost = {
            let mut outgoing = self.shared.outgoing.lock();
            let mut status = self.status.lock();
            status.leaving = status.leaving.saturating_add(1);
            status.id = None;
            status.recovered = false;
            status.active = false;
            let key = self.key.get().filter(|_| !status.is_replaced);
            key.map(|key| outgoing.handle_left(*key, now()))
        };
        for waiter in lost.into_iter().flatten().flatten() {
            waiter(Err(AckError::Disconnected));
        }
    }

    /// The task knows that it was [left](Self::leave).
    pub(crate) fn note_left(&self) {
        let mut status = self.status.lock();
        status.leaving = status.leaving.saturating_sub(1);
    }

    /// Whether it is still joined as when that came.
    pub(crate) fn is_in(&self, came: Came) -> bool {
        let status = self.status.lock();
        status.id.is_some() && status.joined == came.joined
    }

    /// Encodes an event.
    pub(crate) fn encode<P: Serialize>(
        &self,
        id: Option<AckId>,
        name: &str,
        payload: &P,
    ) -> Result<Encoded, EncodeError> {
        let depth = ferriwire_proto::codec::MAX_DEPTH;
        let codec = &self.shared.codec;
        codec.encode_event(&self.name, id, name, payload, depth)
    }

    /// Answers an event, if the connection on which it came is still there.
    pub(crate) fn answer<P: Serialize>(&self, came: Came, payload: &P) -> Result<(), EmitError> {
        let Some(id) = came.id else { return Ok(()) };
        let depth = ferriwire_proto::codec::MAX_DEPTH;
        let message = self.shared.codec.encode_ack(&self.name, id, payload, depth);
        let message = Arc::new(message?);
        {
            // Held over both, so that the answer cannot come to stand on another session.
            let mut outgoing = self.shared.outgoing.lock();
            let status = self.status.lock();
            if status.id.is_none() || status.joined != came.joined {
                return Err(EmitError::Disconnected);
            }
            outgoing.queue().push(Entry::Message(message));
        }
        self.shared.waker.wake();
        Ok(())
    }
}

/// Now, by the clock of the runtime, which stands still in tests that pause it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
