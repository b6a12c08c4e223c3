use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::*;

mod close;
mod heartbeat;
mod random;
mod revision3;
mod upgrade;

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);
const INTERVAL: Duration = Duration::from_secs(25);
const TIMEOUT: Duration = Duration::from_secs(20);
const UPGRADE: Duration = Duration::from_secs(10);
const CLOSE: Duration = Duration::from_secs(30);

/// More outputs than one input can cause: whoever polls that often without an end never ends.
const MANY: usize = 8;

/// A session and its virtual clock. Times are counted from the opening of the session.
struct Script {
    session: Session,
    opened: Instant,
    now: Instant,
}

impl Script {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to make a first instant"
    )]
    fn in_revision(revision: Revision, transport: Transport) -> Self {
        let opened = Instant::now();
        Self {
            session: Session::new(Timing::default(), revision, transport, opened),
            opened,
            now: opened,
        }
    }

    fn new(transport: Transport) -> Self {
        Self::in_revision(Revision::V4, transport)
    }

    fn polling() -> Self {
        Self::new(Transport::Polling)
    }

    fn websocket() -> Self {
        Self::new(Transport::WebSocket)
    }

    /// A session on polling whose client has said `2probe` on a candidate.
    fn upgrading() -> Self {
        let mut script = Self::polling();
        assert!(script.candidate());
        script.candidate_packet("2probe");
        script.expect(&[Output::AnswerProbe, Output::ReleasePoll]);
        script
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// A packet on the current transport; says whether it was delivered as a message.
    fn packet(&mut self, text: &str) -> bool {
        let packet = Packet::decode(text).unwrap();
        self.session.handle_packet(packet, self.now).is_some()
    }

    fn candidate(&mut self) -> bool {
        self.session.handle_candidate(self.now)
    }

    fn candidate_packet(&mut self, text: &str) {
        let packet = Packet::decode(text).unwrap();
        self.session.handle_candidate_packet(&packet, self.now);
    }

    fn close(&mut self, reason: CloseReason) {
        self.session.close(reason, self.now);
    }

    fn set_reading(&mut self, reading: bool) {
        self.session.set_reading(reading, self.now);
    }

    /// Polls to the end; returns the outputs and when the session wants to be woken.
    fn drain(&mut self) -> (Vec<Output>, Option<Duration>) {
        let mut outputs = Vec::new();
        for _ in 0..MANY {
            let output = self.session.poll_output();
            if let Output::Timeout(deadline) = output {
                return (outputs, deadline.map(|deadline| deadline - self.opened));
            }
            outputs.push(output);
        }
        panic!("no end of outputs: {outputs:?}");
    }

    #[track_caller]
    fn expect(&mut self, expected: &[Output]) {
        assert_eq!(self.drain().0, expected);
    }

    /// The session wants to be woken exactly then, does nothing a nanosecond before, and this then.
    #[track_caller]
    fn expect_at(&mut self, time: Duration, expected: &[Output]) {
        assert_eq!(self.drain(), (vec![], Some(time)));
        self.now = self.opened + time - NS;
        self.session.handle_timeout(self.now);
        assert_eq!(self.drain(), (vec![], Some(time)));
        self.wait(NS);
        self.session.handle_timeout(self.now);
        self.expect(expected);
    }

    #[track_caller]
    fn expect_closed(&mut self, reason: CloseReason) {
        self.expect(&[Output::Closed(reason)]);
        assert!(self.session.is_closed());
    }

    /// Nothing that happens has an effect any more.
    #[track_caller]
    fn expect_over(&mut self) {
        self.wait(10 * CLOSE);
        for text in ["0", "1", "2", "3", "4x", "5", "6"] {
            assert!(!self.packet(text));
            self.candidate_packet(text);
        }
        assert!(!self.candidate());
        self.candidate_packet("2probe");
        self.session.handle_candidate_parse_error();
        self.session.handle_candidate_lost();
        self.session.handle_parse_error();
        self.session.handle_poll();
        self.session.handle_flushed();
        self.session.handle_timeout(self.now);
        self.close(CloseReason::ForcedClose);
        self.set_reading(false);
        self.set_reading(true);
        self.session.handle_transport_lost(Lost::Error);
        self.session.abort(CloseReason::ForcedClose);
        assert_eq!(self.drain(), (vec![], None));
        assert!(!self.session.is_open() && !self.session.is_upgrading());
    }
}

#[test]
fn a_message_is_handed_back() {
    let mut script = Script::polling();
    let message = Message::Text(Cow::Borrowed("hello"));
    let packet = Packet::Message(message.clone());
    let delivered = script.session.handle_packet(packet, script.now);
    assert_eq!(delivered, Some(Incoming::Message(message)));
    script.expect(&[]);
}

#[test]
fn a_message_is_taken_while_the_session_is_open() {
    let mut script = Script::websocket();
    assert!(script.session.handle_message(script.now));
    script.close(CloseReason::ForcedClose);
    assert!(!script.session.handle_message(script.now));
    script.session.abort(CloseReason::ForcedClose);
    assert!(!script.session.handle_message(script.now));
}

#[test]
fn packets_without_a_meaning_are_ignored() {
    for text in ["0", "0{}", "5", "6", "3", "3probe"] {
        for mut script in [Script::polling(), Script::websocket()] {
            assert!(!script.packet(text), "{text}");
            assert_eq!(script.drain(), (vec![], Some(INTERVAL)), "{text}");
            assert!(script.session.is_open());
        }
    }
}
