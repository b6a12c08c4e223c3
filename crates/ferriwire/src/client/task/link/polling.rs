//! A session on long-polling: a GET that waits for packets, and POSTs that carry them.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use ferriwire_proto::engine::packet::ParseError;
use ferriwire_proto::engine::payload::Payload;
use ferriwire_proto::engine::session::Lost;
use ferriwire_proto::engine::{Revision, Transport, revision3};
use http::{HeaderValue, Method, header};
use tokio::time::timeout;

use super::super::layer::Layer;
use super::receiver::Receiver;
use super::{BATCH, Link, Tools};
use crate::client::error::ConnectFailure;
use crate::client::transport::http::{Answer, Outcome, exchange};
use crate::engine::running::BoxFuture;

impl Link {
    pub(super) fn poll_get(
        &mut self,
        layer: &mut Layer,
        tools: &mut Tools,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(get) = &mut self.get else {
            return false;
        };
        let Poll::Ready((result, connection)) = get.as_mut().poll(cx) else {
            return false;
        };
        self.get = None;
        self.idle.extend(connection);
        match result {
            Ok(answer) => {
                tools.take_cookies(&answer.headers);
                self.handle_payload(&answer, layer, tools.max_held(), now, cx);
                self.session.handle_polled();
            }
            Err(failure) => self.lose(failure, Lost::Error),
        }
        true
    }

    fn handle_payload(
        &mut self,
        answer: &Answer,
        layer: &mut Layer,
        max_held: usize,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        let Self {
            session,
            is_opened,
            failure,
            ..
        } = self;
        let mut receiver = Receiver {
            session,
            is_opened,
            failure,
            layer,
            max_held,
            now,
        };
        let is_binary = answer
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/octet-stream"));
        let revision = receiver.session.dialect().revision;
        if revision == Revision::V3 && is_binary {
            let packets = revision3::Payload::of_binary(&answer.body, usize::MAX);
            return receiver.take_all(packets, cx);
        }
        let Ok(text) = str::from_utf8(&answer.body) else {
            return receiver.take_all([Err(ParseError::Utf8)], cx);
        };
        match revision {
            Revision::V3 => {
                receiver.take_all(revision3::Payload::of_text(text, usize::MAX), cx);
            }
            Revision::V4 => receiver.take_all(Payload::decode(text, usize::MAX), cx),
        }
    }

    pub(super) fn poll_post(&mut self, tools: &mut Tools, cx: &mut Context<'_>) -> bool {
        let Some(post) = &mut self.post else {
            return false;
        };
        let Poll::Ready((result, connection)) = post.as_mut().poll(cx) else {
            return false;
        };
        self.post = None;
        self.idle.extend(connection);
        match result {
            Ok(answer) => {
                tools.take_cookies(&answer.headers);
                self.session.handle_posted();
            }
            Err(failure) => self.lose(failure, Lost::Error),
        }
        true
    }

    pub(in crate::client::task) fn start_poll(&mut self, tools: &mut Tools) {
        match self.request(Method::GET, Bytes::new(), None, tools) {
            Ok(get) => self.get = Some(get),
            Err(failure) => self.lose(failure, Lost::Error),
        }
    }

    fn request(
        &mut self,
        method: Method,
        body: Bytes,
        kind: Option<&'static str>,
        tools: &mut Tools,
    ) -> Result<BoxFuture<Outcome>, ConnectFailure> {
        let target = tools.target(&self.session, Transport::Polling);
        let cookies = tools.cookie_header();
        // For a GET there is the heartbeat, and the time of the attempt.
        let opened = self.session.opened().filter(|_| method == Method::POST);
        let patience = opened.map(|one| one.ping_interval.saturating_add(one.ping_timeout));
        let mut request = tools.origin.request(method, &target, cookies, body)?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let (origin, left) = (Arc::clone(&tools.origin), self.idle.pop());
        let answer = exchange(origin, left, request, tools.max_body());
        Ok(match patience {
            None => Box::pin(answer),
            Some(patience) => Box::pin(async move {
                let answer = timeout(patience, answer).await;
                answer.unwrap_or_else(|_| (Err(ConnectFailure::Timeout), None))
            }),
        })
    }

    pub(super) fn write_post(&mut self, layer: &Layer, tools: &mut Tools) -> bool {
        if !self.session.may_write() || self.post.is_some() {
            return false;
        }
        let max = self.session.opened().and_then(|opened| opened.max_payload);
        let body = {
            let mut outgoing = layer.shared.outgoing.lock();
            let queue = outgoing.queue();
            if queue.is_empty() {
                if self.is_closing {
                    self.session.handle_flushed();
                }
                return self.is_closing;
            }
            let mut batch = queue.take(max.unwrap_or(BATCH).max(BATCH));
            let body = batch.take_body(max);
            queue.restore(batch);
            body
        };
        // What has no form on polling is gone, and the rest has its turn.
        let Some(body) = body else { return true };
        let kind = if body.is_binary {
            "application/octet-stream"
        } else {
            "text/plain;charset=UTF-8"
        };
        let bytes = Bytes::from(body.bytes);
        match self.request(Method::POST, bytes, Some(kind), tools) {
            Ok(post) => {
                self.session.handle_post();
                self.post = Some(post);
            }
            Err(failure) => self.lose(failure, Lost::Error),
        }
        true
    }
}
