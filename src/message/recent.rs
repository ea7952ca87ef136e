//! The short names that were asked for lately: most lines name the same few.
//!
//! The directory asks here first. A name of at most 16 bytes is two words and a length, so that
//! finding it costs a multiplication and three comparisons instead of a keyed hash. Each has one
//! place, where a later one of the same place follows it; nobody loses more by that than time.

/// Places.
const RECENT: usize = 1024;

/// A name of 1 to 16 bytes, by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShortName {
    /// Its first and its last bytes; in a name of less than 16 they overlap.
    words: [u64; 2],
    len: u32,
}

impl ShortName {
    const NONE: Self = Self {
        words: [0; 2],
        len: 0,
    };

    /// The name; `None`: it is empty, or not short.
    #[inline]
    pub(super) fn of(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let four = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
        let words = match bytes.len() {
            8..=16 => {
                let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
                [*first, *last].map(u64::from_le_bytes)
            }
            4..8 => [four(bytes.first_chunk()?), four(bytes.last_chunk()?)],
            1..4 => {
                let ends = [bytes[0], bytes[bytes.len() / 2], bytes[bytes.len() - 1], 0];
                [four(&ends), 0]
            }
            _ => return None,
        };
        let len = bytes.len() as u32;
        Some(Self { words, len })
    }

    #[inline]
    fn place(self) -> usize {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = self.words[0] ^ self.words[1].rotate_left(29) ^ u64::from(self.len);
        (mixed.wrapping_mul(SPREAD) >> (u64::BITS - RECENT.ilog2())) as usize
    }
}

/// The last names of each place, with their indices.
#[derive(Debug, Clone)]
pub(super) struct Recent(Box<[(ShortName, u32)]>);

impl Default for Recent {
    fn default() -> Self {
        Self(vec![(ShortName::NONE, 0); RECENT].into())
    }
}

impl Recent {
    /// The index of a name, if it is kept.
    #[inline]
    pub(super) fn find(&self, name: ShortName) -> Option<u32> {
        let (kept, index) = self.0[name.place()];
        (kept == name).then_some(index)
    }

    /// Keeps a name.
    pub(super) fn keep(&mut self, name: ShortName, index: u32) {
        self.0[name.place()] = (name, index);
    }

    /// Keeps a name no more.
    pub(super) fn forget(&mut self, name: ShortName) {
        let kept = &mut self.0[name.place()];
        if kept.0 == name {
            *kept = (ShortName::NONE, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_equal_exactly_where_their_bytes_are(
            one in "[ab\0\u{e9}]{0,17}",
            other in "[ab\0\u{e9}]{0,17}",
        ) {
            let is_short = |name: &str| (1..=16).contains(&name.len());
            let both = ShortName::of(&one).zip(ShortName::of(&other));
            prop_assert_eq!(both.is_some(), is_short(&one) && is_short(&other));
            if let Some((short, other_short)) = both {
                prop_assert_eq!(short == other_short, one == other);
            }
        }

        #[test]
        fn a_kept_name_has_its_own_index_or_none(
            names in prop::collection::vec("[a-c]{1,5}", 1..60),
        ) {
            let (mut recent, mut model) = (Recent::default(), HashMap::new());
            for (index, name) in (0..).zip(names) {
                let index = *model.entry(name.clone()).or_insert(index);
                recent.keep(ShortName::of(&name).expect("it is short"), index);
                for (name, index) in &model {
                    let found = recent.find(ShortName::of(name).expect("it is short"));
                    prop_assert!(found.is_none_or(|it| it == *index));
                }
                let short = ShortName::of(&name).expect("it is short");
                prop_assert_eq!(recent.find(short), Some(index));
            }
        }
    }

    #[test]
    fn numbered_names_have_many_places() {
        let names = (1..=512).map(|number| format!("table{number}"));
        let places: std::collections::HashSet<_> = names
            .map(|name| ShortName::of(&name).expect("it is short").place())
            .collect();
        assert!(places.len() > 300, "{}", places.len());
    }
}
