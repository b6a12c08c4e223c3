//! The accept loop of one listener, and how a socket is set up.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ferriwire_proto::admission::{Source, TcpRefusal};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Phase;
use super::connection::serve;
use super::listener::Bound;
use super::spare::{Spare, is_no_descriptor};
use crate::config::TcpTimeouts;
use crate::engine::core::Core;
use crate::engine::reasons::LimitKind;
use crate::engine::tcp::{Place, Places, TcpConnection};

/// When descriptors or memory have run out, the loop waits this long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn accept(
    core: Arc<Core>,
    places: Arc<Places>,
    bound: Bound,
    mut phase: watch::Receiver<Phase>,
    connected: watch::Sender<()>,
) {
    let security = Arc::new(bound.security);
    let mut spare = Spare::new();
    loop {
        // Looked at for itself: as long as somebody is there to be accepted, the select below does not.
        if is_stopped(&mut phase) {
            return;
        }
        let accepted = tokio::select! {
            biased;
            accepted = bound.listener.accept() => accepted,
            () = until_stopped(&mut phase) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = place_for(&core, &places, peer) else {
                    continue;
                };
                if !bound.inherited {
                    tune(&stream, &core.config().tcp_timeouts);
                }
                let stream = TcpConnection::new(stream, place);
                let serving = serve(Arc::clone(&core), &security, stream, peer, phase.clone());
                let connected = connected.clone();
                tokio::spawn(async move {
                    serving.await;
                    drop(connected);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) if is_no_descriptor(&error) => {
                note(&core, LimitKind::Descriptors, None, &error);
                if !spare.refuse_one(&bound.listener, ACCEPT_PAUSE).await {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The right of a connection to stay; without it, it is closed at once.
pub(super) fn place_for(core: &Core, places: &Arc<Places>, peer: SocketAddr) -> Option<Place> {
    let proxies = &core.config().trusted_proxies;
    let is_proxy = proxies.iter().any(|network| network.contains(peer.ip()));
    let source = Source::from(peer.ip());
    let place = places.take((!is_proxy).then_some(source));
    let refused = |refusal: &TcpRefusal| note(core, (*refusal).into(), Some(source), refusal);
    place.inspect_err(refused).ok()
}

/// Counts that a connection was refused, and says so now and then.
pub(super) fn note(core: &Core, limit: LimitKind, source: Option<Source>, why: &dyn fmt::Display) {
    let address = source.map(tracing::field::display);
    let now = tokio::time::Instant::now().into_std();
    if core.counters().limited(limit, now) {
        tracing::warn!(%limit, address, "connection closed: {why}");
    } else {
        tracing::debug!(%limit, address, "connection closed: {why}");
    }
}

fn is_stopped(phase: &mut watch::Receiver<Phase>) -> bool {
    match phase.has_changed() {
        Ok(false) => false,
        Ok(true) => *phase.borrow_and_update() != Phase::Serving,
        // The other end is dropped with the listener.
        Err(_) => true,
    }
}

async fn until_stopped(phase: &mut watch::Receiver<Phase>) {
    // The other end is dropped with the listener, which ends it as well.
    drop(phase.wait_for(|phase| *phase != Phase::Serving).await);
}

/// Whether the error concerns the connection that was to be accepted, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn tune(stream: &TcpStream, timeouts: &TcpTimeouts) {
    // None of these can fail on a connected socket, and the connection works without them.
    let _ = stream.set_nodelay(true);
    let _ = timeouts.apply(stream);
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_stops_when_it_is_told_to_or_nobody_can_tell_it_any_more() {
        let (sender, mut phase) = watch::channel(Phase::Serving);
        assert!(!is_stopped(&mut phase));
        sender.send_replace(Phase::Serving);
        assert!(!is_stopped(&mut phase));
        sender.send_replace(Phase::Stopping);
        assert!(is_stopped(&mut phase));
        let (sender, mut phase) = watch::channel(Phase::Serving);
        drop(sender);
        assert!(is_stopped(&mut phase));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_dead_peer_is_noticed_after_45_seconds() {
        use socket2::SockRef;

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (accepted, _) = accepted.unwrap();
        tune(&accepted, &TcpTimeouts::new());
        let socket = SockRef::from(&accepted);
        let (after, interval) = (Duration::from_secs(30), Duration::from_secs(5));
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), after);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), interval);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        let limit = Duration::from_secs(45);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limit));
        assert!(accepted.nodelay().unwrap());
    }
}
