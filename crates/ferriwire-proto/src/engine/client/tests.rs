//! Scripts of a client and its server, in virtual time.

use std::time::Duration;

use super::*;

mod close;
mod heartbeat;
mod network;
mod opening;
mod upgrade;

const MS: Duration = Duration::from_millis(1);
const NS: Duration = Duration::from_nanos(1);
const INTERVAL: Duration = Duration::from_secs(25);
const TIMEOUT: Duration = Duration::from_secs(20);
const UPGRADE: Duration = Duration::from_secs(10);
const CLOSE: Duration = Duration::from_secs(10);

const OPEN: &str =
    r#"0{"sid":"S","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}"#;
const OPEN_WITHOUT_UPGRADES: &str =
    r#"0{"sid":"S","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;

/// More outputs than one input can cause: whoever polls that often without an end never ends.
const MANY: usize = 8;

/// A session and its virtual clock. Times are counted from its begin.
struct Script {
    client: Client,
    begun: Instant,
    now: Instant,
}

impl Script {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    fn with(config: Config) -> Self {
        let begun = Instant::now();
        Self {
            client: Client::new(config),
            begun,
            now: begun,
        }
    }

    /// One whose GET for the handshake was sent.
    fn opening() -> Self {
        let mut script = Self::with(Config::default());
        script.expect(&[Output::Poll]);
        script
    }

    /// One that is on polling and stays there, with a GET under way.
    fn polling() -> Self {
        let mut script = Self::opening();
        script.packet(OPEN_WITHOUT_UPGRADES);
        script.client.handle_polled();
        script.expect(&[Output::Opened, Output::Poll]);
        script
    }

    fn websocket() -> Self {
        Self::websocket_in(Revision::V4)
    }

    fn websocket_in(revision: Revision) -> Self {
        let mut script = Self::with(Config {
            revision,
            transports: vec![Transport::WebSocket],
            ..Config::default()
        });
        script.expect(&[Output::OpenWebSocket]);
        script.packet(OPEN_WITHOUT_UPGRADES);
        script.expect(&[Output::Opened]);
        script
    }

    /// One on polling, with a GET under way, that has asked its candidate.
    fn probing() -> Self {
        let mut script = Self::opening();
        script.packet(OPEN);
        script.client.handle_polled();
        script.expect(&[Output::Opened, Output::OpenCandidate, Output::Poll]);
        script.client.handle_candidate_open();
        script.expect(&[Output::SendProbe]);
        script
    }

    /// The same, whose candidate has answered.
    fn pausing() -> Self {
        let mut script = Self::probing();
        script.candidate_packet("3probe");
        script.expect(&[]);
        script
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// A packet on the current transport: a message that is taken, or what was broken.
    fn handle(&mut self, text: &str) -> Result<Option<String>, Violation> {
        let packet = Packet::decode(text).unwrap();
        let message = self.client.handle_packet(packet, self.now)?;
        Ok(message.map(|message| match message {
            Message::Text(text) => text.into_owned(),
            Message::Binary(data) => format!("{data:?}"),
        }))
    }

    fn packet(&mut self, text: &str) {
        assert_eq!(self.handle(text), Ok(None));
    }

    fn candidate_packet(&mut self, text: &str) {
        let packet = Packet::decode(text).unwrap();
        self.client.handle_candidate_packet(&packet);
    }

    /// Polls to the end; returns the outputs and when the session wants to be woken.
    fn drain(&mut self) -> (Vec<Output>, Option<Duration>) {
        let mut outputs = Vec::new();
        for _ in 0..MANY {
            let output = self.client.poll_output();
            if let Output::Timeout(deadline) = output {
                return (outputs, deadline.map(|deadline| deadline - self.begun));
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
        self.now = self.begun + time - NS;
        self.client.handle_timeout(self.now);
        assert_eq!(self.drain(), (vec![], Some(time)));
        self.wait(NS);
        self.client.handle_timeout(self.now);
        self.expect(expected);
    }

    #[track_caller]
    fn expect_closed(&mut self, reason: CloseReason) {
        self.expect(&[Output::Closed(reason)]);
        self.expect_over();
    }

    /// Nothing that happens has an effect any more.
    #[track_caller]
    fn expect_over(&mut self) {
        self.wait(1000 * CLOSE);
        for text in [OPEN, "1", "2", "3", "4x", "5", "6"] {
            self.packet(text);
            self.candidate_packet(text);
        }
        self.candidate_packet("3probe");
        self.client.handle_candidate_parse_error();
        self.client.handle_candidate_open();
        self.client.handle_candidate_lost();
        self.client.handle_parse_error();
        self.client.handle_polled();
        self.client.handle_posted();
        self.client.handle_flushed();
        self.client.handle_timeout(self.now);
        self.client.close(self.now);
        self.client.set_reading(false, self.now);
        self.client.set_reading(true, self.now);
        self.client.handle_transport_lost(Lost::Error);
        self.client.abort(CloseReason::ForcedClose);
        assert_eq!(self.drain(), (vec![], None));
        assert!(self.client.is_closed() && !self.client.is_open() && !self.client.may_write());
    }
}

#[test]
fn messages_are_handed_back_and_packets_without_a_meaning_ignored() {
    for mut script in [Script::polling(), Script::websocket()] {
        for (text, message) in [
            ("4hello", Some("hello")),
            ("4", Some("")),
            ("bAQ==", Some("b\"\\x01\"")),
            ("3", None),
            ("3probe", None),
            ("5", None),
            ("6", None),
        ] {
            assert_eq!(
                script.handle(text),
                Ok(message.map(str::to_owned)),
                "{text}"
            );
            script.expect(&[]);
        }
        assert!(script.client.is_open());
    }
}

#[test]
fn one_get_follows_the_other() {
    let mut script = Script::polling();
    for _ in 0..3 {
        assert_eq!(script.handle("4a"), Ok(Some("a".to_owned())));
        script.expect(&[]);
        script.client.handle_polled();
        script.expect(&[Output::Poll]);
    }
}

#[test]
fn one_post_follows_the_other() {
    let mut script = Script::polling();
    for _ in 0..3 {
        assert!(script.client.may_write());
        script.client.handle_post();
        assert!(!script.client.may_write());
        script.client.handle_posted();
    }
    script.expect(&[]);
    assert!(!Script::opening().client.may_write());
    assert!(Script::websocket().client.may_write());
}

#[test]
fn who_does_not_read_makes_no_get() {
    let mut script = Script::polling();
    script.client.set_reading(false, script.now);
    script.client.handle_polled();
    script.expect(&[]);
    script.client.set_reading(true, script.now);
    script.expect(&[Output::Poll]);
    script.client.set_reading(true, script.now);
    script.expect(&[]);
}

#[test]
fn a_failed_request_ends_the_session() {
    for (how, reason) in [
        (Lost::Error, CloseReason::TransportError),
        (Lost::Closed, CloseReason::TransportClose),
    ] {
        for mut script in [Script::polling(), Script::websocket(), Script::probing()] {
            script.client.handle_transport_lost(how);
            script.expect_closed(reason);
        }
    }
}

#[test]
fn what_is_no_packet_ends_the_session() {
    for mut script in [Script::opening(), Script::polling(), Script::websocket()] {
        script.client.handle_parse_error();
        script.expect_closed(CloseReason::ParseError);
    }
}
