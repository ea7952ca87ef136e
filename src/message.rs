//! The words for a message's parts, and the directory of names with indices.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A message's place in the one unified stream: from 1, no holes.
pub type Sequence = u64;

/// Index of a source: a configured server, or a connection that dialled in.
pub type SourceIndex = u32;

/// Index of a destination in the [`crate::message::Directory`].
pub type DestinationIndex = u32;

/// Index of a message type; the last one stands for all that found no place.
pub type TypeIndex = u16;

/// Effective priority, 1 = most urgent.
pub type Level = u8;

/// Why a line was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Reason {
    /// Longer than `max_line`.
    Oversize,
    /// Not UTF-8.
    BadUtf8,
    /// Not JSON, or nested deeper than [`crate::limits::NESTING_MAX`].
    BadJson,
    /// JSON, but no object.
    NotAnObject,
    /// A top-level key stands there twice.
    DuplicateField,
    /// A required field is absent.
    MissingField,
    /// A field has the wrong type, length or range.
    BadField,
    /// No such destination.
    UnknownDestination,
    /// As many messages wait for its destination as may, and the settings say to reject then.
    QueueFull,
}

impl Reason {
    /// All reasons, in the order in which they are checked.
    pub const ALL: [Reason; 9] = [
        Reason::Oversize,
        Reason::BadUtf8,
        Reason::BadJson,
        Reason::NotAnObject,
        Reason::DuplicateField,
        Reason::MissingField,
        Reason::BadField,
        Reason::UnknownDestination,
        Reason::QueueFull,
    ];

    /// The name that users see.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Reason::Oversize => "oversize",
            Reason::BadUtf8 => "bad_utf8",
            Reason::BadJson => "bad_json",
            Reason::NotAnObject => "not_an_object",
            Reason::DuplicateField => "duplicate_field",
            Reason::MissingField => "missing_field",
            Reason::BadField => "bad_field",
            Reason::UnknownDestination => "unknown_destination",
            Reason::QueueFull => "queue_full",
        }
    }
}

/// Names with indices: destinations, or message types. Each agent has a clone of its own, which it
/// asks without a lock; only a name that is new to the whole engine takes the lock.
#[derive(Debug, Clone)]
pub struct Directory {
    shared: Arc<Shared>,
    /// What this agent knows already.
    known: HashMap<Arc<str>, u32, ahash::RandomState>,
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
    pub fn find_or_create(&mut self, name: &str) -> Option<u32> {
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
