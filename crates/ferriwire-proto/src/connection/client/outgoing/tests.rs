//! Two namespaces of one client, of which a server may know, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::encoded::Encoded;

const MAIN: Key = Key(0);
const OTHER: Key = Key(1);
const TIMEOUT: Duration = Duration::from_secs(3);
const AT_ONCE: Emission = Emission::Volatile { is_writable: true };

struct Script {
    outgoing: Outgoing<&'static str>,
    is_retrying: bool,
    now: Instant,
}

impl Script {
    fn new() -> Self {
        Self::with(LaneConfig::default())
    }

    fn with_retries(retries: u32) -> Self {
        Self::with(LaneConfig {
            retries: Some(RetryConfig::new(retries, TIMEOUT)),
            ..LaneConfig::default()
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the base of virtual time")]
    fn with(config: LaneConfig) -> Self {
        let mut outgoing = Outgoing::new(Queue::new(), 100);
        let is_retrying = config.retries.is_some();
        assert_eq!(outgoing.declare(&"/".into(), config), Some(MAIN));
        let other = outgoing.declare(&"/other".into(), LaneConfig::default());
        assert_eq!(other, Some(OTHER));
        let again = outgoing.declare(&"/".into(), LaneConfig::default());
        assert_eq!(again, None, "there is one already");
        Self {
            outgoing,
            is_retrying,
            now: Instant::now(),
        }
    }

    fn joined() -> Self {
        let mut script = Self::new();
        script.join(MAIN);
        script
    }

    fn join(&mut self, key: Key) {
        self.outgoing.handle_joined(key, self.now);
    }

    fn close(&mut self) -> Vec<&'static str> {
        self.outgoing.handle_closed(self.now)
    }

    fn emit_how(
        &mut self,
        key: Key,
        text: &str,
        id: Option<AckId>,
        how: Emission,
    ) -> Result<Emitted<&'static str>, BufferFull> {
        let message = Arc::new(Encoded::text_message(text));
        self.outgoing.emit(key, Kept { message, id }, how, self.now)
    }

    fn emit(&mut self, key: Key, text: &str) {
        self.emit_how(key, text, None, Emission::Ordinary).unwrap();
    }

    /// With an acknowledgement, which has its time unless the event is sent until it comes.
    fn ask(&mut self, key: Key, text: &'static str) -> AckId {
        let deadline = (!self.is_retrying).then_some(self.now + TIMEOUT);
        let id = self.outgoing.expect_answer(key, text, deadline).unwrap();
        self.emit_how(key, text, Some(id), Emission::Ordinary)
            .unwrap();
        id
    }

    fn ack(&mut self, key: Key, id: AckId) -> Option<&'static str> {
        self.outgoing.handle_ack(key, id, self.now)
    }

    fn wait(&mut self, duration: Duration) -> Vec<&'static str> {
        self.now += duration;
        self.outgoing.handle_timeout(self.now)
    }

    /// What is written to the session.
    fn written(&mut self) -> String {
        let batch = self.outgoing.queue().take(usize::MAX);
        let body = batch
            .body()
            .map(|body| String::from_utf8(body.bytes).unwrap());
        body.unwrap_or_default().replace("\u{1e}", " ")
    }
}

#[test]
fn what_was_kept_leaves_first_and_in_order() {
    // Case 80: before what the handler of `connect` emits.
    let mut script = Script::new();
    for text in ["a", "b"] {
        let emitted = script.emit_how(MAIN, text, None, Emission::Ordinary);
        assert_eq!(emitted, Ok(Emitted::Kept(vec![])));
    }
    script.emit(OTHER, "x");
    assert_eq!(script.written(), "");
    script.join(MAIN);
    let emitted = script.emit_how(MAIN, "c", None, Emission::Ordinary);
    assert_eq!(emitted, Ok(Emitted::Queued));
    assert_eq!(script.written(), "4a 4b 4c");
    script.join(OTHER);
    assert_eq!(script.written(), "4x", "each namespace for itself");
}

#[test]
fn answers_to_what_has_left_are_lost_with_the_session_and_others_are_not() {
    // Case 80
    let mut script = Script::joined();
    script.ask(MAIN, "sent");
    let id = script.ask(OTHER, "kept");
    assert_eq!(script.close(), ["sent"]);
    assert_eq!(script.written(), "", "what was queued is lost");
    script.emit(MAIN, "later");
    script.join(OTHER);
    assert_eq!(script.written(), "4kept");
    assert_eq!(script.ack(OTHER, id), Some("kept"));
    assert_eq!(script.ack(OTHER, id), None);
    script.join(MAIN);
    assert_eq!(script.written(), "4later");
}

#[test]
fn an_answer_to_what_was_never_sent_means_nothing() {
    for mut script in [Script::new(), Script::with_retries(3)] {
        let (first, second) = (script.ask(MAIN, "a"), script.ask(MAIN, "b"));
        assert_eq!(script.ack(MAIN, first), None);
        assert_eq!(script.ack(MAIN, second), None);
        script.join(MAIN);
        assert!(script.written().starts_with("4a"));
        assert_eq!(script.ack(MAIN, first), Some("a"));
        script.written();
        assert_eq!(script.ack(MAIN, second), Some("b"));
    }
    // With retries one is in flight, and the others have not left.
    let mut script = Script::with_retries(3);
    script.join(MAIN);
    let (_, second) = (script.ask(MAIN, "a"), script.ask(MAIN, "b"));
    assert_eq!(script.ack(MAIN, second), None);
    assert_eq!(script.written(), "4a");
}

#[test]
fn who_leaves_one_namespace_loses_its_answers_only() {
    let mut script = Script::joined();
    script.join(OTHER);
    script.ask(MAIN, "main");
    let other = script.ask(OTHER, "other");
    assert_eq!(script.outgoing.handle_left(MAIN, script.now), ["main"]);
    assert_eq!(script.ack(OTHER, other), Some("other"));
    script.emit(MAIN, "kept");
    assert_eq!(script.written(), "4main 4other");
}

#[test]
fn what_is_late_is_not_sent_any_more() {
    // Case 81
    let mut script = Script::new();
    script.ask(MAIN, "late");
    script.emit(MAIN, "other");
    assert_eq!(script.outgoing.deadline(), Some(script.now + TIMEOUT));
    assert_eq!(script.wait(TIMEOUT - Duration::from_nanos(1)), [""; 0]);
    assert_eq!(script.wait(Duration::from_nanos(1)), ["late"]);
    assert_eq!(script.outgoing.deadline(), None);
    script.join(MAIN);
    assert_eq!(script.written(), "4other");
}

#[test]
fn who_gives_up_is_forgotten_with_its_event() {
    let mut script = Script::new();
    let id = script.ask(MAIN, "a");
    assert_eq!(script.outgoing.forget(MAIN, id), Some("a"));
    assert_eq!(script.outgoing.forget(MAIN, id), None);
    script.join(MAIN);
    assert_eq!(script.written(), "");
}

#[test]
fn a_volatile_event_leaves_at_once_or_never() {
    // Case 83
    let mut script = Script::new();
    let gone = Ok(Emitted::Dropped);
    assert_eq!(
        script.emit_how(MAIN, "a", None, AT_ONCE),
        gone,
        "not joined"
    );
    script.join(MAIN);
    let busy = Emission::Volatile { is_writable: false };
    assert_eq!(script.emit_how(MAIN, "b", None, busy), gone);
    assert_eq!(
        script.emit_how(MAIN, "c", None, AT_ONCE),
        Ok(Emitted::Queued)
    );
    assert_eq!(
        script.emit_how(MAIN, "d", None, AT_ONCE),
        gone,
        "something waits"
    );
    assert_eq!(script.written(), "4c");
    script.emit(MAIN, "e");
    assert_eq!(script.emit_how(MAIN, "f", None, AT_ONCE), gone);
    assert_eq!(script.written(), "4e");
    assert_eq!(
        script.emit_how(MAIN, "g", None, AT_ONCE),
        Ok(Emitted::Queued)
    );
}

#[test]
fn what_waits_is_bounded_in_both_places() {
    let config = LaneConfig {
        max_offline: 100,
        ..LaneConfig::default()
    };
    let text = "x".repeat(57);
    let mut script = Script::with(config);
    script.emit(MAIN, &text);
    let full = script.emit_how(MAIN, &text, None, Emission::Ordinary);
    assert!(full.is_err());
    script.join(MAIN);
    // The first one is on its way, whatever its size; behind it a hundred bytes may wait.
    script.emit(MAIN, &text);
    let full = script
        .emit_how(MAIN, &text, None, Emission::Ordinary)
        .unwrap_err();
    assert_eq!((full.len, full.bytes, full.limit), (60, 60, 100));

    let mut script = Script::with(LaneConfig {
        offline_policy: OfflinePolicy::DropOldest,
        ..config
    });
    let id = script.outgoing.expect_answer(MAIN, "oldest", None);
    script
        .emit_how(MAIN, &text, id, Emission::Ordinary)
        .unwrap();
    let emitted = script.emit_how(MAIN, &text, None, Emission::Ordinary);
    assert_eq!(emitted, Ok(Emitted::Kept(vec!["oldest"])), "it is told");
}

#[test]
fn events_are_sent_until_they_are_acknowledged() {
    // Case 82
    let mut script = Script::with_retries(1);
    let first = script.ask(MAIN, "a");
    let second = script.ask(MAIN, "b");
    assert_eq!(script.written(), "", "not while disconnected");
    script.join(MAIN);
    assert_eq!(script.written(), "4a");
    assert_eq!(script.close(), [""; 0], "it is sent again");
    script.join(MAIN);
    assert_eq!(script.written(), "4a");
    assert_eq!(script.ack(MAIN, first), Some("a"));
    assert_eq!(script.written(), "4b");
    assert_eq!(script.wait(TIMEOUT), [""; 0]);
    assert_eq!(script.written(), "4b");
    assert_eq!(script.ack(MAIN, second), Some("b"));
    assert_eq!(script.wait(TIMEOUT), [""; 0]);
    assert_eq!(script.written(), "");
}

#[test]
fn events_that_are_never_acknowledged_are_given_up() {
    // Case 82
    let mut script = Script::with_retries(1);
    script.ask(MAIN, "a");
    script.ask(MAIN, "b");
    script.join(MAIN);
    assert_eq!(script.written(), "4a");
    assert_eq!(script.wait(TIMEOUT), [""; 0]);
    assert_eq!(script.written(), "4a");
    assert_eq!(script.wait(TIMEOUT), ["a"]);
    assert_eq!(script.written(), "4b");
    assert_eq!(script.close(), [""; 0]);
    script.join(MAIN);
    assert_eq!(script.written(), "4b");
    assert_eq!(script.close(), ["b"], "a lost session is a try, too");
    script.join(MAIN);
    assert_eq!(script.written(), "");
}

#[test]
fn volatile_events_are_not_sent_again() {
    let mut script = Script::with_retries(3);
    script.join(MAIN);
    script.emit_how(MAIN, "a", None, AT_ONCE).unwrap();
    script.close();
    script.join(MAIN);
    assert_eq!(script.written(), "");
}

/// Whoever gave up an answer of a namespace that was left and added anew took that of somebody else.
#[test]
fn numbers_go_on_when_a_namespace_is_added_again() {
    let mut script = Script::joined();
    let before = script.ask(MAIN, "before");
    script.outgoing.replace(MAIN, LaneConfig::default());
    script.join(MAIN);
    let after = script.ask(MAIN, "after");
    assert_ne!(before, after);
    assert_eq!(script.outgoing.forget(MAIN, before), None);
    assert_eq!(script.ack(MAIN, before), None);
    assert_eq!(script.ack(MAIN, after), Some("after"));
}
