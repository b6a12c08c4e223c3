//! The namespaces of one server, by name: the static ones, and the children of the dynamic ones.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ferriwire_proto::codec::{Codec, OwnedPayload, Payload};
use parking_lot::{Mutex, RwLock};

use super::broadcast::Addressed;
use super::handle::NamespaceHandle;
use super::hub::Hub;
use super::names::{Names, Params, Rule};
use super::namespace::Serving;
use super::recovery::{self, Recovery};
use super::seat::{Child, Parent, Seat};
use super::vacancies::Vacancies;
use crate::cluster::node::Node;
use crate::config::{Config, Recovery as Settings};
use crate::engine::running::panic_message;
use crate::engine::{LimitKind, Stats};
use crate::error::Error;
use crate::handshake::ConnectError;
use crate::shown::shown;

/// Looked at when a client joins or leaves and when the program asks for a handle; for an event
/// only by a handle to a name of which there was no static namespace.
pub(crate) struct Namespaces {
    shards: usize,
    /// What clients speak: known when the server starts.
    codec: OnceLock<(Codec, usize)>,
    /// For clients that may come back: known when the server starts.
    recovery: OnceLock<recovery::Shared>,
    /// The other servers, if the program named a backend: known when the server starts.
    cluster: OnceLock<Arc<Node>>,
    by_name: RwLock<ByName>,
    /// The dynamic ones, in the order in which they are tried.
    parents: RwLock<Vec<Arc<Parent>>>,
    /// Held while a child is made: one at a time, so that the hooks run once and before anybody joins.
    making: Mutex<()>,
    hooks: RwLock<Vec<NewNamespaceHook>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct ByName {
    entries: BTreeMap<Arc<str>, Entry>,
    children: usize,
    vacant: Vacancies,
}

impl ByName {
    /// Removes a child in which nobody is.
    fn remove(&mut self, hub: &Hub) {
        self.entries.remove(hub.name());
        self.children -= 1;
        self.vacant.remove(hub);
        if let Some(child) = hub.child() {
            if let Some(parent) = child.parent() {
                parent.children().remove(hub.name());
            }
            child.retire();
        }
    }
}

struct Entry {
    serving: Arc<dyn Serving>,
    hub: Arc<Hub>,
}

pub(crate) type NewNamespaceHook = Arc<dyn Fn(NamespaceHandle) + Send + Sync>;

/// How many names are looked through for one that was meant. Children may be many.
const MAX_NAMES: usize = 1_000;

/// What happened in the handlers of all namespaces.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    handler_panics: AtomicU64,
    unexpected_acks: AtomicU64,
    unfit_payloads: AtomicU64,
    unknown_namespaces: AtomicU64,
    refused_by_auth: AtomicU64,
}

/// Where a client may go that wants to join a name.
pub(crate) enum Found {
    Static(Arc<dyn Serving>, Arc<Hub>),
    Child(Arc<Parent>, Params),
    /// One of these may take it, in this order, when it has been asked.
    Ask(Vec<Arc<Parent>>),
}

impl Namespaces {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            shards,
            codec: OnceLock::new(),
            recovery: OnceLock::new(),
            cluster: OnceLock::new(),
            by_name: RwLock::default(),
            parents: RwLock::default(),
            making: Mutex::new(()),
            hooks: RwLock::default(),
            counters: Arc::default(),
        }
    }

    /// Tells all namespaces what their clients speak.
    pub(crate) fn set_codec(&self, codec: &Codec, max_depth: usize) {
        // Set once: a server starts once.
        let _ = self.codec.set((codec.clone(), max_depth));
        for entry in self.by_name.read().entries.values() {
            entry.hub.set_codec(codec, max_depth);
        }
    }

    /// Lets the clients of all namespaces come back.
    pub(crate) fn set_recovery(&self, settings: Settings) {
        let shared = self
            .recovery
            .get_or_init(|| recovery::Shared::new(settings));
        for entry in self.by_name.read().entries.values() {
            if let Some(recovery) = shared.recovery() {
                entry.hub.set_recovery(recovery);
            }
        }
    }

    /// What a client's CONNECT says about coming back, and what is left of it for `auth`.
    pub(crate) fn returning(
        &self,
        payload: Option<Payload<'_>>,
    ) -> Option<(recovery::Request, Option<OwnedPayload>)> {
        Some(self.recovery.get()?.request(payload))
    }

    /// Drops what was kept for clients that have not come back in time.
    pub(crate) fn sweep_recovery(&self) {
        // What is dropped may run the program's code: without the lock.
        let hubs: Vec<_> = {
            let by_name = self.by_name.read();
            let hubs = by_name.entries.values().map(|entry| &entry.hub);
            hubs.cloned().collect()
        };
        for recovery in hubs.iter().filter_map(|hub| hub.recovery()) {
            recovery.sweep();
        }
    }

    pub(crate) fn recovery_bytes(&self) -> usize {
        let by_name = self.by_name.read();
        let recoveries = by_name.entries.values().map(|entry| entry.hub.recovery());
        recoveries.flatten().map(Recovery::bytes).sum()
    }

    /// Tells all namespaces where other servers are.
    pub(crate) fn set_cluster(&self, node: &Arc<Node>) {
        let _ = self.cluster.set(Arc::clone(node));
        for entry in self.by_name.read().entries.values() {
            entry.hub.set_cluster(node);
        }
    }

    pub(crate) fn cluster(&self) -> Option<&Arc<Node>> {
        self.cluster.get()
    }

    /// Adds a namespace, static or dynamic.
    pub(crate) fn add(
        self: &Arc<Self>,
        serving: Arc<dyn Serving>,
        ack_timeout: Duration,
    ) -> Result<Addressed, Error> {
        let name = match serving.names() {
            Names::One(name) => Arc::clone(name),
            Names::Many(Rule::Invalid(why)) => {
                return Err(Error::InvalidNamespacePattern(why.clone()));
            }
            Names::Many(Rule::Matching(_) | Rule::Asking(_)) => {
                let parent = Arc::new(Parent::new(serving));
                let children = Addressed::Children(Arc::clone(parent.children()));
                self.parents.write().push(parent);
                return Ok(children);
            }
        };
        let hub = Arc::new(self.hub_of(&*serving, &name, None));
        let entry = Entry {
            serving,
            hub: Arc::clone(&hub),
        };
        {
            let mut by_name = self.by_name.write();
            if by_name.entries.contains_key(&name) {
                return Err(Error::DuplicateNamespace(name.as_ref().to_owned()));
            }
            by_name.entries.insert(Arc::clone(&name), entry);
        }
        if *name != *"/" {
            self.tell_hooks(&name, ack_timeout);
        }
        Ok(Addressed::Hub(hub))
    }

    fn hub_of(&self, serving: &dyn Serving, name: &str, child: Option<Box<Child>>) -> Hub {
        let counters = Arc::clone(&self.counters);
        let hub = Hub::new(name, self.shards, serving.hooks(), counters, child);
        if let Some((codec, max_depth)) = self.codec.get() {
            hub.set_codec(codec, *max_depth);
        }
        if let Some(recovery) = self.recovery.get().and_then(recovery::Shared::recovery) {
            hub.set_recovery(recovery);
        }
        if let Some(node) = self.cluster.get() {
            hub.set_cluster(node);
        }
        hub
    }

    /// Calls `hook` for every namespace that comes from now on.
    pub(crate) fn on_new(&self, hook: NewNamespaceHook) {
        self.hooks.write().push(hook);
    }

    /// Where a client may go that wants to join this name. A static namespace comes first, then a
    /// child that is there already, then the dynamic ones in their order.
    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        if let Some(entry) = self.by_name.read().entries.get(name) {
            let Some(child) = entry.hub.child() else {
                return Some(Found::Static(
                    Arc::clone(&entry.serving),
                    Arc::clone(&entry.hub),
                ));
            };
            let parent = child.parent()?;
            return Some(match parent.serving().names() {
                // The answer may be another one for another client.
                Names::Many(Rule::Asking(_)) => Found::Ask(vec![parent]),
                Names::Many(Rule::Matching(_) | Rule::Invalid(_)) | Names::One(_) => {
                    Found::Child(parent, child.params().clone())
                }
            });
        }
        let parents = self.parents.read();
        let may_match = |parent: &Arc<Parent>| match parent.serving().names() {
            Names::Many(rule) => rule.may_match(name),
            Names::One(_) => false,
        };
        let mut candidates = parents.iter().filter(|parent| may_match(parent));
        let first = candidates.next()?;
        Some(match first.serving().names() {
            Names::Many(rule) if let Some(params) = rule.params(name) => {
                Found::Child(Arc::clone(first), params)
            }
            Names::Many(_) | Names::One(_) => {
                Found::Ask([first].into_iter().chain(candidates).cloned().collect())
            }
        })
    }

    /// A seat in a child, which is made if there is none of that name.
    pub(crate) fn take_seat(
        self: &Arc<Self>,
        parent: &Arc<Parent>,
        name: &Arc<str>,
        params: Params,
        config: &Config,
    ) -> Result<Seat, ConnectError> {
        if let Some(seat) = self.seat_in(parent, name) {
            return seat;
        }
        // Behind the locks, because the program's data goes with it.
        let _given_up;
        let _making = self.making.lock();
        // It may have been made in the meantime.
        if let Some(seat) = self.seat_in(parent, name) {
            return seat;
        }
        let limit = config.limits.max_dynamic_namespaces;
        _given_up = self.make_room(limit);
        if self.by_name.read().children >= limit {
            tracing::debug!(limit, "no further dynamic namespace");
            let refusal = format!("limit of {limit} dynamic namespaces reached");
            return Err(ConnectError::new(refusal).because_of(LimitKind::DynamicNamespaces));
        }
        let child = Child::new(parent, self, params, config.cleanup_empty_child_namespaces);
        let hub = Arc::new(self.hub_of(&**parent.serving(), name, Some(Box::new(child))));
        self.tell_hooks(name, config.limits.ack_timeout);
        let mut by_name = self.by_name.write();
        if by_name.entries.contains_key(name) {
            // A hook, or another task, has made a static one of that name.
            return Err(ConnectError::new("Invalid namespace"));
        }
        let seat = Seat::take(&hub);
        parent.children().insert(&hub);
        let serving = Arc::clone(parent.serving());
        let entry = Entry { serving, hub };
        by_name.entries.insert(Arc::clone(name), entry);
        by_name.children += 1;
        Ok(seat)
    }

    /// A seat in the child of that name, if there is one.
    fn seat_in(&self, parent: &Arc<Parent>, name: &str) -> Option<Result<Seat, ConnectError>> {
        let by_name = self.by_name.read();
        let hub = &by_name.entries.get(name)?.hub;
        Some(if hub.child().is_some_and(|child| child.is_of(parent)) {
            Ok(Seat::take(hub))
        } else {
            // The name was taken by another namespace while this client was on its way.
            Err(ConnectError::new("Invalid namespace"))
        })
    }

    /// Removes the child that has been kept for absent clients for longest, if there is room for no
    /// other one: they start anew.
    fn make_room(&self, limit: usize) -> Option<GivenUp> {
        let mut by_name = self.by_name.write();
        if by_name.children < limit {
            return None;
        }
        let hub = by_name.vacant.oldest()?;
        by_name.remove(&hub);
        tracing::debug!(limit, namespace = %shown(hub.name()), "a dynamic namespace that was kept for absent clients makes room");
        Some(GivenUp(hub))
    }

    /// Somebody was let into a child that was vacant: it makes no room before it is vacant again.
    pub(crate) fn occupy(&self, hub: &Hub) {
        self.by_name.write().vacant.remove(hub);
    }

    /// Removes a child in which nobody has a seat; one that absent clients keep may make room from now
    /// on.
    pub(crate) fn vacate(&self, hub: &Arc<Hub>) {
        let mut by_name = self.by_name.write();
        let entry = by_name.entries.get(hub.name());
        if !entry.is_some_and(|entry| Arc::ptr_eq(&entry.hub, hub)) {
            return;
        }
        match hub.child() {
            Some(child) if child.is_occupied() => {}
            Some(child) if child.is_kept() => by_name.vacant.insert(hub),
            Some(_) => by_name.remove(hub),
            None => {}
        }
    }

    pub(crate) fn hub(&self, name: &str) -> Option<Arc<Hub>> {
        let by_name = self.by_name.read();
        by_name
            .entries
            .get(name)
            .map(|entry| Arc::clone(&entry.hub))
    }

    /// Whether a child of that name may come.
    pub(crate) fn may_come(&self, name: &str) -> bool {
        let parents = self.parents.read();
        parents.iter().any(|parent| match parent.serving().names() {
            Names::Many(rule) => rule.may_match(name),
            Names::One(_) => false,
        })
    }

    /// Names, for whoever was looking for another one.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.by_name
            .read()
            .entries
            .keys()
            .take(MAX_NAMES)
            .cloned()
            .collect()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    fn tell_hooks(self: &Arc<Self>, name: &Arc<str>, ack_timeout: Duration) {
        let hooks = self.hooks.read().clone();
        for hook in hooks {
            let addressed = Addressed::Named(Arc::downgrade(self), Arc::clone(name));
            let handle = NamespaceHandle::new(addressed, ack_timeout);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(handle))) {
                let panic = panic_message(&*panic);
                tracing::error!(namespace = %shown(name), panic = %shown(panic), "a hook for new namespaces panicked");
                self.counters.handler_panicked();
            }
        }
    }
}

/// A child that made room. What was kept for its clients goes with it, whoever has a handle still.
struct GivenUp(Arc<Hub>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        if let Some(recovery) = self.0.recovery() {
            recovery.forget_all();
        }
    }
}

impl Counters {
    pub(crate) fn count_into(&self, stats: &mut Stats) {
        stats.handler_panics = self.handler_panics.load(Ordering::Relaxed);
        stats.unexpected_acks = self.unexpected_acks.load(Ordering::Relaxed);
        stats.unfit_payloads = self.unfit_payloads.load(Ordering::Relaxed);
        stats.unknown_namespaces = self.unknown_namespaces.load(Ordering::Relaxed);
        stats.refused_by_auth = self.refused_by_auth.load(Ordering::Relaxed);
    }

    pub(crate) fn handler_panicked(&self) {
        self.handler_panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unexpected_ack(&self) {
        self.unexpected_acks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn namespace_unknown(&self) {
        self.unknown_namespaces.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused_by_auth(&self) {
        self.refused_by_auth.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn payload_did_not_fit(&self) {
        self.unfit_payloads.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Namespaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_name = self.by_name.read();
        let mut set = formatter.debug_set();
        set.entries(by_name.entries.keys());
        set.entries(&*self.parents.read()).finish()
    }
}
