use super::*;

fn config(transports: &[Transport]) -> Config {
    Config {
        transports: transports.to_vec(),
        ..Config::default()
    }
}

const BOTH: [Transport; 2] = [Transport::Polling, Transport::WebSocket];

#[test]
fn a_query_says_what_is_asked_for() {
    let mut script = Script::opening();
    let polling = |script: &Script| script.client.query(Transport::Polling);
    assert_eq!(polling(&script), "EIO=4&transport=polling");
    script.packet(r#"0{"sid":"a/b c&d","upgrades":[],"pingInterval":1,"pingTimeout":1}"#);
    assert_eq!(
        polling(&script),
        "EIO=4&transport=polling&sid=a%2Fb+c%26d",
        "an id may be anything"
    );
    let script = Script::with(Config {
        revision: Revision::V3,
        base64: true,
        ..Config::default()
    });
    let query = script.client.query(Transport::WebSocket);
    assert_eq!(query, "EIO=3&transport=websocket&b64=1");
    assert_eq!(script.client.dialect(), Dialect::new(Revision::V3, true));
}

#[test]
fn the_first_transport_opens_the_session() {
    let mut script = Script::with(config(&[Transport::WebSocket, Transport::Polling]));
    script.expect(&[Output::OpenWebSocket]);
    assert_eq!(script.client.transport(), Transport::WebSocket);
    script.packet(OPEN);
    // From a WebSocket there is nothing to change to, whatever the server says.
    assert_eq!(
        script.drain(),
        (vec![Output::Opened], Some(INTERVAL + TIMEOUT))
    );
    let opened = script.client.opened().unwrap();
    assert_eq!(opened.session.as_str(), "S");
    assert!(script.client.is_open());
}

#[test]
fn an_upgrade_has_to_be_offered_and_wanted() {
    let without_upgrade = Config {
        upgrade: false,
        ..Config::default()
    };
    let foreign =
        r#"0{"sid":"S","upgrades":["webtransport","x"],"pingInterval":1,"pingTimeout":1}"#;
    for (config, open) in [
        (Config::default(), OPEN_WITHOUT_UPGRADES),
        (Config::default(), foreign),
        (config(&[Transport::Polling]), OPEN),
        (without_upgrade, OPEN),
    ] {
        let mut script = Script::with(config);
        script.expect(&[Output::Poll]);
        script.packet(open);
        script.client.handle_polled();
        script.expect(&[Output::Opened, Output::Poll]);
        script.client.handle_candidate_open();
        script.candidate_packet("3probe");
        script.expect(&[]);
        assert_eq!(script.client.transport(), Transport::Polling);
    }
}

#[test]
fn anything_but_an_open_packet_opens_nothing() {
    for text in ["1", "2", "2probe", "3", "4hello", "5", "6", "bAA=="] {
        let mut script = Script::opening();
        assert_eq!(script.handle(text), Err(Violation::NotOpened), "{text}");
        script.expect_closed(CloseReason::ParseError);
    }
    let mut script = Script::opening();
    assert!(matches!(script.handle("0{}"), Err(Violation::Open(_))));
    script.expect_closed(CloseReason::ParseError);
}

#[test]
fn a_session_is_opened_once() {
    for mut script in [Script::polling(), Script::websocket(), Script::probing()] {
        assert_eq!(script.handle(OPEN), Err(Violation::OpenedTwice));
        script.expect_closed(CloseReason::ParseError);
    }
}

#[test]
fn the_next_transport_is_tried_only_if_that_is_wanted() {
    // Case 86
    let mut script = Script::opening();
    script.client.handle_transport_lost(Lost::Error);
    script.expect_closed(CloseReason::TransportError);

    let all = |transports: &[Transport]| Config {
        try_all_transports: true,
        ..config(transports)
    };
    let mut script = Script::with(all(&BOTH));
    script.expect(&[Output::Poll]);
    script.client.handle_transport_lost(Lost::Error);
    script.expect(&[Output::OpenWebSocket]);
    assert_eq!(script.client.transport(), Transport::WebSocket);
    script.packet(OPEN);
    script.expect(&[Output::Opened]);

    let mut script = Script::with(all(&[Transport::WebSocket, Transport::Polling]));
    script.client.handle_transport_lost(Lost::Closed);
    script.expect(&[Output::Poll]);
    script.client.handle_transport_lost(Lost::Error);
    script.expect_closed(CloseReason::TransportError);
}

#[test]
fn once_it_is_open_no_other_transport_is_tried() {
    let mut script = Script::with(Config {
        try_all_transports: true,
        ..Config::default()
    });
    script.expect(&[Output::Poll]);
    script.packet(OPEN_WITHOUT_UPGRADES);
    script.client.handle_transport_lost(Lost::Error);
    let closed = Output::Closed(CloseReason::TransportError);
    script.expect(&[Output::Opened, closed]);
    script.expect_over();
}

#[test]
fn transports_that_cannot_be_used_are_errors() {
    for transports in [&[][..], &[Transport::WebTransport]] {
        Script::with(config(transports)).expect_closed(CloseReason::TransportError);
    }
    let mut script = Script::with(Config {
        try_all_transports: true,
        ..config(&[Transport::WebTransport, Transport::Polling])
    });
    script.expect(&[Output::Poll]);
}

#[test]
fn what_opens_a_session_may_come_with_messages() {
    let mut script = Script::opening();
    script.packet(OPEN_WITHOUT_UPGRADES);
    assert_eq!(script.handle("4first"), Ok(Some("first".to_owned())));
    script.client.handle_polled();
    script.expect(&[Output::Opened, Output::Poll]);
}
