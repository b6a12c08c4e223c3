//! The WebSocket that is to take over from long-polling.

use std::task::{Context, Poll};

use ferriwire_proto::engine::session::Lost;
use ferriwire_proto::websocket::Item;

use super::super::layer::Layer;
use super::websocket::Way;
use super::{Link, Tools};
use crate::client::error::ConnectFailure;
use crate::client::transport::websocket::Read;

impl Link {
    pub(super) fn poll_candidate(&mut self, tools: &mut Tools, cx: &mut Context<'_>) -> bool {
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

    pub(in crate::client::task) fn open_candidate(&mut self, tools: &mut Tools) {
        self.candidate = Some(self.open_way(tools));
    }

    pub(in crate::client::task) fn send_probe(&mut self, tools: &mut Tools) {
        if let Some(Way::Open(candidate)) = &mut self.candidate {
            candidate.push_packet("2probe", &mut tools.random);
        }
    }

    pub(in crate::client::task) fn drop_candidate(
        &mut self,
        tools: &mut Tools,
        cx: &mut Context<'_>,
    ) {
        if let Some(Way::Open(mut candidate)) = self.candidate.take() {
            candidate.push_close(&mut tools.random);
            // What the network does not take at once is not worth waiting for.
            let _ = candidate.poll_flush(cx);
        }
    }

    /// The candidate is the transport from now on.
    pub(in crate::client::task) fn switch(&mut self, layer: &Layer, tools: &mut Tools) {
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
}
