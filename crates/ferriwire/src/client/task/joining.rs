//! How the task joins namespaces: what identifies the client is made, and goes with a CONNECT packet.

use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use ferriwire_proto::connection::Key;
use ferriwire_proto::engine::Revision;
use ferriwire_proto::engine::queue::Entry;
use ferriwire_proto::value::{Object, Value};
use tokio::time::timeout;

use super::Task;
use crate::client::auth::{Attempt, Auth, Claims, Make};
use crate::client::error::ConnectFailure;
use crate::engine::running::BoxFuture;

/// How deep the arguments of what is sent may be nested.
const DEPTH: usize = ferriwire_proto::codec::MAX_DEPTH;

/// The shortest pause before `auth` is made again, so that others have their turn.
const SHORTEST: Duration = Duration::from_millis(1);

impl Task {
    /// Begins to make the CONNECT packets that are wanted.
    pub(super) fn start_auths(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let wanted = std::mem::take(&mut self.wanted);
        let any = !wanted.is_empty();
        for key in wanted {
            let number = self.layer.next_attempt(key);
            let Some(membership) = self.layer.membership(key) else {
                continue;
            };
            match &membership.auth {
                Auth::Value(claims) => {
                    let claims = claims.clone();
                    self.send_connect(key, Ok(claims), now, cx);
                }
                Auth::Made(make) => {
                    let namespace = Arc::clone(&membership.name);
                    let made = self.in_time(Arc::clone(make), Attempt { number, namespace });
                    if let Some((key, claims)) = self.auths.start(key, made, cx) {
                        self.send_connect(key, claims, now, cx);
                    }
                }
            }
        }
        any
    }

    /// Makes what identifies the client, which may take as long as an attempt to connect.
    fn in_time(&self, make: Arc<Make>, attempt: Attempt) -> BoxFuture<Claims> {
        let config = &self.tools.config;
        let limit = config.reconnect.attempt_timeout;
        let limit = limit.unwrap_or(config.namespaces.connect_timeout);
        Box::pin(async move {
            let made = timeout(limit, make(attempt)).await;
            made.unwrap_or(Err(ConnectFailure::Timeout))
        })
    }

    pub(super) fn send_connect(
        &mut self,
        key: Key,
        claims: Result<Claims, String>,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        let claims = match claims {
            Ok(claims) => claims,
            Err(panic) => Err(ConnectFailure::Auth(panic)),
        };
        let packet = claims.and_then(|claims| {
            let name = self.layer.namespaces.namespace(key).unwrap_or("/");
            let packet = if self.tools.config.engine.revision == Revision::V3 {
                self.shared
                    .codec
                    .encode_connect(&with_query(name, &claims), &(), DEPTH)
            } else {
                let mut all = self.layer.namespaces.claims(key);
                for (name, value) in claims.iter() {
                    all.insert(name, value.clone());
                }
                // An empty object is left out, as the reference does.
                let all = (!all.is_empty()).then_some(Value::Object(all));
                self.shared.codec.encode_connect(name, &all, DEPTH)
            };
            packet.map_err(|error| ConnectFailure::Auth(error.to_string()))
        });
        match packet {
            Ok(packet) => {
                if self.layer.namespaces.send_connect(key, now) {
                    self.push(Entry::Message(Arc::new(packet)));
                }
            }
            Err(failure) => self.auth_failed(key, &failure, now, cx),
        }
    }

    /// What identifies the client cannot be sent. What a function makes is made again, behind the pause
    /// that an attempt to connect would have.
    fn auth_failed(
        &mut self,
        key: Key,
        failure: &ConnectFailure,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        let Some(membership) = self.layer.membership(key).map(Arc::clone) else {
            return;
        };
        if !self.layer.namespaces.is_active(key) {
            return;
        }
        let failures = self.layer.count_auth_failure(key);
        let reconnect = self.tools.config.reconnect;
        let pause = match &membership.auth {
            Auth::Made(make) if reconnect.enabled && !self.layer.ends_with_failure(key) => {
                let random = self.tools.random.number();
                let pause = reconnect.backoff.delay(failures, random);
                pause.map(|pause| (Arc::clone(make), pause.max(SHORTEST)))
            }
            Auth::Made(_) | Auth::Value(_) => None,
        };
        let Some((make, pause)) = pause else {
            self.layer.namespaces.leave(key);
            self.layer.note_active(true);
            self.layer.fail(key, failure, cx);
            self.end_unwanted(now, cx);
            return;
        };
        self.layer.tell_failure(&membership, failure, cx);
        let number = self.layer.next_attempt(key);
        let namespace = Arc::clone(&membership.name);
        let made = self.in_time(make, Attempt { number, namespace });
        let made = Box::pin(async move {
            tokio::time::sleep(pause).await;
            made.await
        });
        if let Some((key, claims)) = self.auths.start(key, made, cx) {
            self.send_connect(key, claims, now, cx);
        }
    }
}

/// The name of a namespace as servers of Socket.IO 4 are told it, which take a query in it.
fn with_query(name: &str, claims: &Object) -> String {
    if claims.is_empty() {
        return name.to_owned();
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in claims.iter() {
        match value {
            Value::String(text) => query.append_pair(name, text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => {
                query.append_pair(name, &serde_json::to_string(value).unwrap_or_default())
            }
            Value::Binary(_) => &mut query,
        };
    }
    format!("{name}?{}", query.finish())
}
