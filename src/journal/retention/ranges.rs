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

use super::compaction::Needed;
use super::window::Window;
use crate::journal::compacted::{CompactedHeader, CompactedIndex};
use crate::journal::record::Position;
use crate::journal::segment::SegmentStarted;
use crate::journal::storage::Name;
use crate::message::Sequence;

/// One closed file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRange {
    /// The numbers of the segments that it stands for.
    pub segments: Range<u64>,
    /// The sequences that were accepted in its course.
    pub sequences: Range<Sequence>,
    /// Nothing in it is younger: ms of the engine's own time.
    pub end_ms: u64,
    /// Bytes on disk.
    pub len: u64,
    /// Where things stand in it, when it is a compacted file.
    pub compacted: Option<Arc<CompactedIndex>>,
}

impl SegmentRange {
    /// The segment that was being filled until another one was begun.
    #[must_use]
    pub fn closed(of: &SegmentStarted, next: &SegmentStarted, len: u64) -> Self {
        Self {
            segments: of.number..next.number,
            sequences: of.first_sequence..next.first_sequence,
            end_ms: next.time_ms,
            len,
            compacted: None,
        }
    }

    /// A compacted file.
    #[must_use]
    pub fn compacted(index: &Arc<CompactedIndex>) -> Self {
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
    pub fn name(&self) -> Name {
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
    fn messages_len(&self, needed: &Needed) -> u64 {
        let count = needed.count(&self.sequences).min(self.records());
        let ids_len = self.compacted.as_ref().map_or(0, |it| it.ids_len);
        let all = u128::from(self.len.saturating_sub(ids_len));
        (all * u128::from(count) / u128::from(self.records().max(1))) as u64
    }

    /// Bytes of the ids that stay for what is settled of it, at most: see `ID_WHOLE_LEN_MAX`.
    fn ids_len(&self) -> u64 {
        self.compacted
            .as_ref()
            .map_or(self.len / 4, |it| it.ids_len)
    }
}

/// What a run may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the compacted file at most.
    pub room: u64,
    /// How often its messages, whose length is known roughly, must find room there.
    pub margin: u64,
    /// Bytes that are gained on disk at least.
    pub gain: u64,
}

/// How far everybody is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    /// The first sequence that is not settled; zero: not known yet.
    pub first_unsettled: Sequence,
    /// The sequence of the next message.
    pub next_sequence: Sequence,
    /// How far the store has followed.
    pub stored: Position,
    /// The engine's own time in ms.
    pub now_ms: u64,
}

/// Why a range stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// A message in it is not settled.
    Unsettled,
    /// The store has not followed.
    Store,
    /// Ids in it are still remembered.
    Window,
}

/// The list. Invariant: segments follow each other without a gap or an overlap.
#[derive(Debug)]
pub struct SegmentRanges {
    list: VecDeque<SegmentRange>,
    segment_len: u64,
    window: Window,
}

impl SegmentRanges {
    /// An empty list.
    #[must_use]
    pub fn new(segment_len: u64, window: Window) -> Self {
        Self {
            list: VecDeque::new(),
            segment_len,
            window,
        }
    }

    /// One more was closed.
    pub fn push(&mut self, range: SegmentRange) {
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
    pub fn first_to_go(&self, state: &State) -> Option<&SegmentRange> {
        let first = self.list.front()?;
        self.held_by(first, state).is_none().then_some(first)
    }

    /// The first one has gone.
    pub fn pop(&mut self) -> Option<SegmentRange> {
        self.list.pop_front()
    }

    /// Why a range stays; `None`: it may go, if all before it may.
    #[must_use]
    pub fn held_by(&self, range: &SegmentRange, state: &State) -> Option<HeldBy> {
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

    /// How many of the first ones are ripe; with `ids`, ids that are remembered hold none.
    #[must_use]
    pub fn ripe(&self, ids: bool, state: &State) -> usize {
        let is_ripe = |it: &&SegmentRange| {
            self.held_by(it, state) != Some(HeldBy::Store) && (ids || self.is_forgotten(it, state))
        };
        self.list.iter().take_while(is_ripe).count()
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
    pub fn sequences(&self, count: usize) -> Range<Sequence> {
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
    pub fn run(
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
            if score > best_score && room_needed <= bounds.room {
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
    pub fn records_before(&self, run: &Range<usize>) -> Vec<Range<Sequence>> {
        let before = self.list.range(..run.start);
        let with_records = before.filter(|it| it.records() > 0);
        with_records.map(|it| it.sequences.clone()).collect()
    }

    /// What a compacted file for this run would stand for.
    #[must_use]
    pub fn header(&self, run: &Range<usize>) -> CompactedHeader {
        let (first, last) = (&self.list[run.start], &self.list[run.end - 1]);
        CompactedHeader {
            segments: first.segments.start..last.segments.end,
            segment_len: self.segment_len,
            sequences: first.sequences.start..last.sequences.end,
            end_ms: last.end_ms,
        }
    }

    /// A compacted file stands for a run of them now; returns those.
    pub fn replace(&mut self, by: &Arc<CompactedIndex>) -> Vec<SegmentRange> {
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
    pub fn iter(&self) -> impl Iterator<Item = &SegmentRange> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Bytes that they take on disk.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.list.iter().map(|it| it.len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::retention::query::Word;

    const LEN: u64 = 1_000;

    /// Segments 0 to 4 with ten messages each; segment `n` ends at `n + 1` seconds.
    fn list(window: Window) -> SegmentRanges {
        let mut list = SegmentRanges::new(LEN, window);
        for number in 0..5 {
            list.push(SegmentRange {
                segments: number..number + 1,
                sequences: 10 * number + 1..10 * number + 11,
                end_ms: (number + 1) * 1_000,
                len: LEN,
                compacted: None,
            });
        }
        list
    }

    fn gone(window: Window, state: State) -> usize {
        let mut list = list(window);
        while list.first_to_go(&state).is_some() {
            list.pop();
        }
        5 - list.count()
    }

    const ALL: State = State {
        first_unsettled: 51,
        next_sequence: 51,
        stored: u64::MAX,
        now_ms: u64::MAX,
    };
    /// Before any time has passed.
    const EARLY: State = State { now_ms: 0, ..ALL };
    const NONE: Window = Window { messages: 0, ms: 0 };
    const BOUNDS: Bounds = Bounds {
        room: 2 * LEN,
        margin: 1,
        gain: LEN,
    };

    #[test]
    fn a_stretch_goes_when_its_last_message_is_settled() {
        for (first_unsettled, expected) in [(0, 0), (10, 0), (11, 1), (50, 4), (51, 5)] {
            let state = State {
                first_unsettled,
                ..ALL
            };
            assert_eq!(gone(NONE, state), expected, "{first_unsettled}");
        }
    }

    #[test]
    fn a_stretch_goes_when_the_store_is_behind_it() {
        for (stored, expected) in [(0, 0), (999, 0), (1_000, 1), (4_999, 4), (5_000, 5)] {
            let state = State { stored, ..ALL };
            assert_eq!(gone(NONE, state), expected, "{stored}");
        }
    }

    #[test]
    fn a_stretch_goes_when_its_ids_are_forgotten_by_number_or_by_time() {
        let window = Window::new(20, Duration::from_secs(2));
        for (next_sequence, expected) in [(30, 0), (31, 1), (71, 5)] {
            let state = State {
                next_sequence,
                now_ms: 0,
                ..ALL
            };
            assert_eq!(gone(window, state), expected, "{next_sequence}");
        }
        for (now_ms, expected) in [(3_000, 0), (3_007, 0), (3_008, 1), (7_008, 5)] {
            let state = State {
                next_sequence: 0,
                now_ms,
                ..ALL
            };
            assert_eq!(gone(window, state), expected, "{now_ms}");
        }
    }

    #[test]
    fn a_window_that_is_off_holds_nothing() {
        for (messages, s) in [(0, 600), (1_000_000, 0)] {
            let window = Window::new(messages, Duration::from_secs(s));
            let state = State { now_ms: 0, ..ALL };
            assert_eq!(gone(window, state), 5);
        }
    }

    #[test]
    fn the_run_that_frees_most_is_rewritten_and_one_that_frees_little_is_not() {
        let list = list(NONE);
        assert_eq!(list.ripe(false, &ALL), 5);
        let run = |sequences: &[Sequence], ripe| {
            let mut words: Vec<Word> = Vec::new();
            for &sequence in sequences {
                let (number, bit) = (sequence / 64, 1 << (sequence % 64));
                match words.last_mut() {
                    Some(last) if last.number == number => last.bits |= bit,
                    _ => words.push(Word { number, bits: bit }),
                }
            }
            let mut needed = Needed::default();
            needed.extend(&words);
            list.run(ripe, &needed, &ALL, BOUNDS)
        };
        assert_eq!(run(&[1], 5), Some(0..5), "one message holds all");
        assert_eq!(run(&[1], 1), None, "less than a segment would be freed");
        let first: Vec<_> = (1..=10).collect();
        assert_eq!(
            run(&first, 5),
            Some(1..5),
            "what must stay whole is left alone"
        );
        let all: Vec<_> = (1..=50).collect();
        assert_eq!(run(&all, 5), None);
        let many: Vec<_> = (1..=50).filter(|it| it % 10 < 7).collect();
        assert_eq!(run(&many, 5), None, "more than half must stay");
    }

    #[test]
    fn where_room_is_short_remembered_ids_hold_no_segment_and_a_part_of_one_is_worth_it() {
        let window = Window::new(20, Duration::from_secs(600));
        let list = list(window);
        assert_eq!(list.ripe(false, &EARLY), 3, "the last 20 are remembered");
        assert_eq!(list.ripe(true, &EARLY), 5);
        let run = |ripe, bounds| list.run(ripe, &Needed::default(), &EARLY, bounds);
        assert_eq!(run(5, BOUNDS), Some(0..5));
        let short = Bounds {
            room: LEN / 4,
            margin: 2,
            gain: LEN / 16,
        };
        assert_eq!(run(5, short), Some(0..4), "ids take a quarter at most");
        let none = Bounds { room: 0, ..short };
        assert_eq!(run(5, none), Some(0..3), "what is forgotten takes no room");
        let stored = State {
            stored: 3 * LEN,
            ..EARLY
        };
        assert_eq!(list.ripe(true, &stored), 3, "what is not stored stays");
    }

    #[test]
    fn a_file_of_ids_is_as_long_as_what_stays_of_it() {
        let mut list = list(Window::new(1_000, Duration::from_secs(600)));
        let mut index = CompactedIndex::empty(list.header(&(0..2)));
        (index.len, index.ids_len) = (400, 200);
        list.replace(&Arc::new(index));
        let one = Bounds {
            room: 200 + LEN / 4,
            margin: 2,
            gain: LEN / 2,
        };
        let run = |bounds| list.run(4, &Needed::default(), &EARLY, bounds);
        assert_eq!(run(one), Some(0..2), "with the segment behind it");
        let none = Bounds { room: 200, ..one };
        assert_eq!(run(none), None, "by itself it frees nothing");
    }

    #[test]
    fn a_kept_file_takes_the_place_of_its_run() {
        let mut list = list(NONE);
        let index = Arc::new(CompactedIndex::empty(list.header(&(1..4))));
        assert_eq!(list.replace(&index).len(), 3);
        let segments: Vec<_> = list.iter().map(|it| it.segments.clone()).collect();
        assert_eq!(segments, [0..1, 1..4, 4..5]);
        assert_eq!(
            list.iter().nth(1).map(SegmentRange::name),
            Some(Name::Compacted(1, 4))
        );
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let window = Window::new(usize::MAX, Duration::MAX);
        let range = SegmentRange {
            segments: u64::MAX - 1..u64::MAX,
            sequences: u64::MAX - 1..u64::MAX,
            end_ms: u64::MAX,
            len: u64::MAX,
            compacted: None,
        };
        assert_eq!(list(window).held_by(&range, &ALL), Some(HeldBy::Unsettled));
    }
}
