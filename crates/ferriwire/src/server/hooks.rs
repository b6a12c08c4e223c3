//! What a namespace declares for its hub, which does not know the type of its sockets' data.

use std::sync::Arc;

use ferriwire_proto::value::{Args, Value};

use super::hub::Data;
use super::membership::Membership;
use super::namespace::ServerListener;
use super::room_events::RoomEvent;

/// The part of a declaration that a hub asks.
pub(crate) trait Hooks: Send + Sync {
    /// What others than this node's program may see of a socket's data.
    fn public(&self, data: &Data) -> Value;

    /// Whether it wants to know what happens to its rooms.
    fn sees_rooms(&self) -> bool;

    /// Tells it what has happened to one.
    fn room_changed(&self, event: &RoomEvent);

    /// Whether it wants to see what is sent.
    fn sees_outgoing(&self) -> bool;

    /// Shows it an event that is sent to a socket.
    fn show_outgoing(&self, socket: &Arc<Membership>, data: &Data, name: &str, args: &Args);

    /// The listeners of an event of other servers, in their order; `None` when there are none.
    fn server_event(&self, name: &str) -> Option<&[ServerListener]>;
}
