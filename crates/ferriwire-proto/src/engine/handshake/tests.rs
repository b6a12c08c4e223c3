use proptest::prelude::*;

use super::*;

const ID: &str = "lv_VI97HAXpY6yYWAAAC";
const GET: Request<'_> = Request::Plain { method: "GET" };

fn id() -> SessionId {
    SessionId::parse(ID).unwrap()
}

fn parse(query: &str) -> Query {
    Query::parse(query).unwrap()
}

/// A handshake with polling in revision 4, the commonest request.
fn polling() -> Query {
    Query {
        transport: Transport::Polling,
        revision: Revision::V4,
        session: None,
        base64: false,
        jsonp: None,
    }
}

#[test]
fn a_query_is_read_into_its_parts() {
    let session = Some(NamedSession::Id(id()));
    for (query, expected) in [
        ("EIO=4&transport=polling", polling()),
        ("transport=polling&EIO=4&t=Oyx8&foo=1&foo=2", polling()),
        ("&&EIO=4&&transport=p%6flling&", polling()),
        ("%45IO=4&tr%61nsport=polling", polling()),
        ("EIO=4&transport=polling&sid=", polling()),
        ("EIO=4&transport=polling&b64=", polling()),
        (
            "EIO=4&transport=polling&sid=lv_VI97HAXpY6yYWAAAC",
            Query {
                session,
                ..polling()
            },
        ),
        (
            "EIO=4&transport=polling&b64=1",
            Query {
                base64: true,
                ..polling()
            },
        ),
        (
            "EIO=4&transport=polling&j=0",
            Query {
                jsonp: Some(Callback::Index("0".into())),
                ..polling()
            },
        ),
        (
            "EIO=4&transport=websocket&j=0",
            Query {
                transport: Transport::WebSocket,
                ..polling()
            },
        ),
    ] {
        assert_eq!(Query::parse(query), Ok(expected), "{query:?}");
    }
}

#[test]
fn every_revision_but_exactly_4_counts_as_3() {
    for (value, expected) in [
        ("&EIO=4", Revision::V4),
        ("&EIO=%34", Revision::V4),
        ("&EIO=3", Revision::V3),
        ("", Revision::V3),
        ("&EIO=", Revision::V3),
        ("&EIO=abc", Revision::V3),
        ("&EIO=5", Revision::V3),
        ("&EIO=4.0", Revision::V3),
        ("&EIO=+4", Revision::V3),
        ("&eio=4", Revision::V3),
    ] {
        let query = parse(&format!("transport=polling{value}"));
        assert_eq!(query.revision, expected, "{value:?}");
        let checked = query.check_revision(&[Revision::V4]);
        assert_eq!(checked.is_ok(), expected == Revision::V4, "{value:?}");
        assert_eq!(query.check_revision(&[Revision::V3, Revision::V4]), Ok(()));
    }
}

#[test]
fn a_transport_that_http_does_not_know_is_refused_first() {
    for transport in [
        "",
        "&transport",
        "&transport=",
        "&transport=abc",
        "&transport=Polling",
        "&transport=constructor",
        "&transport=__proto__",
        "&transport=webtransport",
    ] {
        let refusal = Query::parse(&format!("EIO=3&sid=x{transport}")).unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.status()),
            (0, 400),
            "{transport:?}"
        );
    }
}

#[test]
fn a_transport_must_be_enabled() {
    let enabled = [Transport::WebSocket];
    assert_eq!(
        polling().check_transport(&enabled),
        Err(Refusal::transport_unknown("polling"))
    );
    let query = parse("EIO=4&transport=websocket");
    assert_eq!(query.check_transport(&enabled), Ok(()));
}

#[test]
fn parameters_that_decide_must_not_be_given_twice() {
    for (query, name) in [
        ("EIO=4&EIO=4&transport=polling", "EIO"),
        ("EIO=4&transport=polling&transport=websocket", "transport"),
        (
            "EIO=4&transport=polling&sid=&sid=lv_VI97HAXpY6yYWAAAC",
            "sid",
        ),
        ("EIO=4&transport=polling&sid=a&s%69d=b", "sid"),
        ("EIO=4&EIO=3", "EIO"),
    ] {
        let expected = Refusal::BadRequest(BadRequest::DuplicateParameter(name));
        assert_eq!(Query::parse(query), Err(expected), "{query:?}");
    }
}

#[test]
fn sixty_four_parameters_are_enough() {
    let padded = |count: usize| format!("EIO=4&transport=polling{}", "&x=1".repeat(count - 2));
    assert_eq!(Query::parse(&padded(64)), Ok(polling()));
    let cause = BadRequest::TooManyParameters { limit: 64 };
    assert_eq!(Query::parse(&padded(65)), Err(Refusal::BadRequest(cause)));
}

#[test]
fn a_malformed_id_names_an_unknown_session_but_only_when_asked() {
    let long = "a".repeat(65);
    for value in ["a.b", &long, "lv_VI97HAXpY6yYWAA%2FC", "%ff%ff", " "] {
        let query = parse(&format!("EIO=4&transport=polling&sid={value}"));
        assert_eq!(query.session, Some(NamedSession::Malformed), "{value:?}");
        assert_eq!(query.session_id(), Err(Refusal::SessionUnknown(None)));
    }
    let query = parse(&format!("EIO=4&transport=polling&sid={ID}"));
    assert_eq!(query.session_id(), Ok(Some(&id())));
    assert_eq!(polling().session_id(), Ok(None));
}

#[test]
fn a_request_must_fit_its_session() {
    let (polling, websocket) = (Transport::Polling, Transport::WebSocket);
    let post = Request::Plain { method: "POST" };
    for (requested, current, request, fits) in [
        (polling, polling, GET, true),
        (polling, polling, post, true),
        (polling, websocket, GET, false),
        (websocket, polling, GET, false),
        (websocket, websocket, GET, true),
        (websocket, polling, Request::Upgrade, true),
        // A second WebSocket fits the session, which then refuses it as a candidate.
        (websocket, websocket, Request::Upgrade, true),
        (polling, polling, Request::Upgrade, false),
    ] {
        let query = parse(&format!("EIO=4&transport={}&sid={ID}", requested.as_str()));
        let expected = if fits {
            Ok(())
        } else {
            let cause = BadRequest::TransportMismatch { requested, current };
            Err(Refusal::BadRequest(cause))
        };
        let checked = query.check_session(current, Revision::V4, request);
        assert_eq!(checked, expected, "{requested:?} {current:?} {request:?}");
    }
    let query = parse(&format!("EIO=3&transport=polling&sid={ID}"));
    let cause = BadRequest::RevisionMismatch {
        requested: Revision::V3,
        current: Revision::V4,
    };
    assert_eq!(
        query.check_session(polling, Revision::V4, GET),
        Err(Refusal::BadRequest(cause))
    );
}

#[test]
fn the_method_of_a_handshake_is_judged_before_its_transport() {
    for (transport, request, code) in [
        ("polling", GET, None),
        ("websocket", Request::Upgrade, None),
        ("polling", Request::Plain { method: "POST" }, Some(2)),
        ("polling", Request::Plain { method: "OPTIONS" }, Some(2)),
        ("polling", Request::Plain { method: "get" }, Some(2)),
        ("websocket", Request::Plain { method: "PUT" }, Some(2)),
        ("websocket", GET, Some(3)),
        ("polling", Request::Upgrade, Some(3)),
    ] {
        let query = parse(&format!("EIO=4&transport={transport}"));
        let refused = query.check_handshake(request).err();
        let found = refused.map(|refusal| refusal.code());
        assert_eq!(found, code, "{transport} {request:?}");
    }
}

#[test]
fn refusals_are_answered_as_in_the_reference() {
    let forbidden = |message: Option<&str>| Refusal::Forbidden {
        message: message.map(str::to_owned),
    };
    for (refusal, status, body) in [
        (
            Refusal::transport_unknown("abc"),
            400,
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            Refusal::SessionUnknown(None),
            400,
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            Refusal::bad_handshake_method("PUT"),
            400,
            r#"{"code":2,"message":"Bad handshake method"}"#,
        ),
        (
            Refusal::BadRequest(BadRequest::Origin),
            400,
            r#"{"code":3,"message":"Bad request"}"#,
        ),
        (forbidden(None), 403, r#"{"code":4,"message":"Forbidden"}"#),
        (
            forbidden(Some("say \"please\"\n")),
            403,
            r#"{"code":4,"message":"say \"please\"\n"}"#,
        ),
        (
            Refusal::UnsupportedRevision(Revision::V3),
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ] {
        assert_eq!((refusal.status(), refusal.body().as_str()), (status, body));
    }
}

#[test]
fn logs_are_escaped_cut_and_keep_the_secret() {
    let long = format!("a\n\u{1b}{}", "x".repeat(5000));
    for (refusal, expected) in [
        (
            Refusal::SessionUnknown(Some(id())),
            "session lv_V.. is unknown".to_owned(),
        ),
        (
            Refusal::transport_unknown(&long),
            format!(
                "transport \"a\\n\\u{{1b}}{}\" is unknown or not enabled",
                "x".repeat(61)
            ),
        ),
        (
            Refusal::BadRequest(BadRequest::TransportMismatch {
                requested: Transport::Polling,
                current: Transport::WebSocket,
            }),
            "request over polling for a session on websocket".to_owned(),
        ),
    ] {
        assert_eq!(refusal.to_string(), expected);
    }
}

#[test]
fn the_open_packet_has_the_keys_of_the_reference_in_its_order() {
    let session = id();
    let mut open = Open {
        session: &session,
        upgrades: &[Transport::WebSocket, Transport::WebTransport],
        ping_interval: Duration::from_secs(25),
        ping_timeout: Duration::from_millis(20_000),
        max_payload: 1_000_000,
    };
    assert_eq!(
        open.encode(),
        "0{\"sid\":\"lv_VI97HAXpY6yYWAAAC\",\"upgrades\":[\"websocket\",\"webtransport\"],\
         \"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}"
    );
    open.upgrades = &[];
    assert!(open.encode().contains("\"upgrades\":[],"));
}

proptest! {
    #[test]
    fn any_query_is_read_or_refused(
        query in "((EIO|sid|s%69d|transport|b64|j|x|%)(=(4|3|polling|websocket|%ff|[ -~]{0,9}))?&){0,70}",
    ) {
        if let Err(refusal) = Query::parse(&query) {
            prop_assert!(matches!(refusal.code(), 0 | 3));
        }
    }

    #[test]
    fn a_query_means_the_same_beside_something_encoded(
        query in "((EIO|sid|transport|b64|j|x|)(=(4|3|polling|websocket|[!-$,-~]{0,9}))?&){0,20}",
    ) {
        let beside = format!("{query}x=%20");
        prop_assert_eq!(Query::parse(&query), Query::parse(&beside));
    }

    #[test]
    fn any_refusal_has_a_json_body(message: String) {
        let refusal = Refusal::Forbidden { message: Some(message.clone()) };
        let body: serde_json::Value = serde_json::from_str(&refusal.body()).unwrap();
        prop_assert_eq!(body, serde_json::json!({ "code": 4, "message": message }));
    }
}

#[test]
fn scripts_are_answered_to_revision_3_alone_and_with_digits_alone() {
    for (query, enabled, expected) in [
        ("EIO=3&transport=polling&j=12", true, Ok(Some("12"))),
        ("transport=polling&j=0", true, Ok(Some("0"))),
        ("EIO=3&transport=polling&j=12", false, Err(())),
        ("EIO=4&transport=polling&j=12", true, Err(())),
        ("EIO=3&transport=polling&j=", true, Err(())),
        ("EIO=3&transport=polling&j=%3C/script%3E", true, Err(())),
        ("EIO=3&transport=polling&j=1%5D", true, Err(())),
        ("EIO=3&transport=websocket&j=x", true, Ok(None)),
        ("EIO=3&transport=polling", true, Ok(None)),
    ] {
        let query = Query::parse(query).unwrap();
        let refused = Refusal::BadRequest(BadRequest::Jsonp);
        let expected = expected.map_err(|()| refused);
        assert_eq!(query.check_jsonp(enabled), expected, "{query:?}");
    }
}
