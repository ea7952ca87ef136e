//! The bucketed priority queues: what waits for each destination, and which message goes next.
//!
//! The dispatcher pushes recorded messages and pops what the subscribers' credit allows. A message is
//! the index of the caller's slot. The front of a long lane waits packed, in the cold store ([`cold`]),
//! without a slot: it is given one when it is popped. Nothing here knows frames, sources or
//! subscribers.
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
//! Within a level, own messages go before aged ones, and requeued ones before the others. While aged
//! ones wait, one of them goes after every `NATIVE_PER_AGED` own ones: an urgent message overtakes an
//! aged backlog, and the backlog still moves on. A requeued message returns its turn.
//!
//! **Order.** Messages of one source, destination and level never overtake each other, if the source's
//! timestamps never go back (see [`clamp_timestamp`]): native lanes keep their order; ageing takes from
//! the front; requeued messages go to the level of their age, before all that was never dispatched.

mod ageing;
pub mod cold;
mod deadlines;
mod eviction;
mod lane;
mod links;
#[cfg(test)]
mod model;
mod serving;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::limits::{AGENTS_MAX, LEVELS_MAX};
use crate::message::timestamp::clamp_timestamp;
use crate::message::{DestinationIndex, Level, Sequence};
use crate::scheduler::bitmap::Bitmap;
use cold::{ColdMessage, ColdStore, Kind, SlotStore};
use deadlines::Deadlines;
use lane::Lane;
use links::{Links, List, NONE, Node, Sorted};
use table::Tables;

/// What waits for one destination at one level and was never dispatched: 32 bytes.
#[derive(Debug, Clone, Copy)]
struct Cell {
    native: Lane,
    aged: List,
    /// Own ones served in a row while aged ones waited.
    streak: u32,
    /// The timestamp behind this cell's deadline; no message here that may move up is older.
    /// `NEVER`: no deadline.
    timed_ms: u64,
}

const NEVER: u64 = u64::MAX;

impl Cell {
    const EMPTY: Self = Self {
        native: Lane::EMPTY,
        aged: List::EMPTY,
        streak: 0,
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
    /// Messages that wait, at all levels.
    len: u32,
    /// Levels with a message, one bit each.
    occupied: u8,
    /// Levels with a requeued message, one bit each.
    requeued: u8,
    /// Levels with a cold message, one bit each.
    cold: u8,
    /// The delivery agent that it is served by; [`CLOSED`]: it may not be served.
    agent: u8,
}

/// No delivery agent.
const CLOSED: u8 = u8::MAX;

const _: () = assert!(AGENTS_MAX <= u64::BITS as usize && AGENTS_MAX <= CLOSED as usize);

impl Destination {
    const EMPTY: Self = Self {
        len: 0,
        occupied: 0,
        requeued: 0,
        cold: 0,
        agent: CLOSED,
    };

    #[inline]
    fn is_open(&self) -> bool {
        self.agent != CLOSED
    }
}

/// The destinations that can be served at one level.
#[derive(Debug)]
struct Ready {
    destinations: Bitmap,
    /// The same for each delivery agent; empty with a single one, whose are all.
    by_agent: Vec<Bitmap>,
    /// Where the next turn begins.
    cursor: usize,
}

impl Ready {
    /// The destination whose turn is next, of those whose agents are not in the set `passed_over`.
    fn next_except(&self, passed_over: u64) -> Option<usize> {
        let agents = self.by_agent.iter().enumerate();
        let served = agents.filter(|(agent, _)| passed_over >> agent & 1 == 0);
        let firsts = served.filter_map(|(_, ready)| ready.next_cyclic(self.cursor));
        firsts.min_by_key(|&destination| (destination < self.cursor, destination))
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

/// The message that would be popped next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// One with a slot.
    Slot(u32),
    /// One without a slot, by its sequence.
    Cold(Sequence),
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
    ready: Vec<Ready>,
    /// Levels with a destination that can be served, one bit each.
    ready_levels: u8,
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
        let ready = |_| Ready {
            destinations: Bitmap::new(0),
            by_agent: Vec::new(),
            cursor: 0,
        };
        let mut queues = Self {
            levels,
            wait_ms,
            destinations: Vec::new(),
            cells: Vec::new(),
            requeued: Vec::new(),
            cold_store: ColdStore::default(),
            links: Links::default(),
            tables: Tables::default(),
            ready: (0..levels).map(ready).collect(),
            ready_levels: 0,
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
    #[must_use]
    pub fn served_by(mut self, agents: usize) -> Self {
        assert!(agents <= AGENTS_MAX, "agents are counted in a word");
        let of_each = if agents > 1 { agents } else { 0 };
        for ready in &mut self.ready {
            ready.by_agent = vec![Bitmap::new(self.destinations.len()); of_each];
        }
        self
    }

    /// Makes room for the destinations below `destinations`; new ones are closed.
    pub fn grow(&mut self, destinations: usize) {
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
        for ready in &mut self.ready {
            ready.destinations.grow(destinations);
            ready
                .by_agent
                .iter_mut()
                .for_each(|it| it.grow(destinations));
        }
    }

    /// Reserves memory for so many destinations, so that creating one never moves a table.
    #[must_use]
    pub fn with_room_for(mut self, destinations: usize) -> Self {
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
        self.destinations[destination as usize].len += 1;
        self.enter(destination, level0);
    }

    /// The destination's message that would be popped next.
    #[must_use]
    pub fn peek(&self, destination: DestinationIndex) -> Option<(Next, Level)> {
        let level0 = self.first_level0(destination)?;
        let at = self.cell_at(destination, level0);
        let (cold, slot) = match self.pick(destination, level0) {
            Pick::Requeued => (None, self.requeued[at].native.head()),
            Pick::Native => (Some(Kind::Native), self.cells[at].native.head),
            Pick::RequeuedAged => (None, self.requeued[at].aged.head()),
            Pick::Aged => (Some(Kind::Aged), self.cells[at].aged.head),
        };
        let cold = cold.and_then(|kind| self.cold_store.first(at, kind));
        let next = cold.map_or(Next::Slot(slot), |it| Next::Cold(it.sequence));
        Some((next, level0 as Level + 1))
    }

    /// Takes the destination's next message, open or not, and the level that it came from.
    #[inline]
    pub fn pop(
        &mut self,
        destination: DestinationIndex,
        slots: &mut impl SlotStore,
    ) -> Option<(u32, Level)> {
        let level0 = self.first_level0(destination)?;
        let slot = self.serve(destination, level0, slots);
        Some((slot, level0 as Level + 1))
    }

    /// Takes the next message of all open destinations: the most urgent level first, the
    /// destinations of a level in turn.
    #[inline]
    pub fn pop_ready(
        &mut self,
        slots: &mut impl SlotStore,
    ) -> Option<(DestinationIndex, u32, Level)> {
        if self.ready_levels == 0 {
            return None;
        }
        let level0 = self.ready_levels.trailing_zeros() as usize;
        let ready = &self.ready[level0];
        let destination = ready.destinations.next_cyclic(ready.cursor)?;
        Some(self.serve_turn(destination, level0, slots))
    }

    /// The same without the destinations of the delivery agents in the set `passed_over`, one bit
    /// each. With a single agent and that one in the set, there is none.
    #[inline]
    pub fn pop_ready_except(
        &mut self,
        passed_over: u64,
        slots: &mut impl SlotStore,
    ) -> Option<(DestinationIndex, u32, Level)> {
        if passed_over == 0 {
            return self.pop_ready(slots);
        }
        let (level0, destination) = bits(self.ready_levels).find_map(|level0| {
            let destination = self.ready[level0].next_except(passed_over)?;
            Some((level0, destination))
        })?;
        Some(self.serve_turn(destination, level0, slots))
    }

    #[inline]
    fn serve_turn(
        &mut self,
        destination: usize,
        level0: usize,
        slots: &mut impl SlotStore,
    ) -> (DestinationIndex, u32, Level) {
        self.ready[level0].cursor = destination + 1;
        let destination = destination as DestinationIndex;
        let slot = self.serve(destination, level0, slots);
        (destination, slot, level0 as Level + 1)
    }

    /// Lets [`Self::pop_ready`] serve the destination, by this delivery agent.
    pub fn open(&mut self, destination: DestinationIndex, agent: u16) {
        let agent = agent as u8;
        if self.destinations[destination as usize].agent == agent {
            return;
        }
        self.close(destination);
        let entry = &mut self.destinations[destination as usize];
        entry.agent = agent;
        for level0 in bits(entry.occupied) {
            self.set_ready(destination, level0);
        }
    }

    /// Keeps [`Self::pop_ready`] from the destination.
    pub fn close(&mut self, destination: DestinationIndex) {
        let entry = self.destinations[destination as usize];
        if entry.is_open() {
            for level0 in bits(entry.occupied) {
                self.clear_ready(destination, level0);
            }
            self.destinations[destination as usize].agent = CLOSED;
        }
    }

    /// Whether the destination may be served.
    #[must_use]
    pub fn is_open(&self, destination: DestinationIndex) -> bool {
        self.destinations[destination as usize].is_open()
    }

    /// Messages that wait for the destination.
    #[must_use]
    pub fn len_of(&self, destination: DestinationIndex) -> usize {
        self.destinations[destination as usize].len as usize
    }

    /// Messages that wait at the level, which ageing may have brought them to.
    #[must_use]
    pub fn len_at(&self, level: Level) -> usize {
        self.len_at[usize::from(level) - 1]
    }

    /// Messages that wait in the cold store.
    #[must_use]
    pub fn len_cold(&self) -> usize {
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
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.ready_levels != 0
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
