//! Entries with small numbers that are used again.

/// So many entries are next to each other. A list that doubles moves all of them each time, under a
/// lock, and leaves as much memory behind.
const CHUNK: usize = 64;

/// A list whose entries keep their index, and their place, until they are removed. Its memory is used
/// again, and given back with the last entry.
#[derive(Debug)]
pub(super) struct Slab<T> {
    /// All but the last one are full.
    chunks: Vec<Vec<Option<T>>>,
    vacant: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            vacant: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, entry: T) -> u32 {
        if let Some(index) = self.vacant.pop()
            && let Some(place) = self.place_mut(index)
        {
            *place = Some(entry);
            return index;
        }
        let index = index(self.places());
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(Some(entry)),
            None => {
                // Most lists have a few entries only.
                let capacity = if self.chunks.is_empty() { 1 } else { CHUNK };
                let mut chunk = Vec::with_capacity(capacity);
                chunk.push(Some(entry));
                self.chunks.push(chunk);
            }
        }
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let entry = self.place_mut(index)?.take()?;
        self.vacant.push(index);
        if self.vacant.len() == self.places() {
            *self = Self::new();
        }
        Some(entry)
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let index = position(index);
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.place_mut(index)?.as_mut()
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Option<T>> {
        let index = position(index);
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    /// How many entries there are or were.
    fn places(&self) -> usize {
        self.chunks.last().map_or(0, |last| {
            let full = self.chunks.len() - 1;
            full * CHUNK + last.len()
        })
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A position in a list as the number that is stored for it.
pub(super) fn index(position: usize) -> u32 {
    u32::try_from(position).expect("memory ends long before 2^32 entries of one shard")
}

/// A stored number as the position that it means.
pub(super) const fn position(index: u32) -> usize {
    index as usize
}
