//! What listens is called: handlers of events, at once or when others have ended, and hooks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::Context;

use ferriwire_proto::codec::{Arguments, ArgumentsError, OwnedArguments};

use super::{Broken, Layer};
use crate::client::dispatch::{self, Came, Hook, Listeners};
use crate::client::handle::{Client, Owner};
use crate::client::shared::Membership;
use crate::client::stream::Kept;
use crate::engine::running::{BoxFuture, Running};
use crate::shown::shown;

/// An event that waits for a handler to end.
pub(super) struct Held {
    membership: Arc<Membership>,
    came: Came,
    name: Box<str>,
    arguments: OwnedArguments,
    pub(super) bytes: usize,
}

impl Held {
    pub(super) fn new(
        membership: &Arc<Membership>,
        came: Came,
        name: &str,
        arguments: OwnedArguments,
    ) -> Self {
        let bytes = arguments.as_arguments().size();
        // With something for each event, so that empty ones are bounded, too.
        let bytes = bytes
            .saturating_add(name.len())
            .saturating_add(size_of::<Self>());
        Self {
            membership: Arc::clone(membership),
            came,
            name: name.into(),
            arguments,
            bytes,
        }
    }
}

impl Layer {
    /// Goes on with handlers, and begins those that waited for others.
    pub(in crate::client::task) fn poll_running(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<bool, Broken> {
        let mut progress = false;
        while let Some((namespace, result)) = self.running.poll_next(cx) {
            progress = true;
            note_end(&namespace, result);
        }
        self.start_held(cx)?;
        Ok(progress)
    }

    pub(super) fn start_held(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        while self.running.len() < self.max_running
            && let Some(one) = self.held.pop_front()
        {
            self.held_bytes = self.held_bytes.saturating_sub(one.bytes);
            let arguments = one.arguments.as_arguments();
            let (membership, came) = (&one.membership, one.came);
            let running = &mut self.running;
            let started = dispatch(
                &self.owner,
                membership,
                came,
                &one.name,
                arguments,
                running,
                cx,
            );
            let Err(what) = started else { continue };
            if membership.is_in(came) {
                return Err(Broken(what));
            }
            // The session that brought it is over, and no other one is to blame.
            tracing::debug!(event = %shown(&one.name), what, "an event of an earlier session is broken");
        }
        Ok(())
    }

    /// How many bytes of events wait for handlers.
    pub(in crate::client::task) fn held_bytes(&self) -> usize {
        let streams = self.members().filter_map(|one| one.happened.as_ref());
        let bytes = streams.map(|happened| happened.bytes());
        bytes.fold(self.held_bytes, usize::saturating_add)
    }

    /// Starts hooks of the whole client.
    pub(in crate::client::task) fn tell<T: Clone + Send + 'static>(
        &mut self,
        hooks: impl Fn(&Listeners) -> &Vec<Hook<T>>,
        what: &T,
        cx: &mut Context<'_>,
    ) {
        if let Some(first) = self.first.as_ref().map(Arc::clone) {
            self.start_hooks(&first, hooks, what, cx);
        }
    }

    pub(super) fn start_hooks<T: Clone + Send + 'static>(
        &mut self,
        membership: &Arc<Membership>,
        hooks: impl Fn(&Listeners) -> &Vec<Hook<T>>,
        what: &T,
        cx: &mut Context<'_>,
    ) {
        let Some(owner) = self.owner.upgrade() else {
            return;
        };
        let hooks = hooks(&membership.listeners.lock()).clone();
        let client = Client::new(Arc::clone(membership), owner);
        for hook in hooks {
            let called = catch_unwind(AssertUnwindSafe(|| hook(client.clone(), what.clone())));
            match called {
                Ok(future) => start(&mut self.running, &membership.name, future, cx),
                Err(_) => tracing::error!(namespace = %shown(&membership.name), "a hook panicked"),
            }
        }
    }
}

/// Starts the handlers of an event. What it is asked for, the first one answers. An error: its
/// arguments cannot be read.
pub(super) fn dispatch(
    owner: &Weak<Owner>,
    membership: &Arc<Membership>,
    came: Came,
    name: &str,
    arguments: Arguments<'_>,
    running: &mut Running<Arc<str>>,
    cx: &mut Context<'_>,
) -> Result<(), String> {
    let Some(owner) = owner.upgrade() else {
        return Ok(());
    };
    if let Some(happened) = &membership.happened {
        let args = arguments.decode().map_err(|error| error.to_string())?;
        let name = name.to_owned();
        happened.push(Kept::Event { name, args, came }, arguments.size());
    }
    let matching = membership.listeners.lock().matching(name);
    let client = Client::new(Arc::clone(membership), owner);
    for any in &matching.any {
        let called = catch_unwind(AssertUnwindSafe(|| any(&client, name, arguments)));
        match called {
            Ok(Ok(future)) => start(running, &membership.name, future, cx),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => tracing::error!(event = %shown(name), "a catch-all listener panicked"),
        }
    }
    let mut came = came;
    for handler in &matching.events {
        let called = catch_unwind(AssertUnwindSafe(|| handler(&client, arguments, came)));
        match called {
            Ok(Ok(future)) => start(running, &membership.name, future, cx),
            Ok(Err(ArgumentsError::Mismatch { path, message })) => {
                dispatch::answer_mismatch(&client, name, came, path, &message);
            }
            Ok(Err(error @ ArgumentsError::Syntax(_))) => return Err(error.to_string()),
            Err(_) => tracing::error!(event = %shown(name), "a handler panicked"),
        }
        came.id = None;
    }
    Ok(())
}

fn start(
    running: &mut Running<Arc<str>>,
    namespace: &Arc<str>,
    future: BoxFuture<()>,
    cx: &mut Context<'_>,
) {
    if let Some((namespace, result)) = running.start(Arc::clone(namespace), future, cx) {
        note_end(&namespace, result);
    }
}

fn note_end(namespace: &str, result: Result<(), String>) {
    if let Err(panic) = result {
        tracing::error!(namespace = %shown(namespace), panic = %shown(&panic), "a handler panicked");
    }
}
