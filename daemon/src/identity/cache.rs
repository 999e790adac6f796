//! What was found out at first sight, bounded. Two generations: when the younger one is full the elder is forgotten, and whoever
//! was asked for meanwhile has moved over.

use std::{collections::HashMap, hash::Hash, mem};

/// A bounded memory.
pub(super) struct Cache<K, V> {
    /// Of both generations together.
    bound: usize,
    young: HashMap<K, V, foldhash::fast::RandomState>,
    old: HashMap<K, V, foldhash::fast::RandomState>,
    forgotten: u64,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, young: HashMap::default(), old: HashMap::default(), forgotten: 0 }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= (self.bound / 2).max(1) {
            let old = mem::replace(&mut self.old, mem::take(&mut self.young));
            self.forgotten += old.len() as u64;
        }
        self.young.insert(key, value);
    }

    /// Entries that were forgotten for want of room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_asked_for() {
        let mut cache = Cache::new(10);
        for n in 0..1_000 {
            cache.insert(n, n);
            assert_eq!(cache.get(&0), Some(0), "asked for each time");
            assert!(cache.len() <= 10);
        }
        assert_eq!((cache.get(&1), cache.get(&999)), (None, Some(999)));
        assert_eq!(cache.forgotten() as usize, 1_000 - cache.len());
    }
}
