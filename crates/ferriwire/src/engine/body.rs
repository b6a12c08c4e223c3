//! Bodies: what we answer with, and reading what clients send within bounds.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::session::Session;
use super::writing::{Carried, Writing};
use crate::config::Limits;

/// So long a body may be slower than its rate: a network may have to wake up.
const RATE_GRACE: Duration = Duration::from_secs(5);

/// So much of an answer is given to a stream of HTTP/2 at a time, as it takes it: a frame's worth.
const PIECE: usize = 16 * 1024;

/// The body of an answer: nothing, or one piece.
#[derive(Debug, Default)]
pub struct Body {
    /// Not empty.
    content: Option<Bytes>,
    /// Whose packets it has.
    session: Option<Session>,
    /// The same, when it is known on which connection of HTTP/1.1 it is sent.
    carried: Option<Carried>,
    /// The stream of HTTP/2 on which it is sent, which takes it piece by piece.
    stream: Option<Arc<Writing>>,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// All of it.
    pub(crate) fn content(&self) -> Option<&Bytes> {
        self.content.as_ref()
    }

    /// All of it, and whose packets it has.
    pub(crate) fn into_parts(self) -> (Option<Bytes>, Option<Session>) {
        (self.content, self.session)
    }

    pub(crate) fn full(content: Bytes) -> Self {
        Self {
            content: (!content.is_empty()).then_some(content),
            ..Self::default()
        }
    }

    /// It has packets of this session, which ends when they are not taken.
    pub(crate) fn carry(&mut self, session: Session) {
        self.session = Some(session);
    }

    /// Tells what becomes of it: `stream` if it is sent on one of HTTP/2, whose task this is, or else
    /// `connection`.
    pub(crate) fn watch(&mut self, stream: Option<Arc<Writing>>, connection: &Arc<Writing>) {
        let session = self.session.take();
        match stream {
            Some(stream) if self.content.is_some() => {
                if let Some(session) = session {
                    stream.carry(session);
                }
                stream.note_wait();
                self.stream = Some(stream);
            }
            Some(_) => {}
            None => self.carried = session.map(|session| connection.will_carry(session)),
        }
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        let Some(stream) = &self.stream else {
            // What is taken here stands in hyper's buffer before that is flushed again.
            self.carried = None;
            return self.content.take();
        };
        let content = self.content.as_mut()?;
        // The piece may still have to wait for the client's window. The end of this wait is that of the
        // stream's task, to which hyper hands the last piece as soon as the window takes one byte more
        // than what waits. So the last piece is one byte: when it is taken, all is.
        stream.note_progress();
        let others = content.len().saturating_sub(1);
        if others > 0 {
            return Some(content.split_to(others.min(PIECE)));
        }
        self.content.take()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_piece().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let content = self.content.as_ref();
        SizeHint::with_exact(content.map_or(0, |content| content.len() as u64))
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

/// Reads a body; memory grows with what arrives, never by announcement.
pub(crate) async fn read_body<B>(body: B, limits: &Limits) -> Result<Bytes, ReadError>
where
    B: HttpBody<Data: Buf, Error: Display>,
{
    if body.size_hint().lower() > limits.max_payload as u64 {
        return Err(ReadError::TooLarge);
    }
    let mut begun = None;
    let mut body = pin!(body);
    let mut content = BytesMut::new();
    loop {
        if body.is_end_stream() {
            return Ok(content.freeze());
        }
        // What has come already needs no timer.
        let come = poll_fn(|cx| Poll::Ready(body.as_mut().poll_frame(cx))).await;
        let frame = match come {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let begun = *begun.get_or_insert_with(Instant::now);
                let patience = patience(content.len(), limits);
                let frame = poll_fn(|cx| body.as_mut().poll_frame(cx));
                match begun.checked_add(patience) {
                    Some(deadline) => tokio::time::timeout_at(deadline, frame)
                        .await
                        .map_err(|_| ReadError::TimedOut)?,
                    None => frame.await,
                }
            }
        };
        let Some(frame) = frame else {
            return Ok(content.freeze());
        };
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "request body broke off");
            ReadError::Broken
        })?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        if content.len().saturating_add(data.remaining()) > limits.max_payload {
            return Err(ReadError::TooLarge);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            content.extend_from_slice(chunk);
            let count = chunk.len();
            data.advance(count);
        }
    }
}

/// How long after its beginning more of a body must come of which so much has come: until it would
/// be slower than it may be, and in any case until all of it must be there.
fn patience(received: usize, limits: &Limits) -> Duration {
    // No rate means that what came is enough for any time.
    let millis = received
        .saturating_mul(1_000)
        .checked_div(limits.min_body_rate);
    let earned = millis.map_or(Duration::MAX, |millis| Duration::from_millis(millis as u64));
    earned.max(RATE_GRACE).min(limits.body_timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_earns_its_time_by_what_has_come() {
        let limits = Limits::default();
        for (received, seconds) in [
            (0, 5.0),
            (1, 5.0),
            (5 * 1_024, 5.0),
            (6 * 1_024, 6.0),
            (20 * 1_024 + 512, 20.5),
            (30 * 1_024, 30.0),
            (999_999, 30.0),
        ] {
            let expected = Duration::from_secs_f64(seconds);
            assert_eq!(patience(received, &limits), expected, "{received} bytes");
        }
        let any = Limits::new().min_body_rate(0);
        assert_eq!(patience(0, &any), Duration::from_secs(30));
        let short = Limits::new().body_timeout(Duration::from_secs(2));
        assert_eq!(patience(0, &short), Duration::from_secs(2));
    }

    /// A body of so many chunks, one each second.
    struct Drip {
        chunk: &'static [u8],
        left: usize,
        seconds: tokio::time::Interval,
    }

    impl HttpBody for Drip {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            std::task::ready!(self.seconds.poll_tick(cx));
            self.left -= 1;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.chunk)))))
        }
    }

    /// What comes of a body, and after how many seconds.
    async fn drip(chunk: &'static [u8], count: usize) -> (Result<usize, ReadError>, u64) {
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        let seconds = tokio::time::interval_at(begun + second, second);
        let left = count;
        let read = read_body(
            Drip {
                chunk,
                left,
                seconds,
            },
            &Limits::default(),
        )
        .await;
        (read.map(|body| body.len()), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_too_slowly_is_given_up() {
        let late = Err(ReadError::TimedOut);
        assert_eq!(drip(b"x", 1_000_000).await, (late, 5));
        assert_eq!(drip(&[0; 1_000], 1_000).await, (late, 5));
        // Within the rate, but not within the whole time.
        assert_eq!(drip(&[0; 1_300], 1_000).await, (late, 30));
        assert_eq!(drip(&[0; 1_300], 29).await, (Ok(29 * 1_300), 29));
        // A short one that takes a while to begin.
        assert_eq!(drip(b"2", 4).await, (Ok(4), 4));
    }
}
