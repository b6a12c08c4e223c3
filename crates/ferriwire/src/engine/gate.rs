//! The door of a server: how many sessions there may be, and how fast they may come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ferriwire_proto::admission::{Admission, Limits, Refusal, Source};
use parking_lot::Mutex;

/// Asked at each handshake, for each unknown session, and when a session ends.
#[derive(Debug)]
pub(crate) struct Gate {
    admission: Mutex<Admission>,
}

/// The right to have a session. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    source: Option<Source>,
    accepted: bool,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            admission: Mutex::new(Admission::new(limits)),
        })
    }

    pub(crate) fn enter(
        self: &Arc<Self>,
        source: Option<Source>,
        now: Instant,
    ) -> Result<Pass, Refusal> {
        self.admission.lock().handle_handshake(source, now)?;
        Ok(Pass {
            gate: Arc::clone(self),
            source,
            accepted: false,
        })
    }

    pub(crate) fn ask_for_unknown(
        &self,
        source: Option<Source>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.admission.lock().handle_unknown_session(source, now)
    }

    /// How late timers are.
    pub(crate) fn handle_lag(&self, lag: Duration) {
        self.admission.lock().handle_lag(lag);
    }

    pub(crate) fn set_memory_is_short(&self, is_short: bool) {
        self.admission.lock().set_memory_is_short(is_short);
    }
}

impl Pass {
    /// The application has accepted the client. Says nothing when it is said again.
    pub(crate) fn accept(&mut self) {
        if !std::mem::replace(&mut self.accepted, true) {
            self.gate.admission.lock().accept();
        }
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.accepted
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.admission.lock().end(self.source, self.accepted);
    }
}
