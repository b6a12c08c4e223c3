//! Events that come before the answer to CONNECT: the server's middleware may send them, and what was
//! missed comes there as well.

use std::collections::VecDeque;

use super::Violation;
use crate::codec::{Arguments, OwnedArguments};
use crate::packet::AckId;

/// An event that outlives the message in which it came.
#[derive(Debug)]
pub struct EarlyEvent {
    /// Present when the server waits for an acknowledgement.
    pub id: Option<AckId>,
    /// The event's name.
    pub name: Box<str>,
    /// What follows the name.
    pub arguments: OwnedArguments,
}

impl EarlyEvent {
    pub(super) fn new(id: Option<AckId>, name: &str, arguments: &Arguments<'_>) -> Self {
        Self {
            id,
            name: name.into(),
            arguments: arguments.to_owned(),
        }
    }

    /// With something for each event, so that empty ones are bounded, too.
    fn size(&self) -> usize {
        let arguments = self.arguments.as_arguments().size();
        arguments
            .saturating_add(self.name.len())
            .saturating_add(size_of::<Self>())
    }
}

/// Those of one namespace, in order.
#[derive(Debug, Default)]
pub(super) struct Early {
    events: VecDeque<EarlyEvent>,
    bytes: usize,
}

impl Early {
    pub(super) fn keep(&mut self, event: EarlyEvent, limit: usize) -> Result<(), Violation> {
        self.bytes = self.bytes.saturating_add(event.size());
        if self.bytes > limit {
            return Err(Violation::TooMuchEarly { limit });
        }
        self.events.push_back(event);
        Ok(())
    }

    pub(super) fn take(&mut self) -> Option<EarlyEvent> {
        self.events.pop_front()
    }
}
