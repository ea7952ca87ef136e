//! What a run has met: each fault and each shortage by its name, and how often. The world's parts
//! count; the census adds runs up, so that a fault which no seed meets is seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Counts of one run, or of many; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Tally {
    /// It happened.
    pub fn met(&self, what: &'static str) {
        *self.counts().entry(what).or_default() += 1;
    }

    /// As often as each happened.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.counts().clone()
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().expect("one thread, and no panic in here")
    }
}

/// All that a census must meet, somewhere among its seeds.
pub const EXPECTED: &[&str] = &[
    "bits flipped",
    "connection accepted late",
    "connection cut by its peer",
    "connection refused at its limit",
    "created name went",
    "database answer lost",
    "database down",
    "dead address dialled",
    "died within an operation",
    "dial refused",
    "disk full",
    "ended in an orderly way",
    "journal file opened without a descriptor",
    "journal file written over",
    "journal read failed",
    "journal sync failed",
    "journal write failed",
    "journal write short",
    "killed",
    "log not taken",
    "log stream gone",
    "messages waited for room",
    "name slow",
    "name unknown",
    "power lost",
    "rejected disk failed",
    "rejected disk full",
    "rejected disk stuck",
    "rejected file opened without a descriptor",
    "rejected lines dropped",
    "rejected lines left a disk its headroom",
    "rejected sync failed",
    "settlements waited for room",
    "source ended its side",
    "socket read or written in part",
    "stood still",
    "wall clock set",
    "wall clock wrong at a start",
];
