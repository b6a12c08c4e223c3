//! A socket as others see it: its id, its rooms, and what its namespace shows of its data.

use std::fmt;
use std::sync::Arc;

use ferriwire_proto::codec::from_value;
use ferriwire_proto::value::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::broadcast::Broadcast;
use crate::error::{AckError, DataError, EmitError};
use crate::event::Accepts;
use crate::socket_id::SocketId;

/// A socket that [`fetch_sockets`](Broadcast::fetch_sockets) found: a picture of the moment, and a
/// way to address it.
#[derive(Clone)]
#[non_exhaustive]
pub struct RemoteSocket {
    /// Its id.
    pub id: SocketId,
    /// The rooms that it was in, without the private one that every socket has.
    pub rooms: Vec<Arc<str>>,
    pub(crate) data: Value,
    pub(crate) address: Broadcast,
}

impl RemoteSocket {
    /// What [`Namespace::public`](crate::Namespace::public) shows of its data; without that `null`.
    /// As a [`Value`] it always fits.
    ///
    /// # Errors
    ///
    /// It does not fit `T`: the message says where.
    pub fn data<T: DeserializeOwned + 'static>(&self) -> Result<T, DataError> {
        from_value(&self.data).map_err(|error| DataError(error.to_string()))
    }

    /// Sends it an event. That it has left since is not an error.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    pub fn emit<E, P>(&self, event: E, payload: P) -> Result<(), EmitError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        self.address.emit(event, payload)
    }

    /// Sends it an event and waits for what its client answers, for
    /// [`Limits::ack_timeout`](crate::Limits::ack_timeout).
    ///
    /// # Errors
    ///
    /// Why there is no answer; [`AckError::Disconnected`] also when it has left since.
    #[doc(alias = "emitWithAck")]
    pub async fn emit_with_ack<E, P>(&self, event: E, payload: P) -> Result<E::Answer, AckError>
    where
        E: Accepts<P>,
        P: Serialize,
    {
        let mut answers = self.address.emit_with_ack(event, payload)?;
        let answer = answers.next().await;
        answer.map_or(Err(AckError::Disconnected), |answer| answer.result)
    }

    /// Puts it into rooms.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::sockets_join`].
    pub fn join<R: AsRef<str>>(&self, rooms: impl IntoIterator<Item = R>) -> Result<(), EmitError> {
        self.address.sockets_join(rooms)
    }

    /// Takes it out of rooms.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::sockets_leave`].
    pub fn leave<R: AsRef<str>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), EmitError> {
        self.address.sockets_leave(rooms)
    }

    /// Takes it out of its namespace; with `close` it also closes its connection.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::disconnect_sockets`].
    pub fn disconnect(&self, close: bool) -> Result<(), EmitError> {
        self.address.disconnect_sockets(close)
    }

    /// What addresses it, for modifiers such as `timeout` and `volatile`.
    pub fn address(&self) -> Broadcast {
        self.address.clone()
    }
}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteSocket")
            .field("id", &self.id.as_str())
            .field("rooms", &self.rooms)
            .finish_non_exhaustive()
    }
}
