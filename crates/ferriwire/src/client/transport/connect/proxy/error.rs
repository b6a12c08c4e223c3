//! Why a proxy does not lead to a server.

use std::error::Error;
use std::fmt;
use std::io;

use ferriwire_proto::engine::client::AddressError;

/// Why a proxy does not lead to a server. It is what [`std::io::Error::get_ref`] finds in the error of an
/// attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// Its address begins with none of `http`, `https`, `socks5` and `socks5h`.
    Scheme,
    /// Its address is none.
    Address(AddressError),
    /// The user name or password in its address cannot be read, or is too long for SOCKS.
    Credentials,
    /// An HTTP proxy has answered with this status instead of success; 407 asks for a user name and a password.
    Refused(u16),
    /// A SOCKS proxy has answered with this code of RFC 1928, section 6.
    Unreachable(u8),
    /// A SOCKS proxy wants to know who we are, in no way that we know, or we were not told.
    NoMethod,
    /// A SOCKS proxy does not take the user name and the password.
    Denied,
    /// Its answer is none.
    Malformed(&'static str),
    /// The head of its answer exceeds 16 KiB.
    TooLong,
    /// It has closed the connection before it had answered.
    Closed,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str(
                "address of a proxy that begins with none of http, https, socks5 and socks5h",
            ),
            Self::Address(error) => write!(f, "proxy: {error}"),
            Self::Credentials => f.write_str(
                "user name or password of a proxy that cannot be read, or is longer than 255 bytes",
            ),
            Self::Refused(407) => f.write_str(
                "the proxy asks for a user name and a password, or for others (status 407)",
            ),
            Self::Refused(status) => write!(f, "the proxy has answered with status {status}"),
            Self::Unreachable(code) => {
                let why = match code {
                    1 => "it has failed",
                    2 => "its rules do not allow that",
                    3 => "network unreachable",
                    4 => "host unreachable",
                    5 => "connection refused",
                    6 => "time to live expired",
                    7 => "it does not know the command",
                    8 => "it does not know the type of the address",
                    _ => "unknown code",
                };
                write!(f, "the SOCKS proxy has answered with code {code}: {why}")
            }
            Self::NoMethod => {
                f.write_str("the SOCKS proxy asks who we are, in no way that we know")
            }
            Self::Denied => {
                f.write_str("the SOCKS proxy does not take the user name and the password")
            }
            Self::Malformed(what) => write!(f, "malformed answer of a proxy: {what}"),
            Self::TooLong => f.write_str("answer of a proxy whose head exceeds 16384 bytes"),
            Self::Closed => f.write_str("the proxy has closed the connection without an answer"),
        }
    }
}

impl Error for ProxyError {}

impl From<ProxyError> for io::Error {
    fn from(error: ProxyError) -> Self {
        let kind = match error {
            ProxyError::Scheme | ProxyError::Address(_) | ProxyError::Credentials => {
                io::ErrorKind::InvalidInput
            }
            ProxyError::Refused(_) | ProxyError::Unreachable(_) => io::ErrorKind::ConnectionRefused,
            ProxyError::NoMethod | ProxyError::Denied => io::ErrorKind::PermissionDenied,
            ProxyError::Malformed(_) | ProxyError::TooLong => io::ErrorKind::InvalidData,
            ProxyError::Closed => io::ErrorKind::UnexpectedEof,
        };
        Self::new(kind, error)
    }
}
