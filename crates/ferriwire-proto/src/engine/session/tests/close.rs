use super::*;

#[test]
fn the_client_ends_its_session() {
    let closed = Output::Closed(CloseReason::TransportClose);
    let mut script = Script::polling();
    script.packet("1");
    script.expect(&[Output::ReleasePoll, closed]);
    script.expect_over();
    for transport in [Transport::WebSocket, Transport::WebTransport] {
        let mut script = Script::new(transport);
        script.packet("1");
        script.expect(&[closed]);
        script.expect_over();
    }
}

#[test]
fn a_lost_transport_ends_the_session() {
    for (how, reason) in [
        (Lost::Closed, CloseReason::TransportClose),
        (Lost::Error, CloseReason::TransportError),
    ] {
        for mut script in [Script::polling(), Script::websocket()] {
            script.session.handle_transport_lost(how);
            script.expect_closed(reason);
            script.expect_over();
        }
    }
}

#[test]
fn what_is_no_packet_ends_the_session() {
    let mut script = Script::polling();
    script.session.handle_parse_error();
    script.expect_closed(CloseReason::ParseError);
    script.expect_over();
}

#[test]
fn a_graceful_close_waits_for_what_is_queued() {
    for mut script in [Script::polling(), Script::websocket()] {
        script.close(CloseReason::ForcedClose);
        assert!(!script.session.is_open() && !script.session.is_closed());
        script.expect(&[Output::BeginClose]);
        script.session.handle_flushed();
        script.expect_closed(CloseReason::ForcedClose);
        script.expect_over();
    }
}

#[test]
fn a_graceful_close_does_not_wait_for_ever() {
    for mut script in [Script::polling(), Script::websocket()] {
        script.wait(1_000 * MS);
        script.close(CloseReason::ServerShuttingDown);
        script.expect(&[Output::BeginClose]);
        let closed = Output::Closed(CloseReason::ServerShuttingDown);
        script.expect_at(1_000 * MS + CLOSE, &[closed]);
        script.expect_over();
    }
}

#[test]
fn the_first_reason_of_a_close_stays() {
    let endings: [fn(&mut Script); 6] = [
        |script| script.session.handle_transport_lost(Lost::Error),
        |script| script.session.handle_transport_lost(Lost::Closed),
        |script| script.session.abort(CloseReason::SlowConsumer),
        |script| script.session.handle_flushed(),
        |script| assert!(!script.packet("1")),
        |script| {
            script.wait(CLOSE);
            script.session.handle_timeout(script.now);
        },
    ];
    for end in endings {
        let mut script = Script::websocket();
        script.close(CloseReason::ServerShuttingDown);
        script.close(CloseReason::ForcedClose);
        script.expect(&[Output::BeginClose]);
        end(&mut script);
        script.expect_closed(CloseReason::ServerShuttingDown);
        script.expect_over();
    }
}

#[test]
fn a_client_that_closes_while_it_is_closed_gets_its_poll_back() {
    let mut script = Script::polling();
    script.close(CloseReason::ForcedClose);
    script.expect(&[Output::BeginClose]);
    script.packet("1");
    let closed = Output::Closed(CloseReason::ForcedClose);
    script.expect(&[Output::ReleasePoll, closed]);
}

#[test]
fn nothing_is_taken_from_a_client_that_is_being_closed() {
    let mut script = Script::polling();
    script.close(CloseReason::ForcedClose);
    script.expect(&[Output::BeginClose]);
    for text in ["0", "2", "3", "4x", "5", "6"] {
        assert!(!script.packet(text), "{text}");
    }
    script.session.handle_parse_error();
    assert!(!script.candidate());
    assert_eq!(script.drain(), (vec![], Some(CLOSE)));
}

#[test]
fn no_pings_are_sent_while_closing() {
    let mut script = Script::websocket();
    script.wait(10_000 * MS);
    script.close(CloseReason::ForcedClose);
    script.expect(&[Output::BeginClose]);
    let closed = Output::Closed(CloseReason::ForcedClose);
    script.expect_at(10_000 * MS + CLOSE, &[closed]);
}

#[test]
fn nothing_is_flushed_before_a_close() {
    let mut script = Script::polling();
    script.session.handle_flushed();
    assert!(script.session.is_open());
    let mut script = Script::upgrading();
    script.close(CloseReason::ForcedClose);
    script.session.handle_flushed();
    script.expect(&[]);
}

#[test]
fn a_close_during_an_upgrade_waits_for_its_end() {
    type Ending = (fn(&mut Script), &'static [Output]);
    let endings: [Ending; 4] = [
        (
            |script| script.candidate_packet("5"),
            &[Output::ReleasePoll, Output::Switch, Output::BeginClose],
        ),
        (
            |script| script.candidate_packet("6"),
            &[Output::DropCandidate, Output::BeginClose],
        ),
        (
            |script| script.session.handle_candidate_lost(),
            &[Output::BeginClose],
        ),
        (
            |script| script.expect_at(UPGRADE, &[Output::DropCandidate, Output::BeginClose]),
            &[],
        ),
    ];
    for (end, expected) in endings {
        let mut script = Script::upgrading();
        script.wait(2_000 * MS);
        script.close(CloseReason::ServerShuttingDown);
        assert!(script.session.is_upgrading() && !script.session.is_open());
        assert!(!script.packet("4late"));
        script.expect(&[]);
        end(&mut script);
        script.expect(expected);
        let closed = Output::Closed(CloseReason::ServerShuttingDown);
        script.expect_at(2_000 * MS + CLOSE, &[closed]);
        script.expect_over();
    }
}

#[test]
fn a_candidate_may_still_probe_while_the_session_waits_to_close() {
    let mut script = Script::polling();
    assert!(script.candidate());
    script.close(CloseReason::ForcedClose);
    script.candidate_packet("2probe");
    script.expect(&[Output::AnswerProbe, Output::ReleasePoll]);
    script.session.handle_poll();
    script.expect(&[Output::ReleasePoll]);
    script.candidate_packet("5");
    script.expect(&[Output::ReleasePoll, Output::Switch, Output::BeginClose]);
    script.session.handle_flushed();
    script.expect_closed(CloseReason::ForcedClose);
}

#[test]
fn the_wait_for_an_upgrade_is_part_of_the_wait_for_the_close() {
    let mut script = Script::polling();
    let timing = Timing {
        upgrade_timeout: 2 * CLOSE,
        ..Timing::default()
    };
    script.session = Session::new(timing, Revision::V4, Transport::Polling, script.opened);
    assert!(script.candidate());
    script.close(CloseReason::ForcedClose);
    let closed = Output::Closed(CloseReason::ForcedClose);
    script.expect_at(CLOSE, &[Output::DropCandidate, closed]);
    script.expect_over();
}

#[test]
fn an_abort_does_not_wait() {
    for mut script in [Script::polling(), Script::websocket()] {
        script.wait(INTERVAL);
        script.session.handle_timeout(script.now);
        script.session.abort(CloseReason::SlowConsumer);
        script.expect_closed(CloseReason::SlowConsumer);
        script.expect_over();
    }
}

#[test]
fn a_close_that_was_overtaken_does_not_begin() {
    let mut script = Script::websocket();
    script.close(CloseReason::ForcedClose);
    script.session.handle_transport_lost(Lost::Error);
    script.expect_closed(CloseReason::ForcedClose);
}

#[test]
fn a_close_right_after_the_opening_and_within_a_payload_works() {
    let mut script = Script::polling();
    assert!(script.packet("4bye"));
    script.close(CloseReason::ForcedServerClose);
    assert!(!script.packet("4second of the same payload"));
    script.expect(&[Output::BeginClose]);
    script.session.handle_flushed();
    script.expect_closed(CloseReason::ForcedServerClose);
}
