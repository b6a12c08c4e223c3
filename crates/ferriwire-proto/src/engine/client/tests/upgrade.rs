//! Case 88 and section 1.1.8, from the client's side.

use super::*;

#[test]
fn a_probe_and_a_pause_move_the_session() {
    let mut script = Script::probing();
    assert_eq!(script.client.transport(), Transport::Polling);
    script.candidate_packet("3probe");
    // The GET is still out.
    script.expect(&[]);
    script.packet("6");
    script.client.handle_polled();
    assert_eq!(
        script.drain(),
        (vec![Output::Switch], Some(INTERVAL + TIMEOUT))
    );
    assert_eq!(script.client.transport(), Transport::WebSocket);
    assert!(script.client.is_open() && script.client.may_write());
    script.client.handle_polled();
    script.expect(&[]);
}

#[test]
fn get_and_post_run_out_before_the_switch() {
    for get_first in [true, false] {
        let mut script = Script::probing();
        script.client.handle_post();
        script.candidate_packet("3probe");
        script.expect(&[]);
        assert!(!script.client.may_write(), "no new POST");
        let done = [Client::handle_polled, Client::handle_posted];
        let order = if get_first { [0, 1] } else { [1, 0] };
        done[order[0]](&mut script.client);
        script.expect(&[]);
        assert!(!script.client.may_write());
        done[order[1]](&mut script.client);
        script.expect(&[Output::Switch]);
    }
}

#[test]
fn messages_and_the_heartbeat_of_polling_go_on_until_the_switch() {
    let mut script = Script::pausing();
    assert_eq!(script.handle("4a"), Ok(Some("a".to_owned())));
    script.packet("2");
    script.expect(&[Output::SendPong]);
    script.client.handle_polled();
    script.expect(&[Output::Switch]);
    assert_eq!(script.handle("4b"), Ok(Some("b".to_owned())));
}

#[test]
fn a_failed_probe_leaves_the_session_on_polling() {
    for text in [
        OPEN, "1", "2", "2probe", "3", "3probe2", "4x", "5", "6", "bAA==",
    ] {
        let mut script = Script::probing();
        script.candidate_packet(text);
        script.expect(&[Output::DropCandidate]);
        script.candidate_packet("3probe");
        script.client.handle_polled();
        script.expect(&[Output::Poll]);
        assert_eq!(script.client.transport(), Transport::Polling);
        assert!(script.client.is_open() && script.client.may_write());
    }
    let mut script = Script::probing();
    script.client.handle_candidate_parse_error();
    script.expect(&[Output::DropCandidate]);
}

#[test]
fn an_answer_without_a_question_is_no_answer() {
    let mut script = Script::opening();
    script.packet(OPEN);
    script.client.handle_polled();
    script.expect(&[Output::Opened, Output::OpenCandidate, Output::Poll]);
    script.candidate_packet("3probe");
    script.expect(&[Output::DropCandidate]);
    script.client.handle_candidate_open();
    script.expect(&[]);
}

#[test]
fn whatever_comes_behind_the_answer_drops_the_candidate() {
    for text in ["2", "3probe", "4x", "6"] {
        let mut script = Script::pausing();
        script.candidate_packet(text);
        script.expect(&[Output::DropCandidate]);
        script.client.handle_polled();
        script.expect(&[Output::Poll]);
    }
}

#[test]
fn a_candidate_that_is_lost_while_polling_was_paused_resumes_it() {
    let mut script = Script::probing();
    script.client.handle_post();
    script.candidate_packet("3probe");
    script.client.handle_polled();
    script.expect(&[]);
    script.client.handle_candidate_lost();
    script.expect(&[Output::Poll]);
    assert!(!script.client.may_write(), "the POST is still out");
    script.client.handle_posted();
    assert!(script.client.may_write());
    script.expect(&[]);
}

#[test]
fn a_candidate_that_is_lost_before_the_switch_is_made_leaves_the_session_on_polling() {
    // Both are noticed in one turn: the last answer on polling, and the candidate's end.
    let mut script = Script::pausing();
    script.client.handle_polled();
    script.client.handle_candidate_lost();
    assert_eq!(script.client.transport(), Transport::Polling);
    assert!(script.client.is_open() && script.client.may_write());
    script.expect(&[Output::Poll]);
    // It says something that it must not.
    let mut script = Script::pausing();
    script.client.handle_polled();
    script.candidate_packet("4x");
    script.expect(&[Output::DropCandidate, Output::Poll]);
    assert_eq!(script.client.transport(), Transport::Polling);
    // A close comes in between.
    let mut script = Script::pausing();
    script.client.handle_polled();
    script.client.close(script.now);
    script.client.handle_candidate_lost();
    script.expect(&[Output::BeginClose]);
    assert_eq!(script.client.transport(), Transport::Polling);
    // Behind the switch it is the transport.
    let mut script = Script::pausing();
    script.client.handle_polled();
    script.expect(&[Output::Switch]);
    script.client.handle_candidate_lost();
    script.expect(&[]);
    assert_eq!(script.client.transport(), Transport::WebSocket);
}

#[test]
fn a_candidate_that_is_late_is_dropped() {
    let mut connecting = Script::opening();
    connecting.packet(OPEN);
    connecting.client.handle_polled();
    connecting.expect(&[Output::Opened, Output::OpenCandidate, Output::Poll]);
    for mut script in [connecting, Script::probing(), Script::pausing()] {
        script.expect_at(UPGRADE, &[Output::DropCandidate]);
        assert_eq!(script.drain(), (vec![], Some(INTERVAL + TIMEOUT)));
        script.client.handle_polled();
        script.expect(&[Output::Poll]);
    }
}

#[test]
fn a_candidate_that_was_not_asked_for_yet_need_not_be_dropped() {
    let mut script = Script::opening();
    script.packet(OPEN);
    script.client.close(script.now);
    script.expect(&[Output::Opened, Output::BeginClose]);
    let mut script = Script::opening();
    script.packet(OPEN);
    script.client.handle_transport_lost(Lost::Error);
    script.expect(&[Output::Opened, Output::Closed(CloseReason::TransportError)]);
}

#[test]
fn losing_the_transport_during_an_upgrade_ends_the_session() {
    for mut script in [Script::probing(), Script::pausing()] {
        script.client.handle_transport_lost(Lost::Error);
        script.expect_closed(CloseReason::TransportError);
    }
}
