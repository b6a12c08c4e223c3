//! What the first packet of a session tells, read with suspicion.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::engine::{SessionId, Transport};

/// The longest interval, in milliseconds, that timers of the reference can hold: 24 days.
const MAX_INTERVAL: u64 = (1 << 31) - 1;

/// How much of a message about a packet is kept.
const MAX_MESSAGE: usize = 200;

/// What a server tells when it opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The session's id.
    pub session: SessionId,
    /// The transports that the server would change to. Those that nobody knows are left out.
    pub upgrades: Vec<Transport>,
    /// How often there is a ping.
    pub ping_interval: Duration,
    /// How long after that the peer counts as gone.
    pub ping_timeout: Duration,
    /// The largest body or message that the server takes, in bytes; `None` when it does not say, as
    /// older ones do not.
    pub max_payload: Option<usize>,
}

impl Opened {
    /// Reads the data of the packet.
    ///
    /// # Errors
    ///
    /// It is no JSON object with these members, or one of them has no meaning.
    pub fn parse(data: &str) -> Result<Self, OpenError> {
        let members: Members<'_> = serde_json::from_str(data).map_err(|error| {
            let message = error.to_string().chars().take(MAX_MESSAGE).collect();
            OpenError::Malformed(message)
        })?;
        let session = SessionId::parse_foreign(&members.sid).ok_or(OpenError::SessionId)?;
        let upgrades = members.upgrades.iter();
        Ok(Self {
            session,
            upgrades: upgrades.filter_map(|name| Transport::parse(name)).collect(),
            ping_interval: interval("pingInterval", members.ping_interval)?,
            ping_timeout: interval("pingTimeout", members.ping_timeout)?,
            // As for the reference zero is no limit.
            max_payload: members
                .max_payload
                .filter(|max| *max > 0)
                .map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    #[serde(borrow)]
    sid: Cow<'a, str>,
    #[serde(borrow)]
    upgrades: Vec<Cow<'a, str>>,
    ping_interval: u64,
    ping_timeout: u64,
    max_payload: Option<u64>,
}

fn interval(name: &'static str, milliseconds: u64) -> Result<Duration, OpenError> {
    if (1..=MAX_INTERVAL).contains(&milliseconds) {
        Ok(Duration::from_millis(milliseconds))
    } else {
        Err(OpenError::Interval { name, milliseconds })
    }
}

/// Why the packet opens no session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// It is no JSON, or a member is missing or of another type.
    Malformed(String),
    /// The id is empty, long, or contains control characters.
    SessionId,
    /// An interval of the heartbeat is none.
    Interval {
        /// Which one.
        name: &'static str,
        /// What it says.
        milliseconds: u64,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(message) => write!(f, "malformed open packet: {message}"),
            Self::SessionId => f.write_str("session id that cannot be one"),
            Self::Interval { name, milliseconds } => {
                write!(
                    f,
                    "{name} of {milliseconds} ms is not within 1 to {MAX_INTERVAL}"
                )
            }
        }
    }
}

impl Error for OpenError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::handshake::Open;

    fn with(member: &str, value: &str) -> String {
        let members = [
            ("sid", "\"lv_VI97HAXpY6yYWAAAC\""),
            ("upgrades", "[\"websocket\"]"),
            ("pingInterval", "25000"),
            ("pingTimeout", "20000"),
            ("maxPayload", "1000000"),
        ];
        let members = members.map(|(name, usual)| {
            let value = if name == member { value } else { usual };
            (!value.is_empty()).then(|| format!("\"{name}\":{value}"))
        });
        format!(
            "{{{}}}",
            members.into_iter().flatten().collect::<Vec<_>>().join(",")
        )
    }

    #[test]
    fn what_our_server_writes_is_read() {
        let session = SessionId::parse("lv_VI97HAXpY6yYWAAAC").unwrap();
        let upgrades = [Transport::WebSocket, Transport::WebTransport];
        let text = Open {
            session: &session,
            upgrades: &upgrades,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
        }
        .encode();
        let opened = Opened::parse(text.strip_prefix('0').unwrap()).unwrap();
        let expected = Opened {
            session,
            upgrades: upgrades.to_vec(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: Some(1_000_000),
        };
        assert_eq!(opened, expected);
        assert!(
            !format!("{opened:?}").contains("HAXpY6"),
            "the id is secret"
        );
    }

    #[test]
    fn what_other_servers_write_is_read() {
        for (member, value, max, upgrades) in [
            ("maxPayload", "", None, 1),
            ("maxPayload", "null", None, 1),
            ("maxPayload", "0", None, 1),
            ("upgrades", "[]", Some(1_000_000), 0),
            (
                "upgrades",
                "[\"carrier pigeon\",\"websocket\"]",
                Some(1_000_000),
                1,
            ),
            (
                "sid",
                "\"1f2e3d4c-0000-4000-8000-000000000000\"",
                Some(1_000_000),
                1,
            ),
            ("sid", "\"a.b/c+d=\\u00e9&f\"", Some(1_000_000), 1),
            (
                "pingInterval",
                "2147483647,\"more\":{\"a\":[1]}",
                Some(1_000_000),
                1,
            ),
        ] {
            let opened = Opened::parse(&with(member, value)).unwrap();
            assert_eq!(opened.max_payload, max, "{member} {value}");
            assert_eq!(opened.upgrades.len(), upgrades, "{member} {value}");
        }
    }

    #[test]
    fn what_no_server_should_write_is_an_error() {
        let long = format!("\"{}\"", "x".repeat(257));
        for value in ["\"\"", "\"a\\r\\nb\"", "\"\\u0000\"", &long] {
            let error = Opened::parse(&with("sid", value)).unwrap_err();
            assert_eq!(error, OpenError::SessionId, "{value}");
        }
        for name in ["pingInterval", "pingTimeout"] {
            for milliseconds in [0, 2_147_483_648, u64::MAX] {
                let error = Opened::parse(&with(name, &milliseconds.to_string())).unwrap_err();
                assert_eq!(error, OpenError::Interval { name, milliseconds });
            }
        }
        for (member, value) in [
            ("sid", ""),
            ("sid", "7"),
            ("sid", "null"),
            ("upgrades", ""),
            ("upgrades", "null"),
            ("upgrades", "\"websocket\""),
            ("upgrades", "[7]"),
            ("pingInterval", ""),
            ("pingInterval", "null"),
            ("pingInterval", "-1"),
            ("pingInterval", "1.5"),
            ("pingInterval", "1e400"),
            ("pingInterval", "\"25000\""),
            ("pingInterval", "99999999999999999999999"),
            ("pingTimeout", ""),
            ("pingTimeout", "{}"),
            ("maxPayload", "-1"),
            ("maxPayload", "\"1\""),
            ("maxPayload", "1e6,\"sid\":\"twice\""),
        ] {
            let error = Opened::parse(&with(member, value)).unwrap_err();
            assert!(
                matches!(error, OpenError::Malformed(_)),
                "{member} {value}: {error}"
            );
        }
        for data in ["", "null", "[]", "{", "{}", "7", "\"\"", "{}x"] {
            let error = Opened::parse(data).unwrap_err();
            assert!(matches!(error, OpenError::Malformed(_)), "{data}: {error}");
        }
        let endless = format!("\"{}\"", "x".repeat(10_000));
        let error = Opened::parse(&with("pingTimeout", &endless)).unwrap_err();
        assert!(error.to_string().len() < 300, "{error}");
    }

    proptest! {
        #[test]
        fn no_data_panics(data in ".*", member in "[a-zA-Z]*", value in ".{0,20}") {
            let _ = Opened::parse(&data);
            let _ = Opened::parse(&with(&member, &value));
            let _ = Opened::parse(&with("sid", &value));
        }
    }
}
