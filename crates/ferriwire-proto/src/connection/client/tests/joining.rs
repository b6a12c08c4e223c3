use super::*;

#[test]
fn several_namespaces_share_a_session() {
    let mut script = Script::new();
    assert_eq!(script.client.add("/"), Some(Key(0)));
    assert_eq!(script.client.add("/chat"), Some(Key(1)));
    assert_eq!(script.client.add("/"), None, "there is one already");
    script.client.join(Key(0), script.now);
    script.client.join(Key(1), script.now);
    assert_eq!(script.drain(), "", "there is no session");
    script.open();
    assert_eq!(script.drain(), "connect 0, connect 1");
    // In whatever order their packets are made.
    assert!(script.client.send_connect(Key(1), script.now));
    assert!(script.client.send_connect(Key(0), script.now));
    assert_eq!(script.receive("0{\"sid\":\"a\"}"), "connected 0");
    assert_eq!(script.receive("0/chat,{\"sid\":\"b\"}"), "connected 1");
    assert_eq!((script.id(0), script.id(1)), (Some("a"), Some("b")));
    assert_eq!(script.client.namespace(Key(1)), Some("/chat"));
    assert_eq!(script.receive("2[\"e\",1]"), "event 0  e [1]");
    assert_eq!(script.receive("2/chat,7[\"e\"]"), "event 1 7 e []");
    assert_eq!(script.receive("3/chat,5[\"x\"]"), "ack 1 5 [\"x\"]");
}

#[test]
fn an_id_lives_as_long_as_its_session() {
    // Case 79
    let mut script = Script::joined(&["/"]);
    assert_eq!(script.id(0), Some("id0"));
    assert_eq!(script.client.handle_closed(), [Key(0)]);
    assert_eq!(script.id(0), None);
    assert!(script.client.is_active(Key(0)));
    assert_eq!(script.client.handle_closed(), [], "it is told once");
    script.open();
    assert_eq!(script.drain(), "connect 0");
    assert!(script.client.send_connect(Key(0), script.now));
    assert_eq!(script.id(0), None);
    assert_eq!(script.receive("0{\"sid\":\"other\"}"), "connected 0");
    assert_eq!(script.id(0), Some("other"));
}

#[test]
fn who_is_refused_or_disconnected_does_not_join_again() {
    // Cases 77 and 78
    let refusal = "{\"message\":\"no\",\"data\":{\"code\":7}}";
    for (packet, outcome) in [
        (format!("4{refusal}"), format!("refused 0 {refusal}")),
        ("4\"no\"".to_owned(), "refused 0 \"no\"".to_owned()),
        ("1".to_owned(), "disconnected 0".to_owned()),
    ] {
        let mut script = Script::joining(&["/", "/other"]);
        assert_eq!(script.receive(&packet), outcome);
        assert!(!script.client.is_active(Key(0)));
        assert!(script.client.has_active());
        script.client.handle_closed();
        script.open();
        assert_eq!(script.drain(), "connect 1");
        // The program may.
        script.client.join(Key(0), script.now);
        assert_eq!(script.drain(), "connect 0");
    }
    let mut script = Script::joined(&["/"]);
    assert_eq!(script.receive("1"), "disconnected 0");
    assert_eq!((script.id(0), script.client.has_active()), (None, false));
}

#[test]
fn a_refusal_of_somebody_who_has_joined_means_nothing() {
    // Case 78
    let mut script = Script::joined(&["/"]);
    assert_eq!(script.receive("4{\"message\":\"no\"}"), "ignored");
    assert_eq!(script.id(0), Some("id0"));
    assert_eq!(script.receive("0{\"sid\":\"again\"}"), "ignored");
    assert_eq!(script.id(0), Some("id0"));
}

#[test]
fn an_answer_without_an_id_comes_from_another_version() {
    // Case 85
    let long = format!("0{{\"sid\":\"{}\"}}", "x".repeat(257));
    for answer in [
        "0",
        "0{}",
        "0{\"sid\":\"\"}",
        "0{\"sid\":null}",
        "0{\"sid\":7}",
        "0{\"sid\":{\"a\":1}}",
        &long,
    ] {
        let mut script = Script::joining(&["/"]);
        assert_eq!(script.receive(answer), "incompatible 0", "{answer}");
        assert!(!script.client.has_active());
    }
}

#[test]
fn who_leaves_says_so_when_the_server_knows_it() {
    let mut script = Script::joined(&["/", "/other"]);
    script.client.leave(Key(0));
    assert_eq!(script.id(0), None);
    assert_eq!(script.drain(), "disconnect 0");
    assert!(!script.client.is_active(Key(0)));
    // What was on the way.
    for packet in ["2[\"e\"]", "30[]", "1", "0{\"sid\":\"x\"}", "4{}"] {
        assert_eq!(script.receive(packet), "ignored", "{packet}");
    }
    assert_eq!(script.receive("2/other,[\"e\"]"), "event 1  e []");
    script.client.join(Key(0), script.now);
    assert_eq!(script.drain(), "connect 0");
}

#[test]
fn who_leaves_before_the_answer_waits_for_it() {
    // A server ends the connection of who sends DISCONNECT before it has joined.
    let mut script = Script::joining(&["/"]);
    script.client.leave(Key(0));
    assert_eq!(script.drain(), "");
    assert!(!script.client.has_active());
    assert_eq!(script.receive("2[\"early\"]"), "ignored");
    assert_eq!(script.receive("0{\"sid\":\"x\"}"), "ignored");
    assert_eq!(script.drain(), "disconnect 0");

    let mut script = Script::joining(&["/"]);
    script.client.leave(Key(0));
    assert_eq!(script.receive("4{\"message\":\"no\"}"), "ignored");
    assert_eq!(script.drain(), "");

    // And may change its mind.
    let mut script = Script::joining(&["/"]);
    script.client.leave(Key(0));
    script.client.join(Key(0), script.now);
    assert_eq!(script.receive("0{\"sid\":\"x\"}"), "connected 0");
    assert_eq!(script.drain(), "");
}

#[test]
fn leaving_and_joining_at_once_is_done_in_that_order() {
    let mut script = Script::joined(&["/"]);
    script.client.leave(Key(0));
    script.client.join(Key(0), script.now);
    assert!(script.client.is_active(Key(0)));
    assert_eq!(script.drain(), "disconnect 0, connect 0");
}

#[test]
fn a_server_that_was_faster_gets_no_disconnect() {
    let mut script = Script::joined(&["/"]);
    script.client.leave(Key(0));
    assert_eq!(script.receive("1"), "ignored");
    assert_eq!(script.drain(), "");
    script.client.join(Key(0), script.now);
    assert_eq!(script.drain(), "connect 0");
}

#[test]
fn a_connect_packet_that_is_not_wanted_any_more_is_not_sent() {
    let mut script = Script::new();
    script.open();
    script.client.add("/");
    script.client.join(Key(0), script.now);
    assert!(
        !script.client.send_connect(Key(0), script.now),
        "not asked for"
    );
    assert_eq!(script.drain(), "connect 0");
    script.client.leave(Key(0));
    assert!(!script.client.send_connect(Key(0), script.now));
    script.client.join(Key(0), script.now);
    assert_eq!(script.drain(), "connect 0");
    script.client.handle_closed();
    assert!(!script.client.send_connect(Key(0), script.now));
    assert!(!script.client.send_connect(Key(9), script.now));
}

#[test]
fn an_answer_has_its_time() {
    let mut script = Script::joining(&["/"]);
    assert_eq!(script.deadline(), Some(45 * SECOND));
    script.now += 10 * SECOND;
    script.client.add("/slow");
    script.client.join(Key(1), script.now);
    assert_eq!(script.drain(), "connect 1");
    assert_eq!(
        script.deadline(),
        Some(45 * SECOND),
        "auth may take its time"
    );
    assert!(script.client.send_connect(Key(1), script.now));
    assert_eq!(script.receive("0{\"sid\":\"x\"}"), "connected 0");
    assert_eq!(script.deadline(), Some(55 * SECOND));
    script.now = script.begun + 55 * SECOND;
    script.client.handle_timeout(script.now);
    assert_eq!(script.drain(), "late 1", "the session is that of /, too");
    assert_eq!(script.receive("2[\"e\"]"), "event 0  e []");
    // It is told as often as that, until nobody is there any more.
    assert_eq!(script.deadline(), Some(100 * SECOND));
    script.now = script.begun + 100 * SECOND;
    script.client.handle_timeout(script.now);
    assert_eq!(script.drain(), "late 1");
    assert_eq!(script.receive("1"), "disconnected 0");
    script.now = script.begun + 145 * SECOND;
    script.client.handle_timeout(script.now);
    assert_eq!(script.drain(), "no namespace was joined in time");
    assert_eq!(script.receive("2[\"e\"]"), "nothing", "it is over");
    assert_eq!(script.client.handle_closed(), []);
    script.open();
    assert_eq!(script.drain(), "connect 1");
    assert!(script.client.send_connect(Key(1), script.now));
    assert_eq!(script.receive("0/slow,{\"sid\":\"y\"}"), "connected 1");
}

/// Whoever joins in place of somebody who has left meanwhile says itself who it is.
#[test]
fn what_was_asked_for_somebody_else_is_no_answer() {
    for (answer, before) in [
        ("0{\"sid\":\"old\"}", "disconnect 0, "),
        ("4{\"message\":\"no\"}", ""),
        ("1", ""),
    ] {
        let mut script = Script::joining(&["/", "/other"]);
        script.client.leave(Key(0));
        script.client.join_anew(Key(0), script.now);
        assert!(script.client.is_active(Key(0)));
        assert_eq!(script.drain(), "", "a server takes one CONNECT at a time");
        assert_eq!(script.receive("2[\"early\"]"), "ignored");
        assert_eq!(script.receive(answer), "ignored");
        assert_eq!(script.drain(), format!("{before}connect 0"));
        assert!(script.client.send_connect(Key(0), script.now));
        assert_eq!(script.receive("0{\"sid\":\"new\"}"), "connected 0");
        assert_eq!(script.early(0), "");
        assert_eq!(script.id(0), Some("new"));
    }
    // Nobody wants it after all.
    let mut script = Script::joining(&["/", "/other"]);
    script.client.leave(Key(0));
    script.client.join_anew(Key(0), script.now);
    script.client.leave(Key(0));
    assert_eq!(script.receive("0{\"sid\":\"old\"}"), "ignored");
    assert_eq!(script.drain(), "disconnect 0");
    assert!(!script.client.is_active(Key(0)));
}

#[test]
fn servers_of_socket_io_4_let_clients_join_without_asking() {
    let client = Client::new(Config::default(), Codec::Json).with_protocol_4();
    let mut script = Script::with(client);
    script.client.add("/");
    script.client.add("/chat");
    script.client.join(Key(0), script.now);
    script.client.join(Key(1), script.now);
    script.open();
    assert_eq!(
        script.drain(),
        "connect 1",
        "nothing is sent for the main one"
    );
    assert!(script.client.send_connect(Key(1), script.now));
    assert_eq!(script.receive("0"), "connected 0");
    assert_eq!(script.receive("0/chat"), "connected 1");
    assert_eq!(script.id(0), Some("session"));
    assert_eq!(script.id(1), Some("/chat#session"));
    // Left and joined again on the same session, as far as such a server allows it.
    script.client.leave(Key(0));
    assert_eq!(script.drain(), "disconnect 0");
    let mut script = Script::with(Client::new(Config::default(), Codec::Json).with_protocol_4());
    script.open();
    script.client.add("/");
    script.client.join(Key(0), script.now);
    assert_eq!(script.drain(), "");
    assert_eq!(
        script.receive("4\"Not authorized\""),
        "refused 0 \"Not authorized\""
    );
}
