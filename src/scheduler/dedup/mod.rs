//! The dedup window: which messageIds were seen lately, in 24 bytes an id.
//!
//! Ingest hashes ids with an [`IdHasher`] while their bytes are hot; the scheduler claims the
//! hashes here; the journal's checkpoints read them back. No id's bytes are kept: 128 bits from two
//! differently, randomly keyed hashes stand for it, so that no other id is ever taken for it.
//!
//! ```text
//! keys   [ .. | oldest ..... newest | .. ]     FIFO ring of the 16-byte hashes
//! table  [16 entries][16 entries] ...          one cache line a bucket, half full
//! entry  tag | ring index + 1                  32 bits, 0 = free; the tag spares a look at the key
//! ```
//! An entry lives in its home bucket, or, when that is full, in the next one that is not: a bucket
//! with a free place ends every search. Removal keeps this true by pulling such guests back.
//! A new id costs two cold cache lines: its own bucket, and that of the oldest id, which goes.
//! Time is kept in coarse marks: an id is remembered for `window`, and at most 1/256 longer.

mod marks;
mod table;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use ahash::RandomState;

use marks::Marks;
use table::Table;

/// Ids past their time that one claim forgets at most: one comes, so two are enough to keep up.
const SWEEP: usize = 2;

/// How many ids before it goes the oldest one's bucket is fetched: a new id in a full window of a
/// million takes 54 ns with it and 65 ns without (`bench/scheduler.rs`, best of 8 runs).
const AHEAD: usize = 8;

/// Ids that a window may remember: leaves four bits of an entry for the tag.
pub const WINDOW_MESSAGES_MAX: usize = (1 << 28) - 1;

/// What stands for a messageId: 128 randomly keyed bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdHash(pub [u64; 2]);

/// Turns messageIds into hashes; cheap to clone for another thread.
#[derive(Debug, Clone)]
pub struct IdHasher {
    first: RandomState,
    second: RandomState,
}

impl IdHasher {
    /// The hasher of these keys, which must be random and stay secret.
    #[must_use]
    pub fn new(seed: [u64; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = seed;
        Self {
            first: RandomState::with_seeds(a, b, c, d),
            second: RandomState::with_seeds(e, f, g, h),
        }
    }

    /// The hash of a messageId.
    #[inline]
    #[must_use]
    pub fn hash(&self, id: &[u8]) -> IdHash {
        let of = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(id);
            hasher.finish()
        };
        IdHash([of(&self.first), of(&self.second)])
    }

    /// Tells apart the hashers whose hashes differ: by key, and by build, for the hash function
    /// promises nothing across versions and processors. Kept beside hashes on disk.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.hash(b"flipped-lb: the fingerprint of a hasher").0[0]
    }
}

/// The ids seen lately, at most so many and for so long.
#[derive(Debug)]
pub struct DedupWindow {
    hasher: IdHasher,
    table: Table,
    keys: Vec<[u64; 2]>,
    /// Ids claimed ever; the next one's number. `oldest <= next <= oldest + capacity`.
    next: u64,
    /// Number of the oldest id in the ring. Below `live_from` they are past their time, but not
    /// yet swept out.
    oldest: u64,
    /// Number of the first id that time has not ended.
    live_from: u64,
    /// `next` and `oldest` as places in the ring.
    next_at: usize,
    oldest_at: usize,
    marks: Marks,
}

impl DedupWindow {
    /// A window of `window_messages` ids for `window`; with zero of either, nothing is remembered.
    ///
    /// Memory costs nothing until it is used.
    #[must_use]
    pub fn new(window_messages: usize, window: Duration, seed: [u64; 8]) -> Self {
        let capacity = if window.is_zero() { 0 } else { window_messages };
        let capacity = capacity.min(WINDOW_MESSAGES_MAX);
        Self {
            hasher: IdHasher::new(seed),
            table: Table::new(capacity),
            keys: vec![[0; 2]; capacity],
            next: 0,
            oldest: 0,
            live_from: 0,
            next_at: 0,
            oldest_at: 0,
            marks: Marks::new(window),
        }
    }

    /// The hasher whose hashes this window takes.
    #[must_use]
    pub fn hasher(&self) -> IdHasher {
        self.hasher.clone()
    }

    /// Ids that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.next - self.live_from.max(self.oldest)) as usize
    }

    /// Whether no id is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts to fetch what [`Self::claim`] will need of memory. Claims of a batch overlap their
    /// waits when each hash was announced a few claims before.
    #[inline]
    pub fn touch(&self, hash: IdHash) {
        if !self.keys.is_empty() {
            self.table.touch(hash.0);
        }
    }

    /// Remembers `hash`: true = it is new, false = it is a duplicate.
    ///
    /// `now_ms` may have any origin; where it goes back, it counts as standing still.
    #[inline]
    pub fn claim(&mut self, hash: IdHash, now_ms: u64) -> bool {
        if self.keys.is_empty() {
            return true;
        }
        if now_ms >= self.marks.turn_ms {
            self.live_from = self.marks.turn(now_ms, self.next);
        }
        self.sweep();
        if let Some(place) = self.table.find(hash.0, &self.keys) {
            if self.is_live(self.table.index(place)) {
                return false;
            }
            self.table.remove(place, &self.keys);
        }
        self.remember(hash.0);
        true
    }

    /// The ids remembered, oldest first, each with a time that makes a later
    /// [`Self::claim`] of it expire when this one would.
    pub fn iter(&self) -> impl Iterator<Item = (IdHash, u64)> + '_ {
        let from = self.live_from.max(self.oldest);
        let mut marks = self.marks.iter().peekable();
        let mut start_ms = 0;
        (from..self.next).map(move |number| {
            while let Some(mark) = marks.next_if(|mark| mark.first <= number) {
                start_ms = mark.start_ms;
            }
            let at = self.oldest_at + (number - self.oldest) as usize;
            let at = if at < self.keys.len() {
                at
            } else {
                at - self.keys.len()
            };
            (IdHash(self.keys[at]), start_ms)
        })
    }

    fn is_live(&self, at: usize) -> bool {
        let back = if at < self.next_at {
            self.next_at - at
        } else {
            self.next_at + self.keys.len() - at
        };
        self.next - back as u64 >= self.live_from
    }

    #[inline]
    fn remember(&mut self, key: [u64; 2]) {
        if self.next - self.oldest == self.keys.len() as u64 {
            self.forget_oldest();
        }
        self.keys[self.next_at] = key;
        self.table.insert(key, self.next_at);
        self.next += 1;
        self.next_at = self.after(self.next_at);
        debug_assert!(self.next - self.oldest <= self.keys.len() as u64);
    }

    #[inline]
    fn sweep(&mut self) {
        for _ in 0..SWEEP {
            if self.oldest >= self.live_from {
                return;
            }
            self.forget_oldest();
        }
    }

    #[inline]
    fn forget_oldest(&mut self) {
        self.table.forget(self.oldest_at, &self.keys);
        self.oldest += 1;
        self.oldest_at = self.after(self.oldest_at);
        if let Some(&key) = self.keys.get(self.oldest_at + AHEAD) {
            self.table.touch(key);
        }
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.keys.len() { 0 } else { at + 1 }
    }
}
