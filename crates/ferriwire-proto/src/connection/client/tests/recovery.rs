//! Connection state recovery from the client's side (1.3.3).

use super::*;

const WELCOME: &str = "0{\"sid\":\"s\",\"pid\":\"p\"}";

fn claims(script: &Script) -> String {
    let claims = script.client.claims(Key(0));
    let claims = claims
        .iter()
        .map(|(name, value)| format!("{name}={}", show(value)));
    claims.collect::<Vec<_>>().join(" ")
}

fn joined() -> Script {
    let mut script = Script::joining(&["/"]);
    assert_eq!(script.receive(WELCOME), "connected 0");
    script
}

#[test]
fn the_last_offset_is_presented() {
    let mut script = joined();
    assert_eq!(claims(&script), "pid=\"p\"", "nothing was heard");
    for (packet, offset) in [
        ("2[\"e\",\"a1\"]", "a1"),
        ("2[\"e\",1,{\"x\":[1]},\"a2\"]", "a2"),
        // No offset: it asks for an answer, or does not end with a text.
        ("27[\"e\",\"text\"]", "a2"),
        ("2[\"e\",1]", "a2"),
        ("2[\"e\",\"text\",null]", "a2"),
        ("2[\"e\",[\"text\"]]", "a2"),
        ("2[\"e\"]", "a2"),
        ("30[\"text\"]", "a2"),
        ("2/other,[\"e\",\"text\"]", "a2"),
        ("2[\"e\",true,1.5,-1,\"a3\"]", "a3"),
    ] {
        script.receive(packet);
        assert_eq!(
            claims(&script),
            format!("pid=\"p\" offset={offset:?}"),
            "{packet}"
        );
    }
    let long = format!("2[\"e\",\"{}\"]", "x".repeat(257));
    script.receive(&long);
    assert_eq!(claims(&script), "pid=\"p\" offset=\"a3\"");
    script.receive("51-[\"e\",{\"_placeholder\":true,\"num\":0},\"a4\"]");
    script.receive_binary(b"x");
    assert_eq!(claims(&script), "pid=\"p\" offset=\"a4\"");
}

#[test]
fn a_session_that_comes_back_is_recovered() {
    let mut script = joined();
    script.receive("2[\"e\",\"a1\"]");
    script.reopen();
    assert_eq!(claims(&script), "pid=\"p\" offset=\"a1\"");
    // What was missed comes first with the reference, and its offsets count.
    assert_eq!(script.receive("2[\"missed\",\"a2\"]"), "ignored");
    assert_eq!(script.receive(WELCOME), "recovered 0");
    assert_eq!(script.early(0), "missed [\"a2\"];");
    assert_eq!(script.id(0), Some("s"));
    script.reopen();
    assert_eq!(claims(&script), "pid=\"p\" offset=\"a2\"");
    // A cut within the replay.
    script.receive("2[\"missed\",\"a3\"]");
    script.reopen();
    assert_eq!(
        claims(&script),
        "pid=\"p\" offset=\"a2\"",
        "a3 was never handed out"
    );
}

#[test]
fn a_server_that_does_not_know_it_begins_anew() {
    for (answer, expected) in [
        ("0{\"sid\":\"new\",\"pid\":\"q\"}", "pid=\"q\""),
        ("0{\"sid\":\"new\"}", ""),
    ] {
        let mut script = joined();
        script.receive("2[\"e\",\"a1\"]");
        script.reopen();
        assert_eq!(script.receive(answer), "connected 0");
        assert_eq!(
            claims(&script),
            expected,
            "the old offset means nothing there"
        );
        assert_eq!(script.id(0), Some("new"));
    }
}

#[test]
fn without_a_pid_texts_are_texts() {
    let mut script = Script::joined(&["/"]);
    script.receive("2[\"e\",\"text\"]");
    assert_eq!(claims(&script), "");
    for pid in ["\"\"", "null"] {
        let mut script = Script::joining(&["/"]);
        script.receive(&format!("0{{\"sid\":\"s\",\"pid\":{pid}}}"));
        script.receive("2[\"e\",\"text\"]");
        assert_eq!(claims(&script), "", "{pid}");
    }
}
