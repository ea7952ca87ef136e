//! The unsettled sequences: a sparse bit set.
//!
//! The table of messages inserts what is accepted and removes what is settled; retention asks with
//! a [`UnsettledQuery`] what must stay in the journal. It holds sequences alone, so its answer does not
//! depend on where a message is.
//!
//! ```text
//! words   | number, 64 bits | number, 64 bits | ...    numbers ascending, with gaps
//! ```
//! 16 bytes for 64 neighbouring messages, 16 bytes a message at worst.

use std::collections::VecDeque;

use crate::journal::retention::needed::Word;
use crate::journal::retention::query::UnsettledQuery;
use crate::limits::QUERY_WORDS;
use crate::message::Sequence;

/// Words up to which empty ones are not swept out.
const SWEEP_MIN: usize = 1024;

/// The set. Invariant: numbers ascend, the first word is not empty, `empty` words are.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    words: VecDeque<Word>,
    /// The number of the word that came last, if one ever did.
    last_number: u64,
    empty: usize,
}

impl Unsettled {
    /// Inserts a sequence that is higher than all that were inserted before.
    #[inline]
    pub(super) fn insert(&mut self, sequence: Sequence) {
        let (number, bit) = (sequence / 64, 1 << (sequence % 64));
        match self.words.back_mut() {
            Some(last) if last.number == number => {
                debug_assert!(last.bits < bit, "sequences ascend");
                self.empty -= usize::from(last.bits == 0);
                last.bits |= bit;
            }
            last => {
                debug_assert!(last.is_none_or(|it| it.number < number), "sequences ascend");
                self.words.push_back(Word { number, bits: bit });
                self.last_number = number;
            }
        }
    }

    /// Inserts sequences that are lower than all that are there; they ascend.
    pub(super) fn put_first(&mut self, sequences: impl Iterator<Item = Sequence>) {
        let younger = std::mem::take(self);
        sequences.for_each(|it| self.insert(it));
        for word in younger.words.into_iter().filter(|it| it.bits != 0) {
            match self.words.back_mut() {
                Some(last) if last.number == word.number => last.bits |= word.bits,
                _ => self.words.push_back(word),
            }
        }
        self.last_number = self
            .words
            .back()
            .map_or(younger.last_number, |it| it.number);
    }

    /// Removes a sequence; says whether it was there.
    #[inline]
    pub(super) fn remove(&mut self, sequence: Sequence) -> bool {
        let Some(word) = self.word_mut(sequence / 64) else {
            return false;
        };
        let bit = 1 << (sequence % 64);
        let was_there = word.bits & bit != 0;
        word.bits &= !bit;
        if was_there && word.bits == 0 {
            self.empty += 1;
            self.tidy();
        }
        was_there
    }

    /// Whether a sequence is there.
    pub(super) fn contains(&self, sequence: Sequence) -> bool {
        let at = self.find(sequence / 64);
        at.is_some_and(|at| self.words[at].bits >> (sequence % 64) & 1 == 1)
    }

    /// The lowest sequence of the set.
    pub(super) fn first(&self) -> Option<Sequence> {
        self.words.front().map(Word::first)
    }

    /// Answers a query, up to `QUERY_WORDS` words.
    pub(super) fn answer(&self, query: &mut UnsettledQuery) {
        query.words.clear();
        let begin = self.words.partition_point(|it| it.number < query.from / 64);
        for word in self.words.range(begin..) {
            if word.number * 64 >= query.to {
                break;
            }
            if query.words.len() == QUERY_WORDS {
                query.reached = word.number * 64;
                return;
            }
            if word.bits != 0 {
                query.words.push(*word);
            }
        }
        query.reached = query.to;
    }

    /// The word of this number. Its index is guessed from the end, which is right where no word
    /// between is missing; else it is searched for.
    #[inline]
    fn word_mut(&mut self, number: u64) -> Option<&mut Word> {
        let back = self.last_number.wrapping_sub(number) as usize;
        let guess = self.words.len().wrapping_sub(1).wrapping_sub(back);
        let is_guessed = (self.words.get(guess)).is_some_and(|it| it.number == number);
        let at = if is_guessed {
            guess
        } else {
            self.find(number)?
        };
        self.words.get_mut(at)
    }

    /// The index of the word of this number.
    fn find(&self, number: u64) -> Option<usize> {
        self.words
            .binary_search_by_key(&number, |it| it.number)
            .ok()
    }

    fn tidy(&mut self) {
        while self.words.front().is_some_and(|it| it.bits == 0) {
            self.words.pop_front();
            self.empty -= 1;
        }
        if self.words.len() > SWEEP_MIN && self.empty > self.words.len() / 2 {
            self.words.retain(|it| it.bits != 0);
            self.empty = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The members of the set, by queries.
    fn queried(set: &Unsettled, from: Sequence, to: Sequence) -> Vec<Sequence> {
        let (mut query, mut found) = (UnsettledQuery::new(), Vec::new());
        (query.from, query.to) = (from, to);
        loop {
            set.answer(&mut query);
            found.extend(query.words.iter().flat_map(Word::sequences));
            if query.reached == to {
                found.retain(|it| (from..to).contains(it));
                return found;
            }
            query.from = query.reached;
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(
            steps in prop::collection::vec((1..200_u64, prop::collection::vec(any::<prop::sample::Index>(), 0..4)), 1..400),
            from in 0..5_000_u64,
            len in 0..20_000_u64,
        ) {
            let (mut set, mut model) = (Unsettled::default(), BTreeSet::new());
            let mut next = 1;
            for (step, removed) in steps {
                next += step;
                set.insert(next);
                model.insert(next);
                for index in removed {
                    let sequence = index.index(next as usize + 9) as u64;
                    set.remove(sequence);
                    model.remove(&sequence);
                }
                prop_assert_eq!(set.first(), model.first().copied());
            }
            let expected: Vec<_> = model.range(from..from + len).copied().collect();
            prop_assert_eq!(queried(&set, from, from + len), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_put_before_all_others_is_as_if_it_had_come_first(
            older in prop::collection::btree_set(1..900_u64, 1..60),
            younger in prop::collection::btree_set(900..2_000_u64, 0..60),
            removed in prop::collection::vec(1..2_000_u64, 0..60),
        ) {
            let mut set = Unsettled::default();
            younger.iter().for_each(|it| set.insert(*it));
            set.put_first(older.iter().copied());
            let mut model: BTreeSet<_> = older.union(&younger).copied().collect();
            for sequence in removed {
                prop_assert_eq!(set.remove(sequence), model.remove(&sequence));
            }
            set.insert(2_000);
            model.insert(2_000);
            prop_assert_eq!(set.first(), model.first().copied());
            prop_assert_eq!(queried(&set, 0, 2_001), model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_long_lived_message_among_millions_costs_a_word() {
        let mut set = Unsettled::default();
        for sequence in 1..2_000_000 {
            set.insert(sequence);
            if sequence % 100_000 != 7 {
                set.remove(sequence);
            }
        }
        assert_eq!(set.first(), Some(7));
        assert!(set.words.len() <= SWEEP_MIN + 1, "{}", set.words.len());
        assert_eq!(queried(&set, 0, 2_000_000).len(), 20);
    }
}
