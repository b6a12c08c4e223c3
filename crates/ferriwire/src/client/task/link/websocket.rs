//! A session on a WebSocket, or on one that is going to be open.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use ferriwire_proto::engine::Transport;
use ferriwire_proto::engine::session::Lost;
use ferriwire_proto::websocket::Item;

use super::super::layer::Layer;
use super::receiver::Receiver;
use super::{BATCH, Link, Tools};
use crate::client::error::ConnectFailure;
use crate::client::transport::websocket::{self, Opening, Read, ReadError, WebSocket};
use crate::engine::running::BoxFuture;

/// How often a WebSocket is read before others have their turn.
const READS: usize = 8;

/// A WebSocket, or what is going to be one.
pub(super) enum Way {
    Opening(BoxFuture<Result<Box<WebSocket>, ConnectFailure>>),
    Open(Box<WebSocket>),
}

impl Link {
    pub(super) fn poll_socket(
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

    pub(in crate::client::task) fn open_socket(&mut self, tools: &mut Tools) {
        self.socket = Some(self.open_way(tools));
    }

    pub(super) fn open_way(&self, tools: &mut Tools) -> Way {
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

    /// What is sent there may be compressed so.
    pub(in crate::client::task) fn deflater(&self) -> Option<ferriwire_proto::websocket::Deflater> {
        match &self.socket {
            Some(Way::Open(websocket)) => websocket.deflater,
            Some(Way::Opening(_)) | None => None,
        }
    }

    pub(super) fn write_frames(
        &mut self,
        layer: &Layer,
        tools: &mut Tools,
        cx: &mut Context<'_>,
    ) -> bool {
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

fn to_bytes(data: Cow<'_, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::copy_from_slice(data),
        Cow::Owned(data) => data.into(),
    }
}
