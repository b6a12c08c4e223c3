use super::*;

#[test]
fn a_ping_is_answered_and_awaited_again() {
    // Case 33
    for mut script in [Script::polling(), Script::websocket()] {
        for round in 1..4 {
            assert_eq!(script.drain(), (vec![], Some(round * INTERVAL + TIMEOUT)));
            script.now = script.begun + round * INTERVAL;
            script.packet("2");
            script.expect(&[Output::SendPong]);
        }
    }
}

#[test]
fn a_server_that_sends_no_ping_is_given_up() {
    // Case 34. Nothing else counts, as in the reference.
    for mut script in [Script::polling(), Script::websocket()] {
        script.wait(INTERVAL);
        assert_eq!(script.handle("4a"), Ok(Some("a".to_owned())));
        script.packet("6");
        script.packet("3");
        let closed = Output::Closed(CloseReason::PingTimeout);
        script.expect_at(INTERVAL + TIMEOUT, &[closed]);
        script.expect_over();
    }
}

#[test]
fn while_nothing_is_read_the_deadline_stands_still() {
    let mut script = Script::websocket();
    script.wait(INTERVAL);
    script.client.set_reading(false, script.now);
    assert_eq!(script.drain(), (vec![], None));
    script.wait(10 * INTERVAL);
    script.client.handle_timeout(script.now);
    script.client.set_reading(true, script.now);
    let closed = Output::Closed(CloseReason::PingTimeout);
    script.expect_at(11 * INTERVAL + TIMEOUT, &[closed]);
}

#[test]
fn who_does_not_read_when_it_opens_does_not_wait_for_pings() {
    let mut script = Script::opening();
    script.client.set_reading(false, script.now);
    script.packet(OPEN_WITHOUT_UPGRADES);
    script.client.handle_polled();
    assert_eq!(script.drain(), (vec![Output::Opened], None));
    script.client.set_reading(true, script.now);
    assert_eq!(
        script.drain(),
        (vec![Output::Poll], Some(INTERVAL + TIMEOUT))
    );
}

#[test]
fn in_revision_3_the_client_asks() {
    let mut script = Script::websocket_in(Revision::V3);
    let mut time = INTERVAL;
    for _ in 0..3 {
        script.expect_at(time, &[Output::SendPing]);
        script.wait(100 * MS);
        script.packet("3");
        time = time + 100 * MS + INTERVAL;
    }
    script.expect_at(time, &[Output::SendPing]);
    let closed = Output::Closed(CloseReason::PingTimeout);
    script.expect_at(time + TIMEOUT, &[closed]);
    script.expect_over();
}

#[test]
fn in_revision_3_whatever_comes_shows_that_the_server_lives() {
    let mut script = Script::websocket_in(Revision::V3);
    script.expect_at(INTERVAL, &[Output::SendPing]);
    script.wait(TIMEOUT - MS);
    assert_eq!(script.handle("4a"), Ok(Some("a".to_owned())));
    let time = INTERVAL + TIMEOUT - MS + INTERVAL + TIMEOUT;
    // A ping from a server has no meaning there.
    script.packet("2");
    script.expect_at(time, &[Output::Closed(CloseReason::PingTimeout)]);
}

#[test]
fn a_machine_that_slept_for_long_finds_its_session_dead() {
    for mut script in [Script::websocket(), Script::websocket_in(Revision::V3)] {
        script.wait(1000 * INTERVAL);
        script.client.handle_timeout(script.now);
        script.expect_closed(CloseReason::PingTimeout);
    }
}
