//! Reading the rest of a long payload straight to where it stays, without a copy in between.

use bytes::BufMut;
use bytes::buf::Limit;

use super::{Decoder, Item, Limits, Position, Stream};
use crate::websocket::Violation;
use crate::websocket::deflate::Inflater;
use crate::websocket::message::Message;

impl Decoder {
    /// A payload of which less is to come is read together with what stands behind it.
    pub const MIN_ROOM: usize = 64 * 1024;

    /// Whether there would be [`room`](Self::room).
    #[must_use]
    pub fn awaits_much(&self) -> bool {
        let Some(Stream {
            position: Position::Payload(frame),
            message: Some(message),
        }) = &self.stream
        else {
            return false;
        };
        frame.remaining >= Self::MIN_ROOM && message.is_kept_as_it_came()
    }

    /// Where the next bytes from the peer may be put as they are, instead of into an input for
    /// [`decode`](Self::decode): behind what has arrived of a binary or compressed message, when the
    /// frame that has begun goes on for long. What was put there is then handed over by
    /// [`handle_read`](Self::handle_read), and once nothing more arrives [`settle`](Self::settle) has to
    /// be called.
    ///
    /// Until then memory is reserved for up to `ahead` bytes that have only been announced, so that
    /// what has arrived already need not be moved as the message grows.
    ///
    /// ```
    /// use bytes::BufMut;
    /// use ferriwire_proto::websocket::{Decoder, Item, Limits, Role, frame};
    ///
    /// let mut decoder = Decoder::new(Role::Client, Limits::default());
    /// let header = frame::Header::new(frame::OpCode::Binary, 100_000);
    /// decoder.decode(&mut header.as_bytes().to_vec())?;
    ///
    /// let mut room = decoder.room(1_000_000).expect("it is a long message");
    /// assert_eq!(room.remaining_mut(), 100_000);
    /// room.put_slice(&[7; 100_000]);
    /// let item = decoder.handle_read(100_000)?;
    /// assert_eq!(item, Some(Item::Binary(vec![7; 100_000].into())));
    /// # Ok::<(), ferriwire_proto::websocket::Violation>(())
    /// ```
    pub fn room(&mut self, ahead: usize) -> Option<Limit<&mut Vec<u8>>> {
        let stream = self.stream.as_mut()?;
        let Position::Payload(frame) = &stream.position else {
            return None;
        };
        let to_come = frame.remaining;
        if to_come < Self::MIN_ROOM {
            return None;
        }
        let payload = stream.message.as_mut()?.payload_mut()?;
        if spare(payload) < Self::MIN_ROOM {
            let more = to_come.min(payload.len().max(ahead).max(Self::MIN_ROOM));
            if frame.fin {
                payload.reserve_exact(more);
            } else {
                payload.reserve(more);
            }
        }
        let room = spare(payload).min(to_come);
        Some(payload.limit(room))
    }

    /// Takes the `count` bytes that were put into the [`room`](Self::room), and says what they completed.
    pub fn handle_read(&mut self, count: usize) -> Result<Option<Item<'static>>, Violation> {
        // Taken out, so that a violation leaves the decoder finished.
        let Some(mut stream) = self.stream.take() else {
            return Ok(None);
        };
        let item = stream.handle_read(count, self.limits, self.inflater.as_ref())?;
        self.stream = Some(stream);
        Ok(item)
    }

    /// Gives back what was reserved for bytes that have not arrived: at most as much as has arrived
    /// stays reserved beside it.
    pub fn settle(&mut self) {
        let message = self.stream.as_mut().and_then(|it| it.message.as_mut());
        if let Some(payload) = message.and_then(Message::payload_mut) {
            payload.shrink_to(payload.len().saturating_mul(2));
        }
    }
}

impl Stream {
    fn handle_read(
        &mut self,
        count: usize,
        limits: Limits,
        inflater: Option<&Inflater>,
    ) -> Result<Option<Item<'static>>, Violation> {
        let Position::Payload(mut frame) = self.position else {
            return Ok(None);
        };
        let payload = self.message.as_mut().and_then(Message::payload_mut);
        let Some(payload) = payload else {
            return Ok(None);
        };
        let begin = payload.len().saturating_sub(count);
        frame.unmask(payload.get_mut(begin..).unwrap_or_default());
        self.position = Position::default();
        self.handle_data(frame, &[], limits, inflater)
    }
}

fn spare(payload: &Vec<u8>) -> usize {
    payload.capacity().saturating_sub(payload.len())
}
