//! What is different when the client speaks revision 3: it sends the pings (1.2).

use super::*;

fn sessions() -> [Script; 2] {
    [
        Script::in_revision(Revision::V3, Transport::Polling),
        Script::in_revision(Revision::V3, Transport::WebSocket),
    ]
}

/// A packet; says whether a pong is asked for.
fn ping(script: &mut Script, text: &str) -> bool {
    let packet = Packet::decode(text).unwrap();
    script.session.handle_packet(packet, script.now) == Some(Incoming::Ping)
}

#[test]
fn a_ping_is_to_be_answered_whatever_it_carries() {
    for mut script in sessions() {
        for text in ["2", "2probe", "2\u{20ac}"] {
            assert!(ping(&mut script, text), "{text}");
        }
        script.expect(&[]);
    }
}

#[test]
fn the_server_never_pings_and_waits_one_interval_and_the_timeout() {
    for mut script in sessions() {
        script.wait(INTERVAL + TIMEOUT - NS);
        script.session.handle_timeout(script.now);
        script.expect(&[]);
        let closed = Output::Closed(CloseReason::PingTimeout);
        script.expect_at(INTERVAL + TIMEOUT, &[closed]);
        script.expect_over();
    }
}

#[test]
fn each_ping_gives_the_same_time_again() {
    for mut script in sessions() {
        let mut last = Duration::ZERO;
        for wait in [INTERVAL, INTERVAL + TIMEOUT - MS, MS, TIMEOUT] {
            script.wait(wait);
            script.session.handle_timeout(script.now);
            assert!(ping(&mut script, "2"));
            last += wait;
        }
        let closed = Output::Closed(CloseReason::PingTimeout);
        script.expect_at(last + INTERVAL + TIMEOUT, &[closed]);
    }
}

#[test]
fn nothing_but_a_ping_gives_time() {
    for mut script in sessions() {
        script.wait(INTERVAL);
        for text in ["4message", "0", "5", "6"] {
            ping(&mut script, text);
        }
        let closed = Output::Closed(CloseReason::PingTimeout);
        script.expect_at(INTERVAL + TIMEOUT, &[closed]);
    }
}

#[test]
fn a_pong_from_the_client_has_the_wrong_direction() {
    for text in ["3", "3probe"] {
        for mut script in sessions() {
            assert!(!ping(&mut script, text));
            script.expect_closed(CloseReason::TransportError);
            script.expect_over();
        }
    }
}

#[test]
fn the_time_stands_still_while_nothing_is_read() {
    for mut script in sessions() {
        script.wait(INTERVAL);
        script.session.set_reading(false, script.now);
        script.wait(10 * (INTERVAL + TIMEOUT));
        script.session.handle_timeout(script.now);
        script.expect(&[]);
        script.session.set_reading(true, script.now);
        let closed = Output::Closed(CloseReason::PingTimeout);
        script.expect_at(11 * INTERVAL + 10 * TIMEOUT + TIMEOUT, &[closed]);
    }
}

#[test]
fn an_upgrade_is_the_same_and_gives_the_client_its_time_again() {
    let mut script = Script::in_revision(Revision::V3, Transport::Polling);
    script.wait(INTERVAL);
    assert!(script.candidate());
    script.candidate_packet("2probe");
    script.expect(&[Output::AnswerProbe, Output::ReleasePoll]);
    assert!(ping(&mut script, "2"));
    script.wait(MS);
    script.candidate_packet("5");
    script.expect(&[Output::ReleasePoll, Output::Switch]);
    assert_eq!(script.session.transport(), Transport::WebSocket);
    let closed = Output::Closed(CloseReason::PingTimeout);
    script.expect_at(INTERVAL + MS + INTERVAL + TIMEOUT, &[closed]);
}

#[test]
fn a_closing_session_answers_no_ping() {
    for mut script in sessions() {
        script.close(CloseReason::ForcedClose);
        assert!(!ping(&mut script, "2"));
        script.expect(&[Output::BeginClose]);
    }
}
