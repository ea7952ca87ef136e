//! The index over the dedup window's ring of keys: hash to the number of the id, four bytes an
//! entry.
//!
//! It holds no keys: where a tag is not enough, it looks at the ring that its caller passes along.
//! An id that goes is not looked up to be removed, which would cost a cold cache line for each that
//! comes: its entry dies by its number, and a hand that goes round the buckets clears the dead.
//!
//! ```text
//! key[0]  | high 32 bits: home bucket | low 32 bits: their upper part is the tag |
//! entry   | tag, not zero | low bits of the id's number |           0 = free
//! bucket  [entry] x 15 [spill: low bits of the number of the last id that found it full]
//! ```
//! Invariant: between an entry's home bucket and the one it stands in, each bucket has spilled for
//! this entry or a later one. So a search goes on only where something that lives may have been
//! spilled, and a bucket that was swept since ends no search too early.

use std::ops::Range;

use super::bucket::{BUCKET, Bucket, equals, zeros};
use crate::memory::{prefer_huge_pages, prefetch};

/// Entries of a bucket; the last word says how far a search must go on.
const ENTRIES: usize = BUCKET - 1;
const SPILL: usize = ENTRIES;

/// Live entries that a bucket holds on average when the window is full; beside them stands a dead
/// one. More than 15 come to 2 % of the buckets.
const BUCKET_FILL: usize = 8;

/// A bucket is swept with every so many-th new id.
const SWEEP_STRIDE: usize = 2;

/// Buckets of 15 entries, half full at most.
#[derive(Debug)]
pub(super) struct Table {
    /// Longer than needed by what brings its first bucket to the start of a cache line.
    words: Vec<u32>,
    start: usize,
    buckets: usize,
    /// The bucket that is swept next.
    hand: usize,
    /// Bits of an entry that hold the id's number.
    number_bits: u32,
}

impl Table {
    /// An index for `capacity` ids.
    pub(super) fn new(capacity: usize) -> Self {
        let buckets = capacity.div_ceil(BUCKET_FILL).max(1);
        let words = vec![0; (buckets + 1) * BUCKET];
        prefer_huge_pages(&words);
        let start = words.as_ptr().align_offset(size_of::<Bucket>()).min(BUCKET);
        // No dead entry is older than the ids in which the hand comes round once.
        let ages = capacity + SWEEP_STRIDE * buckets + 2;
        Self {
            words,
            start,
            buckets,
            hand: 0,
            number_bits: usize::BITS - ages.leading_zeros(),
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.words[..])
    }

    /// Has the bucket of `key` fetched.
    #[inline]
    pub(super) fn touch(&self, key: [u64; 2]) {
        prefetch(self.bucket(self.home(key)));
    }

    /// The number of the id whose key this is, if it is among the `live` ones; `is_key` says
    /// whether the id of a number has it.
    #[inline]
    pub(super) fn find(
        &self,
        key: [u64; 2],
        live: &Range<u64>,
        is_key: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        let tag = self.tag(key);
        let mut at = self.home(key);
        for _ in 0..self.buckets {
            let bucket = self.bucket(at);
            // Where the last word is taken for an entry, its number and its key are another's, or
            // right.
            let mut hits = equals(bucket, self.number_bits, tag);
            while hits != 0 {
                let entry = bucket[hits.trailing_zeros() as usize];
                let number = self.number_of(entry, live);
                if let Some(number) = number.filter(|&number| is_key(number)) {
                    return Some(number);
                }
                hits &= hits - 1;
            }
            if !may_have_spilled(bucket, live) {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// Enters the id that comes behind the `live` ones; none of them has its key. Now and then
    /// clears what died in the next bucket of the round.
    #[inline]
    pub(super) fn insert(&mut self, key: [u64; 2], live: &Range<u64>) {
        let number = live.end;
        if number.is_multiple_of(SWEEP_STRIDE as u64) {
            self.sweep(live);
        }
        let entry = self.tag(key) << self.number_bits | number as u32 & self.number_mask();
        let mut at = self.home(key);
        loop {
            let bucket = self.bucket_mut(at);
            let free = zeros(bucket).trailing_zeros() as usize;
            if free < ENTRIES {
                bucket[free] = entry;
                return;
            }
            bucket[SPILL] = spill_of(number);
            at = self.after(at);
        }
    }

    /// Clears the entries of the hand's bucket that do not live; the hand goes on.
    #[inline]
    fn sweep(&mut self, live: &Range<u64>) {
        let (mask, end) = (self.number_mask(), live.end as u32);
        let count = (live.end - live.start) as u32;
        let hand = self.hand;
        self.hand = self.after(hand);
        let bucket = self.bucket_mut(hand);
        let spill = bucket[SPILL];
        for entry in bucket.iter_mut() {
            // A branch would keep this from becoming vector code.
            let age = end.wrapping_sub(*entry) & mask;
            *entry &= u32::from(age.wrapping_sub(1) < count).wrapping_neg();
        }
        bucket[SPILL] = spill;
    }

    /// The whole number of an entry, if it is among the `live` ones.
    #[inline]
    fn number_of(&self, entry: u32, live: &Range<u64>) -> Option<u64> {
        let age = (live.end as u32).wrapping_sub(entry) & self.number_mask();
        let number = live.end.checked_sub(u64::from(age))?;
        live.contains(&number).then_some(number)
    }

    #[inline]
    fn number_mask(&self) -> u32 {
        (1 << self.number_bits) - 1
    }

    #[inline]
    fn home(&self, key: [u64; 2]) -> usize {
        (((key[0] >> 32) * self.buckets as u64) >> 32) as usize
    }

    /// Never zero, so that no entry is taken for a free one.
    #[inline]
    fn tag(&self, key: [u64; 2]) -> u32 {
        (key[0] as u32 >> self.number_bits).max(1)
    }

    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets {
            0
        } else {
            bucket + 1
        }
    }

    #[inline]
    fn bucket(&self, at: usize) -> &Bucket {
        &self.words[self.start..].as_chunks().0[at]
    }

    #[inline]
    fn bucket_mut(&mut self, at: usize) -> &mut Bucket {
        &mut self.words[self.start..].as_chunks_mut().0[at]
    }
}

/// What a bucket remembers of the id of this number that found it full; never zero.
#[inline]
fn spill_of(number: u64) -> u32 {
    number as u32 | 1
}

/// Whether an id that was spilled from the bucket may live. After four thousand million ids a spill
/// looks young again, which costs a look at the next bucket.
#[inline]
fn may_have_spilled(bucket: &Bucket, live: &Range<u64>) -> bool {
    let age = (live.end as u32).wrapping_sub(bucket[SPILL]);
    bucket[SPILL] != 0 && u64::from(age) <= live.end - live.start + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// Keys with few homes, so that buckets overflow and spill, also round the end of the table.
    fn crowded(number: u64, buckets: u64) -> [u64; 2] {
        let home = number % 3 + buckets - 2;
        let high = ((home % buckets) << 32).div_ceil(buckets);
        [high << 32 | (number * 0x9e37_79b9) & 0xffff_ffff, number]
    }

    proptest! {
        #[test]
        fn crowded_buckets_lose_and_invent_nothing(
            start in prop_oneof![Just(0_u64), Just((1 << 32) - 100), any::<u32>().prop_map(u64::from)],
            steps in prop::collection::vec((0u64..90, 0usize..40), 1..600),
        ) {
            let (capacity, buckets) = (64, 8);
            let mut table = Table::new(capacity);
            let (mut live, mut model) = (start..start, VecDeque::new());
            for (id, forgotten) in steps {
                // Now and then time ends more than the one that must make room.
                let gone = if forgotten > 35 { forgotten } else { 0 };
                for _ in 0..gone.min(model.len()) {
                    model.pop_front();
                    live.start += 1;
                }
                let key_of = |number: u64| crowded(model[(number - live.start) as usize], buckets);
                for id in 0..90 {
                    let key = crowded(id, buckets);
                    let found = table.find(key, &live, |number| key_of(number) == key);
                    let place = model.iter().position(|&it| it == id);
                    prop_assert_eq!(found, place.map(|at| live.start + at as u64));
                }
                if model.contains(&id) {
                    continue;
                }
                if model.len() == capacity {
                    model.pop_front();
                    live.start += 1;
                }
                table.insert(crowded(id, buckets), &live);
                model.push_back(id);
                live.end += 1;
            }
        }
    }

    #[test]
    fn buckets_begin_at_cache_lines() {
        for capacity in [1, 100, 1_000_000] {
            let table = Table::new(capacity);
            assert_eq!(table.bucket(0).as_ptr().align_offset(64), 0);
            assert!(table.words.len() >= table.start + table.buckets * BUCKET);
        }
    }

    #[test]
    fn the_largest_window_leaves_room_for_a_tag() {
        let buckets = super::super::WINDOW_MESSAGES_MAX.div_ceil(BUCKET_FILL);
        let ages = super::super::WINDOW_MESSAGES_MAX + SWEEP_STRIDE * buckets + 2;
        assert!(usize::BITS - ages.leading_zeros() <= 29);
    }
}
