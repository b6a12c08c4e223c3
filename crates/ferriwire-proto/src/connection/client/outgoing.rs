//! What a client sends: on the session if its namespace is joined, otherwise as soon as it is.
//!
//! Pure data, kept by the driver behind one lock, because events are emitted from anywhere.

use std::sync::Arc;
use std::time::Instant;

use super::Answers;
use crate::connection::Key;
use crate::engine::queue::{Entry, Queue};
use crate::packet::AckId;
use crate::reconnect::{
    BufferFull, Kept, Offline, OfflinePolicy, Retries, RetryConfig, RetryOutput,
};

/// What waits for the server, of all namespaces of a client. `T` is whoever waits for an
/// acknowledgement.
#[derive(Debug)]
pub struct Outgoing<T> {
    queue: Queue,
    max_queued: usize,
    /// By key.
    lanes: Vec<Lane<T>>,
}

/// How one namespace sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneConfig {
    /// How many bytes of events are kept while it is not joined. Default: 1 MiB; unlimited in the
    /// reference.
    pub max_offline: usize,
    /// What happens when there are more.
    pub offline_policy: OfflinePolicy,
    /// Whether events are sent until they are acknowledged. Default: they are sent once.
    pub retries: Option<RetryConfig>,
}

impl Default for LaneConfig {
    fn default() -> Self {
        Self {
            max_offline: 1024 * 1024,
            offline_policy: OfflinePolicy::Refuse,
            retries: None,
        }
    }
}

/// The events of one namespace.
#[derive(Debug)]
struct Lane<T> {
    name: Arc<str>,
    is_joined: bool,
    answers: Answers<T>,
    offline: Offline,
    retries: Option<Retries>,
}

/// How an event is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emission {
    /// In order, kept while there is no connection.
    Ordinary,
    /// Now or never: dropped unless the transport takes it at once, as that says.
    Volatile {
        /// A transport is there and takes more.
        is_writable: bool,
    },
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Emitted<T> {
    /// It is on its way.
    Queued,
    /// It waits until its namespace is joined, and these will not get their acknowledgements, because
    /// it took the place of what they had sent.
    Kept(Vec<T>),
    /// It was volatile, and is gone.
    Dropped,
}

impl<T> Outgoing<T> {
    /// Nothing waits; at most so many bytes may, on a session that is slow.
    #[must_use]
    pub const fn new(queue: Queue, max_queued: usize) -> Self {
        Self {
            queue,
            max_queued,
            lanes: Vec::new(),
        }
    }

    /// What waits for the session, to be written and to append packets to that are no events.
    pub fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// How many bytes wait, for the session or for a connection.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lanes = self.lanes.iter();
        let kept = lanes.map(|lane| {
            let retried = lane.retries.as_ref().map_or(0, Retries::bytes);
            lane.offline.bytes().saturating_add(retried)
        });
        kept.fold(self.queue.bytes(), usize::saturating_add)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let lanes = self.lanes.iter();
        lanes.filter_map(Lane::deadline).min()
    }

    /// Makes place for a namespace, whose events may be emitted from here on; `None` if there is one of that
    /// name. Keys are given in the order in which [`Client::add`](super::Client::add) gives them.
    pub fn declare(&mut self, name: &Arc<str>, config: LaneConfig) -> Option<Key> {
        if self.lanes.iter().any(|lane| lane.name == *name) {
            return None;
        }
        let key = Key(u32::try_from(self.lanes.len()).ok()?);
        // Most clients have one namespace, and pay for no more.
        self.lanes.reserve_exact(1);
        self.lanes
            .push(Lane::new(Arc::clone(name), Answers::default(), config));
        Some(key)
    }

    /// A namespace that was left is declared anew: what was kept for it before is not sent any more.
    pub fn replace(&mut self, key: Key, config: LaneConfig) {
        if let Some(lane) = self.lane(key) {
            // Who still gives up an answer of the one before must not meet another one.
            let answers = Answers::after(&lane.answers);
            *lane = Lane::new(Arc::clone(&lane.name), answers, config);
        }
    }

    /// Somebody wants the acknowledgement of an event that is going to be emitted, and encoded with
    /// this number; until the deadline. An event that is sent until it is acknowledged has none: it is
    /// given up after its last try. `None`: there is no such namespace.
    pub fn expect_answer(&mut self, key: Key, who: T, deadline: Option<Instant>) -> Option<AckId> {
        let lane = self.lane(key)?;
        Some(lane.answers.add(who, deadline))
    }

    /// Sends an event, or keeps it. In a namespace that sends until it is acknowledged only events that
    /// [expect an answer](Self::expect_answer) are sent so, whether or not somebody looks at it.
    ///
    /// # Errors
    ///
    /// Too much waits already. Whoever expects an answer to it is to be [forgotten](Self::forget).
    pub fn emit(
        &mut self,
        key: Key,
        event: Kept,
        how: Emission,
        now: Instant,
    ) -> Result<Emitted<T>, BufferFull> {
        let (queued, max) = (self.queue.bytes_behind(), self.max_queued);
        let is_idle = self.queue.is_empty();
        let Some(lane) = self.lane(key) else {
            return Ok(Emitted::Dropped);
        };
        if let Emission::Volatile { is_writable } = how {
            if !(lane.is_joined && is_writable && is_idle) {
                return Ok(Emitted::Dropped);
            }
        } else if let (Some(retries), Some(id)) = (&mut lane.retries, event.id) {
            retries.push(id, event.message)?;
            let is_joined = lane.is_joined;
            self.send_again(key, now);
            return Ok(if is_joined {
                Emitted::Queued
            } else {
                Emitted::Kept(Vec::new())
            });
        } else if !lane.is_joined {
            let dropped = lane.offline.keep(event)?;
            let dropped = dropped.into_iter().filter_map(|event| event.id);
            let dropped = dropped.filter_map(|id| lane.answers.take(id));
            return Ok(Emitted::Kept(dropped.collect()));
        }
        let len = event.message.len();
        if queued > 0 && queued.saturating_add(len) > max {
            return Err(BufferFull {
                len,
                bytes: queued,
                limit: max,
            });
        }
        if let Some(id) = event.id {
            lane.answers.handle_sent(id);
        }
        self.queue.push(Entry::Message(event.message));
        Ok(Emitted::Queued)
    }

    /// Nobody waits for that answer any more. Its event is not sent if it still waits for a connection.
    pub fn forget(&mut self, key: Key, id: AckId) -> Option<T> {
        let lane = self.lane(key)?;
        lane.offline.remove(id);
        lane.answers.take(id)
    }

    /// The namespace is joined: what was kept leaves, before anything that its handlers emit.
    pub fn handle_joined(&mut self, key: Key, now: Instant) {
        let Some(lane) = self.lanes.get_mut(key.index()) else {
            return;
        };
        lane.is_joined = true;
        while let Some(event) = lane.offline.take() {
            if let Some(id) = event.id {
                lane.answers.handle_sent(id);
            }
            self.queue.push(Entry::Message(event.message));
        }
        if let Some(retries) = &mut lane.retries {
            retries.handle_joined();
        }
        self.send_again(key, now);
    }

    /// The namespace is joined no more. Answers to what has left are lost, and whoever waited for one is
    /// handed back.
    pub fn handle_left(&mut self, key: Key, now: Instant) -> Vec<T> {
        let lost = self.lane(key).map(Lane::handle_left);
        let mut lost = lost.unwrap_or_default();
        lost.extend(self.pump(key.index(), now));
        lost
    }

    /// The session is over, and what was queued on it is lost with it. What was kept stays.
    pub fn handle_closed(&mut self, now: Instant) -> Vec<T> {
        let keys = (0..).map(Key).take(self.lanes.len());
        let lost = keys.collect::<Vec<_>>().into_iter();
        let lost = lost.flat_map(|key| self.handle_left(key, now)).collect();
        self.queue.clear();
        lost
    }

    /// An acknowledgement came. `None`: nobody waits for it, or what it answers has not left.
    pub fn handle_ack(&mut self, key: Key, id: AckId, now: Instant) -> Option<T> {
        let lane = self.lane(key)?;
        let retries = lane.retries.as_mut();
        let is_retried = retries.is_some_and(|retries| retries.handle_ack(id));
        if !is_retried && !lane.answers.is_sent(id) {
            return None;
        }
        let who = lane.answers.take(id);
        self.send_again(key, now);
        who
    }

    /// Time has passed: those whose answers come no more. Their events, if they still wait, do so no
    /// longer.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<T> {
        let mut late = Vec::new();
        for index in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(index) else {
                continue;
            };
            while let Some((id, who)) = lane.answers.take_late(now) {
                lane.offline.remove(id);
                late.push(who);
            }
            if let Some(retries) = &mut lane.retries {
                retries.handle_timeout(now);
            }
            late.extend(self.pump(index, now));
        }
        late
    }

    /// Sends what the retries of a namespace want sent; nobody is given up by that.
    fn send_again(&mut self, key: Key, now: Instant) {
        let given_up = self.pump(key.index(), now);
        debug_assert!(given_up.is_empty(), "only time and loss give up");
    }

    /// Carries out what the retries of a namespace want; those whom they give up are handed back.
    fn pump(&mut self, index: usize, now: Instant) -> Vec<T> {
        let mut given_up = Vec::new();
        let Some(lane) = self.lanes.get_mut(index) else {
            return given_up;
        };
        let Some(retries) = &mut lane.retries else {
            return given_up;
        };
        loop {
            match retries.poll_output(now) {
                RetryOutput::Send(message) => self.queue.push(Entry::Message(message)),
                RetryOutput::GiveUp(id) => given_up.extend(lane.answers.take(id)),
                RetryOutput::Timeout(_) => return given_up,
            }
        }
    }

    fn lane(&mut self, key: Key) -> Option<&mut Lane<T>> {
        self.lanes.get_mut(key.index())
    }
}

impl<T> Lane<T> {
    fn new(name: Arc<str>, answers: Answers<T>, config: LaneConfig) -> Self {
        Self {
            name,
            is_joined: false,
            answers,
            offline: Offline::new(config.max_offline, config.offline_policy),
            retries: config.retries.map(Retries::new),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let retries = self.retries.as_ref().and_then(Retries::deadline);
        [self.answers.deadline(), retries]
            .into_iter()
            .flatten()
            .min()
    }

    fn handle_left(&mut self) -> Vec<T> {
        self.is_joined = false;
        let lost = self.answers.take_lost();
        if let Some(retries) = &mut self.retries {
            retries.handle_lost();
        }
        lost
    }
}

#[cfg(test)]
mod tests;
