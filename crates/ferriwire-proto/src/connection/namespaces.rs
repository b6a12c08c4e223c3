//! Which namespaces a client has joined, is joining, or has left.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;

use super::Config;

/// The name of the main namespace.
const MAIN: &str = "/";

/// A namespace on one connection. Small, and used again after the namespace was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(super) u32);

impl Key {
    /// Its place in a table of the connection's namespaces.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Why a client may not even try to join a namespace. What it displays is the message for the
/// client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has joined as many as it may.
    TooManyNamespaces {
        /// How many that is.
        limit: usize,
    },
    /// The name is longer than it may be, or contains control characters.
    InvalidName,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyNamespaces { limit } => write!(f, "limit of {limit} namespaces reached"),
            // What the reference says of every namespace that it does not have.
            Self::InvalidName => f.write_str("Invalid namespace"),
        }
    }
}

/// All namespaces of one client. There are few, so they are searched one by one.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    /// By key.
    members: Vec<Option<Member>>,
    /// Names of the latest ones that were left and not joined again, the oldest first: as many as may
    /// be joined.
    #[expect(
        clippy::box_collection,
        reason = "most clients leave none, and pay for one pointer"
    )]
    left: Option<Box<VecDeque<Name>>>,
}

/// Most clients join the main namespace alone, whose name needs no memory.
#[derive(Debug)]
pub(super) struct Name(Option<Box<str>>);

impl Name {
    /// The main namespace's name is known, so it is not compared by a call.
    #[inline]
    fn is(&self, name: &str) -> bool {
        match &self.0 {
            None => name == MAIN,
            Some(own) => **own == *name,
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self((name != MAIN).then(|| name.into()))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_deref().unwrap_or(MAIN)
    }
}

#[derive(Debug)]
struct Member {
    name: Name,
    accepted: bool,
}

/// How a client stands to a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Stranger,
    Joining,
    Joined(Key),
    Left,
}

impl Namespaces {
    /// Makes the client join a namespace to which it is a stranger, or which it has left.
    pub(super) fn join(&mut self, name: &str, config: &Config) -> Result<Key, Refusal> {
        if name.len() > config.max_namespace_name || name.chars().any(char::is_control) {
            return Err(Refusal::InvalidName);
        }
        let limit = config.max_namespaces;
        let joined = self.members.iter().flatten().count();
        if joined >= limit {
            return Err(Refusal::TooManyNamespaces { limit });
        }
        let free = self.members.iter().position(Option::is_none);
        let index = free.unwrap_or(self.members.len());
        let key = Key(u32::try_from(index).map_err(|_| Refusal::TooManyNamespaces { limit })?);
        let member = Some(Member {
            name: name.into(),
            accepted: false,
        });
        match self.members.get_mut(index) {
            Some(place) => *place = member,
            None => {
                // Most clients join one namespace, and would pay for four.
                self.members.reserve_exact(1);
                self.members.push(member);
            }
        }
        if let Some(names) = &mut self.left {
            names.retain(|left| **left != *name);
        }
        Ok(key)
    }

    /// Says whether there was somebody to accept.
    pub(super) fn accept(&mut self, key: Key) -> bool {
        let member = self.members.get_mut(key.index()).and_then(Option::as_mut);
        member.is_some_and(|member| {
            member.accepted = true;
            true
        })
    }

    /// Makes the client a stranger again.
    pub(super) fn forget(&mut self, key: Key) -> Option<Name> {
        let member = self.members.get_mut(key.index())?.take()?;
        Some(member.name)
    }

    /// Takes the client out.
    pub(super) fn leave(&mut self, key: Key, config: &Config) {
        let Some(name) = self.forget(key) else {
            return;
        };
        let left = self.left.get_or_insert_default();
        if left.len() >= config.max_namespaces {
            left.pop_front();
        }
        left.push_back(name);
    }

    pub(super) fn standing(&self, name: &str) -> Standing {
        for (index, member) in (0..).zip(&self.members) {
            match member {
                Some(member) if member.name.is(name) && member.accepted => {
                    return Standing::Joined(Key(index));
                }
                Some(member) if member.name.is(name) => return Standing::Joining,
                Some(_) | None => {}
            }
        }
        match &self.left {
            Some(left) if left.iter().any(|left| left.is(name)) => Standing::Left,
            Some(_) | None => Standing::Stranger,
        }
    }

    pub(super) fn name(&self, key: Key) -> Option<&str> {
        let member = self.members.get(key.index())?.as_ref()?;
        Some(&member.name)
    }
}
