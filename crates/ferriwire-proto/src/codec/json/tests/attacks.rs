//! Attachments, limits and hostile input.

use super::*;

fn text(text: &str) -> Message<'_> {
    Message::Text(Cow::Borrowed(text))
}

fn binary(len: usize) -> Message<'static> {
    Message::Binary(Bytes::from(vec![7; len]))
}

/// What the last of these messages is answered with.
fn run(messages: Vec<Message<'_>>, limits: &Limits) -> Result<Vec<&'static str>, Violation> {
    let mut decoder = Decoder::new();
    let mut kinds = Vec::new();
    for message in messages {
        let outcome = decoder
            .decode(message, limits)
            .map(|decoded| match decoded {
                Decoded::Packet(_) => "packet",
                Decoded::Announced { .. } => "announced",
                Decoded::Attachment => "attachment",
                Decoded::Incomplete => "incomplete",
            });
        match outcome {
            Ok(kind) => kinds.push(kind),
            Err(violation) => {
                assert!(!decoder.is_pending(), "nothing is kept after {violation}");
                return Err(violation);
            }
        }
        assert_eq!(decoder.is_pending(), kinds.last() != Some(&"packet"));
    }
    Ok(kinds)
}

#[test]
fn attachments_come_in_order_and_alone() {
    let limits = Limits::default();
    let head = || text(r#"52-["e"]"#);
    let cases = [
        (
            vec![head(), binary(1), binary(1)],
            Ok(vec!["announced", "attachment", "packet"]),
        ),
        (
            vec![head(), binary(1), head()],
            Err(Violation::UnexpectedText),
        ),
        (
            vec![head(), text("2[\"e\"]")],
            Err(Violation::UnexpectedText),
        ),
        (vec![binary(1)], Err(Violation::UnexpectedBinary)),
        (
            vec![text("2[\"e\"]"), binary(1)],
            Err(Violation::UnexpectedBinary),
        ),
        (
            vec![head(), binary(1), binary(1), binary(1)],
            Err(Violation::UnexpectedBinary),
        ),
    ];
    for (messages, expected) in cases {
        assert_eq!(run(messages.clone(), &limits), expected, "{messages:?}");
    }
}

#[test]
fn a_packet_is_limited_with_its_attachments() {
    let limits = Limits {
        max_packet: 20,
        ..Limits::default()
    };
    let head = || text(r#"52-["event"]"#);
    assert!(run(vec![head(), binary(5), binary(3)], &limits).is_ok());
    for (messages, len) in [
        (vec![head(), binary(5), binary(4)], 21),
        (vec![head(), binary(9)], 21),
        (vec![text("2[\"0123456789abcdef\"]")], 21),
    ] {
        let too_large = Violation::TooLarge { len, limit: 20 };
        assert_eq!(run(messages, &limits), Err(too_large));
    }
}

/// T-ADV-08: only an integer in range and a marker that is `true`.
#[test]
fn placeholders_that_refer_to_nothing() {
    let check = |object: &str| {
        run(
            vec![text(&format!("51-[\"e\",{object}]"))],
            &Limits::default(),
        )
    };
    for index in [
        "\"splice\"",
        "\"0\"",
        "-1",
        "1",
        "1.5",
        "1e99",
        "null",
        "true",
        "{}",
        "[]",
        "0.0",
        "-0",
        "99999999999999999999999",
        "",
    ] {
        for object in [
            format!(r#"{{"_placeholder":true,"num":{index}}}"#),
            format!(r#"{{"num":{index},"_placeholder":true}}"#),
        ] {
            assert_eq!(check(&object), Err(Violation::Placeholder), "{object}");
        }
    }
    for object in [
        r#"{"_placeholder":true}"#,
        r#"{"_placeholder":false,"num":0}"#,
        r#"{"_placeholder":1,"num":0}"#,
        r#"{"_placeholder":"true","num":0}"#,
        r#"{"_placeholder":{},"num":0}"#,
        r#"{"_placeholder":true,"num":0,"num":0}"#,
        r#"{"_placeholder":true,"_placeholder":true,"num":0}"#,
        r#"{"\u005fplaceholder":true,"num":5}"#,
        r#"{"a":[1,{"_placeholder":true,"num":7}]}"#,
    ] {
        assert_eq!(check(object), Err(Violation::Placeholder), "{object}");
    }
}

#[test]
fn placeholders_in_any_form_become_their_attachment() {
    let data = [Bytes::from_static(&[1]), Bytes::from_static(&[2, 2])];
    let value = |index: usize| Value::Binary(data[index].clone());
    let plain = |values| args(values).0;
    let cases = [
        (r#"{"_placeholder":true,"num":1}"#, value(1)),
        (r#"{"num":1,"_placeholder":true}"#, value(1)),
        (r#" { "num" : 1 , "_placeholder" : true } "#, value(1)),
        (
            r#"{"x":[{"y":"}"}],"num":1,"_placeholder":true,"z":null}"#,
            value(1),
        ),
        (r#"{"_placeholder":true,"x":[{"y":"}"}],"num":0}"#, value(0)),
        (r#"{"\u005fplaceholder":true,"nu\u006d":1}"#, value(1)),
        (r#"{"nu\u006d":1,"\u005fplaceholder":true}"#, value(1)),
        // The outer one wins over what lies in it.
        (
            r#"{"num":0,"x":{"num":1,"_placeholder":true},"_placeholder":true}"#,
            value(0),
        ),
        (
            r#"[{"num":0,"_placeholder":true},{"num":1,"_placeholder":true}]"#,
            Value::from(vec![value(0), value(1)]),
        ),
        // What merely looks like one stays what it is.
        (r#"{"num":0}"#, plain(json!([{"num": 0}])).remove(0)),
        (
            r#"{"x":"_placeholder","num":9,"y":["_placeholder",true]}"#,
            plain(json!([{"x": "_placeholder", "num": 9, "y": ["_placeholder", true]}])).remove(0),
        ),
        ("{}", Value::Object(Default::default())),
    ];
    for (object, expected) in cases {
        let text = format!("52-[\"e\",{object},\"after\"]");
        let expected = event("/", None, "e", Args(vec![expected, "after".into()]));
        assert_eq!(decode(&text, &data), Ok(expected), "{object}");
    }
}

#[test]
fn an_unused_attachment_is_allowed_and_a_shared_one_is_shared() {
    let data = Bytes::from(vec![3; 10]);
    let text = r#"52-["e",{"_placeholder":true,"num":1},{"_placeholder":true,"num":1}]"#;
    let both = Args(vec![
        Value::Binary(data.clone()),
        Value::Binary(data.clone()),
    ]);
    assert_eq!(
        decode(text, &[Bytes::new(), data]),
        Ok(event("/", None, "e", both))
    );
}

/// A16: 128 levels in each argument, exactly, in every kind of packet.
#[test]
fn depth_is_limited_in_every_packet() {
    let nest = |open: &str, close: &str, depth: usize| {
        format!("{}{}", open.repeat(depth), close.repeat(depth))
    };
    for depth in [127, 128, 129, 10_000, 100_000] {
        let expected = if depth <= 128 {
            Ok(())
        } else {
            Err(Violation::TooDeep)
        };
        let (array, object) = (nest("[", "]", depth), nest("{\"a\":[", "]}", depth / 2));
        let odd = if depth % 2 == 1 {
            format!("[{object}]")
        } else {
            object
        };
        for argument in [&array, &odd] {
            for text in [format!("2[\"e\",1,{argument}]"), format!("37[{argument}]")] {
                assert_eq!(check(&text), expected, "{depth}");
            }
            let binary = format!("51-[\"e\",{argument}]");
            assert_eq!(check(&binary), expected, "{depth}");
        }
        // The object itself is a level.
        let inner = nest("[", "]", depth - 1);
        for kind in ["0", "4"] {
            assert_eq!(
                check(&format!("{kind}{{\"a\":{inner}}}")),
                expected,
                "{depth}"
            );
        }
        // Brackets in strings are no levels.
        assert_eq!(
            check(&format!("2[\"e\",\"{}\"]", "[".repeat(depth))),
            Ok(())
        );
    }
}

#[test]
fn arguments_are_limited_in_number() {
    let list = |count: usize| ",1".repeat(count);
    assert_eq!(check(&format!("2[\"e\"{}]", list(256))), Ok(()));
    let too_many = Err(Violation::TooManyArguments { limit: 256 });
    assert_eq!(check(&format!("2[\"e\"{}]", list(257))), too_many);
    assert_eq!(check(&format!("31[1{}]", list(255))), Ok(()));
    assert_eq!(check(&format!("31[1{}]", list(256))), too_many);
}

/// T-ADV-05 and A19: long runs of one character.
#[test]
fn long_numbers_and_names_end_soon() {
    let run = |prefix: &str, fill: &str, suffix: &str| {
        check(&format!("{prefix}{}{suffix}", fill.repeat(900_000)))
    };
    assert_eq!(run("2", "2", ""), Err(Violation::AckId));
    assert_eq!(run("2", "2", "[\"e\"]"), Err(Violation::AckId));
    assert_eq!(run("5", "9", ""), Err(Violation::AttachmentCount));
    let too_many = Err(Violation::TooManyAttachments { limit: 10 });
    assert_eq!(run("5", "9", "-[\"e\"]"), too_many);
    assert_eq!(run("2/", "a", ""), Err(Violation::Shape(PacketKind::Event)));
    assert_eq!(run("2[\"e\",", "9", "]"), Ok(()));
    assert_eq!(run("2[\"e\",1e", "9", "]"), Ok(()));
    assert!(matches!(run("2[", "9", "]"), Err(Violation::Json(_))));
    assert_eq!(run("0/", "a", ",{}"), Ok(()), "the connection judges names");
}

/// T-RS-03: every prefix of every valid packet either is a packet or is refused.
#[test]
fn every_prefix_ends() {
    let packets = [
        "0/admin,{\"sid\":\"x\"}",
        "1/admin,",
        "2/admin,456[\"project:delete\",123,{\"a\":[true,null,\"\\u00e9é\"]}]",
        "3/admin,456[1.5e3]",
        "4/admin,{\"message\":\"x\"}",
        "52-/a,7[\"hello\",{\"_placeholder\":true,\"num\":1},{\"num\":0,\"_placeholder\":true}]",
        "61-/admin,456[{\"_placeholder\":true,\"num\":0}]",
    ];
    for packet in packets {
        assert_eq!(finish(packet), Ok(()), "{packet}");
        for (end, _) in packet.char_indices() {
            let prefix = &packet[..end];
            if prefix.contains(['{', '[']) {
                assert!(finish(prefix).is_err(), "{prefix}");
            }
        }
    }
}

/// Decodes a packet with as many attachments as it wants, and validates its arguments.
fn finish(text: &str) -> Result<(), Violation> {
    let mut decoder = Decoder::new();
    let limits = Limits::default();
    let mut message = Message::Text(Cow::Borrowed(text));
    loop {
        if let Decoded::Packet(packet) = decoder.decode(message, &limits)? {
            return match packet.body {
                Body::Event { arguments, .. } | Body::Ack { arguments, .. } => arguments.validate(),
                Body::Connect(_) | Body::Disconnect | Body::ConnectError(_) => Ok(()),
            };
        }
        message = Message::Binary(Bytes::new());
    }
}

/// T-ADV-06 and T-RS-04: all short strings over an alphabet.
#[test]
fn all_short_strings_end() {
    fn extend(text: &mut String, alphabet: &str, left: usize, count: &mut usize) {
        *count += 1;
        let _ = check(text);
        if left > 0 {
            for character in alphabet.chars() {
                text.push(character);
                extend(text, alphabet, left - 1, count);
                text.pop();
            }
        }
    }
    let mut count = 0;
    extend(&mut String::new(), "0123456789a/,-[{\"", 4, &mut count);
    extend(&mut String::new(), "0257bé€𐍈", 5, &mut count);
    assert_eq!(count, 88_741 + 37_449);
}
