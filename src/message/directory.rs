//! The directory of names with indices: destinations, or message types.
//!
//! All that is asked on the path takes constant time: an agent finds a name that it has met before
//! among those that it knows, without a lock; one that it has not, among all names, under a lock that
//! nobody holds for longer than one such question. Tables have room for all names from the start, so
//! that none grows in a pause. A name keeps its index as long as the engine runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::recent::{Recent, ShortName};
use crate::limits::DESTINATIONS_MAX;

type Indices = HashMap<Arc<str>, u32, ahash::RandomState>;

/// Names with indices: destinations, or message types. Each agent has a clone of its own.
#[derive(Debug)]
pub struct Directory {
    shared: Arc<Shared>,
    /// The names that this agent has met.
    known: Indices,
    recent: Recent,
}

#[derive(Debug)]
struct Shared {
    names: Mutex<Names>,
    /// How many names there are; lets agents see without the lock that they know all.
    count: AtomicUsize,
    max: usize,
    may_create: bool,
}

/// Names for which there is room from the start. Untouched, it costs addresses and no memory.
fn room(may_create: bool, max: usize, there: usize) -> usize {
    // Tools have no bound, and grow.
    let created = if may_create && max <= DESTINATIONS_MAX {
        max
    } else {
        0
    };
    created.max(there)
}

/// All names, by index and by name.
#[derive(Debug)]
struct Names {
    list: Vec<Arc<str>>,
    indices: Indices,
}

impl Names {
    fn with_room(max: usize) -> Self {
        Self {
            list: Vec::with_capacity(max),
            indices: HashMap::with_capacity_and_hasher(max, ahash::RandomState::default()),
        }
    }

    /// The index of a name that is not there yet.
    fn add(&mut self, name: Arc<str>) -> u32 {
        let index = u32::try_from(self.list.len()).expect("`max` keeps indices below 2^32");
        self.list.push(Arc::clone(&name));
        self.indices.insert(name, index);
        index
    }
}

/// One that has met no name, and has room for all.
impl Clone for Directory {
    fn clone(&self) -> Self {
        let room = room(self.shared.may_create, self.shared.max, self.len());
        Self {
            shared: Arc::clone(&self.shared),
            known: HashMap::with_capacity_and_hasher(room, ahash::RandomState::default()),
            recent: Recent::default(),
        }
    }
}

impl Directory {
    /// Begins with these names; up to `max` are created when they are met, if that is allowed.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>, may_create: bool, max: usize) -> Self {
        let mut all = Names::with_room(room(may_create, max, 0));
        for name in names {
            all.add(Arc::from(name));
        }
        let shared = Shared {
            count: AtomicUsize::new(all.list.len()),
            names: Mutex::new(all),
            max,
            may_create,
        };
        Self {
            shared: Arc::new(shared),
            known: HashMap::default(),
            recent: Recent::default(),
        }
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

    /// Whether names are created when they are met: there may be no room for more.
    #[must_use]
    pub fn may_create(&self) -> bool {
        self.shared.may_create
    }

    /// Whether there is no room for more names.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.shared.max
    }

    /// The index of a name.
    #[inline(always)]
    pub fn find(&mut self, name: &str) -> Option<u32> {
        let Some(short) = ShortName::of(name) else {
            return self.look_up(name);
        };
        if let Some(index) = self.recent.find(short) {
            return Some(index);
        }
        let index = self.look_up(name)?;
        self.recent.keep(short, index);
        Some(index)
    }

    /// The index of a name, which is created if that is allowed and there is room.
    #[inline(always)]
    pub fn find_or_create(&mut self, name: &str) -> Option<u32> {
        self.find(name).or_else(|| self.create(name))
    }

    #[inline(never)]
    fn look_up(&mut self, name: &str) -> Option<u32> {
        if let Some(&index) = self.known.get(name) {
            return Some(index);
        }
        if self.len() == self.known.len() {
            return None;
        }
        let names = self.names();
        let (name, &index) = names.indices.get_key_value(name)?;
        let name = Arc::clone(name);
        drop(names);
        self.known.insert(name, index);
        Some(index)
    }

    /// The index of a name, which is created even where that is not allowed: messages wait for it.
    pub fn adopt(&mut self, name: &str) -> u32 {
        match self.find(name) {
            Some(index) => index,
            None => self.add(name, usize::MAX).expect("there is no bound"),
        }
    }

    /// The index of a name that was not found; it is created if that is allowed and there is room.
    #[cold]
    pub fn create(&mut self, name: &str) -> Option<u32> {
        if !self.shared.may_create || self.is_full() {
            return None;
        }
        self.add(name, self.shared.max)
    }

    /// Adds a name, unless somebody did meanwhile or there are `max`.
    fn add(&mut self, name: &str, max: usize) -> Option<u32> {
        let name: Arc<str> = Arc::from(name);
        let mut names = self.names();
        let index = match names.indices.get(&name) {
            Some(&index) => index,
            None if names.list.len() >= max => return None,
            None => names.add(Arc::clone(&name)),
        };
        // Pairs with the acquire load in `len`; the names themselves are under the lock.
        let count = names.list.len();
        self.shared.count.store(count, Ordering::Release);
        drop(names);
        self.known.insert(name, index);
        Some(index)
    }

    /// The name of an index.
    #[must_use]
    pub fn name(&self, index: u32) -> Option<Arc<str>> {
        self.names().list.get(index as usize).cloned()
    }

    /// The names of the lowest indices, so many at most.
    #[must_use]
    pub fn first(&self, count: usize) -> Vec<Arc<str>> {
        self.names().list.iter().take(count).cloned().collect()
    }

    /// Keeps only some of the names, in their order, and gives for each former index the one that it
    /// has now. Only for the start: nobody may have met a name yet.
    pub(crate) fn retain(&mut self, mut is_wanted: impl FnMut(u32) -> bool) -> Vec<Option<u32>> {
        let room = room(self.shared.may_create, self.shared.max, self.len());
        let mut names = self.names();
        let before = std::mem::replace(&mut *names, Names::with_room(room));
        let kept = (0..).zip(before.list);
        let indices = kept
            .map(|(index, name)| is_wanted(index).then(|| names.add(name)))
            .collect();
        self.shared.count.store(names.list.len(), Ordering::Release);
        drop(names);
        (self.known, self.recent) = (HashMap::default(), Recent::default());
        indices
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // A thread that panicked while adding a name has left the list whole.
        self.shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert_eq!(directory.adopt("c"), 2, "messages wait for it");
        assert_eq!(directory.clone().find("c"), Some(2));
    }

    #[test]
    fn what_is_kept_at_start_has_indices_without_holes() {
        let mut directory = Directory::new(["a", "b"], true, 100);
        assert_eq!((directory.adopt("c"), directory.adopt("d")), (2, 3));
        let indices = directory.retain(|index| index != 2);
        assert_eq!(indices, [Some(0), Some(1), None, Some(2)]);
        assert_eq!(directory.find("d"), Some(2));
        assert_eq!((directory.find("c"), directory.len()), (None, 3));
        assert_eq!(directory.find_or_create("c"), Some(3));
        assert_eq!(directory.name(2).as_deref(), Some("d"));
    }

    proptest! {
        #[test]
        fn agents_that_create_names_agree_with_one_table(
            steps in prop::collection::vec((0..3_usize, "[a-d]{1,3}|[a-d]{20}", any::<bool>()), 1..300),
            max in 1..60_usize,
        ) {
            let first = Directory::new(["a"], true, max);
            let mut agents = [first.clone(), first.clone(), first];
            let mut model = vec!["a".to_owned()];
            for (agent, name, creates) in steps {
                let found = match creates {
                    true => agents[agent].find_or_create(&name),
                    false => agents[agent].find(&name),
                };
                let at = model.iter().position(|it| *it == name);
                let at = at.or_else(|| {
                    (creates && model.len() < max).then(|| {
                        model.push(name.clone());
                        model.len() - 1
                    })
                });
                prop_assert_eq!(found, at.map(|it| it as u32));
                prop_assert_eq!(agents[agent].len(), model.len());
                prop_assert_eq!(agents[agent].is_full(), model.len() >= max);
            }
            let names = agents[0].first(usize::MAX);
            prop_assert!(names.iter().map(|it| &**it).eq(model.iter().map(String::as_str)));
        }
    }

    #[test]
    fn a_hundred_thousand_names_grow_no_table() {
        const COUNT: usize = 100_000;
        let mut one = Directory::new([], true, COUNT);
        let mut other = one.clone();
        let mut agent = one.clone();
        let room = |it: &Directory| {
            let names = it.names();
            (
                it.known.capacity(),
                names.list.capacity(),
                names.indices.capacity(),
            )
        };
        let before = room(&agent);
        for number in 0..COUNT {
            let name = format!("table{number}");
            assert_eq!(agent.find_or_create(&name), Some(number as u32));
            // Another agent takes over one name at a time.
            assert_eq!(other.find(&name), Some(number as u32));
            assert_eq!(other.known.len(), number + 1);
        }
        assert_eq!(room(&agent), before);
        assert_eq!(one.find("table7"), Some(7));
    }
}
