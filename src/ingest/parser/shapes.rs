//! The second layer of the fast path: the shapes of lines that simd-json has accepted, each with
//! what its user knows of it.
//!
//! Lines of one origin have few shapes: the same tokens in the same order, whatever the texts and
//! numbers are. Tokens decide whether a line is one object, but for what is inside texts and
//! numbers, so a line whose shape is here needs no grammar. The table is bounded: a new shape takes
//! the place of the oldest of its set.

use super::tokens::{KINDS_LEN, Kinds, Tokens};
use crate::limits::SHAPE_TOKENS_MAX;

/// The table is of so many sets: which one a shape is in, its tokens say.
const SETS: usize = 64;

/// Shapes of a set: lines of the same tokens may differ in keys and spaces, and are a shape each.
const WAYS: usize = 4;

const _: () = assert!(SHAPE_TOKENS_MAX < 2 * KINDS_LEN, "a key has two words");

/// Shapes, with a `T` for each.
pub(super) struct Shapes<T> {
    sets: Box<[Set<T>]>,
}

struct Set<T> {
    keys: [Key; WAYS],
    known: [T; WAYS],
    /// The next one to give way.
    oldest: usize,
}

/// The tokens of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    count: usize,
    kinds: [Kinds; 2],
}

impl Key {
    const NONE: Self = Self {
        count: usize::MAX,
        kinds: [[0; 3]; 2],
    };

    #[inline(always)]
    fn is_of(&self, tokens: &Tokens) -> bool {
        self.count == tokens.count() && self.kinds == *tokens.first_kinds()
    }
}

impl<T: Default> Default for Shapes<T> {
    fn default() -> Self {
        let set = || Set {
            keys: [Key::NONE; WAYS],
            known: Default::default(),
            oldest: 0,
        };
        Self {
            sets: (0..SETS).map(|_| set()).collect(),
        }
    }
}

impl<T> Shapes<T> {
    /// What is known of lines with these tokens, for which `is_right` says that it is right.
    #[inline(always)]
    pub(super) fn find(
        &self,
        tokens: &mut Tokens,
        mut is_right: impl FnMut(&mut Tokens, &T) -> bool,
    ) -> Option<&T> {
        let set = &self.sets[set_of(tokens)];
        for (key, known) in set.keys.iter().zip(&set.known) {
            if key.is_of(tokens) && is_right(tokens, known) {
                return Some(known);
            }
        }
        None
    }

    /// A line with these tokens, [`SHAPE_TOKENS_MAX`] at most, was accepted.
    pub(super) fn insert(&mut self, tokens: &Tokens, known: T) {
        let set = &mut self.sets[set_of(tokens)];
        set.keys[set.oldest] = Key {
            count: tokens.count(),
            kinds: *tokens.first_kinds(),
        };
        set.known[set.oldest] = known;
        set.oldest = (set.oldest + 1) % WAYS;
    }
}

#[inline(always)]
fn set_of(tokens: &Tokens) -> usize {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |kinds: &Kinds| kinds[0] ^ kinds[1].rotate_left(21) ^ kinds[2].rotate_left(42);
    let [first, second] = tokens.first_kinds();
    let mixed = mix(first) ^ mix(second).rotate_left(7) ^ tokens.count() as u64;
    (mixed.wrapping_mul(SPREAD) >> (u64::BITS - SETS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::super::vectors::BitByBit;
    use super::*;

    fn tokens(line: &str) -> Tokens {
        let mut tokens = Tokens::default();
        assert!(tokens.scan(line.as_bytes(), BitByBit).is_some());
        tokens
    }

    #[test]
    fn a_shape_is_found_until_as_many_newer_ones_have_its_tokens() {
        let mut shapes = Shapes::<usize>::default();
        let mut one = tokens(r#"{"a": 1}"#);
        let mut same = tokens(r#"{"other":-2.5}"#);
        let mut other = tokens(r#"{"a": "1"}"#);
        for number in 1..20 {
            shapes.insert(&one, number);
            let kept = number.saturating_sub(WAYS - 1).max(1)..=number;
            for wanted in 1..=number {
                let found = shapes.find(&mut same, |_, known| *known == wanted);
                assert_eq!(
                    found.is_some(),
                    kept.contains(&wanted),
                    "{wanted} of {number}"
                );
            }
            assert!(shapes.find(&mut one, |_, _| true).is_some());
            assert!(shapes.find(&mut other, |_, _| true).is_none());
        }
    }
}
