//! The index over the dedup window's ring of keys: hash to place in the ring, four bytes an entry.
//!
//! It holds no keys: where a tag is not enough, it looks at the ring that its caller passes along.
//! It knows neither time nor order.
//!
//! ```text
//! key[0]  | high 32 bits: home bucket | low 32 bits: their upper part is the tag |
//! ```
//! Invariant: an entry outside its home bucket has only full buckets between home and itself.

use std::hint::black_box;

/// Entries of a bucket: a cache line of them.
const BUCKET: usize = 16;

/// Entries that a bucket holds on average when the window is full; more than 16 come to 0.4 % of
/// the buckets.
const BUCKET_FILL: usize = 8;

/// Buckets of 16 entries, half full at most.
#[derive(Debug)]
pub(super) struct Table {
    /// Longer than needed by what brings its first bucket to the start of a cache line.
    entries: Vec<u32>,
    start: usize,
    buckets: usize,
    /// Bits of an entry that hold ring index + 1.
    index_bits: u32,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    bucket: usize,
    slot: usize,
}

type Bucket = [u32; BUCKET];

impl Table {
    /// An index for a ring of `capacity` keys.
    pub(super) fn new(capacity: usize) -> Self {
        let buckets = capacity.div_ceil(BUCKET_FILL).max(1);
        let entries = vec![0; (buckets + 1) * BUCKET];
        let start = entries
            .as_ptr()
            .align_offset(size_of::<Bucket>())
            .min(BUCKET);
        Self {
            entries,
            start,
            buckets,
            index_bits: usize::BITS - capacity.leading_zeros(),
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.entries[..])
    }

    /// Reads a bucket for no other end than to have it in the cache soon.
    #[inline]
    pub(super) fn touch(&self, key: [u64; 2]) {
        black_box(self.bucket(self.home(key))[0]);
    }

    /// Where `key` stands.
    #[inline]
    pub(super) fn find(&self, key: [u64; 2], keys: &[[u64; 2]]) -> Option<Place> {
        let tag = self.tag(key);
        let mut at = self.home(key);
        loop {
            let bucket = self.bucket(at);
            let mut hits = matches(bucket, |entry| entry >> self.index_bits == tag);
            while hits != 0 {
                let slot = hits.trailing_zeros() as usize;
                // A free entry looks like one with the tag 0.
                if bucket[slot] != 0 && keys[self.index_of(bucket[slot])] == key {
                    return Some(Place { bucket: at, slot });
                }
                hits &= hits - 1;
            }
            if !is_full(bucket) {
                return None;
            }
            at = self.after(at);
        }
    }

    /// The ring index that stands at `place`.
    pub(super) fn index(&self, place: Place) -> usize {
        self.index_of(self.bucket(place.bucket)[place.slot])
    }

    /// Enters `key`, which stands at `index` of the ring and not in this table.
    #[inline]
    pub(super) fn insert(&mut self, key: [u64; 2], index: usize) {
        let entry = self.entry(key, index);
        let mut at = self.home(key);
        loop {
            let bucket = self.bucket_mut(at);
            let free = matches(bucket, |entry| entry == 0);
            if free != 0 {
                bucket[free.trailing_zeros() as usize] = entry;
                return;
            }
            at = self.after(at);
        }
    }

    /// Removes the entry of the ring's `index`, if it is still that key's.
    #[inline]
    pub(super) fn forget(&mut self, index: usize, keys: &[[u64; 2]]) {
        let key = keys[index];
        let entry = self.entry(key, index);
        let mut at = self.home(key);
        loop {
            let bucket = self.bucket(at);
            let hits = matches(bucket, |other| other == entry);
            if hits != 0 {
                let slot = hits.trailing_zeros() as usize;
                return self.remove(Place { bucket: at, slot }, keys);
            }
            if !is_full(bucket) {
                return;
            }
            at = self.after(at);
        }
    }

    /// Removes what stands at `place`.
    #[inline]
    pub(super) fn remove(&mut self, place: Place, keys: &[[u64; 2]]) {
        let bucket = self.bucket_mut(place.bucket);
        let was_full = is_full(bucket);
        bucket[place.slot] = 0;
        if was_full {
            self.pull_back(place, keys);
        }
    }

    /// Fills the hole in a bucket that was full with a guest of a later one, and so on for the hole
    /// that it leaves, to keep the invariant.
    #[cold]
    fn pull_back(&mut self, hole: Place, keys: &[[u64; 2]]) {
        let mut hole = hole;
        let mut at = self.after(hole.bucket);
        while at != hole.bucket {
            let was_full = is_full(self.bucket(at));
            if let Some(slot) = self.guest(at, hole.bucket, keys) {
                let entry = std::mem::take(&mut self.bucket_mut(at)[slot]);
                self.bucket_mut(hole.bucket)[hole.slot] = entry;
                hole = Place { bucket: at, slot };
            }
            if !was_full {
                return;
            }
            at = self.after(at);
        }
    }

    /// A slot of bucket `at` whose entry passed by bucket `hole` on the way from its home.
    fn guest(&self, at: usize, hole: usize, keys: &[[u64; 2]]) -> Option<usize> {
        let from_hole = self.distance(hole, at);
        self.bucket(at).iter().position(|&entry| {
            entry != 0 && self.distance(self.home(keys[self.index_of(entry)]), at) >= from_hole
        })
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.buckets - from
        }
    }

    #[inline]
    fn home(&self, key: [u64; 2]) -> usize {
        (((key[0] >> 32) * self.buckets as u64) >> 32) as usize
    }

    #[inline]
    fn tag(&self, key: [u64; 2]) -> u32 {
        key[0] as u32 >> self.index_bits
    }

    #[inline]
    fn entry(&self, key: [u64; 2], index: usize) -> u32 {
        self.tag(key) << self.index_bits | (index as u32 + 1)
    }

    #[inline]
    fn index_of(&self, entry: u32) -> usize {
        (entry & ((1 << self.index_bits) - 1)) as usize - 1
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
        &self.entries[self.start..].as_chunks().0[at]
    }

    #[inline]
    fn bucket_mut(&mut self, at: usize) -> &mut Bucket {
        &mut self.entries[self.start..].as_chunks_mut().0[at]
    }
}

/// One bit for each entry that `hit` holds for; without branches, so that it becomes vector code.
#[inline]
fn matches(bucket: &Bucket, hit: impl Fn(u32) -> bool) -> u32 {
    let mut bits = 0;
    for (slot, &entry) in bucket.iter().enumerate() {
        bits |= u32::from(hit(entry)) << slot;
    }
    bits
}

#[inline]
fn is_full(bucket: &Bucket) -> bool {
    bucket.iter().fold(true, |full, &entry| full & (entry != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Keys with few homes, so that buckets overflow, chains wrap round and guests are pulled back.
    fn crowded(number: u64, buckets: u64) -> [u64; 2] {
        let home = number % 3 + buckets - 2;
        let high = ((home % buckets) << 32).div_ceil(buckets);
        [high << 32 | (number * 0x9e37_79b9) & 0xffff_ffff, number]
    }

    proptest! {
        #[test]
        fn crowded_buckets_lose_and_invent_nothing(
            steps in prop::collection::vec((any::<bool>(), 0u64..60), 1..600),
        ) {
            let mut table = Table::new(64);
            let (mut keys, mut model) = (vec![[0; 2]; 64], HashMap::new());
            for (enter, number) in steps {
                let (key, index) = (crowded(number, 8), number as usize);
                match (enter, model.remove(&number)) {
                    (true, None) => {
                        keys[index] = key;
                        table.insert(key, index);
                        model.insert(number, index);
                    }
                    (true, Some(index)) => { model.insert(number, index); }
                    (false, Some(index)) => table.forget(index, &keys),
                    (false, None) => table.forget(index, &keys),
                }
                for number in 0..60 {
                    let found = table.find(crowded(number, 8), &keys);
                    let found = found.map(|place| table.index(place));
                    prop_assert_eq!(found, model.get(&number).copied());
                }
            }
        }
    }

    #[test]
    fn buckets_begin_at_cache_lines() {
        for capacity in [1, 100, 1_000_000] {
            let table = Table::new(capacity);
            assert_eq!(table.bucket(0).as_ptr().align_offset(64), 0);
            assert!(table.entries.len() >= table.start + table.buckets * BUCKET);
        }
    }
}
