//! SegmentRanges: what the journal consists of, from its beginning to the segment that is being filled.
//!
//! Recovery and the journal agent feed the list; retention asks it what may go. Pure: it names
//! files and touches none.
//!
//! ```text
//! | range | range | ... | range |  open segment
//! '--- the first ones go by themselves once all in them is settled, stored, out of the window
//!           '--- a run of ripe ones, of which little must stay, becomes one compacted file
//! ```
//! A range is *ripe* when nothing but unsettled messages holds it; where room is short, nothing but
//! these and ids that are remembered.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::needed::Needed;
use super::window::Window;
use crate::journal::compacted::{CompactedHeader, CompactedIndex};
use crate::journal::format::{BATCH_HEADER_LEN, Position};
use crate::journal::segment::SegmentStarted;
use crate::journal::storage::Name;
use crate::limits::ID_WHOLE_LEN_MAX;
use crate::message::Sequence;

/// Bytes of an id in a compacted file at most: between two messages it has a batch of its own.
const ID_LEN_MAX: u64 = (BATCH_HEADER_LEN + 1 + ID_WHOLE_LEN_MAX) as u64;

/// One closed file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRange {
    /// The numbers of the segments that it stands for.
    pub(crate) segments: Range<u64>,
    /// The sequences that were accepted in its course.
    pub(crate) sequences: Range<Sequence>,
    /// Nothing in it is younger: ms of the engine's own time.
    pub(crate) end_ms: u64,
    /// Bytes on disk.
    pub(crate) len: u64,
    /// Where things stand in it, when it is a compacted file.
    pub(crate) compacted: Option<Arc<CompactedIndex>>,
}

impl SegmentRange {
    /// The segment that was being filled until another one was begun.
    #[must_use]
    pub(crate) fn closed(of: &SegmentStarted, next: &SegmentStarted, len: u64) -> Self {
        Self {
            segments: of.number..next.number,
            // One without a batch is told of by a later one.
            sequences: of.first_sequence.min(next.first_sequence)..next.first_sequence,
            end_ms: next.time_ms,
            len,
            compacted: None,
        }
    }

    /// A compacted file.
    #[must_use]
    pub(crate) fn compacted(index: &Arc<CompactedIndex>) -> Self {
        Self {
            segments: index.header.segments.clone(),
            sequences: index.header.sequences.clone(),
            end_ms: index.header.end_ms,
            len: index.len,
            compacted: Some(Arc::clone(index)),
        }
    }

    /// Its file.
    #[must_use]
    pub(crate) fn name(&self) -> Name {
        match &self.compacted {
            Some(index) => index.header.name(),
            None => Name::Segment(self.segments.start),
        }
    }

    /// How many records it holds.
    fn records(&self) -> u64 {
        let accepted = self.sequences.end - self.sequences.start;
        self.compacted.as_ref().map_or(accepted, |it| it.entries)
    }

    /// Bytes of its messages that must stay, roughly: a record more or less is as long as its neighbour.
    pub(super) fn messages_len(&self, needed: &Needed) -> u64 {
        let count = needed.count(&self.sequences).min(self.records());
        let ids_len = self.compacted.as_ref().map_or(0, |it| it.ids_len);
        let all = u128::from(self.len.saturating_sub(ids_len));
        (all * u128::from(count) / u128::from(self.records().max(1))) as u64
    }

    /// Bytes of the ids that stay for what is settled of it, at most: see `ID_WHOLE_LEN_MAX`.
    fn ids_len(&self) -> u64 {
        let at_most = (self.len / 4).min(self.records() * ID_LEN_MAX);
        self.compacted.as_ref().map_or(at_most, |it| it.ids_len)
    }
}

/// What a run may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes of the compacted file at most.
    pub(crate) room: u64,
    /// How often its messages, whose length is known roughly, must find room there.
    pub(crate) margin: u64,
    /// Bytes that are gained on disk at least.
    pub(crate) gain: u64,
}

/// How far everybody is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The first sequence that is not settled; zero: not known yet.
    pub(crate) first_unsettled: Sequence,
    /// The sequence of the next message.
    pub(crate) next_sequence: Sequence,
    /// How far the store has followed.
    pub(crate) stored: Position,
    /// The engine's own time in ms.
    pub(crate) now_ms: u64,
}

/// Why a range stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBy {
    /// A message in it is not settled.
    Unsettled,
    /// The store has not followed.
    Store,
    /// Ids in it are still remembered.
    Window,
}

/// The list. Invariant: segments follow each other without a gap or an overlap.
#[derive(Debug)]
pub(crate) struct SegmentRanges {
    list: VecDeque<SegmentRange>,
    segment_len: u64,
    window: Window,
}

impl SegmentRanges {
    /// An empty list.
    #[must_use]
    pub(crate) fn new(segment_len: u64, window: Window) -> Self {
        Self {
            list: VecDeque::new(),
            segment_len,
            window,
        }
    }

    /// One more was closed.
    pub(crate) fn push(&mut self, range: SegmentRange) {
        assert!(!range.segments.is_empty(), "{range:?} is none");
        let last = self.list.back();
        assert!(
            last.is_none_or(|it| it.segments.end == range.segments.start),
            "{range:?} follows {last:?}"
        );
        self.list.push_back(range);
    }

    /// The first one, if nothing holds it.
    #[must_use]
    pub(crate) fn first_to_go(&self, state: &State) -> Option<&SegmentRange> {
        let first = self.list.front()?;
        self.held_by(first, state).is_none().then_some(first)
    }

    /// The first one, if it stands below the segment that a group has agreed on, and the store has followed.
    #[must_use]
    pub(crate) fn first_agreed(&self, agreed: u64, state: &State) -> Option<&SegmentRange> {
        let first = self.list.front()?;
        let has_followed = self.held_by(first, state) != Some(HeldBy::Store);
        (first.segments.end <= agreed && has_followed).then_some(first)
    }

    /// The segment below which nothing is held; zero: nothing is known yet.
    #[must_use]
    pub(crate) fn low(&self, state: &State) -> u64 {
        let is_free = |it: &&SegmentRange| self.held_by(it, state).is_none();
        let free = self.list.iter().take_while(is_free).last();
        free.map_or(0, |it| it.segments.end)
    }

    /// The first one has gone.
    pub(crate) fn pop(&mut self) -> Option<SegmentRange> {
        self.list.pop_front()
    }

    /// Why a range stays; `None`: it may go, if all before it may.
    #[must_use]
    pub(crate) fn held_by(&self, range: &SegmentRange, state: &State) -> Option<HeldBy> {
        if state.stored < range.segments.end.saturating_mul(self.segment_len) {
            Some(HeldBy::Store)
        } else if state.first_unsettled < range.sequences.end {
            Some(HeldBy::Unsettled)
        } else if !self.is_forgotten(range, state) {
            Some(HeldBy::Window)
        } else {
            None
        }
    }

    /// The first ones that are ripe; with `ids`, ids that are remembered hold none.
    pub(crate) fn ripe_ranges(
        &self,
        ids: bool,
        state: &State,
    ) -> impl Iterator<Item = &SegmentRange> {
        self.list.iter().take_while(move |it| {
            self.held_by(it, state) != Some(HeldBy::Store) && (ids || self.is_forgotten(it, state))
        })
    }

    /// How many of the first ones are ripe: see [`Self::ripe_ranges`].
    #[must_use]
    pub(crate) fn ripe(&self, ids: bool, state: &State) -> usize {
        self.ripe_ranges(ids, state).count()
    }

    fn is_forgotten(&self, range: &SegmentRange, state: &State) -> bool {
        let (end, end_ms) = (range.sequences.end, range.end_ms);
        let State {
            next_sequence,
            now_ms,
            ..
        } = *state;
        self.window.has_passed(end, end_ms, next_sequence, now_ms)
    }

    /// The sequences of the first `count` ones.
    #[must_use]
    pub(crate) fn sequences(&self, count: usize) -> Range<Sequence> {
        let first = self.list.front().map_or(0, |it| it.sequences.start);
        let last = count.checked_sub(1).and_then(|at| self.list.get(at));
        first..last.map_or(first, |it| it.sequences.end)
    }

    /// The run among the first `ripe` ones that is worth rewriting most, if one is: of what it takes
    /// on disk, more than half may go, and what stays is within `bounds`.
    ///
    /// Each range counts its length less twice what must stay of it, and a bonus, or there would
    /// be ever more small files; the run with the highest sum is the best one.
    #[must_use]
    pub(crate) fn run(
        &self,
        ripe: usize,
        needed: &Needed,
        state: &State,
        bounds: Bounds,
    ) -> Option<Range<usize>> {
        let bonus = (self.segment_len / 8) as i64;
        let lens: Vec<(u64, u64)> = self
            .list
            .iter()
            .take(ripe)
            .map(|it| self.lens_needed(it, needed, state, bounds.margin))
            .collect();
        let (mut best, mut best_score) = (0..0, 0);
        let (mut start, mut score, mut room_needed) = (0, 0_i64, 0);
        for (at, (range, &(stays, room))) in self.list.iter().zip(&lens).enumerate() {
            if score <= 0 || room_needed + room > bounds.room {
                (start, score, room_needed) = (at, 0, 0);
            }
            score += range.len as i64 - 2 * stays as i64 + bonus;
            room_needed += room;
            // The file that replaces it would have its name.
            let is_one_file = start == at && range.compacted.is_some();
            if score > best_score && room_needed <= bounds.room && !is_one_file {
                (best, best_score) = (start..at + 1, score);
            }
        }
        let len: u64 = self.list.range(best.clone()).map(|it| it.len).sum();
        let stays: u64 = lens[best.clone()].iter().map(|it| it.0).sum();
        (!best.is_empty() && stays + bounds.gain <= len).then_some(best)
    }

    /// Bytes of a range that must stay, roughly, and those that must find room.
    fn lens_needed(
        &self,
        range: &SegmentRange,
        needed: &Needed,
        state: &State,
        margin: u64,
    ) -> (u64, u64) {
        let messages = range.messages_len(needed);
        let ids = match self.is_forgotten(range, state) {
            true => 0,
            false => range.ids_len(),
        };
        (messages + ids, margin * messages + ids)
    }

    /// The sequences of those before a run that hold records: settlements of other messages are of no use.
    #[must_use]
    pub(crate) fn records_before(&self, run: &Range<usize>) -> Vec<Range<Sequence>> {
        let before = self.list.range(..run.start);
        let with_records = before.filter(|it| it.records() > 0);
        with_records.map(|it| it.sequences.clone()).collect()
    }

    /// What a compacted file for this run would stand for.
    #[must_use]
    pub(crate) fn header(&self, run: &Range<usize>) -> CompactedHeader {
        let (first, last) = (&self.list[run.start], &self.list[run.end - 1]);
        let has_own_name = run.len() > 1 || first.compacted.is_none();
        assert!(has_own_name, "{first:?} would take its own name");
        CompactedHeader {
            segments: first.segments.start..last.segments.end,
            segment_len: self.segment_len,
            sequences: first.sequences.start..last.sequences.end,
            end_ms: last.end_ms,
        }
    }

    /// A compacted file stands for a run of them now; returns those.
    pub(crate) fn replace(&mut self, by: &Arc<CompactedIndex>) -> Vec<SegmentRange> {
        let segments = &by.header.segments;
        let first = self
            .list
            .partition_point(|it| it.segments.start < segments.start);
        let end = self
            .list
            .partition_point(|it| it.segments.end <= segments.end);
        let gone = self.list.drain(first..end).collect();
        self.list.insert(first, SegmentRange::compacted(by));
        gone
    }

    /// From the oldest on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &SegmentRange> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// Bytes that they take on disk.
    #[must_use]
    pub(crate) fn len(&self) -> u64 {
        self.list.iter().map(|it| it.len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests;
