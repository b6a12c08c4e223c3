//! Our own listeners: bound together, serving one server, shut down together.

mod accept;
mod activity;
mod connection;
#[cfg(feature = "test")]
mod in_memory;
mod listener;
mod plain;
mod spare;
#[cfg_attr(not(feature = "tls"), path = "listen/without_tls.rs")]
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::ToSocketAddrs;
use tokio::sync::watch;
use tokio::time::Instant;

use self::accept::accept;
#[cfg(feature = "test")]
pub(crate) use self::in_memory::Entrance;
pub use self::listener::Listener;
use self::listener::{Bound, Security};
use super::core::Core;
use super::tcp::Places;
use crate::error::Error;

/// Listeners that serve until they are shut down.
#[derive(Debug)]
pub(crate) struct Listening {
    core: Arc<Core>,
    /// At least one.
    local_addrs: Vec<SocketAddr>,
    phase: watch::Sender<Phase>,
    /// Its senders live in the accept loops, and are never used.
    listeners: watch::Receiver<()>,
    /// The same in the accept loops and in every HTTP connection task.
    connections: watch::Receiver<()>,
}

/// How far a shutdown has come. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Stopping,
    /// The sessions have ended, or were given up; their last answers are being written.
    Parting,
    Ended,
}

impl Listening {
    /// Listens at one address, without TLS.
    pub(crate) async fn bind(core: Arc<Core>, address: impl ToSocketAddrs) -> Result<Self, Error> {
        let security = Security::Plain {
            prior_knowledge: false,
        };
        let bound = Bound::new(address, security, &core.config().tcp_timeouts).await?;
        Ok(Self::start(core, vec![bound]))
    }

    /// Listens at several addresses, or, if one of them cannot be had, at none.
    pub(crate) async fn bind_all(
        core: Arc<Core>,
        listeners: impl IntoIterator<Item = Listener>,
    ) -> Result<Self, Error> {
        let mut bound = Vec::new();
        for listener in listeners {
            bound.push(listener.bind(core.config()).await?);
        }
        if bound.is_empty() {
            return Err(Error::NoListener);
        }
        Ok(Self::start(core, bound))
    }

    fn start(core: Arc<Core>, bound: Vec<Bound>) -> Self {
        let local_addrs = bound.iter().map(|bound| bound.local_addr).collect();
        let (phase, stopped) = watch::channel(Phase::Serving);
        let (listening, listeners) = watch::channel(());
        let (connected, connections) = watch::channel(());
        let places = Places::new(core.config().limits.tcp());
        for bound in bound {
            let places = Arc::clone(&places);
            let (stopped, connected) = (stopped.clone(), connected.clone());
            let accepting = accept(Arc::clone(&core), places, bound, stopped, connected);
            let listening = listening.clone();
            tokio::spawn(async move {
                accepting.await;
                drop(listening);
            });
        }
        Self {
            core,
            local_addrs,
            phase,
            listeners,
            connections,
        }
    }

    /// In the order in which they were given.
    pub(crate) fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.core.is_accepting()
    }

    /// Stops accepting, ends the sessions, and waits for them and for their last answers for at
    /// most `grace`.
    pub(crate) async fn shut_down(&self, grace: Duration) {
        let begun = Instant::now();
        let _end = End(&self.phase);
        // The ports are still open: a polling client may need a new connection for its farewell.
        self.core.drain(grace).await;
        advance(&self.phase, Phase::Stopping);
        // The ports are free when this returns. The loops have nothing to wait for, and end the
        // channel with themselves.
        drop(self.listeners.clone().changed().await);
        let left = grace.saturating_sub(begun.elapsed());
        self.core.finish(left).await;
        advance(&self.phase, Phase::Parting);
        // A session ends when its last answer is handed to hyper. The program may end when this
        // returns, so the answer has to be written by then.
        let mut connections = self.connections.clone();
        let left = grace.saturating_sub(begun.elapsed());
        drop(tokio::time::timeout(left, connections.changed()).await);
    }

    /// Waits until [`shut_down`](Self::shut_down) has done its work.
    pub(crate) async fn ended(&self) {
        let mut phase = self.phase.subscribe();
        // The sender lives as long as `self`.
        drop(phase.wait_for(|phase| *phase == Phase::Ended).await);
    }
}

fn advance(phase: &watch::Sender<Phase>, to: Phase) {
    phase.send_if_modified(|phase| {
        let later = to > *phase;
        *phase = to.max(*phase);
        later
    });
}

/// Ends the shutdown, also when its caller gives it up.
struct End<'a>(&'a watch::Sender<Phase>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        advance(self.0, Phase::Ended);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        advance(&self.phase, Phase::Stopping);
    }
}
