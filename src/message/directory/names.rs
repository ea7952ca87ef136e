//! All names of a directory, by index and by name: what its clones share, under their lock.
//!
//! ```text
//! Live --begin_retiring--> Retiring --retire--> Vacant --release--> free for another name
//!  ^-----------keep-----------'
//! ```
//! Names of the settings stay. Where messages create none, those that a reload has taken out are closed:
//! nobody finds them, they keep their index for what waits, and go when nothing does.
//!
//! Names are numbered as they are created. A number never comes again, an index does: who goes
//! through new names goes by numbers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::creation::Creation;
use crate::limits::INDICES_PER_NAME;

pub(super) type Indices = HashMap<Arc<str>, u32, ahash::RandomState>;

/// What becomes of a name that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Its index.
    At(u32),
    /// It may be about to go: whoever asks again soon is told.
    Retiring,
    /// It is not there; to whoever asked to create it: nor may it be.
    Nowhere,
}

impl Found {
    /// The index; `None`: there is none now.
    #[inline]
    #[must_use]
    pub fn index(self) -> Option<u32> {
        match self {
            Self::At(index) => Some(index),
            Self::Retiring | Self::Nowhere => None,
        }
    }
}

/// Where a name of the settings is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    At(u32),
    /// It may be about to go: whoever asks again soon is told.
    Retiring,
    /// There is no index for it.
    NoRoom,
}

/// A name, as it is met by whoever goes through all of them.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) number: u64,
    pub(crate) index: u32,
    pub(crate) name: Arc<str>,
    pub(crate) is_retiring: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    /// Its agents are asked whether it may go.
    Retiring,
    /// The name is gone; the index is not free yet, or it is in the list of the free ones.
    Vacant,
}

#[derive(Debug)]
struct Entry {
    /// Of a vacant index the last one.
    name: Arc<str>,
    number: u64,
    state: State,
    /// The settings name it: it stays.
    is_configured: bool,
    /// Nobody finds it: the settings name it no more, or not yet.
    is_closed: bool,
}

/// See the module. Invariant: the names in `indices` and the numbers in `by_number` are those of
/// the entries that are not vacant, but that those of closed ones are not in `by_number`; the indices
/// in `free` are vacant; no closed name may be created.
#[derive(Debug)]
pub(super) struct Names {
    entries: Vec<Entry>,
    pub(super) indices: Indices,
    by_number: BTreeMap<u64, u32>,
    free: Vec<u32>,
    next_number: u64,
    /// How many are closed.
    closed: usize,
    /// Which names are created when they are met.
    pub(super) creation: Creation,
    /// How many indices there may be.
    pub(super) indices_max: usize,
}

impl Names {
    /// None, with room for so many.
    pub(super) fn new(max: usize, indices_max: usize) -> Self {
        Self {
            entries: Vec::with_capacity(max),
            indices: HashMap::with_capacity_and_hasher(max, ahash::RandomState::default()),
            by_number: BTreeMap::new(),
            free: Vec::with_capacity(max),
            next_number: 0,
            closed: 0,
            creation: Creation::None,
            indices_max,
        }
    }

    /// Names that there are, closed ones not counted.
    pub(super) fn count(&self) -> usize {
        self.indices.len() - self.closed
    }

    /// Indices that have or had a name.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Names that there are, closed ones too.
    pub(super) fn named(&self) -> usize {
        self.indices.len()
    }

    /// Indices that no new name can have.
    pub(super) fn used(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The number of the next name.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// What is known of a name, and the name as it is kept here.
    pub(super) fn find(&self, name: &str) -> (Found, Option<&Arc<str>>) {
        let Some((name, &index)) = self.indices.get_key_value(name) else {
            return (Found::Nowhere, None);
        };
        let entry = &self.entries[index as usize];
        match entry.state {
            _ if entry.is_closed => (Found::Nowhere, None),
            State::Live => (Found::At(index), Some(name)),
            _ => (Found::Retiring, None),
        }
    }

    /// Whether a name that nobody finds may be created, where there may be `max`.
    pub(super) fn may_add(&self, name: &str, max: usize) -> bool {
        self.count() < max && self.has_index() && self.creation.allows(name)
    }

    fn has_index(&self) -> bool {
        !self.free.is_empty() || self.entries.len() < self.indices_max
    }

    /// The index of a name that is there from the start: there is room for as many more.
    pub(super) fn adopt(&mut self, name: Arc<str>) -> u32 {
        let index = self.add(name);
        let needed = INDICES_PER_NAME.saturating_mul(self.entries.len());
        self.indices_max = self.indices_max.max(needed);
        index
    }

    /// The index of a name that is not there yet.
    pub(super) fn add(&mut self, name: Arc<str>) -> u32 {
        debug_assert!(!self.indices.contains_key(&name), "{name} is there");
        let number = self.next_number;
        self.next_number += 1;
        let entry = Entry {
            name: Arc::clone(&name),
            number,
            state: State::Live,
            is_configured: false,
            is_closed: false,
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("`max` keeps indices below 2^32")
            }
        };
        self.indices.insert(name, index);
        self.by_number.insert(number, index);
        index
    }

    /// The name of an index; of a vacant one the last.
    pub(super) fn name(&self, index: u32) -> Option<&Arc<str>> {
        self.entries.get(index as usize).map(|it| &it.name)
    }

    /// Whether an index has a name that is not about to go.
    pub(super) fn is_live(&self, index: u32) -> bool {
        let entry = self.entries.get(index as usize);
        entry.is_some_and(|it| it.state == State::Live)
    }

    /// The names in the order of their creation.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (u32, &Arc<str>)> {
        let indices = self.by_number.values();
        indices.map(|&index| (index, &self.entries[index as usize].name))
    }

    /// The name with the lowest number from `first` on.
    pub(super) fn next_created(&self, first: u64) -> Option<Created> {
        let (&number, &index) = self.by_number.range(first..).next()?;
        let entry = &self.entries[index as usize];
        Some(Created {
            number,
            index,
            name: Arc::clone(&entry.name),
            is_retiring: entry.state == State::Retiring,
        })
    }

    /// The index that a name of the settings has or gets; one that is new and may not be created is closed
    /// for now.
    pub(super) fn place(&mut self, name: &str) -> Placed {
        if let Some(&index) = self.indices.get(name) {
            let entry = &mut self.entries[index as usize];
            if entry.state == State::Retiring {
                return Placed::Retiring;
            }
            entry.is_configured = true;
            return Placed::At(index);
        }
        if !self.has_index() {
            return Placed::NoRoom;
        }
        let index = self.add(Arc::from(name));
        self.entries[index as usize].is_configured = true;
        if !self.creation.allows(name) {
            self.close(index);
        }
        Placed::At(index)
    }

    /// The settings name these now. Of the others nobody finds those that may not be created, whatever
    /// waits for them; returns those that this has closed.
    pub(super) fn configure(&mut self, configured: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut closed = Vec::new();
        for index in 0..self.len() as u32 {
            let is_configured = configured(index);
            let entry = &mut self.entries[index as usize];
            if entry.state == State::Vacant {
                continue;
            }
            entry.is_configured = is_configured;
            let is_open = is_configured || self.creation.allows(&entry.name);
            match (is_open, entry.is_closed) {
                (true, true) => self.open(index),
                (false, false) => {
                    self.close(index);
                    closed.push(index);
                }
                _ => {}
            }
        }
        closed
    }

    /// Nobody finds the name. What waits for it stays.
    fn close(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.is_closed = true;
        self.by_number.remove(&entry.number);
        self.closed += 1;
    }

    /// It is found again, as a new one is.
    fn open(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.is_closed = false;
        entry.number = self.next_number;
        self.by_number.insert(self.next_number, index);
        self.next_number += 1;
        self.closed -= 1;
    }

    /// The name may be about to go: nobody is told its index. `false`: the settings name it.
    pub(super) fn begin_retiring(&mut self, index: u32) -> bool {
        if self.entries[index as usize].is_configured {
            return false;
        }
        self.change(index, State::Live, State::Retiring);
        true
    }

    /// It stays.
    pub(super) fn keep(&mut self, index: u32) {
        self.change(index, State::Retiring, State::Live);
    }

    /// The name is gone.
    pub(super) fn retire(&mut self, index: u32) {
        self.change(index, State::Retiring, State::Vacant);
        let entry = &mut self.entries[index as usize];
        self.indices.remove(&entry.name);
        self.by_number.remove(&entry.number);
        self.closed -= usize::from(std::mem::take(&mut entry.is_closed));
    }

    /// Another name may have the index.
    pub(super) fn release(&mut self, index: u32) {
        debug_assert!(!self.free.contains(&index), "it is released once");
        self.change(index, State::Vacant, State::Vacant);
        self.free.push(index);
    }

    /// For how many names there is room.
    #[cfg(test)]
    pub(super) fn capacities(&self) -> [usize; 3] {
        [
            self.entries.capacity(),
            self.indices.capacity(),
            self.free.capacity(),
        ]
    }

    fn change(&mut self, index: u32, from: State, to: State) {
        let entry = &mut self.entries[index as usize];
        assert_eq!(entry.state, from, "{index} becomes {to:?}");
        entry.state = to;
    }
}
