//! Where a session stands.

use std::time::Instant;

/// Where a session stands.
///
/// ```text
///   +---------+  `0`   +------+ may upgrade  +---------+  `3probe`  +---------+
///   | Opening |------->| Open |------------->| Probing |----------->| Pausing |---> Open, on the
///   +---------+        +------+              +---------+            +---------+     WebSocket, when
///     |    ^             |  ^                     |                      |          GET and POST
///     |    |             |  +---------------------+----------------------+          are done
///     +----+             |           candidate lost, late, or out of order
///   next transport       | close()
///                        v
///                    +---------+  flushed, late, transport lost  +--------+
///                    | Closing |-------------------------------->| Closed |<--- from every state
///                    +---------+                                 +--------+
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// The first packet has not come.
    Opening,
    /// On one transport.
    Open,
    /// A candidate is on its way, or has been asked.
    Probing(Candidate),
    /// The candidate answered. Requests on polling run out, and no new ones are made.
    Pausing(Candidate),
    /// What is queued leaves, and nothing else.
    Closing(Close),
    /// Over.
    Closed,
}

/// A WebSocket that shall take over from polling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) deadline: Option<Instant>,
    /// It has been sent the probe.
    pub(super) is_probed: bool,
    /// The graceful close that was asked for meanwhile.
    pub(super) deferred: Option<Close>,
}

/// A graceful close.
#[derive(Clone, Copy, Debug)]
pub(super) struct Close {
    pub(super) deadline: Option<Instant>,
}
