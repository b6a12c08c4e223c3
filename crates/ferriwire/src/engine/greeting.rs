//! The packets that open sessions: for all that begin alike they differ in the session's id alone.

use ferriwire_proto::encoded::{Builder, Encoded, Kind};
use ferriwire_proto::engine::handshake::Open;
use ferriwire_proto::engine::{SessionId, Transport};

use crate::config::Config;

/// What stands in such a packet beside the id.
pub(crate) struct Greeting {
    before: Box<str>,
    behind: Box<str>,
}

impl Greeting {
    /// That of sessions which begin with this transport.
    pub(crate) fn new(config: &Config, transport: Transport) -> Self {
        let may_upgrade = config.allow_upgrades && transport == Transport::Polling;
        let upgrades: Vec<_> = [Transport::WebSocket, Transport::WebTransport]
            .into_iter()
            .filter(|upgrade| may_upgrade && config.transports.contains(upgrade))
            .collect();
        let any = SessionId::from_random([0; 15]);
        let open = Open {
            session: &any,
            upgrades: &upgrades,
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            max_payload: config.limits.max_payload,
        };
        let open = open.encode();
        let (before, behind) = open.split_once(any.as_str()).unwrap_or_default();
        Self {
            before: before.into(),
            behind: behind.into(),
        }
    }

    /// The packet of the session with this id.
    pub(crate) fn packet(&self, id: &SessionId) -> Encoded {
        let parts = [
            self.before.as_bytes(),
            id.as_bytes(),
            self.behind.as_bytes(),
        ];
        let mut builder = Builder::new(0, parts.iter().map(|part| part.len()).sum());
        for part in parts {
            builder.body().extend_from_slice(part);
        }
        builder.finish(&[], Vec::new(), Kind::Control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_is_the_one_of_the_protocol_with_any_id() {
        let config = Config::new();
        for id in ["lv_VI97HAXpY6yYWAAAC", "made-by-the-program"] {
            let id = SessionId::parse_custom(id).unwrap();
            for (transport, upgrades) in [
                (Transport::WebSocket, &[][..]),
                (Transport::Polling, &[Transport::WebSocket]),
            ] {
                let open = Open {
                    session: &id,
                    upgrades,
                    ping_interval: config.ping_interval,
                    ping_timeout: config.ping_timeout,
                    max_payload: config.limits.max_payload,
                };
                let packet = Greeting::new(&config, transport).packet(&id);
                assert_eq!(packet.text(), open.encode().as_bytes());
            }
        }
    }
}
