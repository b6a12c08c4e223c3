//! Entries with small numbers that are used again.

/// A list whose entries keep their index until they are removed. Its memory is used again, and
/// given back with the last entry.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Option<T>>,
    vacant: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            vacant: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, entry: T) -> u32 {
        if let Some(index) = self.vacant.pop()
            && let Some(place) = self.entries.get_mut(position(index))
        {
            *place = Some(entry);
            return index;
        }
        let index = index(self.entries.len());
        self.entries.push(Some(entry));
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let entry = self.entries.get_mut(position(index))?.take()?;
        self.vacant.push(index);
        if self.vacant.len() == self.entries.len() {
            *self = Self::new();
        }
        Some(entry)
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.entries.get(position(index))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entries.get_mut(position(index))?.as_mut()
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
