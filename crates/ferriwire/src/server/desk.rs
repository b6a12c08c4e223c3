//! What other servers ask of this one. It runs inside the cluster task.
//!
//! What they say may be anything: it is bounded, and what does not fit is logged and passed over.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use ferriwire_proto::codec::ArgumentsError;
use ferriwire_proto::packet::AckId;
use ferriwire_proto::value::Args;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::answers::Collector;
use super::delivery;
use super::hub::Hub;
use super::membership::Membership;
use super::namespace::server_events::written;
use super::namespaces::Namespaces;
use crate::cluster::node::Node;
use crate::cluster::task::Desk;
use crate::cluster::{Body, Flags, Message, NodeId, Question, RequestId, Selection};
use crate::engine::running::{Running, panic_message};
use crate::event::ErrorAnswer;

/// How many handlers of servers' events run at a time. What comes beyond is not handled.
const MAX_RUNNING: usize = 1_000;

/// The longest that clients may take to answer another server.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// So many questions to clients are remembered before those that are done are looked for.
const SWEEP: usize = 256;

pub(crate) struct Arrivals {
    node: Arc<Node>,
    namespaces: Weak<Namespaces>,
    running: Running<Handled, crate::engine::running::BoxFuture<Args>>,
    /// What clients have been asked for other servers, by when they are not waited for any more.
    asked: BTreeMap<(Instant, AckId, RequestId), Inquiry>,
    sweep_at: usize,
}

/// A handler, and who gets what it returns.
struct Handled {
    namespace: Arc<str>,
    event: Arc<str>,
    asker: Option<(NodeId, RequestId)>,
}

/// Clients that were asked for another server.
struct Inquiry {
    members: Vec<Weak<Membership>>,
    reporting: Arc<Reporting>,
}

/// Tells another server what clients answer, after how many there are.
struct Reporting {
    node: Arc<Node>,
    asker: NodeId,
    request: RequestId,
    namespace: Arc<str>,
    /// Answers that came while the clients were still being asked.
    early: Mutex<Option<Vec<Option<Args>>>>,
    answered: AtomicU64,
}

impl Reporting {
    fn answer(&self, answer: Option<Args>) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        {
            let mut early = self.early.lock();
            if let Some(early) = &mut *early {
                early.push(answer);
                return;
            }
        }
        self.send(answer);
    }

    fn begin(&self, count: u64) {
        let (request, asker) = (self.request.clone(), Some(self.asker.clone()));
        let body = Body::Receivers { request, count };
        self.node.send(asker, &self.namespace, body);
        let early = self.early.lock().take();
        for answer in early.into_iter().flatten() {
            self.send(answer);
        }
    }

    fn send(&self, answer: Option<Args>) {
        let (request, asker) = (self.request.clone(), Some(self.asker.clone()));
        let body = Body::Answer { request, answer };
        self.node.send(asker, &self.namespace, body);
    }
}

impl Arrivals {
    pub(crate) fn new(node: Arc<Node>, namespaces: &Arc<Namespaces>) -> Self {
        Self {
            node,
            namespaces: Arc::downgrade(namespaces),
            running: Running::new(),
            asked: BTreeMap::new(),
            sweep_at: SWEEP,
        }
    }

    fn carry_out(&mut self, message: &Message, cx: &mut Context<'_>) {
        let namespaces = self.namespaces.upgrade();
        let hub = namespaces.and_then(|namespaces| namespaces.hub(&message.namespace));
        let hub = hub.as_ref();
        match &message.body {
            Body::Broadcast {
                selection,
                flags,
                event,
                args,
                question: None,
            } => {
                if let Some(hub) = hub
                    && let Err(error) = delivery::emit(hub, selection, flags, event, args)
                {
                    tracing::warn!(node = %message.sender, %error, "an event of another server cannot be sent");
                }
            }
            Body::Broadcast {
                selection,
                flags,
                event,
                args,
                question: Some(question),
            } => {
                let reporting = self.reporting(message, &question.request);
                match hub {
                    Some(hub) => {
                        self.ask(hub, (selection, flags), (event, args), question, reporting)
                    }
                    None => reporting.begin(0),
                }
            }
            Body::Join { selection, rooms } => {
                hub.inspect(|hub| delivery::join(hub, selection, rooms));
            }
            Body::Leave { selection, rooms } => {
                hub.inspect(|hub| delivery::leave(hub, selection, rooms));
            }
            Body::Disconnect { selection, close } => {
                hub.inspect(|hub| delivery::disconnect(hub, selection, *close));
            }
            Body::Fetch { selection, request } => {
                let sockets = hub.map(|hub| delivery::fetch(hub, selection));
                let body = Body::Fetched {
                    request: request.clone(),
                    sockets: sockets.unwrap_or_default(),
                };
                let asker = Some(message.sender.clone());
                self.node.send(asker, &message.namespace, body);
            }
            Body::ServerEvent {
                event,
                args,
                request,
            } => {
                let handled = Handled {
                    namespace: Arc::clone(&message.namespace),
                    event: Arc::clone(event),
                    asker: request
                        .clone()
                        .map(|request| (message.sender.clone(), request)),
                };
                self.listen(hub, handled, args, cx);
            }
            // Answers are read before.
            Body::Fetched { .. }
            | Body::ServerAnswer { .. }
            | Body::Receivers { .. }
            | Body::Answer { .. } => {}
        }
    }

    fn reporting(&self, message: &Message, request: &RequestId) -> Arc<Reporting> {
        Arc::new(Reporting {
            node: Arc::clone(&self.node),
            asker: message.sender.clone(),
            request: request.clone(),
            namespace: Arc::clone(&message.namespace),
            early: Mutex::new(Some(Vec::new())),
            answered: AtomicU64::new(0),
        })
    }

    /// Asks the clients of this server for another one.
    fn ask(
        &mut self,
        hub: &Hub,
        (selection, flags): (&Selection, &Flags),
        (event, args): (&str, &Args),
        question: &Question,
        reporting: Arc<Reporting>,
    ) {
        let id = hub.next_ack();
        let message = match delivery::encode(hub, Some(id), flags, event, args) {
            Ok(message) => Arc::new(message),
            Err(error) => {
                tracing::warn!(%error, "an event of another server cannot be sent");
                return reporting.begin(0);
            }
        };
        let report = Arc::clone(&reporting);
        let collector: Collector = Arc::new(move |_, answer| {
            let answer = answer.ok();
            let answer = answer.and_then(|answer| answer.as_arguments().decode().ok());
            report.answer(answer);
        });
        let (mut receivers, mut count) = (Vec::new(), 0);
        let Selection { to, except } = selection;
        hub.broadcast(to, except, &message, flags.volatile, |receiver| {
            count += 1;
            let asked = receiver.expect_answer(id, &collector);
            if asked.is_ok() {
                receivers.push(Arc::clone(receiver));
            } else {
                reporting.answer(None);
            }
            asked.is_ok()
        });
        if hub.is_observed() {
            hub.show_outgoing(&receivers, event, args);
        }
        reporting.begin(count);
        if receivers.is_empty() {
            return;
        }
        self.sweep();
        let deadline = Instant::now() + question.timeout.min(LONGEST_TIMEOUT);
        let members = receivers.iter().map(Arc::downgrade).collect();
        let inquiry = Inquiry { members, reporting };
        self.asked
            .insert((deadline, id, question.request.clone()), inquiry);
    }

    /// Forgets, now and then, those who have all answered before their time.
    fn sweep(&mut self) {
        if self.asked.len() >= self.sweep_at {
            self.asked.retain(|_, inquiry| {
                let answered = inquiry.reporting.answered.load(Ordering::Relaxed);
                answered < inquiry.members.len() as u64
            });
            self.sweep_at = self.asked.len().saturating_mul(2).max(SWEEP);
        }
    }

    /// Nobody waits any more for those whose time is over.
    fn expire(&mut self, now: Instant) {
        while let Some(first) = self.asked.first_entry() {
            let (deadline, id, _) = first.key();
            if *deadline > now {
                return;
            }
            let id = *id;
            for member in first.remove().members {
                if let Some(member) = member.upgrade() {
                    member.forget_ack(id);
                }
            }
        }
    }

    fn listen(
        &mut self,
        hub: Option<&Arc<Hub>>,
        mut handled: Handled,
        args: &Args,
        cx: &mut Context<'_>,
    ) {
        let hooks = hub.and_then(|hub| hub.hooks());
        let listeners = hooks
            .as_ref()
            .and_then(|hooks| hooks.server_event(&handled.event));
        let Some(listeners) = listeners else {
            return self.answer(&handled, None);
        };
        for listener in listeners {
            if self.running.len() >= MAX_RUNNING {
                tracing::error!(
                    event = &*handled.event,
                    "too many events of other servers are being handled"
                );
                return;
            }
            let this = Handled {
                namespace: Arc::clone(&handled.namespace),
                event: Arc::clone(&handled.event),
                // Of several handlers the first one answers.
                asker: handled.asker.take(),
            };
            match listener(args) {
                Ok(handler) => {
                    if let Some((which, result)) = self.running.start(this, handler, cx) {
                        self.ended(&which, result);
                    }
                }
                Err(ArgumentsError::Mismatch { path, message }) => {
                    tracing::warn!(
                        event = &*this.event,
                        path,
                        message,
                        "payload does not fit the handler"
                    );
                    let answer = written(&this.event, &ErrorAnswer::mismatch(path));
                    self.answer(&this, Some(answer));
                }
                Err(ArgumentsError::Syntax(error)) => {
                    tracing::warn!(event = &*this.event, %error, "an event of another server is broken");
                }
            }
        }
    }

    fn ended(&self, which: &Handled, result: Result<Args, String>) {
        let answer = result.unwrap_or_else(|panic| {
            tracing::error!(event = &*which.event, panic, "a handler panicked");
            self.count_panic();
            written(&which.event, &ErrorAnswer::new("internal error"))
        });
        self.answer(which, Some(answer));
    }

    fn answer(&self, handled: &Handled, answer: Option<Args>) {
        if let Some((asker, request)) = &handled.asker {
            let body = Body::ServerAnswer {
                request: request.clone(),
                answer,
            };
            self.node
                .send(Some(asker.clone()), &handled.namespace, body);
        }
    }

    fn count_panic(&self) {
        if let Some(namespaces) = self.namespaces.upgrade() {
            namespaces.counters().handler_panicked();
        }
    }
}

impl Desk for Arrivals {
    fn handle(&mut self, message: &Arc<Message>, cx: &mut Context<'_>) {
        let carried_out = catch_unwind(AssertUnwindSafe(|| self.carry_out(message, cx)));
        if let Err(panic) = carried_out {
            let panic = panic_message(&*panic);
            tracing::error!(panic, "a listener panicked at a message of another server");
            self.count_panic();
        }
    }

    async fn work(&mut self) -> Infallible {
        loop {
            let deadline = self.asked.first_key_value().map(|(key, _)| key.0);
            let ended = std::future::poll_fn(|cx| match self.running.poll_next(cx) {
                Some(ended) => Poll::Ready(ended),
                None => Poll::Pending,
            });
            let due = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                ended = ended => Some(ended),
                () = due => None,
            };
            match ended {
                Some((which, result)) => self.ended(&which, result),
                None => self.expire(Instant::now()),
            }
        }
    }
}
