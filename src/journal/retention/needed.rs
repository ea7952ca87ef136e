//! Sets of sequences, a bit each: what a query answers, and what of a journal must stay.

use std::ops::Range;

use crate::message::Sequence;

/// Sixty-four sequences, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    /// The first of the sequences, divided by 64.
    pub(crate) number: u64,
    /// The lowest bit is the first sequence's.
    pub(crate) bits: u64,
}

impl Word {
    /// The lowest sequence whose bit is set; one must be.
    #[must_use]
    pub(crate) fn first(&self) -> Sequence {
        self.number * 64 + u64::from(self.bits.trailing_zeros())
    }

    /// The sequences whose bits are set.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = Sequence> + use<> {
        let Self { number, bits } = *self;
        let bits = (0..64).filter(move |at| bits >> at & 1 == 1);
        bits.map(move |at| number * 64 + at)
    }
}

/// Whether a sequence is in these words, whose numbers ascend.
#[must_use]
pub(crate) fn contains(words: &[Word], sequence: Sequence) -> bool {
    let at = words.binary_search_by_key(&(sequence / 64), |it| it.number);
    at.is_ok_and(|at| words[at].bits >> (sequence % 64) & 1 == 1)
}

/// The sequences that must stay, of a query's words.
#[derive(Debug, Default)]
pub(crate) struct Needed(Vec<Word>);

impl Needed {
    /// More of them: words ascend.
    pub(crate) fn extend(&mut self, words: &[Word]) {
        self.0.extend_from_slice(words);
    }

    /// Whether this one must stay.
    #[must_use]
    pub(crate) fn contains(&self, sequence: Sequence) -> bool {
        contains(&self.0, sequence)
    }

    /// Those that are left.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = Sequence> {
        self.0.iter().flat_map(Word::sequences)
    }

    /// Takes this one out; says whether it was there.
    pub(crate) fn take(&mut self, sequence: Sequence) -> bool {
        let at = self
            .0
            .binary_search_by_key(&(sequence / 64), |it| it.number);
        let Ok(at) = at else { return false };
        let (bits, bit) = (&mut self.0[at].bits, 1 << (sequence % 64));
        let was_there = *bits & bit != 0;
        *bits &= !bit;
        was_there
    }

    /// Forgets those from this one on: a query's last word may have more than was asked for.
    pub(crate) fn truncate(&mut self, end: Sequence) {
        let count = self.0.partition_point(|it| it.number * 64 < end);
        self.0.truncate(count);
        if let Some(last) = self.0.last_mut()
            && last.number == end / 64
        {
            last.bits &= (1 << (end % 64)) - 1;
        }
    }

    /// Words from that of `first` to that of `last`, with those of which all were taken out.
    pub(crate) fn words_between(&self, first: Sequence, last: Sequence) -> usize {
        let before = self.0.partition_point(|it| it.number < first / 64);
        let through = self.0.partition_point(|it| it.number <= last / 64);
        through - before
    }

    /// How many of these must stay.
    #[must_use]
    pub(crate) fn count(&self, sequences: &Range<Sequence>) -> u64 {
        let first = self
            .0
            .partition_point(|it| it.number < sequences.start / 64);
        let words = self.0[first..].iter();
        let words = words.take_while(|it| it.number * 64 < sequences.end);
        let inside = |sequence: &Sequence| sequences.contains(sequence);
        words
            .map(|it| it.sequences().filter(inside).count() as u64)
            .sum()
    }
}
