//! Where a client's randomness comes from: the operating system, or a seed in tests.

/// How much is drawn at a time. Little, because each client keeps it.
const POOL: usize = 64;

/// Randomness that a server cannot guess, unless it is seeded.
pub(crate) struct Random {
    pool: [u8; POOL],
    used: usize,
    /// The state of a generator, for tests that need the same numbers each time.
    seeded: Option<u64>,
}

impl Random {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            pool: [0; POOL],
            used: POOL,
            seeded: seed,
        }
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u32 {
        u32::from_ne_bytes(self.bytes())
    }

    /// The key of a WebSocket frame.
    pub(crate) fn mask(&mut self) -> [u8; 4] {
        self.bytes()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            if self.used >= POOL {
                self.fill();
            }
            if let Some(drawn) = self.pool.get_mut(self.used) {
                std::mem::swap(byte, drawn);
            }
            self.used += 1;
        }
        bytes
    }

    fn fill(&mut self) {
        self.used = 0;
        match &mut self.seeded {
            Some(state) => {
                for chunk in self.pool.chunks_exact_mut(8) {
                    chunk.copy_from_slice(&split_mix(state).to_le_bytes());
                }
            }
            None => getrandom::fill(&mut self.pool)
                .expect("an operating system without randomness cannot run programs that need it"),
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_and_none_gives_others() {
        let drawn = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.number()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(Some(1)), drawn(Some(1)));
        assert_ne!(drawn(Some(1)), drawn(Some(2)));
        assert_ne!(drawn(None), drawn(None));
    }
}
