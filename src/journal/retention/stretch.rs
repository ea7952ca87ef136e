//! Stretches: what the journal consists of, from its beginning to the segment that is being filled.
//!
//! Recovery and the journal agent feed the list; retention asks it what may go. Pure: it names
//! files and touches none.
//!
//! ```text
//! | stretch | stretch | ... | stretch |  open segment
//! '--- the first ones go by themselves once all in them is settled, stored, out of the window
//!           '--- a run of ripe ones, of which little must stay, becomes one kept file
//! ```
//! A stretch is *ripe* when nothing but unsettled messages holds it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::compaction::Needed;
use crate::journal::kept::{KeptHeader, KeptIndex};
use crate::journal::record::Position;
use crate::journal::segment::Begun;
use crate::journal::storage::Name;
use crate::message::Sequence;

/// One closed file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The numbers of the segments that it stands for.
    pub segments: Range<u64>,
    /// The sequences that were accepted in its course.
    pub sequences: Range<Sequence>,
    /// Nothing in it is younger: ms of the engine's own time.
    pub end_ms: u64,
    /// Bytes on disk.
    pub len: u64,
    /// Where things stand in it, when it is a kept file.
    pub kept: Option<Arc<KeptIndex>>,
}

impl Stretch {
    /// The segment that was being filled until another one was begun.
    #[must_use]
    pub fn closed(of: &Begun, next: &Begun, len: u64) -> Self {
        Self {
            segments: of.number..next.number,
            sequences: of.first_sequence..next.first_sequence,
            end_ms: next.time_ms,
            len,
            kept: None,
        }
    }

    /// A kept file.
    #[must_use]
    pub fn kept(index: &Arc<KeptIndex>) -> Self {
        Self {
            segments: index.header.segments.clone(),
            sequences: index.header.sequences.clone(),
            end_ms: index.header.end_ms,
            len: index.len,
            kept: Some(Arc::clone(index)),
        }
    }

    /// Its file.
    #[must_use]
    pub fn name(&self) -> Name {
        match &self.kept {
            Some(index) => index.header.name(),
            None => Name::Segment(self.segments.start),
        }
    }

    /// How many records it holds.
    fn records(&self) -> u64 {
        let accepted = self.sequences.end - self.sequences.start;
        self.kept.as_ref().map_or(accepted, |it| it.entries)
    }

    /// Bytes of it that must stay, roughly: a record more or less is as long as its neighbour.
    fn needed_len(&self, needed: &Needed) -> u64 {
        let count = needed.count(&self.sequences).min(self.records());
        let len = u128::from(self.len) * u128::from(count) / u128::from(self.records().max(1));
        len as u64
    }
}

/// For how long ids must stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// As many later messages make an id forgotten.
    pub messages: u64,
    /// So does this much time, in ms.
    pub ms: u64,
}

impl Window {
    /// The window of these settings. Time is kept coarsely there: an id may live 1/256 longer.
    #[must_use]
    pub fn new(messages: usize, time: Duration) -> Self {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let is_off = messages == 0 || ms == 0;
        Self {
            messages: messages as u64,
            ms: if is_off {
                0
            } else {
                ms.saturating_add(ms / 256 + 1)
            },
        }
    }

    fn has_passed(&self, stretch: &Stretch, state: &State) -> bool {
        self.ms == 0
            || stretch.sequences.end.saturating_add(self.messages) <= state.next_sequence
            || stretch.end_ms.saturating_add(self.ms) <= state.now_ms
    }
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

/// Why a stretch stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A message in it is not settled.
    Unsettled,
    /// The store has not followed.
    Store,
    /// Ids in it are still remembered.
    Window,
}

/// The list. Invariant: segments follow each other without a gap or an overlap.
#[derive(Debug)]
pub struct Stretches {
    list: VecDeque<Stretch>,
    segment_len: u64,
    window: Window,
}

impl Stretches {
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
    pub fn push(&mut self, stretch: Stretch) {
        assert!(!stretch.segments.is_empty(), "{stretch:?} is none");
        let last = self.list.back();
        assert!(
            last.is_none_or(|it| it.segments.end == stretch.segments.start),
            "{stretch:?} follows {last:?}"
        );
        self.list.push_back(stretch);
    }

    /// The first one, if nothing holds it.
    #[must_use]
    pub fn first_to_go(&self, state: &State) -> Option<&Stretch> {
        let first = self.list.front()?;
        self.holder(first, state).is_none().then_some(first)
    }

    /// The first one has gone.
    pub fn pop(&mut self) -> Option<Stretch> {
        self.list.pop_front()
    }

    /// Why a stretch stays; `None`: it may go, if all before it may.
    #[must_use]
    pub fn holder(&self, stretch: &Stretch, state: &State) -> Option<Holder> {
        if state.stored < stretch.segments.end.saturating_mul(self.segment_len) {
            Some(Holder::Store)
        } else if state.first_unsettled < stretch.sequences.end {
            Some(Holder::Unsettled)
        } else if !self.window.has_passed(stretch, state) {
            Some(Holder::Window)
        } else {
            None
        }
    }

    /// How many of the first ones are ripe.
    #[must_use]
    pub fn ripe(&self, state: &State) -> usize {
        let is_ripe = |it: &&Stretch| {
            matches!(self.holder(it, state), None | Some(Holder::Unsettled))
                && self.window.has_passed(it, state)
        };
        self.list.iter().take_while(is_ripe).count()
    }

    /// The sequences of the first `count` ones.
    #[must_use]
    pub fn sequences(&self, count: usize) -> Range<Sequence> {
        let first = self.list.front().map_or(0, |it| it.sequences.start);
        let last = count.checked_sub(1).and_then(|at| self.list.get(at));
        first..last.map_or(first, |it| it.sequences.end)
    }

    /// The run among the first `ripe` ones that is worth rewriting most, if one is: of what it takes
    /// on disk, more than half may go, and a segment at least. What must stay is `room` at most.
    ///
    /// Each stretch counts its length less twice what must stay of it, and a bonus, or there would
    /// be ever more small files; the run with the highest sum is the best one.
    #[must_use]
    pub fn run(&self, ripe: usize, needed: &Needed, room: u64) -> Option<Range<usize>> {
        let bonus = (self.segment_len / 8) as i64;
        let needed_lens: Vec<u64> = self
            .list
            .iter()
            .take(ripe)
            .map(|it| it.needed_len(needed))
            .collect();
        let (mut best, mut best_score) = (0..0, 0);
        let (mut start, mut score, mut needed_len) = (0, 0_i64, 0);
        for (at, (stretch, &needed)) in self.list.iter().zip(&needed_lens).enumerate() {
            if score <= 0 || needed_len + needed > room {
                (start, score, needed_len) = (at, 0, 0);
            }
            score += stretch.len as i64 - 2 * needed as i64 + bonus;
            needed_len += needed;
            if score > best_score && needed_len <= room {
                (best, best_score) = (start..at + 1, score);
            }
        }
        let len: u64 = self.list.range(best.clone()).map(|it| it.len).sum();
        let stays: u64 = needed_lens[best.clone()].iter().sum();
        (stays + self.segment_len <= len).then_some(best)
    }

    /// What a kept file for this run would stand for.
    #[must_use]
    pub fn header(&self, run: &Range<usize>) -> KeptHeader {
        let (first, last) = (&self.list[run.start], &self.list[run.end - 1]);
        KeptHeader {
            segments: first.segments.start..last.segments.end,
            segment_len: self.segment_len,
            sequences: first.sequences.start..last.sequences.end,
            end_ms: last.end_ms,
        }
    }

    /// A kept file stands for a run of them now; returns those.
    pub fn replace(&mut self, by: &Arc<KeptIndex>) -> Vec<Stretch> {
        let segments = &by.header.segments;
        let first = self
            .list
            .partition_point(|it| it.segments.start < segments.start);
        let end = self
            .list
            .partition_point(|it| it.segments.end <= segments.end);
        let gone = self.list.drain(first..end).collect();
        self.list.insert(first, Stretch::kept(by));
        gone
    }

    /// From the oldest on.
    pub fn iter(&self) -> impl Iterator<Item = &Stretch> {
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
    use super::*;
    use crate::journal::retention::survey::Word;

    const LEN: u64 = 1_000;

    /// Segments 0 to 4 with ten messages each; segment `n` ends at `n + 1` seconds.
    fn list(window: Window) -> Stretches {
        let mut list = Stretches::new(LEN, window);
        for number in 0..5 {
            list.push(Stretch {
                segments: number..number + 1,
                sequences: 10 * number + 1..10 * number + 11,
                end_ms: (number + 1) * 1_000,
                len: LEN,
                kept: None,
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
    const NONE: Window = Window { messages: 0, ms: 0 };

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
        assert_eq!(list.ripe(&ALL), 5);
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
            list.run(ripe, &needed, 2 * LEN)
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
    fn a_kept_file_takes_the_place_of_its_run() {
        let mut list = list(NONE);
        let index = Arc::new(KeptIndex::empty(list.header(&(1..4))));
        assert_eq!(list.replace(&index).len(), 3);
        let segments: Vec<_> = list.iter().map(|it| it.segments.clone()).collect();
        assert_eq!(segments, [0..1, 1..4, 4..5]);
        assert_eq!(
            list.iter().nth(1).map(Stretch::name),
            Some(Name::Kept(1, 4))
        );
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let window = Window::new(usize::MAX, Duration::MAX);
        let stretch = Stretch {
            segments: u64::MAX - 1..u64::MAX,
            sequences: u64::MAX - 1..u64::MAX,
            end_ms: u64::MAX,
            len: u64::MAX,
            kept: None,
        };
        assert_eq!(list(window).holder(&stretch, &ALL), Some(Holder::Unsettled));
    }
}
