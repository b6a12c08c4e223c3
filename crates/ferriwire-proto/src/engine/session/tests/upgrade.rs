use super::*;

#[test]
fn a_probe_and_an_upgrade_move_the_session() {
    let mut script = Script::polling();
    assert!(script.candidate());
    assert!(script.session.is_upgrading());
    script.expect(&[]);
    script.candidate_packet("2probe");
    script.expect(&[Output::AnswerProbe, Output::ReleasePoll]);
    assert_eq!(script.session.transport(), Transport::Polling);
    script.candidate_packet("5");
    script.expect(&[Output::ReleasePoll, Output::Switch]);
    assert_eq!(script.session.transport(), Transport::WebSocket);
    assert!(script.session.is_open() && !script.session.is_upgrading());
}

#[test]
fn polls_are_released_between_the_probe_and_the_upgrade_only() {
    let mut script = Script::polling();
    script.session.handle_poll();
    script.expect(&[]);
    assert!(script.candidate());
    script.session.handle_poll();
    script.expect(&[]);
    script.candidate_packet("2probe");
    script.expect(&[Output::AnswerProbe, Output::ReleasePoll]);
    for _ in 0..3 {
        script.session.handle_poll();
        script.expect(&[Output::ReleasePoll]);
    }
    script.session.handle_candidate_lost();
    script.session.handle_poll();
    script.expect(&[]);
}

#[test]
fn messages_and_the_heartbeat_of_polling_go_on_during_an_upgrade() {
    let mut script = Script::polling();
    script.expect_at(INTERVAL, &[Output::SendPing]);
    assert!(script.candidate());
    assert!(script.packet("4before"));
    script.candidate_packet("2probe");
    script.expect(&[Output::AnswerProbe, Output::ReleasePoll]);
    assert!(script.packet("4while"));
    script.packet("3");
    script.candidate_packet("5");
    script.expect(&[Output::ReleasePoll, Output::Switch]);
    assert!(script.packet("4after"));
    script.expect_at(INTERVAL + INTERVAL, &[Output::SendPing]);
}

#[test]
fn anything_else_on_the_candidate_drops_it() {
    for text in [
        "0", "1", "2", "2probe2", "3probe", "4probe", "5", "6", "bAA==",
    ] {
        let mut script = Script::polling();
        assert!(script.candidate());
        script.candidate_packet(text);
        script.expect(&[Output::DropCandidate]);
        assert!(script.session.is_open() && !script.session.is_upgrading());
        assert_eq!(script.session.transport(), Transport::Polling);
        assert!(script.packet("4goes on"));
        assert!(script.candidate(), "a second attempt after {text}");
    }
    for text in ["0", "1", "2", "2probe", "3probe", "4x", "6", "bAA=="] {
        let mut script = Script::upgrading();
        script.candidate_packet(text);
        script.expect(&[Output::DropCandidate]);
        assert_eq!(script.session.transport(), Transport::Polling);
        script.candidate_packet("5");
        script.expect(&[]);
        assert!(script.packet("4goes on"));
    }
}

#[test]
fn what_is_no_packet_on_the_candidate_drops_it() {
    let mut script = Script::upgrading();
    script.session.handle_candidate_parse_error();
    script.expect(&[Output::DropCandidate]);
    assert!(script.packet("4goes on"));
}

#[test]
fn a_candidate_that_does_not_finish_in_time_is_dropped() {
    let mut silent = Script::polling();
    assert!(silent.candidate());
    let mut half = Script::polling();
    assert!(half.candidate());
    half.wait(9_000 * MS);
    half.candidate_packet("2probe");
    half.expect(&[Output::AnswerProbe, Output::ReleasePoll]);
    for mut script in [silent, half] {
        script.expect_at(UPGRADE, &[Output::DropCandidate]);
        assert!(script.packet("4goes on"));
        script.expect_at(INTERVAL, &[Output::SendPing]);
    }
}

#[test]
fn no_upgrade_timeout_after_a_finished_upgrade() {
    let mut script = Script::upgrading();
    script.candidate_packet("5");
    script.expect(&[Output::ReleasePoll, Output::Switch]);
    script.expect_at(INTERVAL, &[Output::SendPing]);
}

#[test]
fn a_lost_candidate_leaves_polling_as_it_was() {
    let mut script = Script::polling();
    assert!(script.candidate());
    script.session.handle_candidate_lost();
    assert_eq!(script.drain(), (vec![], Some(INTERVAL)));
    let mut script = Script::upgrading();
    script.session.handle_candidate_lost();
    assert_eq!(script.drain(), (vec![], Some(INTERVAL)));
    assert!(script.packet("4goes on"));
    assert!(script.candidate());
}

#[test]
fn a_probe_is_not_answered_on_a_candidate_that_is_gone() {
    let mut script = Script::polling();
    assert!(script.candidate());
    script.candidate_packet("2probe");
    script.session.handle_candidate_lost();
    script.expect(&[Output::ReleasePoll]);
}

#[test]
fn a_second_candidate_is_refused_and_the_first_goes_on() {
    let mut script = Script::polling();
    assert!(script.candidate());
    assert!(!script.candidate());
    script.candidate_packet("2probe");
    script.expect(&[Output::AnswerProbe, Output::ReleasePoll]);
    assert!(!script.candidate());
    script.candidate_packet("5");
    script.expect(&[Output::ReleasePoll, Output::Switch]);
    assert!(!script.candidate());
    script.expect(&[]);
    assert!(script.packet("4goes on"));
}

#[test]
fn a_candidate_that_is_still_to_be_dropped_has_no_successor() {
    let mut script = Script::polling();
    assert!(script.candidate());
    script.candidate_packet("5");
    assert!(!script.candidate());
    script.expect(&[Output::DropCandidate]);
    assert!(script.candidate());
}

#[test]
fn a_session_that_is_not_on_polling_has_no_candidate() {
    for transport in [Transport::WebSocket, Transport::WebTransport] {
        let mut script = Script::new(transport);
        assert!(!script.candidate());
        script.candidate_packet("2probe");
        script.candidate_packet("5");
        script.expect(&[]);
        assert_eq!(script.session.transport(), transport);
    }
}

#[test]
fn a_switch_asks_again_for_a_pong_that_was_outstanding() {
    let mut script = Script::polling();
    script.expect_at(INTERVAL, &[Output::SendPing]);
    assert!(script.candidate());
    script.candidate_packet("2probe");
    script.wait(1_000 * MS);
    script.candidate_packet("5");
    script.drain();
    // The pong to the ping of the old transport may still come, and is not needed.
    script.wait(1_000 * MS);
    script.packet("3");
    script.expect_at(INTERVAL + 1_000 * MS + INTERVAL, &[Output::SendPing]);
}

#[test]
fn the_candidate_goes_before_the_session() {
    type Ending = (fn(&mut Script), CloseReason, &'static [Output]);
    let endings: [Ending; 6] = [
        (
            |script| script.session.abort(CloseReason::SlowConsumer),
            CloseReason::SlowConsumer,
            &[],
        ),
        (
            |script| script.session.handle_parse_error(),
            CloseReason::ParseError,
            &[],
        ),
        (
            |script| script.session.handle_transport_lost(Lost::Error),
            CloseReason::TransportError,
            &[],
        ),
        (
            |script| script.session.handle_transport_lost(Lost::Closed),
            CloseReason::TransportClose,
            &[],
        ),
        (
            |script| assert!(!script.packet("2")),
            CloseReason::TransportError,
            &[],
        ),
        (
            |script| assert!(!script.packet("1")),
            CloseReason::TransportClose,
            &[Output::ReleasePoll],
        ),
    ];
    for (end, reason, before) in endings {
        let mut script = Script::upgrading();
        end(&mut script);
        let mut expected = before.to_vec();
        expected.extend([Output::DropCandidate, Output::Closed(reason)]);
        script.expect(&expected);
        script.expect_over();
    }
}

#[test]
fn a_ping_timeout_during_an_upgrade_ends_both() {
    let mut script = Script::polling();
    script.expect_at(INTERVAL, &[Output::SendPing]);
    script.wait(TIMEOUT - UPGRADE + MS);
    assert!(script.candidate());
    let closed = Output::Closed(CloseReason::PingTimeout);
    script.expect_at(INTERVAL + TIMEOUT, &[Output::DropCandidate, closed]);
    script.expect_over();
}
