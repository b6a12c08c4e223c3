//! Who may have a TCP connection, whatever is spoken on it: how many of all, and of each source.

use std::collections::BTreeMap;
use std::fmt;

use super::Source;

/// How many TCP connections there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Of all sources, those without a limit of their own included.
    pub connections: usize,
    /// Of one source.
    pub connections_per_source: usize,
}

/// Why a TCP connection is closed as soon as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpRefusal {
    /// There are as many as there may be.
    Connections,
    /// The source has as many as it may have.
    ConnectionsOfSource,
}

impl fmt::Display for TcpRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "too many TCP connections",
            Self::ConnectionsOfSource => "too many TCP connections from one address",
        })
    }
}

/// The TCP connections that there are.
///
/// Sources are remembered while they have one, so that there are never more of them than connections.
#[derive(Debug)]
pub struct TcpConnections {
    limits: TcpLimits,
    connections: usize,
    connections_of: BTreeMap<Source, usize>,
}

impl TcpConnections {
    /// There are none yet.
    #[must_use]
    pub fn new(limits: TcpLimits) -> Self {
        Self {
            limits,
            connections: 0,
            connections_of: BTreeMap::new(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// How many sources are remembered.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.connections_of.len()
    }

    /// One was made, from a source that has a limit of its own or from none. When it may stay it counts
    /// until [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// It may not stay, and does not count.
    pub fn handle_connection(&mut self, source: Option<Source>) -> Result<(), TcpRefusal> {
        if self.connections >= self.limits.connections {
            return Err(TcpRefusal::Connections);
        }
        if let Some(source) = source {
            let connections = self.connections_of.get(&source).copied();
            let connections = connections.unwrap_or_default();
            if connections >= self.limits.connections_per_source {
                return Err(TcpRefusal::ConnectionsOfSource);
            }
            let connections = connections.saturating_add(1);
            self.connections_of.insert(source, connections);
        }
        self.connections = self.connections.saturating_add(1);
        Ok(())
    }

    /// One has ended.
    pub fn end(&mut self, source: Option<Source>) {
        self.connections = self.connections.saturating_sub(1);
        let Some(source) = source else { return };
        if let Some(connections) = self.connections_of.get_mut(&source) {
            *connections = connections.saturating_sub(1);
            if *connections == 0 {
                self.connections_of.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TcpLimits = TcpLimits {
        connections: 10,
        connections_per_source: 3,
    };

    fn source(number: u32) -> Option<Source> {
        Some(Source::V4(number))
    }

    #[test]
    fn each_source_has_its_own_limit_and_all_have_one() {
        let mut tcp = TcpConnections::new(LIMITS);
        for tries in 0..1_000 {
            let expected = match tries {
                0..3 => Ok(()),
                _ => Err(TcpRefusal::ConnectionsOfSource),
            };
            assert_eq!(tcp.handle_connection(source(1)), expected, "{tries}");
        }
        // Nobody's limit but that of all.
        for tries in 0..1_000 {
            let expected = match tries {
                0..7 => Ok(()),
                _ => Err(TcpRefusal::Connections),
            };
            assert_eq!(tcp.handle_connection(None), expected, "{tries}");
        }
        assert_eq!(
            tcp.handle_connection(source(2)),
            Err(TcpRefusal::Connections)
        );
        assert_eq!((tcp.connections(), tcp.sources()), (10, 1));
    }

    #[test]
    fn one_that_has_ended_makes_room_for_one() {
        let mut tcp = TcpConnections::new(LIMITS);
        for _ in 0..3 {
            assert_eq!(tcp.handle_connection(source(1)), Ok(()));
        }
        for _ in 0..100 {
            assert!(tcp.handle_connection(source(1)).is_err());
            tcp.end(source(1));
            assert_eq!(tcp.handle_connection(source(1)), Ok(()));
        }
        for _ in 0..3 {
            tcp.end(source(1));
        }
        assert_eq!((tcp.connections(), tcp.sources()), (0, 0));
    }
}
