//! What a namespace declares for its hub, which does not know the type of its sockets' data.

use ferriwire_proto::value::Value;

use super::hub::Data;

/// The part of a declaration that a hub asks.
pub(crate) trait Hooks: Send + Sync {
    /// What others than this node's program may see of a socket's data.
    fn public(&self, data: &Data) -> Value;
}
