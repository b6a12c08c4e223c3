//! The server under the test suite of the official Engine.IO client.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use contract_servers::{Date, GRACE, Outcome, config, limits, ready, run};

use ferriwire::engine::{Message, Server, Session};
use hyper::header::{HeaderMap, HeaderValue, SET_COOKIE};
use hyper::{Method, Request};
use serde_json::Value;
use tokio::sync::oneshot;

fn main() -> ExitCode {
    run(3000, async |address| {
        let posts = Arc::new(Posts::default());
        let config = config()
            .path("/engine.io/")
            .ping_interval(Duration::from_millis(500))
            .limits(limits().max_payload(100))
            .allow_request(|request| match request.query("deny") {
                Some(_) => Err("denied".to_owned()),
                None => Ok(()),
            })
            .on_initial_headers(|headers, _| set_cookies(headers))
            .on_headers({
                let posts = Arc::clone(&posts);
                move |_, request| posts.answered(request)
            });
        let server = Server::new()
            .config(config)
            // A session that has ended meanwhile needs no answer, here and below.
            .on_connect(async |session| drop(session.send("hi")))
            .on_message({
                let posts = Arc::clone(&posts);
                async move |session, message| answer(&posts, &session, message).await
            })
            .on_close(async move |session, _| posts.forget(&session))
            .bind(address)
            .await?;
        ready(format_args!("http://{}", server.local_addr())).await?;
        server.shutdown(GRACE).await;
        Outcome::Ok(())
    })
}

async fn answer(posts: &Posts, session: &Session, message: Message) {
    let answer = match &message {
        Message::Text(text) if text == "give binary" => Message::from(vec![0, 1, 2, 3, 4]),
        Message::Text(text) if text == "give utf8" => {
            Message::from("пойду спать всем спокойной ночи")
        }
        Message::Text(text) if text == "sendHeaders" => match posts.next(session).await {
            Some(headers) => Message::from(headers),
            None => return,
        },
        Message::Text(_) | Message::Binary(_) => message,
    };
    drop(session.send(answer));
}

fn set_cookies(headers: &mut HeaderMap) {
    let expired = format!("4=4; Expires={}", Date::now().http());
    for cookie in [
        "1=1; Max-Age=86400",
        "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
        "3=3; Max-Age=0",
        &expired,
    ] {
        // None of them has characters that a header must not have.
        if let Ok(cookie) = HeaderValue::from_str(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// Who waits for the headers of the POST that is being answered, by session. A POST is answered when
/// the handlers of its messages have been started, so that whoever waits from there on gets its headers.
#[derive(Default)]
struct Posts(Mutex<HashMap<String, Vec<oneshot::Sender<String>>>>);

impl Posts {
    /// The headers as JSON; nothing when the session ends before.
    async fn next(&self, session: &Session) -> Option<String> {
        let (waiter, headers) = oneshot::channel();
        let session = session.id().as_str().to_owned();
        self.change(|waiting| waiting.entry(session).or_default().push(waiter));
        headers.await.ok()
    }

    fn answered(&self, request: &Request<()>) {
        if request.method() != Method::POST {
            return;
        }
        let query = request.uri().query().unwrap_or_default();
        let Some(session) = query.split('&').find_map(|pair| pair.strip_prefix("sid=")) else {
            return;
        };
        for waiter in self
            .change(|waiting| waiting.remove(session))
            .into_iter()
            .flatten()
        {
            // The session may have ended.
            drop(waiter.send(json(request.headers())));
        }
    }

    fn forget(&self, session: &Session) {
        self.change(|waiting| waiting.remove(session.id().as_str()));
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut HashMap<String, Vec<oneshot::Sender<String>>>) -> T,
    ) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn json(headers: &HeaderMap) -> String {
    let pairs = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), Value::from(value))
    });
    Value::Object(pairs.collect()).to_string()
}
