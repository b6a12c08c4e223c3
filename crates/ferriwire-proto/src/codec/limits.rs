//! What a packet may be, whatever it is encoded in.

use super::depth::MAX_DEPTH;

/// How many attachments a packet may have: the default of the reference, whose current clients
/// and servers close the connection when there are more.
pub const MAX_ATTACHMENTS: usize = 10;

/// What a packet may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many attachments it may have. Default: 10, the reference's `maxAttachments`.
    pub max_attachments: usize,
    /// How many bytes its text and its attachments may have together. Default: 1,000,000, the
    /// reference's `maxHttpBufferSize`, which however holds for each message of a packet.
    pub max_packet: usize,
    /// How many bytes an event's name may have. Default: 256; unlimited in the reference.
    pub max_event_name: usize,
    /// How many arguments it may have. Default: 256; unlimited in the reference.
    pub max_arguments: usize,
    /// How deep arrays and objects may be nested. Default, and at most: [`MAX_DEPTH`]; unlimited in
    /// the reference.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_attachments: MAX_ATTACHMENTS,
            max_packet: 1_000_000,
            max_event_name: 256,
            max_arguments: 256,
            max_depth: MAX_DEPTH,
        }
    }
}
