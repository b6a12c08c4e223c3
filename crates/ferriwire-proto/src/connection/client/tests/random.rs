//! Whatever server and program do, against a small model of one namespace.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Open,
    Close,
    Join,
    Leave,
    /// The driver has made the CONNECT packet that was asked for last.
    Send,
    Receive(&'static str),
    Any(String),
    Binary,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let packets = prop::sample::select(vec![
        "0{\"sid\":\"x\"}",
        "0{\"sid\":\"x\",\"pid\":\"p\"}",
        "0{\"sid\":\"x\"}",
        "0",
        "1",
        "2[\"e\",\"o\"]",
        "27[\"e\"]",
        "30[]",
        "4{\"message\":\"no\"}",
        "51-[\"e\"]",
        "2/other,[\"e\"]",
    ]);
    prop_oneof![
        4 => Just(Step::Open),
        2 => Just(Step::Close),
        4 => Just(Step::Join),
        2 => Just(Step::Leave),
        6 => Just(Step::Send),
        12 => packets.prop_map(Step::Receive),
        1 => "[0-6]?[0-9a-z/,\\-\\[\\]{}\":]{0,12}".prop_map(Step::Any),
        1 => Just(Step::Binary),
        2 => (0_u64..60).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Events are heard only between a CONNECT packet that was sent and the end; CONNECT is sent only
    /// when it was asked for, and not by who has joined; DISCONNECT only by who has.
    #[test]
    fn nobody_hears_or_says_what_it_may_not(steps in prop::collection::vec(step(), 0..60)) {
        let mut script = Script::new();
        script.client.add("/");
        let (mut has_session, mut is_asked, mut is_sent, mut joined) = (false, false, false, false);
        for step in steps {
            let outcome = match &step {
                Step::Open if !has_session => {
                    script.open();
                    has_session = true;
                    String::new()
                }
                Step::Close => {
                    let lost = script.client.handle_closed();
                    prop_assert_eq!(lost.is_empty(), !joined);
                    (has_session, is_asked, is_sent, joined) = (false, false, false, false);
                    String::new()
                }
                Step::Join => {
                    script.client.join(Key(0), script.now);
                    String::new()
                }
                Step::Leave => {
                    script.client.leave(Key(0));
                    String::new()
                }
                Step::Send => {
                    if script.client.send_connect(Key(0), script.now) {
                        prop_assert!(has_session && is_asked && !joined);
                        (is_asked, is_sent) = (false, true);
                    }
                    String::new()
                }
                Step::Receive(text) => script.receive(text),
                Step::Any(text) => script.receive(text),
                Step::Binary => script.receive_binary(&[1]),
                Step::Wait(seconds) => {
                    script.now += Duration::from_secs(*seconds);
                    script.client.handle_timeout(script.now);
                    String::new()
                }
                Step::Open => continue,
            };
            if outcome.starts_with("connected") || outcome.starts_with("recovered") {
                prop_assert!(is_sent && !joined);
                (is_sent, joined) = (false, true);
            } else if outcome.starts_with("event 0") || outcome.starts_with("ack 0") {
                prop_assert!(joined && script.id(0).is_some());
            } else if outcome.starts_with("refused 0") || outcome.starts_with("incompatible 0") {
                prop_assert!(is_sent && !joined);
                is_sent = false;
            } else if outcome.starts_with("disconnected") {
                prop_assert!(is_sent || joined);
                (is_sent, joined) = (false, false);
            } else if !["", "nothing", "ignored"].contains(&&*outcome) {
                // A violation: the driver closes the session.
                prop_assert_eq!(script.client.handle_closed().is_empty(), !joined);
                (has_session, is_asked, is_sent, joined) = (false, false, false, false);
            }
            for word in script.drain().split(", ") {
                match word {
                    "" => {}
                    "connect 0" => {
                        prop_assert!(has_session && !joined);
                        is_asked = true;
                    }
                    // Whoever has left before the answer has joined all the same.
                    "disconnect 0" => {
                        prop_assert!(has_session && (joined || is_sent));
                        (is_sent, joined) = (false, false);
                    }
                    _ => {
                        let ended = script.client.handle_closed();
                        prop_assert_eq!(ended.is_empty(), !joined);
                        (has_session, is_asked, is_sent, joined) = (false, false, false, false);
                    }
                }
            }
            if script.id(0).is_some() {
                prop_assert!(joined);
            }
        }
    }
}
