//! Development mode: says once per mistake what is wrong and what to do about it.

mod similar;

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::similar::closest;
use crate::shown::shown;

/// How many different mistakes are remembered. Clients can make up names, and with them mistakes;
/// beyond this nothing more is said.
const MAX_MISTAKES: usize = 1_024;

/// How many hints are given in each [`WINDOW`]. What is left out is said when it happens again.
const MAX_IN_WINDOW: u32 = 20;

const WINDOW: Duration = Duration::from_secs(10);

/// What was said so far.
pub(crate) struct Hints {
    hasher: RandomState,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    /// Hashes of the mistakes, because their names may be long.
    mistakes: HashSet<u64>,
    window: Option<Instant>,
    in_window: u32,
}

/// What somebody did wrong: the program, or a client that does not fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mistake<'a> {
    NoHandler {
        namespace: &'a str,
        event: &'a str,
    },
    /// The payload is not what the handler takes.
    Mismatch {
        namespace: &'a str,
        event: &'a str,
        path: &'a str,
        expected: &'a str,
    },
    UnknownNamespace(&'a str),
    /// A page of this origin was refused.
    ForeignOrigin(&'a str),
    /// A client of revision 3 was refused.
    Revision3,
    /// A handler let its `Ack` go without an answer.
    Unanswered {
        namespace: &'a str,
        event: &'a str,
    },
}

impl Hints {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            said: Mutex::default(),
        }
    }

    /// Says what to do, unless that was said before. `names` are those that may have been meant.
    pub(crate) fn say<N: AsRef<str>>(&self, mistake: Mistake<'_>, names: &[N]) {
        let now = tokio::time::Instant::now().into_std();
        if !self.is_new(&mistake, now) {
            return;
        }
        let meant = mistake.name().and_then(|name| closest(name, names));
        let advice = Advice { mistake, meant };
        tracing::warn!(target: "ferriwire::hint", "{advice}");
    }

    fn is_new(&self, mistake: &Mistake<'_>, now: Instant) -> bool {
        let hash = self.hasher.hash_one(mistake);
        let mut said = self.said.lock();
        if said.mistakes.contains(&hash) || said.mistakes.len() >= MAX_MISTAKES {
            return false;
        }
        let is_fresh = said
            .window
            .is_none_or(|begun| now.saturating_duration_since(begun) >= WINDOW);
        if is_fresh {
            said.window = Some(now);
            said.in_window = 0;
        }
        if said.in_window >= MAX_IN_WINDOW {
            return false;
        }
        said.in_window += 1;
        said.mistakes.insert(hash)
    }
}

impl fmt::Debug for Hints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hints").finish_non_exhaustive()
    }
}

impl<'a> Mistake<'a> {
    /// What may be misspelt.
    fn name(&self) -> Option<&'a str> {
        match *self {
            Self::NoHandler { event, .. } => Some(event),
            Self::UnknownNamespace(name) => Some(name),
            Self::Mismatch { .. }
            | Self::ForeignOrigin(_)
            | Self::Revision3
            | Self::Unanswered { .. } => None,
        }
    }
}

struct Advice<'a> {
    mistake: Mistake<'a>,
    meant: Option<&'a str>,
}

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistake {
            Mistake::NoHandler { namespace, event } => {
                let (event, namespace) = (shown(event), shown(namespace));
                write!(f, "no handler for `{event}` on `{namespace}`")?;
                self.or_meant(f, "declare one with `Namespace::on`")
            }
            Mistake::Mismatch {
                namespace,
                event,
                path,
                expected,
            } => {
                let (event, namespace) = (shown(event), shown(namespace));
                let (path, expected) = (shown(path), shown(expected));
                write!(
                    f,
                    "the payload of `{event}` on `{namespace}` does not fit its handler: {expected} at `{path}`; \
                     change the type of the `Event`, or what the client sends"
                )
            }
            Mistake::UnknownNamespace(name) => {
                write!(f, "there is no namespace `{}`", shown(name))?;
                self.or_meant(f, "add it with `Server::namespace`")
            }
            Mistake::ForeignOrigin(origin) => write!(
                f,
                "a page of the origin `{}` was refused; allow it with `Config::origins`",
                shown(origin)
            ),
            Mistake::Revision3 => f.write_str(
                "a client of Engine.IO 3 (Socket.IO 1.x or 2.x) was refused; update it, or serve such \
                 clients with `Config::allow_eio3`",
            ),
            Mistake::Unanswered { namespace, event } => write!(
                f,
                "a handler of `{}` on `{}` dropped its `Ack`, and the client waits for the answer; \
                 call `Ack::send` on every way out",
                shown(event),
                shown(namespace)
            ),
        }
    }
}

impl Advice<'_> {
    fn or_meant(&self, f: &mut fmt::Formatter<'_>, otherwise: &str) -> fmt::Result {
        match self.meant {
            Some(meant) => write!(f, "; did you mean `{}`?", shown(meant)),
            None => write!(f, "; {otherwise}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRONG: Mistake<'_> = Mistake::NoHandler {
        namespace: "/",
        event: "mesage",
    };

    #[test]
    fn a_mistake_is_new_once() {
        let (hints, now) = (Hints::new(), Instant::now());
        assert!(hints.is_new(&WRONG, now));
        assert!(!hints.is_new(&WRONG, now + WINDOW * 2));
        assert!(hints.is_new(&Mistake::UnknownNamespace("mesage"), now));
    }

    #[test]
    fn names_that_clients_make_up_are_bounded_in_rate_and_memory() {
        let (hints, mut now) = (Hints::new(), Instant::now());
        let mut said = 0;
        for window in 0..200 {
            for index in 0..100 {
                let name = format!("/{window}/{index}");
                said += usize::from(hints.is_new(&Mistake::UnknownNamespace(&name), now));
            }
            assert!(said <= (window + 1) * MAX_IN_WINDOW as usize);
            now += WINDOW;
        }
        assert_eq!(said, MAX_MISTAKES);
        assert_eq!(hints.said.lock().mistakes.len(), MAX_MISTAKES);
    }

    #[test]
    fn what_was_left_out_is_said_when_it_happens_again() {
        let (hints, now) = (Hints::new(), Instant::now());
        for index in 0..MAX_IN_WINDOW {
            let name = index.to_string();
            assert!(hints.is_new(&Mistake::UnknownNamespace(&name), now));
        }
        assert!(!hints.is_new(&WRONG, now));
        assert!(hints.is_new(&WRONG, now + WINDOW));
    }

    #[test]
    fn advice_says_what_was_meant_or_what_to_do() {
        let advice = |meant| Advice {
            mistake: WRONG,
            meant,
        };
        let expected = "no handler for `mesage` on `/`; did you mean `message`?";
        assert_eq!(advice(Some("message")).to_string(), expected);
        let expected = "no handler for `mesage` on `/`; declare one with `Namespace::on`";
        assert_eq!(advice(None).to_string(), expected);
    }
}
