//! A set of sequences, of which most stand close together: a bit each, in pages.
//!
//! Recovery marks in it what was accepted and not settled. A page is dropped when its last member
//! goes, so the set is as large as what waits, however long the journal is.

use std::collections::HashMap;

use crate::message::Sequence;

const WORDS: usize = 8;
/// Sequences of a page.
const PAGE: u64 = 64 * WORDS as u64;

/// Sequences.
#[derive(Debug, Default)]
pub(super) struct SequenceSet {
    pages: HashMap<u64, [u64; WORDS], ahash::RandomState>,
    len: usize,
}

impl SequenceSet {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, sequence: Sequence) {
        let (word, bit) = place(sequence);
        let page = self.pages.entry(sequence / PAGE).or_default();
        self.len += usize::from(page[word] & bit == 0);
        page[word] |= bit;
    }

    /// Takes a sequence out; says whether it was in.
    pub(super) fn remove(&mut self, sequence: Sequence) -> bool {
        let (word, bit) = place(sequence);
        let Some(page) = self.pages.get_mut(&(sequence / PAGE)) else {
            return false;
        };
        let was_in = page[word] & bit != 0;
        page[word] &= !bit;
        self.len -= usize::from(was_in);
        if *page == [0; WORDS] {
            self.pages.remove(&(sequence / PAGE));
        }
        was_in
    }

    pub(super) fn contains(&self, sequence: Sequence) -> bool {
        let (word, bit) = place(sequence);
        let page = self.pages.get(&(sequence / PAGE));
        page.is_some_and(|page| page[word] & bit != 0)
    }
}

/// The word of its page, and the bit in it.
fn place(sequence: Sequence) -> (usize, u64) {
    let at = sequence % PAGE;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_answers_as_an_ordered_set_does_and_keeps_no_empty_page(
            steps in prop::collection::vec((0u64..3_000, any::<bool>()), 1..500),
        ) {
            let (mut set, mut model) = (SequenceSet::default(), BTreeSet::new());
            for (sequence, comes) in steps {
                if comes {
                    set.insert(sequence);
                    model.insert(sequence);
                } else {
                    prop_assert_eq!(set.remove(sequence), model.remove(&sequence));
                }
                prop_assert_eq!(set.contains(sequence), model.contains(&sequence));
                prop_assert_eq!(set.len(), model.len());
            }
            let pages: BTreeSet<_> = model.iter().map(|it| it / PAGE).collect();
            prop_assert_eq!(set.pages.len(), pages.len());
        }
    }
}
