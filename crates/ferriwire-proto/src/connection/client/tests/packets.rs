//! What the parser cases look like from a client: cases 52 and 84, and what comes early or late.

use super::*;

#[test]
fn what_cannot_be_read_ends_the_session_and_the_next_one_begins_anew() {
    // Case 84
    for packet in [
        "",
        "7",
        "a",
        "0\"text\"",
        "0[]",
        "0{",
        "1{}x",
        "2{}",
        "2",
        "2abc[\"e\"]",
        "2[{}]",
        "2[\"connect\"]",
        "2[\"disconnect\"]",
        "3[1]",
        "31{}",
        "4",
        "4[]",
        "5",
        "5-",
        "51[\"e\"]",
        "5a-[\"e\"]",
        "51.23-[\"e\"]",
        "50-[\"e\"]",
        "511-[\"e\"]",
        "51-[\"e\",{\"_placeholder\":true,\"num\":\"splice\"}]",
        "51-[\"e\",{\"_placeholder\":true,\"num\":1}]",
        "99999999999999999999[\"e\"]",
    ] {
        let mut script = Script::joined(&["/"]);
        let outcome = script
            .client
            .handle_message(Message::Text(packet.into()), script.now);
        assert!(
            matches!(outcome, Err(Violation::Packet(_))),
            "{packet:?}: {outcome:?}"
        );
        script.reopen();
        assert_eq!(
            script.receive("0{\"sid\":\"new\"}"),
            "connected 0",
            "{packet:?}"
        );
        assert_eq!(script.receive("2[\"e\"]"), "event 0  e []");
    }
}

#[test]
fn attachments_that_were_lost_with_a_session_are_not_expected_on_the_next() {
    // Case 52: a half-built packet is reset.
    let mut script = Script::joined(&["/"]);
    assert_eq!(script.receive("52-[\"e\"]"), "nothing");
    assert_eq!(script.receive_binary(&[1]), "nothing");
    script.reopen();
    assert_eq!(script.receive("0{\"sid\":\"new\"}"), "connected 0");
    let unexpected = codec::Violation::UnexpectedBinary.to_string();
    assert_eq!(script.receive_binary(&[2]), unexpected);
}

#[test]
fn attachments_are_put_into_their_packet_and_have_their_time() {
    // Case 48
    let mut script = Script::joined(&["/", "/a"]);
    let place = |num| format!("{{\"_placeholder\":true,\"num\":{num}}}");
    let event = format!("52-/a,3[\"e\",{},{}]", place(1), place(0));
    assert_eq!(script.receive(&event), "nothing");
    assert_eq!(script.deadline(), Some(10 * SECOND));
    assert_eq!(script.receive_binary(b"x"), "nothing");
    assert_eq!(script.receive_binary(b"y"), "event 1 3 e [b\"y\",b\"x\"]");
    assert_eq!(script.deadline(), None);
    assert_eq!(script.receive(&format!("61-7[{}]", place(0))), "nothing");
    assert_eq!(script.receive_binary(b"z"), "ack 0 7 [b\"z\"]");

    let text = codec::Violation::UnexpectedText.to_string();
    assert_eq!(script.receive("51-[\"e\"]"), "nothing");
    assert_eq!(script.receive("2[\"e\"]"), text);

    let mut script = Script::joined(&["/"]);
    assert_eq!(script.receive("51-[\"e\"]"), "nothing");
    script.now += 10 * SECOND;
    script.client.handle_timeout(script.now);
    assert_eq!(script.drain(), "announced attachments did not come in time");
}

#[test]
fn what_is_not_read_is_not_late() {
    let mut script = Script::joining(&["/"]);
    script.client.set_reading(false, script.now);
    assert_eq!(script.deadline(), None);
    script.now += 100 * SECOND;
    script.client.handle_timeout(script.now);
    assert_eq!(script.drain(), "");
    script.client.set_reading(true, script.now);
    assert_eq!(script.deadline(), Some(145 * SECOND));
    assert_eq!(script.receive("0{\"sid\":\"x\"}"), "connected 0");

    assert_eq!(script.receive("51-[\"e\"]"), "nothing");
    script.now += 9 * SECOND;
    script.client.set_reading(false, script.now);
    script.client.set_reading(false, script.now + SECOND);
    script.now += 100 * SECOND;
    script.client.handle_timeout(script.now);
    assert_eq!(script.drain(), "");
    script.client.set_reading(true, script.now);
    script.now += SECOND;
    script.client.handle_timeout(script.now);
    assert_eq!(script.drain(), "announced attachments did not come in time");
}

#[test]
fn packets_for_namespaces_that_nobody_joined_are_ignored() {
    let mut script = Script::joined(&["/"]);
    for packet in [
        "2/x,[\"e\"]",
        "3/x,0[]",
        "0/x,{\"sid\":\"x\"}",
        "1/x",
        "4/x,{}",
    ] {
        assert_eq!(script.receive(packet), "ignored", "{packet}");
    }
    assert_eq!(script.receive("51-/x,[\"e\"]"), "nothing");
    assert_eq!(script.receive_binary(&[1]), "ignored");
}

#[test]
fn events_before_the_answer_are_kept_in_order() {
    let mut script = Script::joining(&["/", "/a"]);
    assert_eq!(script.receive("2[\"first\",1]"), "ignored");
    assert_eq!(
        script.receive("51-/a,[\"other\",{\"_placeholder\":true,\"num\":0}]"),
        "nothing"
    );
    assert_eq!(script.receive_binary(b"x"), "ignored");
    assert_eq!(script.receive("25[\"second\"]"), "ignored");
    assert_eq!(script.receive("30[]"), "ignored", "nothing was asked");
    assert_eq!(script.early(0), "", "not before it is joined");
    assert_eq!(script.receive("0{\"sid\":\"x\"}"), "connected 0");
    assert_eq!(script.early(0), "first [1];second 5[];");
    assert_eq!(script.early(0), "", "once");
    assert_eq!(script.receive("0/a,{\"sid\":\"x\"}"), "connected 1");
    assert_eq!(script.early(1), "other [b\"x\"];");
}

#[test]
fn events_before_an_answer_that_never_came_are_dropped() {
    let mut script = Script::joining(&["/"]);
    assert_eq!(script.receive("2[\"early\"]"), "ignored");
    script.reopen();
    assert_eq!(script.receive("0{\"sid\":\"x\"}"), "connected 0");
    assert_eq!(script.early(0), "");
}

#[test]
fn no_more_is_kept_than_the_limit() {
    let config = Config {
        max_early: 1000,
        ..Config::default()
    };
    let too_much = "more than 1000 bytes of events before CONNECT";
    for event in [
        "2[\"e\"]".to_owned(),
        format!("2[\"e\",\"{}\"]", "x".repeat(400)),
    ] {
        let mut script = Script::with(Client::new(config, Codec::Json));
        script.client.add("/");
        script.client.join(Key(0), script.now);
        script.reopen();
        let outcomes = std::iter::repeat_with(|| script.receive(&event)).take(20);
        let mut outcomes = outcomes.skip_while(|outcome| outcome == "ignored");
        assert_eq!(outcomes.next().as_deref(), Some(too_much), "{event}");
    }
}

#[test]
fn names_of_prototypes_are_plain_names() {
    let mut script = Script::joined(&["/"]);
    for name in ["__proto__", "constructor", "toString", "hasOwnProperty"] {
        let packet = format!("2[\"{name}\",{{\"__proto__\":1}}]");
        let outcome = script.receive(&packet);
        assert!(
            outcome.starts_with(&format!("event 0  {name} ")),
            "{outcome}"
        );
    }
}

#[test]
fn without_a_session_nothing_is_read() {
    let mut script = Script::new();
    script.client.add("/");
    script.client.join(Key(0), script.now);
    assert_eq!(script.receive("0{\"sid\":\"x\"}"), "nothing");
    assert_eq!(script.receive("what is this"), "nothing");
}

#[test]
fn message_pack_is_read_the_same_way() {
    let mut script = Script::with(Client::new(Config::default(), Codec::MessagePack));
    script.client.add("/");
    script.client.join(Key(0), script.now);
    script.reopen();
    let codec = Codec::MessagePack;
    let mut welcome = Object::new();
    welcome.insert("sid".to_owned(), "x");
    let packets = [
        (
            codec
                .encode_connect("/", &Value::Object(welcome), 10)
                .unwrap(),
            "connected 0",
        ),
        (
            codec
                .encode_event("/", None, "e", &to_args(&(1, "a")).unwrap(), 10)
                .unwrap(),
            "event 0  e [1,\"a\"]",
        ),
        (codec.encode_disconnect("/").unwrap(), "disconnected 0"),
    ];
    for (packet, expected) in packets {
        let data = packet.attachments().next().unwrap().clone();
        assert_eq!(script.handle(Message::Binary(data)), expected);
    }
    let text = codec::Violation::UnexpectedText.to_string();
    assert_eq!(script.receive("2[\"e\"]"), text);
}
