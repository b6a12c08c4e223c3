//! One session with the transports that it is on: what the machine of the session asks for is done
//! here, and what arrives is told to it.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use ferriwire_proto::engine::client::{Client as Session, Cookies};
use ferriwire_proto::engine::packet::{Packet, ParseError};
use ferriwire_proto::engine::payload::Payload;
use ferriwire_proto::engine::queue::{Control, Entry};
use ferriwire_proto::engine::session::Lost;
use ferriwire_proto::engine::{CloseReason, Revision, Transport, revision3};
use ferriwire_proto::websocket::Item;
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::time::timeout;

use super::super::config::ClientConfig;
use super::super::error::ConnectFailure;
use super::super::random::Random;
use super::super::transport::http::{Answer, Connection, Origin, Outcome, exchange};
use super::super::transport::websocket::{self, Opening, Read, ReadError, WebSocket};
use super::layer::{Broken, Layer};
use crate::engine::running::BoxFuture;

/// How much is taken out of the queue at a time.
const BATCH: usize = 64 * 1024;

/// How often a WebSocket is read before others have their turn.
const READS: usize = 8;

/// What links are made with, one after the other.
pub(super) struct Tools {
    pub(super) origin: Arc<Origin>,
    pub(super) config: ClientConfig,
    pub(super) random: Random,
    pub(super) cookies: Cookies,
}

pub(super) struct Link {
    pub(super) session: Session,
    get: Option<BoxFuture<Outcome>>,
    post: Option<BoxFuture<Outcome>>,
    /// Connections that carry no request now.
    idle: Vec<Connection>,
    socket: Option<Way>,
    candidate: Option<Way>,
    /// The layer above knows of the session.
    pub(super) is_opened: bool,
    /// What went wrong first.
    pub(super) failure: Option<ConnectFailure>,
    is_closing: bool,
    /// Nobody needs it any more: the next one is not made before its end.
    pub(super) is_ending: bool,
    is_reading: bool,
}

/// A WebSocket, or what is going to be one.
enum Way {
    Opening(BoxFuture<Result<Box<WebSocket>, ConnectFailure>>),
    Open(Box<WebSocket>),
}

impl Tools {
    /// The target of a request.
    fn target(&self, session: &Session, transport: Transport) -> String {
        let mut query = session.query(transport);
        if !self.config.query.is_empty() {
            let mut more = form_urlencoded::Serializer::new(String::new());
            more.extend_pairs(&self.config.query);
            query.push('&');
            query.push_str(&more.finish());
        }
        self.origin.address.target(&self.config.path, &query)
    }

    fn cookie_header(&mut self) -> Option<String> {
        let wanted = self.config.cookies;
        wanted.then(|| self.cookies.header(SystemTime::now()))?
    }

    fn take_cookies(&mut self, headers: &HeaderMap) {
        if !self.config.cookies {
            return;
        }
        let values = headers.get_all(header::SET_COOKIE).iter();
        for value in values.filter_map(|value| value.to_str().ok()) {
            self.cookies.handle_set_cookie(value, SystemTime::now());
        }
    }

    /// How many bytes of events may wait for handlers behind one answer to a poll, which is not read in parts.
    fn max_held(&self) -> usize {
        self.config.max_incoming.saturating_add(self.max_body())
    }

    /// The largest body that is taken.
    fn max_body(&self) -> usize {
        self.config.max_message.saturating_mul(4)
    }
}

impl Link {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            session: Session::new(tools.config.engine.clone()),
            get: None,
            post: None,
            idle: Vec::new(),
            socket: None,
            candidate: None,
            is_opened: false,
            failure: None,
            is_closing: false,
            is_ending: false,
            is_reading: true,
        }
    }

    /// Whether what arrives is taken. Says whether that is new.
    pub(super) fn set_reading(&mut self, is_reading: bool, now: Instant) -> bool {
        let is_new = self.is_reading != is_reading;
        if is_new {
            self.is_reading = is_reading;
            self.session.set_reading(is_reading, now);
        }
        is_new
    }

    /// Takes in what has arrived. Says whether anything has.
    pub(super) fn poll_input(
        &mut self,
        layer: &mut Layer,
        tools: &mut Tools,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let mut progress = self.poll_get(layer, tools, now, cx);
        progress |= self.poll_post(tools, cx);
        progress |= self.poll_socket(layer, tools, now, cx);
        progress | self.poll_candidate(tools, cx)
    }

    fn poll_get(
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

    fn poll_post(&mut self, tools: &mut Tools, cx: &mut Context<'_>) -> bool {
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

    fn poll_socket(
        &mut self,
        layer: &mut Layer,
        tools: &mut Tools,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let Self {
            session,
            socket,
            is_opened,
            failure,
            ..
        } = self;
        let Some(way) = socket else { return false };
        let websocket = match way {
            Way::Opening(opening) => match opening.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(open)) => {
                    *way = Way::Open(open);
                    return true;
                }
                Poll::Ready(Err(failure)) => {
                    self.socket = None;
                    self.lose(failure, Lost::Error);
                    return true;
                }
            },
            // An attempt goes on: its time does, too.
            Way::Open(_) if !self.is_reading && session.opened().is_some() => return false,
            Way::Open(open) => open,
        };
        let mut receiver = Receiver {
            session,
            is_opened,
            failure,
            layer,
            max_held: tools.max_held(),
            now,
        };
        let mut progress = false;
        for _ in 0..READS {
            let read = websocket.poll_read(cx, &mut tools.random, |item, cx| {
                let revision = receiver.session.dialect().revision;
                match item {
                    Item::Text(text) => receiver.take(revision.decode_text(&text), cx),
                    Item::Binary(data) => receiver.take(revision.decode_binary(to_bytes(data)), cx),
                    Item::Ping(_) | Item::Pong(_) | Item::Close(_) => true,
                };
            });
            let (failure, how) = match read {
                Poll::Pending => return progress,
                Poll::Ready(Ok(Read::Some)) => {
                    progress = true;
                    let is_full = receiver.layer.held_bytes() > tools.config.max_incoming;
                    if is_full || receiver.session.is_closed() {
                        return true;
                    }
                    continue;
                }
                Poll::Ready(Ok(Read::End)) => (ConnectFailure::closed_early(), Lost::Closed),
                Poll::Ready(Err(ReadError::Io(error))) => {
                    // TLS takes it for an error when its peer is gone without a word: for TCP it is none.
                    let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
                    let how = if is_end { Lost::Closed } else { Lost::Error };
                    (error.into(), how)
                }
                Poll::Ready(Err(ReadError::Violation(violation))) => (
                    ConnectFailure::Violation(violation.to_string()),
                    Lost::Error,
                ),
            };
            self.lose(failure, how);
            return true;
        }
        progress
    }

    fn poll_candidate(&mut self, tools: &mut Tools, cx: &mut Context<'_>) -> bool {
        let Self {
            session, candidate, ..
        } = self;
        let Some(way) = candidate else { return false };
        let websocket = match way {
            Way::Opening(opening) => {
                match opening.as_mut().poll(cx) {
                    Poll::Pending => return false,
                    Poll::Ready(Ok(open)) => {
                        *way = Way::Open(open);
                        session.handle_candidate_open();
                    }
                    Poll::Ready(Err(failure)) => {
                        tracing::debug!(%failure, "the session stays on polling");
                        *candidate = None;
                        session.handle_candidate_lost();
                    }
                }
                return true;
            }
            Way::Open(open) => open,
        };
        let revision = session.dialect().revision;
        let read = websocket.poll_read(cx, &mut tools.random, |item, _| match item {
            Item::Text(text) => match revision.decode_text(&text) {
                Ok(packet) => session.handle_candidate_packet(&packet),
                Err(_) => session.handle_candidate_parse_error(),
            },
            Item::Binary(_) => session.handle_candidate_parse_error(),
            Item::Ping(_) | Item::Pong(_) | Item::Close(_) => {}
        });
        let is_lost = match read {
            Poll::Pending => match websocket.poll_flush(cx) {
                Poll::Ready(Err(_)) => true,
                Poll::Ready(Ok(())) | Poll::Pending => return false,
            },
            Poll::Ready(Ok(Read::Some)) => false,
            Poll::Ready(Ok(Read::End) | Err(_)) => true,
        };
        if is_lost {
            *candidate = None;
            session.handle_candidate_lost();
        }
        true
    }

    fn lose(&mut self, failure: ConnectFailure, how: Lost) {
        self.socket = None;
        self.session.handle_transport_lost(how);
        if !self.session.is_closed() {
            // The next transport is tried, and what becomes of that is what is told.
            tracing::debug!(%failure, "another transport is tried");
            return;
        }
        self.failure.get_or_insert(failure);
    }

    pub(super) fn start_poll(&mut self, tools: &mut Tools) {
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

    pub(super) fn open_socket(&mut self, tools: &mut Tools) {
        self.socket = Some(self.open_way(tools));
    }

    pub(super) fn open_candidate(&mut self, tools: &mut Tools) {
        self.candidate = Some(self.open_way(tools));
    }

    fn open_way(&self, tools: &mut Tools) -> Way {
        let opening = Opening {
            target: tools.target(&self.session, Transport::WebSocket),
            cookies: tools.cookie_header(),
            random: tools.random.bytes(),
            deflate: tools.config.deflate.clone(),
            max_message: tools.config.max_message,
        };
        let origin = Arc::clone(&tools.origin);
        Way::Opening(Box::pin(websocket::open(origin, opening)))
    }

    pub(super) fn send_probe(&mut self, tools: &mut Tools) {
        if let Some(Way::Open(candidate)) = &mut self.candidate {
            candidate.push_packet("2probe", &mut tools.random);
        }
    }

    pub(super) fn drop_candidate(&mut self, tools: &mut Tools, cx: &mut Context<'_>) {
        if let Some(Way::Open(mut candidate)) = self.candidate.take() {
            candidate.push_close(&mut tools.random);
            // What the network does not take at once is not worth waiting for.
            let _ = candidate.poll_flush(cx);
        }
    }

    /// The candidate is the transport from now on.
    pub(super) fn switch(&mut self, layer: &Layer, tools: &mut Tools) {
        self.get = None;
        self.post = None;
        self.idle.clear();
        // The machine asks for it only while there is an open one.
        let Some(Way::Open(mut websocket)) = self.candidate.take() else {
            return self.lose(ConnectFailure::closed_early(), Lost::Error);
        };
        websocket.push_packet("5", &mut tools.random);
        let deflater = websocket.deflater;
        layer.shared.outgoing.lock().queue().set_deflater(deflater);
        self.socket = Some(Way::Open(websocket));
    }

    pub(super) fn begin_close(&mut self, layer: &Layer) {
        self.is_closing = true;
        if self.session.transport() == Transport::Polling {
            let mut outgoing = layer.shared.outgoing.lock();
            outgoing.queue().push(Entry::Control(Control::Close));
        }
    }

    /// What is sent there may be compressed so.
    pub(super) fn deflater(&self) -> Option<ferriwire_proto::websocket::Deflater> {
        match &self.socket {
            Some(Way::Open(websocket)) => websocket.deflater,
            Some(Way::Opening(_)) | None => None,
        }
    }

    /// Whether an event could leave at once.
    pub(super) fn is_writable(&self) -> bool {
        let is_there = match self.session.transport() {
            Transport::Polling => self.post.is_none(),
            Transport::WebSocket => match &self.socket {
                Some(Way::Open(websocket)) => websocket.is_flushed(),
                Some(Way::Opening(_)) | None => false,
            },
            Transport::WebTransport => false,
        };
        is_there && self.session.is_open() && self.session.may_write()
    }

    /// Writes what waits. Says whether something has changed by that.
    pub(super) fn write(&mut self, layer: &Layer, tools: &mut Tools, cx: &mut Context<'_>) -> bool {
        match self.session.transport() {
            Transport::Polling => self.write_post(layer, tools),
            Transport::WebSocket => self.write_frames(layer, tools, cx),
            Transport::WebTransport => false,
        }
    }

    fn write_post(&mut self, layer: &Layer, tools: &mut Tools) -> bool {
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

    fn write_frames(&mut self, layer: &Layer, tools: &mut Tools, cx: &mut Context<'_>) -> bool {
        let Some(Way::Open(websocket)) = &mut self.socket else {
            return false;
        };
        let mut is_ending = false;
        loop {
            match websocket.poll_flush(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.lose(error.into(), Lost::Error);
                    return true;
                }
            }
            if is_ending {
                self.session.handle_flushed();
                return true;
            }
            if !self.session.may_write() {
                return false;
            }
            let batch = {
                let mut outgoing = layer.shared.outgoing.lock();
                let queue = outgoing.queue();
                (!queue.is_empty()).then(|| queue.take(BATCH))
            };
            match batch {
                Some(batch) => websocket.push_batch(batch, &mut tools.random),
                None if self.is_closing => {
                    websocket.push_close(&mut tools.random);
                    is_ending = true;
                }
                None => return false,
            }
        }
    }
}

/// Where packets of the current transport go.
struct Receiver<'a> {
    session: &'a mut Session,
    is_opened: &'a mut bool,
    failure: &'a mut Option<ConnectFailure>,
    layer: &'a mut Layer,
    /// How many bytes of events one answer to a poll may make wait for handlers.
    max_held: usize,
    now: Instant,
}

impl Receiver<'_> {
    fn take_all<'p>(
        &mut self,
        packets: impl IntoIterator<Item = Result<Packet<'p>, ParseError>>,
        cx: &mut Context<'_>,
    ) {
        for packet in packets {
            if !self.take(packet, cx) {
                return;
            }
            // Small events take more room here than in the answer.
            if self.layer.held_bytes() > self.max_held {
                self.note("more events at once than can wait".to_owned());
                self.session.abort(CloseReason::ParseError);
                return;
            }
        }
    }

    /// Says whether more is wanted.
    fn take(&mut self, packet: Result<Packet<'_>, ParseError>, cx: &mut Context<'_>) -> bool {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => {
                self.note(error.to_string());
                self.session.handle_parse_error();
                return false;
            }
        };
        match self.session.handle_packet(packet, self.now) {
            Ok(Some(message)) => {
                if let Err(Broken(what)) = self.layer.handle_message(message, self.now, cx) {
                    self.note(what);
                    self.session.abort(CloseReason::ParseError);
                    return false;
                }
            }
            Ok(None) => self.open(),
            Err(violation) => {
                self.note(violation.to_string());
                return false;
            }
        }
        true
    }

    /// The first packet opens the session. Those that came with it already belong to the layer above.
    fn open(&mut self) {
        if *self.is_opened {
            return;
        }
        if let Some(opened) = self.session.opened() {
            *self.is_opened = true;
            let id = opened.session.as_str();
            self.layer.namespaces.handle_opened(id, self.now);
            // A server of Socket.IO 2 lets the client in with the same answer, whose hooks want to know it.
            let transport = self.session.transport();
            self.layer.shared.set_transport(Some(transport));
        }
    }

    fn note(&mut self, what: String) {
        self.failure.get_or_insert(ConnectFailure::Violation(what));
    }
}

fn to_bytes(data: Cow<'_, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::copy_from_slice(data),
        Cow::Owned(data) => data.into(),
    }
}
