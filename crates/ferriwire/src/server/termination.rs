//! Being asked to end by the operating system.

#[cfg(not(unix))]
pub(crate) use self::elsewhere::Termination;
#[cfg(unix)]
pub(crate) use self::unix::Termination;

#[cfg(unix)]
mod unix {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// SIGTERM, from the moment on at which this is made.
    #[derive(Debug)]
    pub(crate) struct Termination(Signal);

    impl Termination {
        pub(crate) fn listen() -> io::Result<Self> {
            signal(SignalKind::terminate()).map(Self)
        }

        /// Waits for the next signal.
        pub(crate) async fn asked(&mut self) {
            if self.0.recv().await.is_none() {
                std::future::pending().await
            }
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io;

    /// There is no SIGTERM here.
    #[derive(Debug)]
    pub(crate) struct Termination;

    impl Termination {
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) async fn asked(&mut self) {
            std::future::pending().await
        }
    }
}
