//! How soon TCP notices that a peer is gone.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// What systems take as a number of seconds.
const MAX_SECONDS: Duration = Duration::from_secs(32_767);

/// What systems take as a number of probes.
const MAX_PROBES: u32 = 127;

/// How soon TCP notices that a peer is gone without a word, on connections of the server's own
/// listeners. Default: after 45 seconds, whether something waits for the peer or not.
///
/// The heartbeat of a session notices it as well, after [`Config::ping_interval`](crate::Config::ping_interval)
/// and [`Config::ping_timeout`](crate::Config::ping_timeout). This is for what has no session, and for what
/// the peer's system does not even acknowledge. The reference leaves both to the system, which takes two
/// hours, or 15 minutes when something waits.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ferriwire::{Config, TcpTimeouts};
///
/// let timeouts = TcpTimeouts::new()
///     .keep_alive_after(Duration::from_secs(60))
///     .unacknowledged(Duration::from_secs(75));
/// let config = Config::new().tcp_timeouts(timeouts);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpTimeouts {
    keep_alive_after: Duration,
    keep_alive_interval: Duration,
    keep_alive_probes: u32,
    unacknowledged: Duration,
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        Self {
            keep_alive_after: Duration::from_secs(30),
            keep_alive_interval: Duration::from_secs(5),
            keep_alive_probes: 3,
            unacknowledged: Duration::from_secs(45),
        }
    }
}

impl TcpTimeouts {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A peer from which nothing came for so long is asked for a sign of life (`SO_KEEPALIVE`,
    /// `TCP_KEEPIDLE`). Whole seconds, from 1 to 32,767. Default 30 seconds.
    #[must_use]
    pub fn keep_alive_after(mut self, after: Duration) -> Self {
        self.keep_alive_after = after;
        self
    }

    /// The time between two such questions (`TCP_KEEPINTVL`). Whole seconds, from 1 to 32,767. Default 5
    /// seconds.
    #[must_use]
    pub fn keep_alive_interval(mut self, interval: Duration) -> Self {
        self.keep_alive_interval = interval;
        self
    }

    /// A peer that did not answer so many of them is gone (`TCP_KEEPCNT`). From 1 to 127. Default 3.
    #[must_use]
    pub fn keep_alive_probes(mut self, probes: u32) -> Self {
        self.keep_alive_probes = probes;
        self
    }

    /// A peer whose system does not acknowledge for so long what was sent is gone
    /// (`TCP_USER_TIMEOUT`; on Linux only). At least a millisecond. Default 45 seconds.
    ///
    /// On Linux it takes the place of [`keep_alive_probes`](Self::keep_alive_probes) as well: let it
    /// be as long as the probes take together.
    #[must_use]
    pub fn unacknowledged(mut self, limit: Duration) -> Self {
        self.unacknowledged = limit;
        self
    }

    /// Sets them on a connection, or on a listener for its connections.
    pub(crate) fn apply<'a>(&self, socket: impl Into<SockRef<'a>>) -> io::Result<()> {
        let second = Duration::from_secs(1);
        let keep_alive = TcpKeepalive::new()
            .with_time(self.keep_alive_after.clamp(second, MAX_SECONDS))
            .with_interval(self.keep_alive_interval.clamp(second, MAX_SECONDS))
            .with_retries(self.keep_alive_probes.clamp(1, MAX_PROBES));
        let socket = socket.into();
        socket.set_tcp_keepalive(&keep_alive)?;
        #[cfg(target_os = "linux")]
        {
            let longest = Duration::from_millis(i32::MAX.unsigned_abs().into());
            let limit = self.unacknowledged.clamp(Duration::from_millis(1), longest);
            socket.set_tcp_user_timeout(Some(limit))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_dead_peer_is_noticed_as_was_set() {
        let seconds = Duration::from_secs;
        let least = TcpTimeouts::new()
            .keep_alive_after(Duration::ZERO)
            .keep_alive_interval(Duration::ZERO)
            .keep_alive_probes(0)
            .unacknowledged(Duration::ZERO);
        let most = TcpTimeouts::new()
            .keep_alive_after(Duration::MAX)
            .keep_alive_interval(Duration::MAX)
            .keep_alive_probes(u32::MAX)
            .unacknowledged(Duration::MAX);
        let other = TcpTimeouts::new()
            .keep_alive_after(seconds(60))
            .keep_alive_interval(seconds(7))
            .keep_alive_probes(2)
            .unacknowledged(Duration::from_millis(74_500));
        let millis = Duration::from_millis;
        for (timeouts, after, interval, probes, unacknowledged) in [
            (TcpTimeouts::new(), 30, 5, 3, seconds(45)),
            (other, 60, 7, 2, millis(74_500)),
            (least, 1, 1, 1, millis(1)),
            (most, 32_767, 32_767, 127, millis(2_147_483_647)),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
            let (accepted, _) = accepted.unwrap();
            timeouts.apply(&accepted).unwrap();
            let socket = SockRef::from(&accepted);
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), seconds(after));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), seconds(interval));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), probes);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(unacknowledged));
        }
    }
}
