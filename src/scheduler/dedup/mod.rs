//! The dedup window: which messageIds were seen lately, in 24 bytes an id.
//!
//! Ingest hashes ids with an [`IdHasher`] while their bytes are hot; intake claims the hashes here. No
//! id's bytes are kept: 128 bits from two differently, randomly keyed hashes stand for it, so that no
//! other id is ever taken for it.
//!
//! ```text
//! keys   [ .. | oldest ..... newest | .. ]     FIFO ring of the 16-byte hashes
//! table  [15 entries][15 entries] ...          one cache line a bucket, half full
//! entry  tag | low bits of the id's number     32 bits, 0 = free; the tag spares a look at the key
//! ```
//! Ids are numbered as they come; those that live are a range of numbers. An entry stands in its
//! home bucket, or, when that is full, in the next one that is not. A new id costs one cold cache
//! line, its own bucket, which [`DedupWindow::touch`] has fetched.
//! Time is kept in epochs: an id is remembered for `window`, and at most 1/256 longer.

mod bucket;
mod epochs;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use epochs::Epochs;
use table::Table;

use crate::message::{IdHash, IdHasher};

/// Ids that a window may remember: leaves three bits of an entry for the tag.
pub const WINDOW_MESSAGES_MAX: usize = (1 << 28) - 1;

/// The ids seen lately, at most so many and for so long.
#[derive(Debug)]
pub struct DedupWindow {
    hasher: IdHasher,
    table: Table,
    keys: Vec<[u64; 2]>,
    /// Numbers of the ids that live; the end is the next one's. No more than `keys` has room for.
    live: Range<u64>,
    /// The next id's place in the ring.
    next_at: usize,
    epochs: Epochs,
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
            live: 0..0,
            next_at: 0,
            epochs: Epochs::new(window),
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
        (self.live.end - self.live.start) as usize
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
        if now_ms >= self.epochs.next_ms {
            let from = self.epochs.advance(now_ms, self.live.end);
            self.live.start = self.live.start.max(from);
        }
        let is_key = |number| self.keys[self.at(number)] == hash.0;
        if self.table.find(hash.0, &self.live, is_key).is_some() {
            return false;
        }
        self.remember(hash.0);
        true
    }

    /// The ids remembered, oldest first, each with a time that makes a later
    /// [`Self::claim`] of it expire when this one would.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = (IdHash, u64)> + '_ {
        let mut epochs = self.epochs.iter().peekable();
        let mut start_ms = 0;
        self.live.clone().map(move |number| {
            while let Some(epoch) = epochs.next_if(|epoch| epoch.first <= number) {
                start_ms = epoch.start_ms;
            }
            (IdHash(self.keys[self.at(number)]), start_ms)
        })
    }

    #[inline]
    fn remember(&mut self, key: [u64; 2]) {
        if self.len() == self.keys.len() {
            self.live.start += 1;
        }
        self.table.insert(key, &self.live);
        self.keys[self.next_at] = key;
        self.live.end += 1;
        self.next_at += 1;
        if self.next_at == self.keys.len() {
            self.next_at = 0;
        }
    }

    /// Where in the ring the id of a number that lives stands.
    #[inline]
    fn at(&self, number: u64) -> usize {
        let back = (self.live.end - number) as usize;
        match self.next_at.checked_sub(back) {
            Some(at) => at,
            None => self.next_at + self.keys.len() - back,
        }
    }
}
