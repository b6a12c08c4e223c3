//! Streams over the network: TCP, a proxy in between, TLS.

mod proxy;
mod tcp;
#[cfg(test)]
#[cfg(feature = "tls")]
mod tests;
#[cfg_attr(not(feature = "tls"), path = "connect/without_tls.rs")]
mod tls;

use std::io;
use std::sync::Arc;

use ferriwire_proto::engine::client::Address;

pub(crate) use self::proxy::ProxyChoice;
pub use self::proxy::ProxyError;
use self::tls::Encryption;
use super::stream::{Connecting, Connector, Stream};
use crate::client::tls::ClientTls;

/// Connects over TCP, through a proxy if there is one, and encrypts what a server wants encrypted.
pub(crate) struct Network(Arc<Ways>);

struct Ways {
    proxy: ProxyChoice,
    encryption: Encryption,
}

impl Network {
    pub(crate) fn new(tls: Option<ClientTls>, proxy: ProxyChoice) -> Self {
        let encryption = Encryption::new(tls);
        Self(Arc::new(Ways { proxy, encryption }))
    }
}

/// As the system and the environment say.
impl Default for Network {
    fn default() -> Self {
        Self::new(None, ProxyChoice::default())
    }
}

impl Connector for Network {
    fn connect(&self, address: &Address) -> Connecting {
        let (ways, address) = (Arc::clone(&self.0), address.clone());
        Box::pin(async move { ways.open(&address).await })
    }
}

impl Ways {
    async fn open(&self, server: &Address) -> io::Result<Box<dyn Stream>> {
        let stream = match self.proxy.proxy(server)? {
            None => Box::new(tcp::connect(server.host(), server.port()).await?) as Box<dyn Stream>,
            Some(proxy) => {
                let (host, port) = proxy.place();
                let mut stream = Box::new(tcp::connect(host, port).await?) as Box<dyn Stream>;
                if proxy.is_secure() {
                    stream = self.encryption.with_proxy(stream, host).await?;
                }
                proxy.pass(&mut stream, server).await?;
                stream
            }
        };
        match server.is_secure() {
            true => self.encryption.with_server(stream, server.host()).await,
            false => Ok(stream),
        }
    }
}
