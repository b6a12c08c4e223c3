//! GETs and POSTs of long-polling (1.1.5).

use std::future::{Future, poll_fn};
use std::task::Poll;

use bytes::Bytes;
use ferriwire_proto::engine::Revision;
use ferriwire_proto::engine::handshake::Refusal;
use ferriwire_proto::engine::jsonp::form_body;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::oneshot;

use super::super::body::{Body, ReadError};
use super::super::core::Core;
use super::super::reasons::LimitKind;
use super::super::session::{Input, PostAnswer, Session};
use super::admission::Refused;
use super::answers::{close_connection, empty};
use super::encoding::{self, Coding};
use super::fields::Fields;
use super::reply::Reply;

/// A GET: waits until there are packets, and compresses them as the client likes.
pub(super) async fn poll(core: &Core, session: Session, coding: Option<Coding>) -> Reply {
    let (waiter, answer) = oneshot::channel();
    session.wait_for_packets(waiter);
    let mut unfinished = Unfinished::new(&session, Input::PollAborted);
    let reply = match answer.await {
        Ok(body) => {
            let compress = body.compress;
            let mut reply = Reply::payload(body, session.request().jsonp());
            let level = core.config().http_compression.level_for(reply.len());
            if let Some(level) = level.filter(|_| compress) {
                let response = reply.into_response();
                // Most answers are small, and a GET that waits should not have the room for this.
                let compressed = Box::pin(compressed(core, response, coding, level));
                reply = compressed.await.into();
            }
            reply.of_session(session.clone())
        }
        // A second GET at the same time, or the session is over.
        Err(_) => empty(StatusCode::BAD_REQUEST).into(),
    };
    unfinished.finish();
    reply
}

/// The answer in a coding, as it is large enough for it.
async fn compressed(
    core: &Core,
    mut response: Response<Body>,
    coding: Option<Coding>,
    level: u8,
) -> Response<Body> {
    let Some(content) = response.body().content() else {
        return response;
    };
    let packed = match coding {
        Some(coding) => {
            let content = content.clone();
            // It is never closed.
            let _permit = match encoding::is_sliced(content.len()) {
                true => core.compressing().acquire().await.ok(),
                false => None,
            };
            let packed = encoding::compress(&content, coding, level).await;
            packed.ok().map(|packed| (coding, packed))
        }
        None => None,
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some((coding, packed)) = packed {
        let name = HeaderValue::from_static(coding.name());
        headers.insert(CONTENT_ENCODING, name);
        *response.body_mut() = Body::full(packed);
    }
    response
}

/// What the headers of a POST say of its body.
#[derive(Clone, Copy)]
pub(super) struct Posting {
    is_binary: bool,
    /// It would have to be decompressed, which is never done: a little of it may be a lot of memory.
    is_encoded: bool,
}

impl Posting {
    pub(super) fn new<F: Fields + ?Sized>(fields: &F) -> Self {
        let kind = fields.first_named(&CONTENT_TYPE);
        let mut encodings = fields.named(&CONTENT_ENCODING);
        Self {
            is_binary: kind == Some(b"application/octet-stream"),
            is_encoded: encodings.any(|encoding| !encoding.eq_ignore_ascii_case(b"identity")),
        }
    }
}

/// A POST: answered when its packets were handed to the connection task.
pub(super) async fn post(
    core: &Core,
    posting: Posting,
    body: impl Future<Output = Result<Bytes, ReadError>>,
    session: Session,
) -> Reply {
    let refused = |why| tracing::debug!(session = ?session.id(), "POST refused: {why}");
    if !session.begin_post() {
        refused("another one is not answered yet");
        session.tell(Input::PostFailed);
        return empty(StatusCode::BAD_REQUEST).into();
    }
    let mut unfinished = Unfinished::new(&session, Input::PostFailed);
    let Posting {
        is_binary,
        is_encoded,
    } = posting;
    if is_binary && session.request().revision() == Revision::V4 {
        refused("binary data is for revision 3");
        return empty(StatusCode::BAD_REQUEST).into();
    }
    if is_encoded {
        refused("it is compressed");
        unfinished.finish();
        session.end_post();
        return close_connection(empty(StatusCode::UNSUPPORTED_MEDIA_TYPE)).into();
    }
    let reply = match body.await {
        Ok(body) => {
            let (answer, answered) = oneshot::channel();
            let body = match session.request().jsonp() {
                // A form without the field is as empty as a body without anything.
                Some(_) => form_body(&body).unwrap_or_default().into(),
                None => body,
            };
            // Of requests that become readable at once the runtime runs the last one first: a GET that came
            // just before is let pass, so that it waits already when these packets have an answer.
            if !session.outbox().has_waiting_poll() {
                let_others_run().await;
            }
            session.tell(Input::Post {
                body,
                is_binary,
                answer,
            });
            match answered.await {
                Ok(PostAnswer::HandedOn) => Reply::taken(),
                Ok(PostAnswer::Refused) => {
                    refused("it has more packets than max_packets_per_payload");
                    empty(StatusCode::BAD_REQUEST).into()
                }
                Err(_) => {
                    let refused = Refused::from(Refusal::SessionUnknown(None));
                    refused.response(false).into()
                }
            }
        }
        Err(ReadError::TooLarge) => {
            refused("it is larger than max_payload");
            core.counters().oversized_body();
            session.limited(LimitKind::Payload);
            close_connection(empty(StatusCode::PAYLOAD_TOO_LARGE)).into()
        }
        Err(ReadError::TimedOut) => {
            session.limited(LimitKind::BodyTime);
            refused("it took too long");
            close_connection(empty(StatusCode::REQUEST_TIMEOUT)).into()
        }
        Err(ReadError::Broken) => return empty(StatusCode::BAD_REQUEST).into(),
    };
    unfinished.finish();
    session.end_post();
    reply
}

/// Lets those run that were woken before. Wakes this task as hyper does when a body was read, so that
/// both cost one poll.
async fn let_others_run() {
    let mut have_run = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut have_run, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Tells the connection task of a request that its client gave up: hyper then drops the future.
struct Unfinished<'a> {
    session: &'a Session,
    report: Option<Input>,
}

impl<'a> Unfinished<'a> {
    fn new(session: &'a Session, report: Input) -> Self {
        Self {
            session,
            report: Some(report),
        }
    }

    fn finish(&mut self) {
        self.report = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            self.session.tell(report);
        }
    }
}
