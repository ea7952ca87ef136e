//! A set of small numbers whose first member is found in a few instructions, however large it is.
//!
//! The queues feed it the destinations that may be served and ask it for the next one. It counts
//! nothing and orders nothing but by number.
//!
//! ```text
//! layer 2            [1]                one bit for 64 words of layer 1
//! layer 1       [1011...][0..]          one bit for each word of layer 0 that is not zero
//! layer 0  [..][0][..][..] ...          one bit a member
//! ```

const WORD_BITS: usize = u64::BITS as usize;

/// A growable set of indexes below its length.
#[derive(Debug, Clone)]
pub(crate) struct Bitmap {
    /// From the members up to one single word.
    layers: Vec<Vec<u64>>,
    len: usize,
}

impl Bitmap {
    /// An empty set of indexes below `len`.
    #[must_use]
    pub(crate) fn new(len: usize) -> Self {
        let mut bitmap = Self {
            layers: vec![vec![0]],
            len: 0,
        };
        bitmap.grow(len);
        bitmap
    }

    /// The bound of the indexes.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no member.
    #[inline]
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.layers.last().is_none_or(|top| top[0] == 0)
    }

    /// Raises the bound to `len`; the members stay.
    pub(crate) fn grow(&mut self, len: usize) {
        self.len = self.len.max(len);
        let mut words = self.len.div_ceil(WORD_BITS).max(1);
        let mut depth = 0;
        loop {
            if depth == self.layers.len() {
                // All that was there so far lies under the first word of the layer below.
                let occupied = self.layers[depth - 1][0] != 0;
                self.layers.push(vec![u64::from(occupied)]);
            }
            self.layers[depth].resize(words, 0);
            if words == 1 {
                return;
            }
            words = words.div_ceil(WORD_BITS);
            depth += 1;
        }
    }

    /// Puts `index` in. Nothing happens if it is there.
    #[inline]
    pub(crate) fn set(&mut self, index: usize) {
        debug_assert!(index < self.len);
        let mut index = index;
        for layer in &mut self.layers {
            let word = &mut layer[index / WORD_BITS];
            let was_empty = *word == 0;
            *word |= 1 << (index % WORD_BITS);
            if !was_empty {
                return;
            }
            index /= WORD_BITS;
        }
    }

    /// Takes `index` out. Nothing happens if it is not there.
    #[inline]
    pub(crate) fn clear(&mut self, index: usize) {
        debug_assert!(index < self.len);
        let mut index = index;
        for layer in &mut self.layers {
            let word = &mut layer[index / WORD_BITS];
            *word &= !(1 << (index % WORD_BITS));
            if *word != 0 {
                return;
            }
            index /= WORD_BITS;
        }
    }

    /// Whether `index` is a member; what is beyond the length is none.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn get(&self, index: usize) -> bool {
        let word = self.layers[0].get(index / WORD_BITS);
        word.is_some_and(|word| word >> (index % WORD_BITS) & 1 == 1)
    }

    /// The smallest member.
    #[inline]
    #[must_use]
    pub(crate) fn first(&self) -> Option<usize> {
        self.next_from(0)
    }

    /// The smallest member that is not below `index`.
    #[inline]
    #[must_use]
    pub(crate) fn next_from(&self, index: usize) -> Option<usize> {
        let mut index = index;
        for (depth, layer) in self.layers.iter().enumerate() {
            let at = index / WORD_BITS;
            let word = layer.get(at)? & (!0 << (index % WORD_BITS));
            if word != 0 {
                return Some(self.descend(depth, at * WORD_BITS + lowest(word)));
            }
            index = at + 1;
        }
        None
    }

    /// The smallest member that is not below `index`, or else the smallest of all.
    #[inline]
    #[must_use]
    pub(crate) fn next_cyclic(&self, index: usize) -> Option<usize> {
        self.next_from(index).or_else(|| self.first())
    }

    /// The smallest member under bit `index` of the layer at `depth`.
    #[inline]
    fn descend(&self, depth: usize, index: usize) -> usize {
        let below = self.layers[..depth].iter().rev();
        below.fold(index, |index, layer| {
            index * WORD_BITS + lowest(layer[index])
        })
    }
}

#[inline]
fn lowest(word: u64) -> usize {
    word.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check(bitmap: &Bitmap, model: &BTreeSet<usize>, at: usize) {
        assert_eq!(bitmap.get(at), model.contains(&at));
        assert_eq!(bitmap.first(), model.first().copied());
        assert_eq!(bitmap.is_empty(), model.is_empty());
        let next = model.range(at..).next().copied();
        assert_eq!(bitmap.next_from(at), next);
        assert_eq!(
            bitmap.next_cyclic(at),
            next.or_else(|| model.first().copied())
        );
    }

    proptest! {
        #[test]
        fn it_answers_as_an_ordered_set_does_while_it_grows(
            start in 0usize..5_000,
            steps in prop::collection::vec((0u8..8, any::<prop::sample::Index>()), 1..300),
        ) {
            let (mut bitmap, mut model) = (Bitmap::new(start), BTreeSet::new());
            for (what, at) in steps {
                let at = at.index(bitmap.len().max(1) + 1);
                match what {
                    0 => bitmap.grow((at * 3).min(300_000)),
                    1..=4 if at < bitmap.len() => { bitmap.set(at); model.insert(at); }
                    5..=7 if at < bitmap.len() => { bitmap.clear(at); model.remove(&at); }
                    _ => {}
                }
                check(&bitmap, &model, at);
            }
        }
    }

    #[test]
    fn edges_of_words_and_layers_hold_members() {
        for len in [1, 63, 64, 65, 4_095, 4_096, 4_097, 262_144, 262_145] {
            let mut bitmap = Bitmap::new(len);
            assert_eq!(bitmap.first(), None);
            bitmap.set(len - 1);
            assert_eq!(bitmap.first(), Some(len - 1));
            assert_eq!(bitmap.next_from(len), None);
            assert_eq!(bitmap.next_cyclic(len), Some(len - 1));
            bitmap.clear(len - 1);
            assert!(bitmap.is_empty());
        }
    }

    #[test]
    fn members_survive_the_growth_of_new_layers() {
        let mut bitmap = Bitmap::new(1);
        bitmap.set(0);
        bitmap.grow(300_000);
        assert_eq!(bitmap.first(), Some(0));
        bitmap.set(299_999);
        assert_eq!(bitmap.next_from(1), Some(299_999));
        bitmap.clear(0);
        assert_eq!(bitmap.first(), Some(299_999));
    }
}
