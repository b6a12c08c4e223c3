//! Streams over the network: TCP.

use std::io;

use ferriwire_proto::engine::client::Address;
use tokio::net::TcpStream;

use super::stream::{Connecting, Connector, Stream};

/// Connects over TCP.
#[derive(Debug)]
pub(crate) struct Network;

impl Connector for Network {
    fn connect(&self, address: &Address) -> Connecting {
        if address.is_secure() {
            let why = "this client cannot encrypt yet";
            return Box::pin(async move { Err(io::Error::new(io::ErrorKind::Unsupported, why)) });
        }
        let (host, port) = (address.host().to_owned(), address.port());
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            // Packets are put together before they are written; waiting for more only delays them.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
