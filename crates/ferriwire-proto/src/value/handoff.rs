//! Binary data crosses serde without being copied.
//!
//! Serde passes binary data as a slice, which would cost a copy on either side even where both
//! sides hold [`Bytes`]. So whoever passes a slice lends the buffer behind it for the duration of
//! the call, and whoever receives a slice takes a handle of the lent buffer if the slice is exactly
//! that buffer. The lent buffer lives during the call, therefore an equal address and length
//! mean the same contents.

use std::cell::{Cell, RefCell};
use std::ptr;

use bytes::Bytes;

thread_local! {
    static LENT: RefCell<Option<Bytes>> = const { RefCell::new(None) };
    static CLAIMED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `pass`, which hands the contents of `data` to somebody. Says also whether the receiver
/// shares the buffer.
pub(crate) fn lend<R>(data: &Bytes, pass: impl FnOnce() -> R) -> (R, bool) {
    let restore = Restore {
        lent: LENT.replace(Some(data.clone())),
        claimed: CLAIMED.replace(false),
    };
    let result = pass();
    let claimed = CLAIMED.get();
    drop(restore);
    (result, claimed)
}

/// The contents of `slice`: shared if it is what is being lent, else copied.
pub(crate) fn claim(slice: &[u8]) -> Bytes {
    let shared = LENT.with_borrow(|lent| {
        lent.as_ref()
            .filter(|data| ptr::eq(&***data, slice))
            .cloned()
    });
    CLAIMED.set(shared.is_some());
    shared.unwrap_or_else(|| Bytes::copy_from_slice(slice))
}

/// Puts back what was lent before, also when a user's visitor panics.
struct Restore {
    lent: Option<Bytes>,
    claimed: bool,
}

impl Drop for Restore {
    fn drop(&mut self) {
        LENT.set(self.lent.take());
        CLAIMED.set(self.claimed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lent_slice_is_shared() {
        let data = Bytes::from(vec![1, 2, 3]);
        let other = Bytes::from(vec![1, 2, 3]);
        let check = |slice: &[u8], shares: bool| {
            let (claimed, shared) = lend(&data, || claim(slice));
            assert_eq!((claimed.as_ref(), shared), (slice, shares));
            assert_eq!(claimed.as_ptr() == data.as_ptr(), shares);
        };
        check(&data, true);
        check(&other, false);
        check(data.get(..2).unwrap(), false);
        assert_eq!(LENT.take(), None, "nothing stays behind");
    }

    #[test]
    fn lending_nests_and_survives_a_panic() {
        let (outer, inner) = (Bytes::from(vec![1]), Bytes::from(vec![2]));
        let ((), shared) = lend(&outer, || {
            let panicked = std::panic::catch_unwind(|| lend(&inner, || panic!("a user's visitor")));
            assert!(panicked.is_err());
            assert_eq!(claim(&outer).as_ptr(), outer.as_ptr());
        });
        assert!(shared);
        assert_eq!(LENT.take(), None);
    }
}
