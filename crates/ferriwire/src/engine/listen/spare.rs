//! When the process has no descriptor left: one that was kept lets a connection be closed, which
//! would wait for nothing otherwise.

use std::fs::File;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

/// `EMFILE` of a process and `ENFILE` of the whole system.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

/// Any file will do.
const FILE: &str = "/dev/null";

/// Whether the error says that there is no descriptor left.
pub(super) fn is_no_descriptor(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code.is_some_and(|code| NO_DESCRIPTOR.contains(&code))
}

/// A descriptor that is there to be given up.
pub(super) struct Spare(Option<File>);

impl Spare {
    pub(super) fn new() -> Self {
        Self(File::open(FILE).ok())
    }

    /// Accepts a connection that waits, in place of the spare descriptor, and closes it. Says whether
    /// that went well: not when the spare one is gone, somebody else was faster, or none waits.
    pub(super) async fn refuse_one(&mut self, listener: &TcpListener, patience: Duration) -> bool {
        let refused = match self.0.take() {
            Some(spare) => {
                drop(spare);
                matches!(timeout(patience, listener.accept()).await, Ok(Ok(_)))
            }
            None => false,
        };
        *self = Self::new();
        refused
    }
}
