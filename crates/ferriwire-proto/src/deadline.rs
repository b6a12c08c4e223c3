//! Deadlines, of which there may be none.

use std::time::Instant;

/// The one that comes first, if there is any. It is asked for at every turn of a connection, mostly of
/// deadlines that do not exist.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use ferriwire_proto::deadline::sooner;
///
/// let now = Instant::now();
/// let later = now + Duration::from_secs(1);
/// assert_eq!(sooner(Some(later), Some(now)), Some(now));
/// assert_eq!(sooner(None, Some(later)), Some(later));
/// assert_eq!(sooner(None, None), None);
/// ```
#[must_use]
#[inline]
pub fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
