//! What is told, one line for each thing that happens.

use std::io::{Write, stdout};

use ferriwire::Transport;
use ferriwire::client::{Client, ConnectFailure, DisconnectReason, Reconnection};
use ferriwire::{AckError, Args};
use serde_json::{Value, json};

use crate::values::{shown, shown_value};

/// Writes one line. When nobody reads any more there is nobody to tell.
pub(crate) fn report(line: &Value) {
    let mut out = stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

pub(crate) fn connected(client: &Client) {
    report(&json!({
        "ev": "connect",
        "ns": client.name(),
        "id": client.id().as_deref(),
        "recovered": client.is_recovered(),
        "transport": client.transport().map(name),
    }));
}

pub(crate) fn not_connected(client: &Client, failure: &ConnectFailure) {
    report(&json!({
        "ev": "connect_error",
        "ns": client.name(),
        "message": failure.to_string(),
        "data": details(failure),
        "active": client.is_active(),
    }));
}

/// What a refusal carries, or how an answer of HTTP was.
fn details(failure: &ConnectFailure) -> Value {
    if let ConnectFailure::GaveUp(last) = failure {
        return details(last);
    }
    if let ConnectFailure::Http { status, body } = failure {
        return json!({"status": status, "body": body});
    }
    let ConnectFailure::Refused(error) = failure else {
        return Value::Null;
    };
    error.details().map_or(Value::Null, shown_value)
}

pub(crate) fn disconnected(client: &Client, reason: DisconnectReason) {
    report(&json!({"ev": "disconnect", "ns": client.name(), "reason": reason.as_str()}));
}

pub(crate) fn reconnection(step: &Reconnection) {
    match step {
        Reconnection::Attempt { number, after } => report(&json!({
            "ev": "reconnect_attempt",
            "attempt": number,
            "after_ms": u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        })),
        Reconnection::Done(attempt) => report(&json!({"ev": "reconnect", "attempt": attempt})),
        Reconnection::GaveUp => report(&json!({"ev": "reconnect_failed"})),
        // Each namespace tells of it as `connect_error`.
        Reconnection::Failed(_) => {}
        _ => {}
    }
}

pub(crate) fn upgraded(transport: Transport) {
    report(&json!({"ev": "upgrade", "transport": name(transport)}));
}

pub(crate) fn event(client: &Client, event: &str, args: &Args) {
    let args = shown(args);
    report(&json!({"ev": "event", "ns": client.name(), "event": event, "args": args}));
}

pub(crate) fn acknowledged(tag: &Value, answer: &Result<Args, AckError>) {
    report(&match answer {
        Ok(args) => json!({"ev": "ack", "tag": tag, "args": shown(args)}),
        Err(error) => json!({"ev": "ack", "tag": tag, "error": error.to_string()}),
    });
}

/// The name of a transport on the wire.
pub(crate) fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Polling => "polling",
        Transport::WebSocket => "websocket",
        Transport::WebTransport => "webtransport",
    }
}
