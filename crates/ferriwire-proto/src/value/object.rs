//! Objects: named values in one piece of memory.

use std::collections::BTreeMap;
use std::fmt;
use std::slice;
use std::vec;

use super::Value;

/// Up to so many entries names are compared one by one, which is cheaper than to keep them in order.
const FEW: usize = 8;

/// Named values, in the order in which they came, as in JavaScript. Of values with the same name the
/// last one counts.
///
/// One allocation for its entries, made for being read, written out and passed on. A large object that
/// came from somewhere else is sorted aside, so that looking a name up takes logarithmic time; once it
/// is changed name by name, that takes linear time.
///
/// # Examples
///
/// ```
/// use ferriwire_proto::value::{Object, Value};
///
/// let mut user = Object::from([("name", "ann".into()), ("city", "Berlin".into())]);
/// assert_eq!(user.get("name"), Some(&Value::from("ann")));
/// assert_eq!(user.insert("age", 30), None);
/// assert!(user.keys().eq(["name", "city", "age"]));
/// ```
#[derive(Clone, Default)]
pub struct Object {
    /// No two have the same name.
    entries: Vec<(String, Value)>,
    /// The places of the entries in the order of their names, if there are many and nothing was changed.
    sorted: Option<Box<[u32]>>,
}

impl Object {
    /// An object without entries, and without an allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            sorted: None,
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
        let at = self.find(name)?;
        self.entries.get(at).map(|(_, value)| value)
    }

    /// The value of that name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let at = self.find(name)?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Whether there is a value of that name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets a value, and returns the one that had the name before, whose place it takes.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        if let Some(there) = self.get_mut(&name) {
            return Some(std::mem::replace(there, value));
        }
        self.sorted = None;
        self.entries.push((name, value));
        None
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.find(name)?;
        self.sorted = None;
        Some(self.entries.remove(at).1)
    }

    /// Keeps the entries of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.sorted = None;
        self.entries.retain_mut(|(name, value)| keep(name, value));
    }

    /// The entries, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.entries.iter().map(as_pair)
    }

    /// The names, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(name, _)| &**name)
    }

    /// The values, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The values alone, in order.
    pub fn into_values(self) -> impl ExactSizeIterator<Item = Value> {
        self.entries.into_iter().map(|(_, value)| value)
    }

    /// Takes entries of which some may have the same name.
    pub(crate) fn from_entries(entries: Vec<(String, Value)>) -> Self {
        if entries.len() > FEW {
            return Self::from_many(entries);
        }
        let repeats = entries.iter().enumerate().any(|(at, (name, _))| {
            let before = entries.iter().take(at);
            before.into_iter().any(|(earlier, _)| earlier == name)
        });
        if repeats {
            return Self::from_many(entries);
        }
        Self {
            entries,
            sorted: None,
        }
    }

    /// The same for any number of entries.
    #[cold]
    fn from_many(entries: Vec<(String, Value)>) -> Self {
        let mut sorted: Vec<u32> = (0..).take(entries.len()).collect();
        let name = |at: &u32| entries.get(*at as usize).map(|(name, _)| name);
        // Stable, so that the last one of a name stands last.
        sorted.sort_by(|one, other| name(one).cmp(&name(other)));
        let repeats = |pair: &[u32]| matches!(pair, [one, next] if name(one) == name(next));
        if !sorted.windows(2).any(repeats) {
            return Self {
                sorted: (entries.len() > FEW).then(|| sorted.into()),
                entries,
            };
        }
        // The value of the last one stands where the first one stood, as in JavaScript.
        let mut values: Vec<Option<(String, Value)>> = entries.into_iter().map(Some).collect();
        let mut kept: Option<u32> = None;
        for at in sorted {
            let Some(entry) = values.get_mut(at as usize).and_then(Option::take) else {
                continue;
            };
            let first = kept.and_then(|first| values.get_mut(first as usize)?.as_mut());
            match first {
                Some(first) if first.0 == entry.0 => *first = entry,
                Some(_) | None => {
                    if let Some(place) = values.get_mut(at as usize) {
                        *place = Some(entry);
                    }
                    kept = Some(at);
                }
            }
        }
        Self::from_entries(values.into_iter().flatten().collect())
    }

    fn find(&self, name: &str) -> Option<usize> {
        let Some(sorted) = &self.sorted else {
            return self.entries.iter().position(|(there, _)| there == name);
        };
        let there = |at: &u32| self.entries.get(*at as usize).map(|(name, _)| &**name);
        let found = sorted.binary_search_by(|at| there(at).cmp(&Some(name)));
        let at = found.ok().and_then(|found| sorted.get(found));
        at.map(|at| *at as usize)
    }
}

/// Whatever the order.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(name, value)| other.get(name) == Some(value))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The entries of an [`Object`], in order.
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
        entries.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_values_with_one_name_the_last_one_counts_where_the_first_one_stood() {
        let numbered = |names: &[&str]| -> Object {
            let entries = names.iter().zip(1..);
            entries
                .map(|(name, number)| (*name, Value::from(number)))
                .collect()
        };
        let seen = |object: &Object| -> Vec<(String, Option<i64>)> {
            let entries = object.iter();
            entries
                .map(|(name, value)| (name.to_owned(), value.as_i64()))
                .collect()
        };
        let few = numbered(&["b", "a", "b", "a", "b"]);
        assert_eq!(seen(&few), [("b".into(), Some(5)), ("a".into(), Some(4))]);
        let many = numbered(&["x", "h", "g", "f", "x", "e", "d", "c", "b", "a", "x"]);
        assert_eq!(many.len(), 9);
        assert!(
            many.keys()
                .eq(["x", "h", "g", "f", "e", "d", "c", "b", "a"])
        );
        assert_eq!(many.get("x"), Some(&Value::from(11)));
    }

    #[test]
    fn a_large_object_is_found_in_and_compared_whatever_its_order() {
        let names: Vec<String> = (0..2_000)
            .map(|number| format!("{}", number * 7 % 2_000))
            .collect();
        let object: Object = names
            .iter()
            .map(|name| (name.as_str(), Value::from(name.as_str())))
            .collect();
        let backwards: Object = names
            .iter()
            .rev()
            .map(|name| (name.as_str(), Value::from(name.as_str())))
            .collect();
        assert!(object.keys().eq(names.iter().map(|name| &**name)));
        assert!(
            names
                .iter()
                .all(|name| object.get(name).and_then(Value::as_str) == Some(name))
        );
        assert_eq!(object.get("2000"), None);
        assert_eq!(object, backwards);
    }

    proptest! {
        /// Whatever is done to it, it is what a `BTreeMap` would be, but for the order.
        #[test]
        fn it_is_a_map(
            start in prop::collection::vec(("[a-e]{0,2}", any::<u8>()), 0..24),
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
                prop_assert_eq!(object.len(), model.len());
                prop_assert!(model.iter().all(|(name, value)| object.get(name) == Some(value)));
            }
            prop_assert_eq!(object, Object::from(model));
        }
    }
}
