use super::*;

#[test]
fn a_close_waits_for_what_is_queued() {
    for mut script in [Script::polling(), Script::websocket()] {
        script.client.close(script.now);
        script.expect(&[Output::BeginClose]);
        assert!(!script.client.is_open() && script.client.may_write());
        assert_eq!(
            script.handle("4late"),
            Ok(None),
            "nothing is taken any more"
        );
        script.packet("2");
        script.client.handle_polled();
        script.expect(&[]);
        script.client.handle_flushed();
        script.expect_closed(CloseReason::ForcedClose);
    }
}

#[test]
fn a_close_comes_to_its_end_without_any_help() {
    for mut script in [Script::polling(), Script::websocket()] {
        script.client.close(script.now);
        script.expect(&[Output::BeginClose]);
        script.expect_at(CLOSE, &[Output::Closed(CloseReason::ForcedClose)]);
        script.expect_over();
    }
}

#[test]
fn whatever_ends_a_close_the_reason_is_ours() {
    type Ending = fn(&mut Script);
    let endings: [Ending; 4] = [
        |script| script.packet("1"),
        |script| script.client.handle_transport_lost(Lost::Error),
        |script| script.client.handle_parse_error(),
        |script| script.client.abort(CloseReason::TransportError),
    ];
    for end in endings {
        let mut script = Script::websocket();
        script.client.close(script.now);
        script.expect(&[Output::BeginClose]);
        end(&mut script);
        script.expect_closed(CloseReason::ForcedClose);
    }
}

#[test]
fn a_close_before_the_session_is_open_ends_it_at_once() {
    // Case 36
    let mut script = Script::opening();
    script.client.close(script.now);
    script.expect_closed(CloseReason::ForcedClose);
}

#[test]
fn a_close_drops_a_candidate_that_has_not_answered() {
    let mut script = Script::probing();
    script.client.close(script.now);
    script.expect(&[Output::DropCandidate, Output::BeginClose]);
    script.client.handle_flushed();
    script.expect_closed(CloseReason::ForcedClose);
}

#[test]
fn a_close_waits_for_an_upgrade_that_the_server_knows_of() {
    // Case 37
    let mut script = Script::pausing();
    script.client.close(script.now);
    script.expect(&[]);
    assert!(!script.client.is_open());
    assert_eq!(script.handle("4late"), Ok(None));
    script.client.handle_polled();
    script.expect(&[Output::Switch, Output::BeginClose]);
    script.client.handle_flushed();
    script.expect_closed(CloseReason::ForcedClose);

    let mut script = Script::pausing();
    script.client.close(script.now);
    script.client.handle_candidate_lost();
    script.expect(&[Output::BeginClose]);
    assert_eq!(script.client.transport(), Transport::Polling);
}

#[test]
fn a_close_during_an_upgrade_that_never_ends_comes_to_its_end() {
    let mut script = Script::pausing();
    script.wait(1000 * MS);
    script.client.close(script.now);
    script.expect_at(UPGRADE, &[Output::DropCandidate, Output::BeginClose]);
    script.expect_at(
        CLOSE + 1000 * MS,
        &[Output::Closed(CloseReason::ForcedClose)],
    );
}

#[test]
fn the_server_closes_with_a_packet() {
    for mut script in [Script::polling(), Script::websocket(), Script::pausing()] {
        script.packet("1");
        script.expect_closed(CloseReason::TransportClose);
    }
}
