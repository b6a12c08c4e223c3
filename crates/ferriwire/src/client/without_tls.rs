//! A build without the feature `tls`: there is no such setting.

/// Never there.
#[derive(Clone, Debug)]
pub(crate) enum ClientTls {}
