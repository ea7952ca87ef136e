//! What is known of a user's rights, by destination index: two bits each, so that a message costs one
//! look into a word.
//!
//! ```text
//! word 0:  destination 31 ... 1, 0      00 not asked yet   10 refused   11 permitted
//! ```

use crate::message::DestinationIndex;

const DESTINATIONS_PER_WORD: usize = 32;
const KNOWN: u64 = 0b10;
const PERMITTED: u64 = 0b11;

/// The answers so far. It grows with the highest destination that was asked about.
#[derive(Debug, Clone, Default)]
pub(super) struct Permits {
    words: Vec<u64>,
}

impl Permits {
    /// Whether the destination is permitted; `ask` is called where that is not known yet.
    #[inline]
    pub(super) fn check(
        &mut self,
        destination: DestinationIndex,
        ask: impl FnOnce() -> bool,
    ) -> bool {
        let (word, shift) = place(destination);
        let answer = self.words.get(word).copied().unwrap_or_default() >> shift & PERMITTED;
        match answer {
            0 => self.learn(destination, ask()),
            answer => answer == PERMITTED,
        }
    }

    #[cold]
    fn learn(&mut self, destination: DestinationIndex, is_permitted: bool) -> bool {
        let (word, shift) = place(destination);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let answer = if is_permitted { PERMITTED } else { KNOWN };
        self.words[word] |= answer << shift;
        is_permitted
    }

    /// The index is another destination's from now on.
    pub(super) fn forget(&mut self, destination: DestinationIndex) {
        let (word, shift) = place(destination);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !(PERMITTED << shift);
        }
    }
}

fn place(destination: DestinationIndex) -> (usize, usize) {
    let at = destination as usize;
    (at / DESTINATIONS_PER_WORD, 2 * (at % DESTINATIONS_PER_WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The naive model asks for each message; here each destination is asked about once.
        #[test]
        fn each_destination_is_asked_about_once_until_it_is_forgotten(
            steps in proptest::collection::vec((0_u32..100, any::<bool>()), 0..300),
        ) {
            let mut permits = Permits::default();
            let (mut asked, mut salt) = (HashMap::new(), 0);
            for (destination, forgets) in steps {
                if forgets {
                    salt += 1;
                    permits.forget(destination);
                    asked.remove(&destination);
                    continue;
                }
                let is_new = !asked.contains_key(&destination);
                let expected = *asked
                    .entry(destination)
                    .or_insert_with(|| (destination + salt).is_multiple_of(3));
                let mut was_asked = false;
                let permitted = permits.check(destination, || {
                    was_asked = true;
                    expected
                });
                prop_assert_eq!((permitted, was_asked), (expected, is_new));
            }
        }
    }
}
