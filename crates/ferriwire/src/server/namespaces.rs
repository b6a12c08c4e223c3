//! The namespaces of one server, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ferriwire_proto::codec::Codec;
use parking_lot::RwLock;

use super::hub::Hub;
use super::namespace::Serving;

/// Looked at when a client joins and when the program asks for a handle; never for an event.
#[derive(Default)]
pub(crate) struct Namespaces {
    by_name: RwLock<BTreeMap<Arc<str>, Arc<dyn Serving>>>,
    handler_panics: AtomicU64,
    unexpected_acks: AtomicU64,
}

impl Namespaces {
    /// Adds a namespace; `false` when there is one of that name.
    pub(crate) fn add(&self, namespace: Arc<dyn Serving>) -> bool {
        let name = Arc::clone(namespace.hub().name());
        let mut by_name = self.by_name.write();
        if by_name.contains_key(&name) {
            return false;
        }
        by_name.insert(name, namespace);
        true
    }

    /// Tells all namespaces what their clients speak.
    pub(crate) fn set_codec(&self, codec: &Codec) {
        for serving in self.by_name.read().values() {
            serving.hub().set_codec(codec);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<dyn Serving>> {
        self.by_name.read().get(name).cloned()
    }

    pub(crate) fn hub(&self, name: &str) -> Option<Arc<Hub>> {
        let by_name = self.by_name.read();
        by_name.get(name).map(|serving| Arc::clone(serving.hub()))
    }

    pub(crate) fn handler_panicked(&self) {
        self.handler_panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn handler_panics(&self) -> u64 {
        self.handler_panics.load(Ordering::Relaxed)
    }

    pub(crate) fn unexpected_ack(&self) {
        self.unexpected_acks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unexpected_acks(&self) -> u64 {
        self.unexpected_acks.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Namespaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_name = self.by_name.read();
        formatter.debug_set().entries(by_name.keys()).finish()
    }
}
