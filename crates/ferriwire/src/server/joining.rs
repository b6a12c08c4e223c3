//! A client's way into a namespace: its name, `auth`, middleware.
//!
//! Nothing is made for a client before `auth` has accepted it: a refused one creates no child of a
//! dynamic namespace. All of it together has `auth_timeout`. Whoever drops the future, or what came
//! of it, ends the socket that was not accepted.

use std::sync::Arc;
use std::task::Poll;

use ferriwire_proto::codec::{OwnedPayload, Payload};
use ferriwire_proto::engine::Revision;

use super::hub::Hub;
use super::membership::Membership;
use super::names::{Names, Params, Rule};
use super::namespace::Joined;
use super::namespaces::{Found, Namespaces};
use super::recovery::{self, Tracking};
use super::seat::{Parent, Seat};
use crate::engine::running::{BoxFuture, at_once};
use crate::engine::{LimitKind, Session};
use crate::handshake::{ConnectError, Presented};
use crate::random::id_bytes;
use crate::socket_id::SocketId;

/// A client that wants to join.
pub(crate) struct Joining {
    session: Session,
    place: Place,
    /// What it says about coming back.
    returning: Option<recovery::Request>,
}

/// Where it wants to go.
enum Place {
    Static(Arc<Hub>),
    Child {
        namespaces: Arc<Namespaces>,
        parent: Arc<Parent>,
        name: Arc<str>,
        params: Params,
    },
}

/// What becomes of it.
pub(crate) type Decision = Result<Admission, ConnectError>;

/// A socket that may be accepted. Dropped before that, it is ended.
pub(crate) struct Admission {
    pub(crate) socket: Box<dyn Joined>,
    pub(crate) candidate: Candidate,
    pub(crate) returning: Option<Box<recovery::Return>>,
}

/// Ends a socket that is not accepted.
pub(crate) struct Candidate(Arc<Membership>);

impl Candidate {
    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.0
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Begins to let a client in. `None` when there can be no such namespace.
pub(crate) fn begin(
    namespaces: &Arc<Namespaces>,
    session: &Session,
    name: &str,
    payload: Option<Payload<'_>>,
) -> Option<BoxFuture<Decision>> {
    // Clients of Socket.IO 4 cannot come back.
    let speaks_protocol_4 = session.request().revision() == Revision::V3;
    let returning = namespaces.returning(payload).filter(|_| !speaks_protocol_4);
    let (returning, rest) = returning.map_or((None, None), |(request, rest)| (Some(request), rest));
    let payload = rest.as_ref().map(OwnedPayload::as_payload).or(payload);
    let joining = |place| Joining {
        session: session.clone(),
        place,
        returning,
    };
    let mut decision = match namespaces.find(name)? {
        Found::Static(serving, hub) => serving.join(payload, joining(Place::Static(hub))),
        Found::Child(parent, params) => {
            let serving = Arc::clone(parent.serving());
            let namespaces = Arc::clone(namespaces);
            let name = name.into();
            let place = Place::Child {
                namespaces,
                parent,
                name,
                params,
            };
            serving.join(payload, joining(place))
        }
        Found::Ask(parents) => {
            let (namespaces, name): (_, Arc<str>) = (Arc::clone(namespaces), name.into());
            let payload = payload.map(Payload::to_owned);
            let session = session.clone();
            Box::pin(async move {
                let payload = payload.as_ref().map(OwnedPayload::as_payload);
                let found = ask(parents, &name, payload, &session).await;
                let (parent, params) = found.ok_or_else(invalid_namespace)?;
                let serving = Arc::clone(parent.serving());
                let place = Place::Child {
                    namespaces,
                    parent,
                    name,
                    params,
                };
                let joining = Joining {
                    session,
                    place,
                    returning,
                };
                serving.join(payload, joining).await
            })
        }
    };
    let timeout = session.config().limits.auth_timeout;
    Some(Box::pin(async move {
        if let Poll::Ready(decided) = at_once(&mut decision).await {
            return decided;
        }
        let decided = tokio::time::timeout(timeout, decision).await;
        decided.unwrap_or_else(|_| {
            Err(ConnectError::new("authentication timed out").because_of(LimitKind::AuthTime))
        })
    }))
}

/// The first of these that takes the name.
async fn ask(
    parents: Vec<Arc<Parent>>,
    name: &Arc<str>,
    payload: Option<Payload<'_>>,
    session: &Session,
) -> Option<(Arc<Parent>, Params)> {
    for parent in parents {
        let params = match parent.serving().names() {
            Names::Many(Rule::Asking(ask)) => {
                let taken = ask(name, payload, Arc::clone(session.request())).await;
                taken.then(Params::default)
            }
            Names::Many(rule @ (Rule::Matching(_) | Rule::Invalid(_))) => rule.params(name),
            Names::One(_) => None,
        };
        if let Some(params) = params {
            return Some((parent, params));
        }
    }
    None
}

pub(crate) fn invalid_namespace() -> ConnectError {
    ConnectError::new("Invalid namespace")
}

impl Joining {
    /// What `auth` sees beside the payload.
    pub(crate) fn presented(&self) -> Presented {
        let (namespace, params) = match &self.place {
            Place::Static(hub) => (Arc::clone(hub.name()), Params::default()),
            Place::Child { name, params, .. } => (Arc::clone(name), params.clone()),
        };
        Presented {
            namespace,
            params,
            request: Arc::clone(self.session.request()),
        }
    }

    /// Takes a seat in the namespace, which makes a child that is not there yet.
    /// `identity` says who the client is.
    pub(crate) fn enter(
        self,
        identity: impl FnOnce() -> Option<String>,
    ) -> Result<(Seat, Candidate, Option<Box<recovery::Return>>), ConnectError> {
        let seat = match self.place {
            Place::Static(hub) => Seat::take(&hub),
            Place::Child {
                namespaces,
                parent,
                name,
                params,
            } => namespaces.take_seat(&parent, &name, params, self.session.config())?,
        };
        let hub = Arc::clone(seat.hub());
        let id = new_id(&hub, &self.session)?;
        let returning = match self.returning.zip(hub.recovery()) {
            Some((request, recovery)) => {
                Some(recovery.plan(request, identity(), &id, &self.session)?)
            }
            None => None,
        };
        let id = returning
            .as_ref()
            .and_then(|plan| plan.kept_id())
            .unwrap_or(id);
        let mut membership = Membership::new(id, hub, self.session);
        if let Some(plan) = &returning {
            membership = membership.tracked(Tracking::with_rooms(plan.kept_rooms()));
        }
        Ok((seat, Candidate(Arc::new(membership)), returning))
    }
}

/// The id of a new socket. Clients of Socket.IO 4 make up theirs from the session's, so that ours
/// has to be the same.
fn new_id(hub: &Hub, session: &Session) -> Result<SocketId, ConnectError> {
    let internal = || ConnectError::new("internal error");
    if session.request().revision() == Revision::V3 {
        return SocketId::of_session(hub.name(), session.id()).map_err(|error| {
            tracing::debug!(%error, "no socket id");
            internal()
        });
    }
    match id_bytes() {
        Ok(random) => Ok(SocketId::from_random(random)),
        Err(error) => {
            tracing::error!(%error, "no random bytes for a socket id");
            Err(internal())
        }
    }
}
