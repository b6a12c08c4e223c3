//! What a program is told of a client's attempts to come back.

use std::time::Duration;

use super::error::ConnectFailure;

/// How it goes on after a connection was lost, or could not be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reconnection {
    /// It is tried again now. Mirrors `reconnect_attempt`.
    #[doc(alias = "reconnect_attempt")]
    Attempt {
        /// The number of the attempt since the last connection, from 1.
        number: u32,
        /// How long the pause before it was.
        after: Duration,
    },
    /// That attempt has failed. Mirrors `reconnect_error`.
    #[doc(alias = "reconnect_error")]
    Failed(ConnectFailure),
    /// It is connected again, after so many attempts. Mirrors `reconnect`.
    #[doc(alias = "reconnect")]
    Done(u32),
    /// There are no more attempts. Mirrors `reconnect_failed`.
    #[doc(alias = "reconnect_failed")]
    GaveUp,
}
