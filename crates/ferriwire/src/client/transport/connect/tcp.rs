//! TCP: all addresses of a name, each with a head start over the next (RFC 8305).

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long an address is tried alone before the next one is tried beside it (RFC 8305, 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to a name or an IP address. An IPv6 address stands without brackets.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = lookup_host((host, port)).await?.collect();
    let stream = race(alternate(addresses), TcpStream::connect).await?;
    // It cannot fail on a connected socket, and the connection works without it.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The first address of a name.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let first = lookup_host((host, port)).await?.next();
    first.ok_or_else(no_address)
}

/// The same addresses, IPv4 and IPv6 in turns, beginning with the kind that came first: where one kind does
/// not work at all, that costs one head start.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let begins_with_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == begins_with_ipv6);
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    while !(first.is_empty() && second.is_empty()) {
        ordered.extend(first.pop_front());
        ordered.extend(second.pop_front());
    }
    ordered
}

/// What connects first wins, the others are given up. When all have failed, the first failure is told: it is
/// that of the address that should have been used.
async fn race<S, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    loop {
        running.extend(waiting.next().map(&connect));
        let ended = match waiting.len() {
            0 => running.next().await,
            _ => match timeout(HEAD_START, running.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => {
                failure.get_or_insert(error);
            }
            None => return Err(failure.unwrap_or_else(no_address)),
        }
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn kinds_of_addresses_take_turns() {
        for (given, ordered) in [
            (&[][..], &[][..]),
            (&["1.1.1.1:1", "2.2.2.2:1"], &["1.1.1.1:1", "2.2.2.2:1"]),
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"],
            ),
            (&["1.1.1.1:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1"]),
        ] {
            let given = given.iter().copied().map(address).collect();
            let ordered: Vec<_> = ordered.iter().copied().map(address).collect();
            assert_eq!(alternate(given), ordered);
        }
    }

    /// Runs a race of addresses that answer after so many milliseconds, and says whose port has won, or
    /// which failure was told, and when.
    async fn outcome(answers: &[(u64, bool)]) -> (Result<u16, String>, u128) {
        let begun = Instant::now();
        let ports = 1..=u16::try_from(answers.len()).unwrap();
        let addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let connect = async |address: SocketAddr| {
            let (millis, works) = answers[usize::from(address.port()) - 1];
            sleep(Duration::from_millis(millis)).await;
            match works {
                true => Ok(address.port()),
                false => Err(io::Error::other(format!("port {}", address.port()))),
            }
        };
        let winner = race(addresses.collect(), connect).await;
        let winner = winner.map_err(|error| error.to_string());
        (winner, begun.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_address_is_tried_when_an_earlier_one_is_late_or_fails() {
        let failed = |port| Err(format!("port {port}"));
        for (answers, expected) in [
            // The first one is good.
            (&[(100, true), (0, true)][..], (Ok(1), 100)),
            // It is late, and wins all the same.
            (&[(300, true), (100, true)], (Ok(1), 300)),
            // It is too late.
            (&[(400, true), (100, true)], (Ok(2), 350)),
            // It fails: the next one need not wait.
            (&[(100, false), (100, true)], (Ok(2), 200)),
            // It never answers, and the second one fails.
            (&[(9_000, true), (10, false), (10, true)], (Ok(3), 270)),
            // Nobody can be reached.
            (&[(10, false), (20, false)], (failed(1), 30)),
            (&[(300, false), (20, false)], (failed(2), 300)),
        ] {
            assert_eq!(outcome(answers).await, expected, "{answers:?}");
        }
        let (nobody, _) = outcome(&[]).await;
        assert_eq!(nobody, Err("the name has no address".to_owned()));
    }

    #[tokio::test]
    async fn names_and_numbers_are_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            let stream = connect(host, port).await.unwrap();
            assert!(stream.nodelay().unwrap());
        }
        if let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await {
            let port = listener.local_addr().unwrap().port();
            connect("::1", port).await.unwrap();
        }
    }
}
