use super::*;

#[test]
fn pings_follow_pongs_for_three_rounds() {
    for mut script in [Script::polling(), Script::websocket()] {
        let mut ping_at = INTERVAL;
        for _ in 0..3 {
            script.expect_at(ping_at, &[Output::SendPing]);
            script.wait(200 * MS);
            assert!(!script.packet("3"));
            ping_at += 200 * MS + INTERVAL;
        }
        script.expect_at(ping_at, &[Output::SendPing]);
    }
}

#[test]
fn a_missing_pong_ends_the_session() {
    for mut script in [Script::polling(), Script::websocket()] {
        script.expect_at(INTERVAL, &[Output::SendPing]);
        let closed = Output::Closed(CloseReason::PingTimeout);
        script.expect_at(INTERVAL + TIMEOUT, &[closed]);
        script.expect_over();
    }
}

#[test]
fn a_pong_at_the_deadline_is_in_time() {
    let mut script = Script::websocket();
    script.expect_at(INTERVAL, &[Output::SendPing]);
    script.wait(TIMEOUT);
    script.packet("3");
    script.session.handle_timeout(script.now);
    script.expect_at(INTERVAL + TIMEOUT + INTERVAL, &[Output::SendPing]);
}

#[test]
fn unsolicited_pongs_change_nothing() {
    let mut script = Script::websocket();
    for _ in 0..1000 {
        script.wait(MS);
        script.packet("3");
    }
    script.expect_at(INTERVAL, &[Output::SendPing]);
    script.wait(5 * MS);
    script.packet("3");
    script.wait(5 * MS);
    script.packet("3");
    script.expect_at(INTERVAL + 5 * MS + INTERVAL, &[Output::SendPing]);
}

#[test]
fn a_ping_from_the_client_has_the_wrong_direction() {
    for text in ["2", "2probe"] {
        for mut script in [Script::polling(), Script::websocket()] {
            assert!(!script.packet(text));
            script.expect_closed(CloseReason::TransportError);
            script.expect_over();
        }
    }
}

#[test]
fn another_packet_extends_the_wait_for_a_pong_once() {
    for text in ["4x", "bAA==", "0", "5", "6"] {
        let mut script = Script::websocket();
        script.packet(text);
        script.expect_at(INTERVAL, &[Output::SendPing]);
        script.wait(15_000 * MS);
        script.packet(text);
        script.wait(15_000 * MS);
        script.packet(text);
        let closed = Output::Closed(CloseReason::PingTimeout);
        script.expect_at(INTERVAL + 15_000 * MS + TIMEOUT, &[closed]);
    }
}

#[test]
fn every_ping_has_its_own_extension() {
    let mut script = Script::websocket();
    let mut ping_at = INTERVAL;
    for _ in 0..2 {
        script.expect_at(ping_at, &[Output::SendPing]);
        script.wait(TIMEOUT - MS);
        script.packet("4x");
        script.wait(TIMEOUT - MS);
        script.packet("3");
        ping_at += 2 * (TIMEOUT - MS) + INTERVAL;
    }
    script.expect_at(ping_at, &[Output::SendPing]);
}

#[test]
fn a_late_timer_does_not_lengthen_the_wait() {
    let mut script = Script::websocket();
    script.wait(INTERVAL + TIMEOUT - NS);
    script.session.handle_timeout(script.now);
    script.expect(&[Output::SendPing]);
    script.wait(NS);
    script.session.handle_timeout(script.now);
    script.expect_closed(CloseReason::PingTimeout);
}

/// A machine that was suspended finds all its timers due. Its clients would all be thrown out
/// without having been asked.
#[test]
fn a_timer_later_than_the_whole_wait_still_asks_first() {
    let mut script = Script::websocket();
    script.wait(INTERVAL + TIMEOUT);
    script.session.handle_timeout(script.now);
    script.expect(&[Output::SendPing]);
    let closed = Output::Closed(CloseReason::PingTimeout);
    script.expect_at(INTERVAL + TIMEOUT + TIMEOUT, &[closed]);
}

#[test]
fn the_wait_for_a_pong_stands_still_while_nothing_is_read() {
    let mut script = Script::websocket();
    script.expect_at(INTERVAL, &[Output::SendPing]);
    script.wait(5_000 * MS);
    for _ in 0..3 {
        script.set_reading(false);
        assert_eq!(script.drain(), (vec![], None));
        script.wait(100 * TIMEOUT);
        script.session.handle_timeout(script.now);
        script.set_reading(false);
        script.expect(&[]);
        script.set_reading(true);
        script.wait(4_000 * MS);
        script.set_reading(true);
    }
    let spent = 5_000 * MS + 3 * (100 * TIMEOUT + 4_000 * MS);
    let closed = Output::Closed(CloseReason::PingTimeout);
    script.expect_at(INTERVAL + spent + 3_000 * MS, &[closed]);
}

#[test]
fn pings_go_on_while_nothing_is_read_and_wait_in_full_for_their_pong() {
    let mut script = Script::websocket();
    script.set_reading(false);
    script.expect_at(INTERVAL, &[Output::SendPing]);
    assert_eq!(script.drain(), (vec![], None));
    script.wait(100 * TIMEOUT);
    script.set_reading(true);
    let closed = Output::Closed(CloseReason::PingTimeout);
    script.expect_at(INTERVAL + 100 * TIMEOUT + TIMEOUT, &[closed]);
}

#[test]
fn packets_read_before_a_pause_count_within_it() {
    let mut script = Script::websocket();
    script.expect_at(INTERVAL, &[Output::SendPing]);
    script.wait(15_000 * MS);
    script.set_reading(false);
    script.packet("4x");
    script.set_reading(true);
    let (_, deadline) = script.drain();
    assert_eq!(deadline, Some(INTERVAL + 15_000 * MS + TIMEOUT));
    script.set_reading(false);
    script.packet("3");
    script.expect_at(INTERVAL + 15_000 * MS + INTERVAL, &[Output::SendPing]);
}

#[test]
fn durations_beyond_the_clock_mean_never() {
    let mut script = Script::websocket();
    let timing = Timing {
        ping_interval: Duration::from_secs(1),
        ping_timeout: Duration::MAX,
        upgrade_timeout: Duration::MAX,
        close_timeout: Duration::MAX,
    };
    script.session = Session::new(timing, Revision::V4, Transport::Polling, script.opened);
    script.expect_at(1_000 * MS, &[Output::SendPing]);
    assert_eq!(script.drain(), (vec![], None));
    script.set_reading(false);
    script.set_reading(true);
    assert!(script.candidate());
    assert_eq!(script.drain(), (vec![], None));
    script.session.handle_candidate_lost();
    script.close(CloseReason::ForcedClose);
    assert_eq!(script.drain(), (vec![Output::BeginClose], None));
}
