//! Bucket tables: where each millisecond of a native lane ends, for lanes whose messages come far
//! out of order. From a pool: few lanes need one, and not for long.
//!
//! A lane feeds it and asks it behind whom a message belongs. It links nothing itself.
//!
//! ```text
//! .. older | floor ............................. floor + BUCKETS - 1
//!     ^    | one bucket a millisecond: its last message, and a bit when there is one
//!     last of all that is older than the window
//! ```

use super::links::NONE;
use crate::limits::BUCKETS;

const WORDS: usize = BUCKETS / 64;

/// The buckets of one lane: 1,080 bytes.
#[derive(Debug)]
pub(super) struct Table {
    tails: [u32; BUCKETS],
    bits: [u64; WORDS],
    /// The window's first millisecond.
    floor_ms: u64,
    /// The last message before the window.
    older: u32,
}

impl Table {
    fn new() -> Self {
        Self {
            tails: [NONE; BUCKETS],
            bits: [0; WORDS],
            floor_ms: 0,
            older: NONE,
        }
    }

    /// Notes that `slot` is the last message with this timestamp, or before the window.
    pub(super) fn set(&mut self, timestamp_ms: u64, slot: u32) {
        if timestamp_ms < self.floor_ms {
            self.older = slot;
            return;
        }
        let at = bucket(timestamp_ms);
        self.tails[at] = slot;
        self.bits[at / 64] |= 1 << (at % 64);
    }

    /// Notes that `slot`, the lane's first, goes.
    pub(super) fn forget(&mut self, timestamp_ms: u64, slot: u32) {
        let at = bucket(timestamp_ms);
        if self.older == slot {
            self.older = NONE;
        } else if timestamp_ms >= self.floor_ms && self.tails[at] == slot {
            self.bits[at / 64] &= !(1 << (at % 64));
        }
    }

    /// The message behind which one with this timestamp belongs; `NONE`: before all.
    pub(super) fn last_until(&self, timestamp_ms: u64) -> u32 {
        debug_assert!(timestamp_ms - self.floor_ms < BUCKETS as u64);
        self.last_bucket(self.floor_ms, timestamp_ms)
            .map_or(self.older, |at| self.tails[at])
    }

    /// Lets the window begin at `floor_ms`.
    pub(super) fn advance(&mut self, floor_ms: u64) {
        if floor_ms <= self.floor_ms {
            return;
        }
        let end_ms = (floor_ms - 1).min(self.floor_ms + BUCKETS as u64 - 1);
        if let Some(at) = self.last_bucket(self.floor_ms, end_ms) {
            self.older = self.tails[at];
        }
        for (word, bits) in self.bits.iter_mut().enumerate() {
            *bits &= !mask(word, self.floor_ms, end_ms);
        }
        self.floor_ms = floor_ms;
    }

    /// The last bucket in use between these two, which lie in one window.
    fn last_bucket(&self, from_ms: u64, to_ms: u64) -> Option<usize> {
        // From the word of `to_ms` down, once round; its upper part comes last.
        let start = bucket(to_ms) / 64;
        (0..=WORDS).find_map(|step| {
            let word = (start + WORDS - step % WORDS) % WORDS;
            let below = !0 >> (63 - bucket(to_ms) % 64);
            let part = match step {
                0 => below,
                WORDS => !below,
                _ => !0,
            };
            let bits = self.bits[word] & part & mask(word, from_ms, to_ms);
            (bits != 0).then(|| word * 64 + 63 - bits.leading_zeros() as usize)
        })
    }
}

fn bucket(timestamp_ms: u64) -> usize {
    (timestamp_ms % BUCKETS as u64) as usize
}

/// The bits of `word` that stand for the milliseconds `from..=to`, at most `BUCKETS` of them.
fn mask(word: usize, from_ms: u64, to_ms: u64) -> u64 {
    let (from, to) = (bucket(from_ms), bucket(to_ms));
    // Bits of this word from bit `at` of the table on.
    let upper = |at: usize| match at.saturating_sub(word * 64) {
        shift @ 0..64 => !0 << shift,
        _ => 0,
    };
    if from <= to {
        upper(from) & !upper(to + 1)
    } else {
        upper(from) | !upper(to + 1)
    }
}

/// All tables: those in use, and those that wait to be used again.
#[derive(Debug, Default)]
pub(super) struct Tables {
    tables: Vec<Table>,
    free: Vec<u32>,
}

impl Tables {
    /// An empty table whose window begins at `floor_ms`.
    pub(super) fn take(&mut self, floor_ms: u64) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.tables.push(Table::new());
            self.free.reserve(self.tables.len());
            self.tables.len() as u32 - 1
        });
        let table = self.get(at);
        table.bits = [0; WORDS];
        table.older = NONE;
        table.floor_ms = floor_ms;
        at
    }

    /// Takes a table back.
    pub(super) fn give_back(&mut self, at: u32) {
        self.free.push(at);
    }

    pub(super) fn get(&mut self, at: u32) -> &mut Table {
        &mut self.tables[at as usize]
    }

    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.tables.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_finds_the_last_one_until_a_time_as_an_ordered_map_does(
            start in 0u64..10_000,
            steps in prop::collection::vec((0u64..BUCKETS as u64, 0u8..10, 0u64..400), 1..200),
        ) {
            let (mut table, mut model, mut floor_ms) = (Table::new(), BTreeMap::new(), start);
            table.advance(floor_ms);
            for (slot, (offset, what, jump)) in steps.into_iter().enumerate() {
                match what {
                    0 => floor_ms += jump,
                    1..=3 => floor_ms += jump % 4,
                    _ => {}
                }
                table.advance(floor_ms);
                let at_ms = floor_ms + offset;
                let last = model.range(..=at_ms).next_back().map_or(NONE, |(_, &slot)| slot);
                prop_assert_eq!(table.last_until(at_ms), last);
                if what < 8 {
                    table.set(at_ms, slot as u32);
                    model.insert(at_ms, slot as u32);
                } else if let Some((first_ms, first)) = model.pop_first() {
                    table.forget(first_ms, first);
                }
            }
        }
    }
}
