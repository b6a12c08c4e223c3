//! A server without an address, for [`crate::test`].

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{RunningServer, Server};
use crate::engine::listen::{Entrance, Listening};
use crate::error::Error;

impl Server {
    /// Serves what comes through the entrance.
    pub(crate) fn in_memory<S>(self) -> Result<(RunningServer, Entrance<S>), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let namespaces = Arc::clone(&self.namespaces);
        let ack_timeout = self.config.limits.ack_timeout;
        let (listening, entrance) = Listening::in_memory(self.into_core()?);
        let running = RunningServer {
            listening: Arc::new(listening),
            namespaces,
            ack_timeout,
        };
        Ok((running, entrance))
    }
}
