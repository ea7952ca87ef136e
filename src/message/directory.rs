//! The directory of names with indices: destinations, or message types.
//!
//! An agent finds a name that it has met before among those that it knows, without a lock and in
//! constant time; one that it has not, among all names, under a lock that nobody holds for longer
//! than one such question. Tables have room for all names from the start, so that none grows in a
//! pause.
//!
//! A name keeps its index until it is retired. All agents that ask for names take part in that: each
//! [forgets](Directory::forget) the name before it goes, and is not told its index meanwhile. So no
//! agent takes an index for the name that had it before.

mod creation;
mod names;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::creation::Creation;
pub use self::names::Found;
pub(crate) use self::names::Placed;
use self::names::{Created, Indices, Names};
use super::recent::{Recent, ShortName};
use crate::limits::{DESTINATIONS_MAX, INDICES_PER_NAME};

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
    figures: Figures,
    max: usize,
}

/// What is asked of all names without the lock. Stored under it, with release; the acquire loads in
/// the directory's methods pair with that.
#[derive(Debug, Default)]
struct Figures {
    /// How many names there are; lets agents see that they know all.
    count: AtomicUsize,
    /// Indices that have or had a name.
    len: AtomicUsize,
    /// Indices that no new name can have.
    used: AtomicUsize,
    /// Indices that have a name, of closed ones too.
    named: AtomicUsize,
    /// Indices that there may be.
    indices_max: AtomicUsize,
    /// Names are created, all or some.
    may_create: AtomicBool,
    /// The number of the next name.
    next_number: AtomicU64,
}

impl Figures {
    fn store(&self, names: &Names) {
        self.count.store(names.count(), Ordering::Release);
        self.len.store(names.len(), Ordering::Release);
        self.used.store(names.used(), Ordering::Release);
        self.named.store(names.named(), Ordering::Release);
        self.indices_max.store(names.indices_max, Ordering::Release);
        (self.may_create).store(names.creation.allows_any(), Ordering::Release);
        (self.next_number).store(names.next_number(), Ordering::Release);
    }
}

/// Names for which there is room from the start, for a reload may say that they are created. Untouched, it
/// costs addresses and no memory.
fn room(max: usize, there: usize) -> usize {
    // Tools have no bound, and grow.
    match max <= DESTINATIONS_MAX {
        true => there.max(INDICES_PER_NAME * max),
        false => there,
    }
}

/// One that has met no name, and has room for all.
impl Clone for Directory {
    fn clone(&self) -> Self {
        let room = room(self.shared.max, self.len());
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
        let mut all = Names::new(room(max, 0), INDICES_PER_NAME.saturating_mul(max));
        if may_create {
            all.creation = Creation::All;
        }
        for name in names {
            all.adopt(Arc::from(name));
        }
        let shared = Shared {
            figures: Figures::default(),
            names: Mutex::new(all),
            max,
        };
        let directory = Self {
            shared: Arc::new(shared),
            known: HashMap::default(),
            recent: Recent::default(),
        };
        directory.shared.figures.store(&directory.names());
        directory
    }

    /// The same, with names that are created so.
    #[must_use]
    pub(crate) fn creating(self, creation: Creation) -> Self {
        let mut names = self.names();
        names.creation = creation;
        self.shared.figures.store(&names);
        drop(names);
        self
    }

    /// How many names there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.figures.count.load(Ordering::Acquire)
    }

    /// How many indices have or had a name: all are below.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.figures.len.load(Ordering::Acquire)
    }

    /// Whether there never was a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many indices there may be: what is sized by them has so many places.
    pub(crate) fn indices_max(&self) -> usize {
        self.shared.figures.indices_max.load(Ordering::Acquire)
    }

    /// Whether this name is created when it is met: there may be no room for more.
    #[must_use]
    pub fn may_create_this(&self, name: &str) -> bool {
        // The patterns are compared without the lock.
        let creation = || self.names().creation.clone();
        self.may_create() && creation().allows(name)
    }

    /// Whether names are created when they are met, all or some: there may be no room for more.
    #[must_use]
    pub fn may_create(&self) -> bool {
        self.shared.figures.may_create.load(Ordering::Acquire)
    }

    /// Whether there is no room for more names, or no index: names that are closed keep theirs.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let used = self.shared.figures.used.load(Ordering::Acquire);
        self.count() >= self.shared.max || used >= self.indices_max()
    }

    /// Whether names take more than half of the room, or of the indices, without so many of them.
    pub(crate) fn is_over_half_full(&self, without: usize) -> bool {
        let used = self.shared.figures.used.load(Ordering::Acquire);
        let room = INDICES_PER_NAME * self.shared.max;
        2 * self.count().saturating_sub(without) > self.shared.max
            || 2 * used.saturating_sub(without) > room
    }

    /// Whether one more name may go when so many may be about to: their indices are not free at once,
    /// and others need [`INDICES_PER_NAME`] of them at most.
    pub(crate) fn may_retire(&self, retiring: usize) -> bool {
        let used = self.shared.figures.used.load(Ordering::Acquire);
        let named = self.shared.figures.named.load(Ordering::Acquire);
        used.saturating_sub(named) + retiring < self.shared.max
    }

    /// The number of the next name that is created.
    pub(crate) fn next_number(&self) -> u64 {
        self.shared.figures.next_number.load(Ordering::Acquire)
    }

    /// The name with the lowest number from `first` on.
    pub(crate) fn next_created(&self, first: u64) -> Option<Created> {
        self.names().next_created(first)
    }

    /// The index of a name.
    #[inline(always)]
    pub fn find(&mut self, name: &str) -> Option<u32> {
        self.look(name).index()
    }

    /// What is known of a name.
    #[inline(always)]
    pub fn look(&mut self, name: &str) -> Found {
        let Some(short) = ShortName::of(name) else {
            return self.look_up(name);
        };
        if let Some(index) = self.recent.find(short) {
            return Found::At(index);
        }
        let found = self.look_up(name);
        if let Found::At(index) = found {
            self.recent.keep(short, index);
        }
        found
    }

    /// The index of a name, which is created if that is allowed and there is room.
    #[inline(always)]
    pub fn find_or_create(&mut self, name: &str) -> Option<u32> {
        self.look_or_create(name).index()
    }

    /// What is known of a name, which is created if that is allowed and there is room.
    #[inline(always)]
    pub fn look_or_create(&mut self, name: &str) -> Found {
        match self.look(name) {
            Found::Nowhere => self.create(name),
            found => found,
        }
    }

    #[inline(never)]
    fn look_up(&mut self, name: &str) -> Found {
        if let Some(&index) = self.known.get(name) {
            return Found::At(index);
        }
        if self.count() == self.known.len() {
            return Found::Nowhere;
        }
        let names = self.names();
        let (found, name) = names.find(name);
        let name = name.cloned();
        drop(names);
        if let (Found::At(index), Some(name)) = (found, name) {
            self.known.insert(name, index);
        }
        found
    }

    /// The index of a name, which is created even where that is not allowed: messages wait for it, or a
    /// rule names it. Destinations are adopted at the start only.
    pub fn adopt(&mut self, name: &str) -> u32 {
        if let Found::At(index) = self.look(name) {
            return index;
        }
        let name: Arc<str> = Arc::from(name);
        let mut names = self.names();
        let index = match names.find(&name).0 {
            Found::At(index) => index,
            _ => names.adopt(Arc::clone(&name)),
        };
        self.shared.figures.store(&names);
        drop(names);
        self.known.insert(name, index);
        index
    }

    /// A name that was not found is created if that is allowed and there is room.
    #[cold]
    pub fn create(&mut self, name: &str) -> Found {
        if !self.may_create_this(name) || self.is_full() {
            return Found::Nowhere;
        }
        let name: Arc<str> = Arc::from(name);
        let mut names = self.names();
        let index = match names.find(&name).0 {
            Found::At(index) => index,
            Found::Retiring => return Found::Retiring,
            // Others may have come meanwhile, or a reload that creates it no more.
            Found::Nowhere if !names.may_add(&name, self.shared.max) => return Found::Nowhere,
            Found::Nowhere => names.add(Arc::clone(&name)),
        };
        self.shared.figures.store(&names);
        drop(names);
        self.known.insert(name, index);
        Found::At(index)
    }

    /// The name of an index; of one whose name is gone, that one.
    #[must_use]
    pub fn name(&self, index: u32) -> Option<Arc<str>> {
        self.names().name(index).cloned()
    }

    /// Whether an index has a name that is not about to go.
    pub(crate) fn is_live(&self, index: u32) -> bool {
        self.names().is_live(index)
    }

    /// The oldest names, so many at most.
    #[must_use]
    pub fn first(&self, count: usize) -> Vec<Arc<str>> {
        let names = self.names();
        let first = names.in_order().take(count);
        first.map(|(_, name)| Arc::clone(name)).collect()
    }

    /// The name of this index may be about to go: from now on nobody is told the index, until
    /// [`Self::keep`] or [`Self::retire`]. Who knows it still does, until it forgets it. `false`: it
    /// stays, for the settings name it.
    pub(crate) fn begin_retiring(&self, index: u32) -> bool {
        self.names().begin_retiring(index)
    }

    /// The index that a name of the settings to come has or gets. Where messages create no such names, a new
    /// one is found only from [`Self::configure`] on.
    pub(crate) fn place(&self, name: &str) -> Placed {
        let mut names = self.names();
        let placed = names.place(name);
        self.shared.figures.store(&names);
        placed
    }

    /// The settings name these now, and these stay. The others that messages may not create are not found
    /// any more; returns those that were until now. Who knows one still does, until it forgets it.
    pub(crate) fn configure(&self, is_configured: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut names = self.names();
        let closed = names.configure(is_configured);
        self.shared.figures.store(&names);
        closed
    }

    /// The same, and these are created from now on.
    pub(crate) fn configure_creating(
        &self,
        creation: Creation,
        is_configured: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let mut names = self.names();
        names.creation = creation;
        let closed = names.configure(is_configured);
        self.shared.figures.store(&names);
        closed
    }

    /// The name of this index stays.
    pub(crate) fn keep(&self, index: u32) {
        self.names().keep(index);
    }

    /// The name of this index is gone: all who ask for names have forgotten it. Nobody gets the
    /// index before [`Self::release`].
    pub(crate) fn retire(&self, index: u32) {
        let mut names = self.names();
        names.retire(index);
        self.shared.figures.store(&names);
    }

    /// Another name may have this index.
    pub(crate) fn release(&self, index: u32) {
        let mut names = self.names();
        names.release(index);
        self.shared.figures.store(&names);
    }

    /// Forgets the name of this index, which may be about to go.
    pub(crate) fn forget(&mut self, index: u32) {
        let Some(name) = self.name(index) else {
            return;
        };
        self.known.remove(&name);
        if let Some(short) = ShortName::of(&name) {
            self.recent.forget(short);
        }
    }

    /// Keeps only some of the names, in their order, and gives for each former index the one that it
    /// has now. Only for the start: nobody may have met a name yet, and none is retired.
    pub(crate) fn retain(&mut self, mut is_wanted: impl FnMut(u32) -> bool) -> Vec<Option<u32>> {
        let room = room(self.shared.max, self.len());
        let indices_max = INDICES_PER_NAME.saturating_mul(self.shared.max);
        let mut names = self.names();
        let mut after = Names::new(room, indices_max);
        after.creation = names.creation.clone();
        let before = std::mem::replace(&mut *names, after);
        let kept = before.in_order();
        let indices = kept
            .map(|(index, name)| is_wanted(index).then(|| names.adopt(Arc::clone(name))))
            .collect();
        self.shared.figures.store(&names);
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
mod tests;
