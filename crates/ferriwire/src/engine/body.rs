//! Bodies: what we answer with, and reading what clients send within bounds.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of an answer: nothing, or one piece.
#[derive(Debug, Default)]
pub struct Body(Option<Bytes>);

impl Body {
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    /// All of it.
    pub(crate) fn content(&self) -> Option<&Bytes> {
        self.0.as_ref()
    }

    pub(crate) fn full(content: Bytes) -> Self {
        Self((!content.is_empty()).then_some(content))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|content| Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |content| content.len() as u64))
    }
}

/// Why a request's body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    TooLarge,
    TimedOut,
    /// The connection, or its framing, broke.
    Broken,
}

/// Reads a body of at most `limit` bytes; memory grows with what arrives, never by announcement.
pub(crate) async fn read_body<B>(body: B, limit: usize) -> Result<Bytes, ReadError>
where
    B: HttpBody<Data: Buf, Error: Display>,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLarge);
    }
    match tokio::time::timeout(BODY_TIMEOUT, collect(body, limit)).await {
        Ok(result) => result,
        Err(_) => Err(ReadError::TimedOut),
    }
}

async fn collect<B>(body: B, limit: usize) -> Result<Bytes, ReadError>
where
    B: HttpBody<Data: Buf, Error: Display>,
{
    let mut body = pin!(body);
    let mut content = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "request body broke off");
            ReadError::Broken
        })?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        if content.len().saturating_add(data.remaining()) > limit {
            return Err(ReadError::TooLarge);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            content.extend_from_slice(chunk);
            let count = chunk.len();
            data.advance(count);
        }
    }
    Ok(content.freeze())
}
