//! What a program is told of a request that is refused.

use ferriwire_proto::engine::handshake::Refusal;

/// A request that was refused, with what the event `connection_error` carries.
#[derive(Debug)]
pub struct ConnectionError<'a> {
    pub(crate) refusal: &'a Refusal,
    pub(crate) request: &'a http::Request<()>,
}

impl<'a> ConnectionError<'a> {
    /// The request: method, target, headers, and what layers in front of the server put into it.
    #[doc(alias = "req")]
    #[must_use]
    pub fn request(&self) -> &'a http::Request<()> {
        self.request
    }

    /// The code, 0 to 5, as the client sees it.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.refusal.code()
    }

    /// The message, as the client sees it.
    #[must_use]
    pub fn message(&self) -> &'a str {
        self.refusal.message()
    }

    /// Why exactly; the client does not see it. Its `Display` is a sentence for logs.
    #[must_use]
    pub fn context(&self) -> &'a Refusal {
        self.refusal
    }
}
