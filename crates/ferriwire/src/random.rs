//! Randomness for ids, which are drawn by the thousand when many clients connect: asked for in larger
//! pieces, because each is a system call.

use std::cell::RefCell;

/// What an id is made of.
pub(crate) const ID: usize = 15;

/// How many ids a thread draws at a time. Few, because what is drawn and not used is a secret in memory.
const DRAWN: usize = 32;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; DRAWN * ID], used: DRAWN * ID }) };
}

struct Pool {
    bytes: [u8; DRAWN * ID],
    used: usize,
}

/// Bytes of the operating system, of which nobody else gets any.
pub(crate) fn id_bytes() -> Result<[u8; ID], getrandom::Error> {
    POOL.with_borrow_mut(Pool::take)
}

impl Pool {
    fn take(&mut self) -> Result<[u8; ID], getrandom::Error> {
        if self.rest().is_none() {
            getrandom::fill(&mut self.bytes)?;
            self.used = 0;
        }
        let mut id = [0; ID];
        if let Some(rest) = self.rest() {
            // Nothing of an id stays behind.
            id.swap_with_slice(rest);
            self.used += ID;
        }
        Ok(id)
    }

    /// The next ones, if there are any.
    fn rest(&mut self) -> Option<&mut [u8]> {
        self.bytes.get_mut(self.used..)?.get_mut(..ID)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_ids_are_made_of_the_same_bytes_and_none_stays_in_memory() {
        let drawn = || -> Vec<_> { (0..3 * DRAWN + 1).map(|_| id_bytes().unwrap()).collect() };
        let mut ids = drawn();
        ids.extend(std::thread::spawn(drawn).join().unwrap());
        let distinct: HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(!distinct.contains(&[0; ID]));
        POOL.with_borrow(|pool| {
            assert_eq!(pool.used, ID);
            assert_eq!(pool.bytes[..ID], [0; ID]);
        });
    }
}
