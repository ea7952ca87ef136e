//! The directory of names with indices: destinations, or message types.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::recent::{Recent, ShortName};

/// Names with indices: destinations, or message types. Each agent has a clone of its own, which it
/// asks without a lock; only a name that is new to the whole engine takes the lock.
#[derive(Debug, Clone)]
pub struct Directory {
    shared: Arc<Shared>,
    /// What this agent knows already.
    known: HashMap<Arc<str>, u32, ahash::RandomState>,
    recent: Recent,
}

#[derive(Debug)]
struct Shared {
    names: Mutex<Vec<Arc<str>>>,
    /// How many names there are; lets agents see without the lock that they know all.
    count: AtomicUsize,
    max: usize,
    may_create: bool,
}

impl Directory {
    /// Begins with these names; up to `max` are created when they are met, if that is allowed.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>, may_create: bool, max: usize) -> Self {
        let names: Vec<Arc<str>> = names.into_iter().map(Arc::from).collect();
        let count = AtomicUsize::new(names.len());
        let shared = Shared {
            names: Mutex::new(names),
            count,
            max,
            may_create,
        };
        let mut directory = Self {
            shared: Arc::new(shared),
            known: HashMap::default(),
            recent: Recent::default(),
        };
        directory.catch_up();
        directory
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.count.load(Ordering::Acquire)
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of a name, which is created if that is allowed and there is room.
    #[inline(always)]
    pub fn find_or_create(&mut self, name: &str) -> Option<u32> {
        let Some(short) = ShortName::of(name) else {
            return self.look_up_or_create(name);
        };
        if let Some(index) = self.recent.find(short) {
            return Some(index);
        }
        let index = self.look_up_or_create(name)?;
        self.recent.keep(short, index);
        Some(index)
    }

    #[inline(never)]
    fn look_up_or_create(&mut self, name: &str) -> Option<u32> {
        if let Some(&index) = self.known.get(name) {
            return Some(index);
        }
        if self.len() > self.known.len() {
            self.catch_up();
        }
        let found = self.known.get(name).copied();
        let full = self.len() >= self.shared.max;
        if found.is_some() || full || !self.shared.may_create {
            return found;
        }
        self.create(name)
    }

    /// The index of a name, which is created even where that is not allowed: messages wait for it.
    pub fn adopt(&mut self, name: &str) -> u32 {
        if let Some(index) = self.find_or_create(name) {
            return index;
        }
        self.names().push(Arc::from(name));
        self.shared.count.fetch_add(1, Ordering::Release);
        self.catch_up();
        self.known[name]
    }

    /// The name of an index.
    #[must_use]
    pub fn name(&self, index: u32) -> Option<Arc<str>> {
        self.names().get(index as usize).cloned()
    }

    /// All names, in the order of their indices.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<str>> {
        self.names().clone()
    }

    fn create(&mut self, name: &str) -> Option<u32> {
        {
            let mut names = self.names();
            if names.len() < self.shared.max && !names.iter().any(|it| **it == *name) {
                names.push(Arc::from(name));
                // Pairs with the acquire load in `len`; the names themselves are under the lock.
                self.shared.count.store(names.len(), Ordering::Release);
            }
        }
        self.catch_up();
        self.known.get(name).copied()
    }

    fn catch_up(&mut self) {
        let unknown = self.names()[self.known.len()..].to_vec();
        for name in unknown {
            let index = u32::try_from(self.known.len()).expect("`max` keeps indices below 2^32");
            self.known.insert(name, index);
        }
    }

    fn names(&self) -> MutexGuard<'_, Vec<Arc<str>>> {
        // A thread that panicked while pushing a name has left the list whole.
        self.shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_learn_of_names_that_others_created() {
        let mut one = Directory::new(["table1"], true, 3);
        let mut other = one.clone();
        assert_eq!(one.find_or_create("table1"), Some(0));
        assert_eq!(one.find_or_create("table2"), Some(1));
        assert_eq!(other.find_or_create("table2"), Some(1));
        assert_eq!(other.find_or_create("table3"), Some(2));
        assert_eq!(one.find_or_create("table4"), None, "three is the bound");
        assert_eq!(one.name(2).as_deref(), Some("table3"));
    }

    #[test]
    fn a_closed_directory_creates_nothing() {
        let mut directory = Directory::new(["a", "b"], false, 100);
        assert_eq!(directory.find_or_create("c"), None);
        assert_eq!(directory.len(), 2);
    }
}
