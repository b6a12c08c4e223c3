//! A build without the feature `tls`: no listener has an acceptor.

use std::net::SocketAddr;

use http::Request;

use crate::config::{Limits, Tls};
use crate::engine::core::Core;
use crate::engine::tcp::TcpConnection;
use crate::error::Error;

/// Never there.
pub(super) enum Acceptor {}

/// Never there.
pub(super) enum Secured {}

/// Never there.
pub(super) enum Credentials {}

impl Acceptor {
    pub(super) fn new(tls: Tls, _: &Limits) -> Result<Self, Error> {
        match tls {}
    }

    pub(super) async fn handshake(
        &self,
        core: &Core,
        _: TcpConnection,
        _: SocketAddr,
    ) -> Option<Secured> {
        // Never called. What counts handshakes is there in every build.
        core.counters().tls_handshake_failed();
        match *self {}
    }
}

impl Secured {
    pub(super) fn into_parts(self) -> (TcpConnection, Credentials, bool) {
        match self {}
    }
}

impl Credentials {
    pub(super) fn mark<B>(&self, _: &mut Request<B>) {
        match *self {}
    }
}
