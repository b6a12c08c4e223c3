//! What the sessions of a client are made with, one after the other.

use std::sync::Arc;
use std::time::SystemTime;

use ferriwire_proto::engine::Transport;
use ferriwire_proto::engine::client::{Client as Session, Cookies};
use http::{HeaderMap, header};

use crate::client::config::ClientConfig;
use crate::client::random::Random;
use crate::client::transport::http::Origin;

/// What links are made with, one after the other.
pub(in crate::client::task) struct Tools {
    pub(in crate::client::task) origin: Arc<Origin>,
    pub(in crate::client::task) config: ClientConfig,
    pub(in crate::client::task) random: Random,
    pub(in crate::client::task) cookies: Cookies,
}

impl Tools {
    /// The target of a request.
    pub(super) fn target(&self, session: &Session, transport: Transport) -> String {
        let mut query = session.query(transport);
        if !self.config.query.is_empty() {
            let mut more = form_urlencoded::Serializer::new(String::new());
            more.extend_pairs(&self.config.query);
            query.push('&');
            query.push_str(&more.finish());
        }
        self.origin.address.target(&self.config.path, &query)
    }

    pub(super) fn cookie_header(&mut self) -> Option<String> {
        let wanted = self.config.cookies;
        wanted.then(|| self.cookies.header(SystemTime::now()))?
    }

    pub(super) fn take_cookies(&mut self, headers: &HeaderMap) {
        if !self.config.cookies {
            return;
        }
        let values = headers.get_all(header::SET_COOKIE).iter();
        for value in values.filter_map(|value| value.to_str().ok()) {
            self.cookies.handle_set_cookie(value, SystemTime::now());
        }
    }

    /// How many bytes of events may wait for handlers behind one answer to a poll, which is not read in parts.
    pub(super) fn max_held(&self) -> usize {
        self.config.max_incoming.saturating_add(self.max_body())
    }

    /// The largest body that is taken.
    pub(super) fn max_body(&self) -> usize {
        self.config.max_message.saturating_mul(4)
    }
}
