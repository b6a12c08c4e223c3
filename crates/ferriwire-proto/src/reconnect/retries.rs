//! Events that are sent again until the server acknowledges them, one after the other (case 82).
//!
//! One event is in flight at a time, so that their order is kept whatever is lost. The server may get
//! one twice: its acknowledgement can be lost, too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::encoded::Encoded;
use crate::packet::AckId;

use super::BufferFull;

/// How often an event is sent, and how long its acknowledgement may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// How often it is sent again. It is given up after one more try than that.
    pub retries: u32,
    /// How long a try waits for its acknowledgement.
    #[doc(alias = "ackTimeout")]
    pub ack_timeout: Duration,
    /// How many bytes may wait, the one in flight included. Default: 1 MiB; unlimited in the
    /// reference.
    pub max_bytes: usize,
}

impl RetryConfig {
    /// So many retries, each after so long.
    #[must_use]
    pub const fn new(retries: u32, ack_timeout: Duration) -> Self {
        Self {
            retries,
            ack_timeout,
            max_bytes: 1024 * 1024,
        }
    }
}

/// What the driver shall do.
#[derive(Clone, Debug)]
pub enum RetryOutput {
    /// Send an event. It has the same number in each try, so that whichever try is answered counts.
    Send(Arc<Encoded>),
    /// Tell whoever waits for that acknowledgement that it will not come.
    GiveUp(AckId),
    /// Nothing more until then.
    Timeout(Option<Instant>),
}

/// The events of one namespace that are to be acknowledged.
#[derive(Debug)]
pub struct Retries {
    config: RetryConfig,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    flight: Flight,
    given_up: VecDeque<AckId>,
}

#[derive(Debug)]
struct Waiting {
    id: AckId,
    message: Arc<Encoded>,
    tries: u32,
}

/// Where the first event that waits is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    /// There is no connection.
    Grounded,
    /// It may be sent.
    Ready,
    /// It was sent.
    Sent { deadline: Option<Instant> },
}

impl Retries {
    /// Nothing waits yet, and there is no connection.
    #[must_use]
    pub const fn new(config: RetryConfig) -> Self {
        Self {
            config,
            waiting: VecDeque::new(),
            bytes: 0,
            flight: Flight::Grounded,
            given_up: VecDeque::new(),
        }
    }

    /// How many events wait, the one in flight included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes wait, the event in flight included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.flight {
            Flight::Sent { deadline } => deadline,
            Flight::Grounded | Flight::Ready => None,
        }
    }

    /// The namespace is joined: what was in flight is sent again.
    pub fn handle_joined(&mut self) {
        if self.flight == Flight::Grounded {
            self.flight = Flight::Ready;
        }
    }

    /// The namespace is joined no more: what was in flight has failed.
    pub fn handle_lost(&mut self) {
        if matches!(self.flight, Flight::Sent { .. }) {
            self.fail();
        }
        self.flight = Flight::Grounded;
    }

    /// An acknowledgement came, also late. Says whether it was awaited here.
    pub fn handle_ack(&mut self, id: AckId) -> bool {
        let Some(first) = self.waiting.front() else {
            return false;
        };
        // Nothing behind it has ever been sent.
        if first.id != id || first.tries == 0 {
            return false;
        }
        self.take_first();
        if matches!(self.flight, Flight::Sent { .. }) {
            self.flight = Flight::Ready;
        }
        true
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Flight::Sent {
            deadline: Some(deadline),
        } = self.flight
            && deadline <= now
        {
            self.flight = Flight::Ready;
            self.fail();
        }
    }

    /// Appends an event, which asks for an acknowledgement under that number.
    ///
    /// # Errors
    ///
    /// Too much waits already.
    pub fn push(&mut self, id: AckId, message: Arc<Encoded>) -> Result<(), BufferFull> {
        let len = message.len();
        let bytes = self.bytes.saturating_add(len);
        if bytes > self.config.max_bytes {
            return Err(BufferFull {
                len,
                bytes: self.bytes,
                limit: self.config.max_bytes,
            });
        }
        self.bytes = bytes;
        self.waiting.push_back(Waiting {
            id,
            message,
            tries: 0,
        });
        Ok(())
    }

    /// What to do next; call it again until it answers [`RetryOutput::Timeout`].
    pub fn poll_output(&mut self, now: Instant) -> RetryOutput {
        if let Some(id) = self.given_up.pop_front() {
            return RetryOutput::GiveUp(id);
        }
        if self.flight != Flight::Ready {
            return RetryOutput::Timeout(self.deadline());
        }
        let Some(first) = self.waiting.front_mut() else {
            return RetryOutput::Timeout(None);
        };
        first.tries = first.tries.saturating_add(1);
        let deadline = now.checked_add(self.config.ack_timeout);
        self.flight = Flight::Sent { deadline };
        RetryOutput::Send(Arc::clone(&first.message))
    }

    /// The try of the first event has failed.
    fn fail(&mut self) {
        let retries = self.config.retries;
        let first = self.waiting.front();
        if first.is_some_and(|first| first.tries > retries)
            && let Some(id) = self.take_first()
        {
            self.given_up.push_back(id);
        }
    }

    fn take_first(&mut self) -> Option<AckId> {
        let first = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(first.message.len());
        Some(first.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    struct Script {
        retries: Retries,
        now: Instant,
    }

    impl Script {
        #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
        fn new(retries: u32) -> Self {
            Self {
                retries: Retries::new(RetryConfig::new(retries, TIMEOUT)),
                now: Instant::now(),
            }
        }

        fn push(&mut self, id: u64) {
            let message = Arc::new(Encoded::text_message(&id.to_string()));
            self.retries.push(AckId(id), message).unwrap();
        }

        /// What is sent and given up, in words.
        fn drain(&mut self) -> String {
            let mut words = Vec::new();
            loop {
                match self.retries.poll_output(self.now) {
                    RetryOutput::Send(message) => {
                        let text = String::from_utf8(message.text().to_vec()).unwrap();
                        words.push(text.replacen('4', "send ", 1));
                    }
                    RetryOutput::GiveUp(id) => words.push(format!("give up {id}")),
                    RetryOutput::Timeout(_) => return words.join(", "),
                }
            }
        }

        fn late(&mut self) -> String {
            let RetryOutput::Timeout(Some(deadline)) = self.retries.poll_output(self.now) else {
                panic!("nothing is awaited");
            };
            assert_eq!(deadline, self.now + TIMEOUT);
            self.retries
                .handle_timeout(deadline - Duration::from_nanos(1));
            assert_eq!(self.drain(), "");
            self.now = deadline;
            self.retries.handle_timeout(self.now);
            self.drain()
        }

        fn ack(&mut self, id: u64) -> String {
            assert!(self.retries.handle_ack(AckId(id)));
            self.drain()
        }
    }

    #[test]
    fn one_is_in_flight_and_the_order_is_kept() {
        let mut script = Script::new(3);
        script.push(0);
        assert_eq!(script.drain(), "", "not while disconnected");
        script.retries.handle_joined();
        assert_eq!(script.drain(), "send 0");
        script.push(1);
        script.push(2);
        assert_eq!(script.drain(), "");
        assert_eq!(script.ack(0), "send 1");
        assert_eq!(script.ack(1), "send 2");
        assert_eq!(script.ack(2), "");
        assert!(script.retries.is_empty());
        script.push(3);
        assert_eq!(script.drain(), "send 3");
    }

    #[test]
    fn it_is_tried_once_more_than_there_are_retries() {
        for retries in [0, 1, 3] {
            let mut script = Script::new(retries);
            script.retries.handle_joined();
            script.push(0);
            script.push(1);
            assert_eq!(script.drain(), "send 0");
            for _ in 0..retries {
                assert_eq!(script.late(), "send 0");
            }
            assert_eq!(script.late(), "give up 0, send 1");
            assert_eq!(script.ack(1), "");
        }
    }

    #[test]
    fn what_was_in_flight_is_sent_again_on_the_next_connection() {
        let mut script = Script::new(3);
        script.retries.handle_joined();
        script.push(0);
        script.push(1);
        assert_eq!(script.drain(), "send 0");
        script.retries.handle_lost();
        assert_eq!(script.drain(), "");
        script.retries.handle_timeout(script.now + TIMEOUT);
        assert_eq!(script.drain(), "", "nothing is in flight");
        script.retries.handle_joined();
        assert_eq!(script.drain(), "send 0");
        script.retries.handle_joined();
        assert_eq!(script.drain(), "", "not twice");
        assert_eq!(script.ack(0), "send 1");
    }

    #[test]
    fn a_lost_connection_is_a_try_that_failed() {
        let mut script = Script::new(1);
        script.push(0);
        for expected in ["send 0", "send 0"] {
            script.retries.handle_joined();
            assert_eq!(script.drain(), expected);
            script.retries.handle_lost();
        }
        assert_eq!(script.drain(), "give up 0");
        script.retries.handle_lost();
        assert_eq!(script.drain(), "");
    }

    #[test]
    fn a_late_acknowledgement_counts_and_others_do_not() {
        let mut script = Script::new(3);
        script.retries.handle_joined();
        script.push(5);
        script.push(6);
        assert!(!script.retries.handle_ack(AckId(5)), "never sent");
        assert_eq!(script.drain(), "send 5");
        assert!(!script.retries.handle_ack(AckId(6)), "never sent");
        assert!(!script.retries.handle_ack(AckId(99)));
        assert_eq!(script.late(), "send 5");
        // The answer to the first try comes behind the second one, and then that of the second.
        assert_eq!(script.ack(5), "send 6");
        assert!(!script.retries.handle_ack(AckId(5)));
        assert_eq!(script.drain(), "");
    }

    #[test]
    fn what_waits_is_bounded() {
        let config = RetryConfig {
            max_bytes: 20,
            ..RetryConfig::new(1, TIMEOUT)
        };
        let mut retries = Retries::new(config);
        let message = Arc::new(Encoded::text_message("1234567"));
        assert_eq!(message.len(), 10);
        for id in 0..2 {
            retries.push(AckId(id), Arc::clone(&message)).unwrap();
        }
        let full = retries.push(AckId(2), message).unwrap_err();
        assert_eq!((full.len, full.bytes, full.limit), (10, 20, 20));
    }
}
