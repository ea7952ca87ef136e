//! The bucketed priority queues: what waits for each destination, and which message goes next.
//!
//! The dispatcher pushes recorded messages and pops what the subscribers' credit allows. A message
//! is the index of the caller's slot. The front of a long lane waits packed, in the cold store
//! ([`cold`]), without a slot: it is given one when it is popped. Nothing here knows frames,
//! sources or subscribers.
//!
//! ```text
//! destination x level                                        across destinations, for each level
//! +---------------------------------------------------+
//! | requeued       \ own: in the caller's order;      |     bitmap of the destinations that are
//! | native         / by timestamp, then FIFO          |     open and have a message here,
//! | requeued aged  \ moved up from less urgent levels:|     served in turn
//! | aged           / in the caller's order; FIFO      |
//! +---------------------------------------------------+
//! ```
//! Within a level, own messages go before aged ones, and requeued ones before the others. While
//! aged ones wait, one of them goes after every `NATIVE_PER_AGED` own ones: an urgent message
//! overtakes an aged backlog, and the backlog still moves on. A requeued message returns its turn.
//!
//! **Order.** Messages of one source, destination and level never overtake each other, if the
//! source's timestamps never go back (see `clamp_timestamp`): native lanes keep their order;
//! ageing takes from the front; requeued messages go to the level of their age, before all that was
//! never dispatched.

mod ageing;
pub mod cold;
mod deadlines;
mod eviction;
mod lane;
mod links;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_tests;
pub(crate) mod ready;
mod serving;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::limits::{AGENTS_MAX, LEVELS_MAX};
use crate::message::timestamp::clamp_timestamp;
use crate::message::{DestinationIndex, Level};
use cold::{ColdMessage, ColdStore, SlotStore};
use deadlines::Deadlines;
use lane::Lane;
use links::{Links, List, NONE, Node, Sorted};
use ready::{GROUPS_MAX, Group, GroupSet, Ready};
use table::Tables;

/// What waits for one destination at one level and was never dispatched: 32 bytes.
#[derive(Debug, Clone, Copy)]
struct Cell {
    native: Lane,
    aged: List,
    /// Messages that wait, requeued ones too.
    len: u32,
    /// The timestamp behind this cell's deadline; no message here that may move up is older.
    /// `NEVER`: no deadline.
    timed_ms: u64,
}

const NEVER: u64 = u64::MAX;

impl Cell {
    const EMPTY: Self = Self {
        native: Lane::EMPTY,
        aged: List::EMPTY,
        len: 0,
        timed_ms: NEVER,
    };
}

/// Messages that were requeued for one destination and level.
#[derive(Debug, Clone, Copy)]
struct Requeued {
    /// At the level that they were pushed with.
    native: Sorted,
    /// Moved up since.
    aged: Sorted,
}

impl Requeued {
    const EMPTY: Self = Self {
        native: Sorted::EMPTY,
        aged: Sorted::EMPTY,
    };

    fn is_empty(&self) -> bool {
        self.native.is_empty() && self.aged.is_empty()
    }
}

#[derive(Debug, Clone, Copy)]
struct Destination {
    /// By level: own messages served in a row while aged ones waited.
    streaks: [u8; LEVELS_MAX],
    /// Levels with a message, one bit each.
    occupied: u8,
    /// Levels with a requeued message, one bit each.
    requeued: u8,
    /// Levels with a cold message, one bit each.
    cold: u8,
    /// The group that it is served in; [`CLOSED`]: it may not be served.
    group: Group,
}

/// No group.
const CLOSED: Group = Group::MAX;

const _: () = assert!(GROUPS_MAX <= CLOSED as usize);

impl Destination {
    const EMPTY: Self = Self {
        streaks: [0; LEVELS_MAX],
        occupied: 0,
        requeued: 0,
        cold: 0,
        group: CLOSED,
    };

    #[inline]
    fn is_open(&self) -> bool {
        self.group != CLOSED
    }
}

/// The lanes of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pick {
    Requeued,
    Native,
    RequeuedAged,
    Aged,
}

/// A message on its way out of a lane.
#[derive(Debug, Clone, Copy)]
enum Taken {
    Hot(u32),
    Cold(ColdMessage),
}

/// All queues of a scheduler. Levels are counted from 1 outside, from 0 within.
#[derive(Debug)]
pub struct Queues {
    levels: usize,
    wait_ms: [u64; LEVELS_MAX],
    destinations: Vec<Destination>,
    /// By destination, then level.
    cells: Vec<Cell>,
    /// As `cells`.
    requeued: Vec<Requeued>,
    cold_store: ColdStore,
    links: Links,
    tables: Tables,
    ready: Ready,
    deadlines: Deadlines,
    now_ms: u64,
    len_at: [usize; LEVELS_MAX],
}

impl Queues {
    /// Empty queues; every destination is closed. `max_wait` is by level; what it lacks, and zero,
    /// never moves up.
    ///
    /// # Panics
    /// `levels` is not 1 to [`LEVELS_MAX`].
    #[must_use]
    pub fn new(levels: usize, destinations: usize, max_wait: &[Duration]) -> Self {
        assert!((1..=LEVELS_MAX).contains(&levels), "levels are 1 to 8");
        let mut wait_ms = [0; LEVELS_MAX];
        for (wait_ms, wait) in wait_ms.iter_mut().zip(max_wait).skip(1) {
            *wait_ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(NEVER);
        }
        let mut queues = Self {
            levels,
            wait_ms,
            destinations: Vec::new(),
            cells: Vec::new(),
            requeued: Vec::new(),
            cold_store: ColdStore::default(),
            links: Links::default(),
            tables: Tables::default(),
            ready: Ready::new(levels),
            deadlines: Deadlines::default(),
            now_ms: 0,
            len_at: [0; LEVELS_MAX],
        };
        queues.grow(destinations);
        queues
    }

    /// Serves the destinations by so many delivery agents, of which some may be passed over.
    ///
    /// # Panics
    /// There are more than [`AGENTS_MAX`].
    pub(crate) fn served_by(mut self, agents: usize) -> Self {
        assert!(agents <= AGENTS_MAX, "each agent has a group");
        self.ready.set_agents(agents);
        self
    }

    /// Makes room for the destinations below `destinations`; new ones are closed.
    pub(crate) fn grow(&mut self, destinations: usize) {
        if destinations <= self.destinations.len() {
            return;
        }
        let cells = destinations * self.levels;
        assert!(cells < NONE as usize, "cells are counted in 32 bits");
        self.destinations.resize(destinations, Destination::EMPTY);
        self.cells.resize(cells, Cell::EMPTY);
        self.deadlines.grow(cells);
        self.cold_store.grow(cells);
        self.requeued.resize(cells, Requeued::EMPTY);
        self.ready.grow(destinations);
    }

    /// Reserves memory for so many destinations, so that creating one never moves a table.
    pub(crate) fn with_room_for(mut self, destinations: usize) -> Self {
        let room = |len: usize, count: usize| count.saturating_sub(len);
        let cells = destinations * self.levels;
        let len = self.destinations.len();
        self.destinations.reserve_exact(room(len, destinations));
        self.cells.reserve_exact(room(self.cells.len(), cells));
        self.requeued
            .reserve_exact(room(self.requeued.len(), cells));
        self.deadlines.reserve(cells);
        self
    }

    /// Reserves memory for the slots below `slots`.
    pub fn reserve_slots(&mut self, slots: usize) {
        self.links.grow(slots);
    }

    /// Queues the message in `slot`, whose timestamp was clamped for the same `now_ms`.
    #[inline]
    pub fn push(
        &mut self,
        destination: DestinationIndex,
        level: Level,
        slot: u32,
        timestamp_ms: u64,
        now_ms: u64,
    ) {
        let level0 = usize::from(level) - 1;
        self.now_ms = self.now_ms.max(now_ms);
        let timestamp_ms = clamp_timestamp(timestamp_ms, 0, self.now_ms);
        self.links.put(slot, Node::new(timestamp_ms, level0));
        let at = self.cell_at(destination, level0);
        let (cell, links, tables) = (&mut self.cells[at], &mut self.links, &mut self.tables);
        let is_first = cell.native.push(links, tables, slot, self.now_ms);
        if is_first && timestamp_ms < cell.timed_ms {
            self.retime(destination, level0);
        }
        self.enter(destination, level0);
    }

    /// Takes the next message of all destinations that may be served: the most urgent level first,
    /// the destinations of a level in turn.
    ///
    /// Returns its destination, its slot, and the level that it is served at: 1 is the most urgent, and
    /// an aged message is above its own. `None`: nothing waits that may be served.
    #[inline]
    pub fn pop_ready(
        &mut self,
        slots: &mut impl SlotStore,
    ) -> Option<(DestinationIndex, u32, Level)> {
        self.pop_ready_except(0, slots)
    }

    /// The same without the destinations of the groups in `passed_over`, a bit a group: those of delivery
    /// agents whose ring is full. **This decides which message goes next**, of all. A message from the
    /// cold store gets a slot from `slots`.
    #[inline]
    pub fn pop_ready_except(
        &mut self,
        passed_over: GroupSet,
        slots: &mut impl SlotStore,
    ) -> Option<(DestinationIndex, u32, Level)> {
        let (level0, destination) = self.ready.next(passed_over)?;
        self.ready.serve(destination, level0);
        let destination = destination as DestinationIndex;
        let slot = self.serve(destination, level0, slots);
        Some((destination, slot, level0 as Level + 1))
    }

    /// Lets the destination be served, in this group. The first groups are those of the delivery
    /// agents.
    pub fn open(&mut self, destination: DestinationIndex, group: Group) {
        if self.destinations[destination as usize].group == group {
            return;
        }
        self.close(destination);
        let entry = &mut self.destinations[destination as usize];
        entry.group = group;
        for level0 in bits(entry.occupied) {
            self.ready.set(destination as usize, level0, group);
        }
    }

    /// Keeps the destination from being served.
    pub(crate) fn close(&mut self, destination: DestinationIndex) {
        let entry = self.destinations[destination as usize];
        if entry.is_open() {
            for level0 in bits(entry.occupied) {
                self.ready.clear(destination as usize, level0, entry.group);
            }
            self.destinations[destination as usize].group = CLOSED;
        }
    }

    /// The name of a destination is gone, for which no message waits.
    pub(crate) fn remove_destination(&mut self, destination: DestinationIndex) {
        assert_eq!(self.len_of(destination), 0, "nothing waits for it");
        self.close(destination);
        self.destinations[destination as usize] = Destination::EMPTY;
    }

    /// A closed group for a subscriber of very many destinations; `None`: all are in use.
    pub(crate) fn take_group(&mut self, agent: u16) -> Option<Group> {
        self.ready.take_group(agent)
    }

    /// Takes back a group without open destinations.
    pub(crate) fn give_back_group(&mut self, group: Group) {
        self.ready.give_back_group(group);
    }

    /// Lets a group's destinations be served, or not, in constant time.
    pub(crate) fn set_group_open(&mut self, group: Group, open: bool) {
        self.ready.set_group_open(group, open);
    }

    /// The groups of a delivery agent.
    #[inline]
    pub(crate) fn groups_of(&self, agent: u16) -> GroupSet {
        self.ready.groups_of(agent)
    }

    /// Messages that wait for the destination.
    pub(crate) fn len_of(&self, destination: DestinationIndex) -> usize {
        let by_level = self.len_by_level(destination);
        by_level.iter().map(|&count| count as usize).sum()
    }

    /// The same by level.
    pub(crate) fn len_by_level(&self, destination: DestinationIndex) -> [u32; LEVELS_MAX] {
        let mut by_level = [0; LEVELS_MAX];
        let first = self.cell_at(destination, 0);
        let cells = &self.cells[first..first + self.levels];
        for (count, cell) in by_level.iter_mut().zip(cells) {
            *count = cell.len;
        }
        by_level
    }

    /// Messages that wait in the cold store.
    pub(crate) fn len_cold(&self) -> usize {
        self.cold_store.len()
    }

    /// Messages that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len_at.iter().sum()
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`Queues::pop_ready`] would find a message.
    pub(crate) fn has_ready(&self) -> bool {
        self.ready.has_any()
    }

    #[inline]
    fn cell_at(&self, destination: DestinationIndex, level0: usize) -> usize {
        debug_assert!(level0 < self.levels);
        destination as usize * self.levels + level0
    }
}

/// The numbers of the bits that are set.
fn bits(mask: u8) -> impl Iterator<Item = usize> {
    (0..LEVELS_MAX).filter(move |&bit| mask >> bit & 1 == 1)
}
