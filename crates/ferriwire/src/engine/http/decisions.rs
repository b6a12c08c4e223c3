//! What the program decides about a handshake (rows 8 and 10 of the table in 1.1.4).

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use ferriwire_proto::engine::SessionId;
use ferriwire_proto::engine::handshake::{BadRequest, Refusal};
use futures_util::FutureExt as _;

use super::super::core::Core;
use super::super::reasons::LimitKind;
use super::super::request::Request;
use super::super::running::panic_message;
use crate::config::{AllowRequest, guarded};
use crate::random::id_bytes;
use crate::shown::shown;

/// Whether the program lets this client in. When it does not come to say so, it does not.
pub(super) async fn allow(core: &Core, request: &Arc<Request>) -> Result<(), Refusal> {
    let decision = match &core.config().hooks.allow_request {
        None => return Ok(()),
        Some(AllowRequest::Now(decide)) => guarded("allow_request", || decide(request)),
        Some(AllowRequest::Later(decide)) => {
            let decision = async || decide(Arc::clone(request)).await;
            in_time(core, "allow_request", decision()).await
        }
    };
    match decision {
        Some(Ok(())) => Ok(()),
        Some(Err(message)) => Err(Refusal::Forbidden {
            message: Some(message),
        }),
        None => Err(Refusal::Forbidden { message: None }),
    }
}

/// The id of a new session.
pub(super) async fn new_id(core: &Core, request: &Arc<Request>) -> Result<SessionId, Refusal> {
    let Some(generate) = &core.config().hooks.generate_id else {
        return random_id();
    };
    let refusal = Refusal::BadRequest(BadRequest::IdGeneration);
    let id = async || generate(Arc::clone(request)).await;
    match in_time(core, "generate_id", id()).await {
        Some(Ok(id)) => SessionId::parse_custom(&id).ok_or_else(|| {
            // Not the id: it may be valid but for one character.
            tracing::error!("generate_id made an id of other than 1 to 64 valid characters");
            refusal
        }),
        Some(Err(error)) => {
            tracing::warn!(error = %shown(error), "generate_id failed");
            Err(refusal)
        }
        None => Err(refusal),
    }
}

/// The id of a new session, if the program does not make them.
pub(super) fn random_id() -> Result<SessionId, Refusal> {
    let random = id_bytes().map_err(|error| {
        tracing::error!(%error, "no random bytes for a session id");
        Refusal::BadRequest(BadRequest::IdGeneration)
    });
    random.map(SessionId::from_random)
}

/// Waits for the program, but not for ever. `None` when it takes too long or panics.
async fn in_time<T>(core: &Core, name: &str, decision: impl Future<Output = T>) -> Option<T> {
    let decision = AssertUnwindSafe(decision).catch_unwind();
    match tokio::time::timeout(core.config().limits.decision_timeout, decision).await {
        Ok(Ok(decision)) => Some(decision),
        Ok(Err(panic)) => {
            let panic = panic_message(&*panic);
            tracing::error!(panic = %shown(panic), "{name} panicked");
            None
        }
        Err(_) => {
            if core.counters().limited(
                LimitKind::DecisionTime,
                tokio::time::Instant::now().into_std(),
            ) {
                tracing::warn!("{name} took too long");
            } else {
                tracing::debug!("{name} took too long");
            }
            None
        }
    }
}
