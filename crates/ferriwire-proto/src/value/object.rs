//! Objects: named values in one piece of memory.

use std::collections::BTreeMap;
use std::fmt;
use std::slice;
use std::vec;

use super::Value;

/// Named values, sorted by name. Of values with the same name the last one counts, as in
/// JavaScript.
///
/// One allocation whatever its size, made for being read, written out and passed on: looking a name
/// up takes logarithmic time, and adding single ones to a large object moves those behind it.
///
/// # Examples
///
/// ```
/// use ferriwire_proto::value::{Object, Value};
///
/// let mut user = Object::from([("name", "ann".into()), ("city", "Berlin".into())]);
/// assert_eq!(user.get("name"), Some(&Value::from("ann")));
/// assert_eq!(user.insert("age", 30), None);
/// assert!(user.keys().eq(["age", "city", "name"]));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Object {
    /// Strictly ascending by name.
    entries: Vec<(String, Value)>,
}

impl Object {
    /// An object without entries, and without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.find(name).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    /// The value of that name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let at = self.find(name).ok()?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Whether there is a value of that name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Sets a value, and returns the one that had the name before.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        match self.find(&name) {
            Ok(at) => {
                let (_, there) = self.entries.get_mut(at)?;
                Some(std::mem::replace(there, value))
            }
            Err(at) => {
                self.entries.insert(at, (name, value));
                None
            }
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.find(name).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// Keeps the entries of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.entries.retain_mut(|(name, value)| keep(name, value));
    }

    /// The entries, in the order of their names.
    pub fn iter(&self) -> Iter<'_> {
        self.entries.iter().map(as_pair)
    }

    /// The names, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(name, _)| &**name)
    }

    /// The values, in the order of their names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The values alone, in the order of their names.
    pub fn into_values(self) -> impl ExactSizeIterator<Item = Value> {
        self.entries.into_iter().map(|(_, value)| value)
    }

    /// Takes entries in any order.
    pub(crate) fn from_entries(mut entries: Vec<(String, Value)>) -> Self {
        if !entries.is_sorted_by(|(before, _), (after, _)| before < after) {
            // Stable, so that the last one of a name stands last.
            entries.sort_by(|(before, _), (after, _)| before.cmp(after));
            entries.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    std::mem::swap(&mut later.1, &mut kept.1);
                }
                same
            });
        }
        Self { entries }
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|(there, _)| (**there).cmp(name))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The entries of an [`Object`], in the order of their names.
pub type Iter<'a> = std::iter::Map<
    slice::Iter<'a, (String, Value)>,
    fn(&'a (String, Value)) -> (&'a str, &'a Value),
>;

fn as_pair((name, value): &(String, Value)) -> (&str, &Value) {
    (name, value)
}

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a str, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        Self::from_entries(entries.map(|(name, value)| (name.into(), value)).collect())
    }
}

impl<K: Into<String>, const N: usize> From<[(K, Value); N]> for Object {
    fn from(entries: [(K, Value); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl From<BTreeMap<String, Value>> for Object {
    fn from(entries: BTreeMap<String, Value>) -> Self {
        // Sorted already.
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_values_with_one_name_the_last_one_counts() {
        let entries = [("b", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5)];
        let object: Object = entries.map(|(name, value)| (name, value.into())).into();
        assert_eq!(object, Object::from([("a", 4.into()), ("b", 5.into())]));
    }

    proptest! {
        /// Whatever is done to it, it is what a `BTreeMap` would be.
        #[test]
        fn it_is_a_sorted_map(
            start in prop::collection::vec(("[a-e]{0,2}", any::<u8>()), 0..12),
            steps in prop::collection::vec((0_u8..4, "[a-e]{0,2}", any::<u8>()), 0..24),
        ) {
            let mut object: Object = start.clone().into_iter().map(|(name, value)| (name, value.into())).collect();
            let mut model: BTreeMap<String, Value> =
                start.into_iter().map(|(name, value)| (name, value.into())).collect();
            for (step, name, value) in steps {
                match step {
                    0 => prop_assert_eq!(
                        object.insert(name.as_str(), value),
                        model.insert(name, value.into())
                    ),
                    1 => prop_assert_eq!(object.remove(&name), model.remove(&name)),
                    2 => prop_assert_eq!(object.get(&name), model.get(&name)),
                    _ => {
                        object.retain(|kept, _| kept != name);
                        model.retain(|kept, _| *kept != name);
                    }
                }
                prop_assert!(object.iter().eq(model.iter().map(|(name, value)| (&**name, value))));
            }
            prop_assert_eq!(object, Object::from(model));
        }
    }
}
