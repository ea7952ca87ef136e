//! When messages and ids are carried forward so that segments can go, and the steps of it.
//!
//! Retention calls it in each cycle. It decides what is worth a compaction; [`super::compaction`] does it.

use std::sync::Arc;

use super::compaction::{Compaction, Step};
use super::core::{Retention, Task};
use super::needed::Needed;
use super::ranges::{Bounds, SegmentRange};
use super::window::Remembered;
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::error::JournalError;
use crate::journal::protocol::Moved;
use crate::journal::reserve;
use crate::journal::storage::{Storage, is_shortage};

/// What was not worth a compaction is not looked at again for so long, in ns, unless there is more.
const RETRY_NS: u64 = 10_000_000_000;

/// The same where sources wait for room.
const RETRY_SHORT_NS: u64 = 1_000_000_000;

/// Where room is short, one part in so many of a segment is worth a compaction.
const GAIN_SHARE_SHORT: u64 = 16;

impl<S: Storage + Clone> Retention<S> {
    /// One step on the way to carry messages forward.
    pub(super) fn carry_on(&mut self, now: Now) -> Result<usize, JournalError> {
        match std::mem::replace(&mut self.task, Task::None) {
            Task::None => Ok(self.consider(now)),
            Task::Query { ripe, rest, needed } if rest.is_empty() => self.choose(ripe, needed, now),
            Task::Compact(compaction) => self.compact(compaction),
            Task::Switch(gone) if std::mem::take(&mut self.is_switched) => {
                let mut gone = gone;
                // The longest one becomes the next reserve where that is missing.
                gone.sort_by_key(|it| std::cmp::Reverse(it.len));
                self.leaving.extend(gone.iter().map(SegmentRange::name));
                Ok(1)
            }
            waiting => {
                self.task = waiting;
                Ok(0)
            }
        }
    }

    /// Where unsettled messages hold two segments or more, finds out which they are. Where room is
    /// short, a segment is reason enough.
    fn consider(&mut self, now: Now) -> usize {
        let is_short = self.is_short();
        let ripe = self.ranges.ripe(is_short, &self.state);
        let end = self.ranges.sequences(ripe);
        let is_known = self.tried.0 == end.end && now.ns < self.tried.1;
        let ripe_min = if is_short { 1 } else { 2 };
        if ripe < ripe_min || is_known || self.state.next_sequence == 0 {
            return 0;
        }
        self.tried = (end.end, now.ns + self.retry_ns());
        self.task = Task::Query {
            ripe,
            rest: end,
            needed: Needed::default(),
        };
        1
    }

    /// Whether it is time to make room at a higher price.
    pub(super) fn is_short(&self) -> bool {
        self.is_full || self.is_limited || self.room.is_scarce(self.ranges.len())
    }

    pub(super) fn retry_ns(&self) -> u64 {
        if self.is_full || self.is_limited {
            RETRY_SHORT_NS
        } else {
            RETRY_NS
        }
    }

    fn choose(&mut self, ripe: usize, needed: Needed, now: Now) -> Result<usize, JournalError> {
        let from_reserve =
            self.compaction_reserve_len > 0 && (self.is_compaction_cramped || self.is_full);
        let bounds = self.bounds(from_reserve);
        let run = |bounds| self.ranges.run(ripe, &needed, &self.state, bounds);
        // What stays is taken at its worst. Where that does not fit, it is tried: what finds no room
        // gives the reserve back.
        let hopeful = Bounds {
            room: if from_reserve { u64::MAX } else { bounds.room },
            margin: 1,
            ..bounds
        };
        let Some(run) = run(bounds).or_else(|| run(hopeful)) else {
            return Ok(0);
        };
        let header = self.ranges.header(&run);
        let before = self.ranges.records_before(&run);
        let name = header.name();
        self.tried = (0, now.ns);
        let remembered = Remembered {
            window: self.window,
            next_sequence: self.state.next_sequence,
            now_ms: self.state.now_ms,
        };
        let spare = from_reserve.then_some(reserve::COMPACTED);
        let storage = &mut self.storage;
        let started = Compaction::begin(storage, header, needed, (remembered, before), spare);
        self.is_compaction_cramped = started.as_ref().is_err_and(is_shortage);
        let compaction = started.map_err(|source| JournalError::File { name, source })?;
        if from_reserve {
            self.compaction_reserve_len = 0;
        }
        self.task = Task::Compact(compaction);
        Ok(1)
    }

    /// Bytes that must go at least.
    pub(super) fn gain_min(&self) -> u64 {
        if self.is_short() {
            self.segment_len / GAIN_SHARE_SHORT
        } else {
            self.segment_len
        }
    }

    /// What a compaction may come to.
    fn bounds(&self, from_reserve: bool) -> Bounds {
        let segment_len = self.segment_len;
        let room = self.room.max_bytes.saturating_sub(self.ranges.len());
        let room = room.min(2 * segment_len);
        let gain = self.gain_min();
        let (room, margin) = if from_reserve {
            (room.min(self.compaction_reserve_len), 2)
        } else {
            (room, 1)
        };
        Bounds { room, margin, gain }
    }

    fn compact(&mut self, compaction: Box<Compaction<S>>) -> Result<usize, JournalError> {
        let stepped = compaction.step(&mut self.storage);
        if let Err(error) = &stepped {
            self.compaction_reserve_len = reserve::len_if_there(&self.storage, reserve::COMPACTED);
            if let JournalError::File { source, .. } = error {
                self.is_compaction_cramped = is_shortage(source);
            }
        }
        match stepped? {
            Step::More(compaction) => self.task = Task::Compact(compaction),
            Step::Done(index) => {
                self.counters.add(Counter::JournalCarried, index.entries);
                let gone = self.ranges.replace(&Arc::new(index));
                let compacted = self.ranges.iter().filter_map(|it| it.compacted.clone());
                self.moved = Some(Moved::Compacted(compacted.collect()));
                self.task = Task::Switch(gone);
            }
        }
        Ok(1)
    }
}
