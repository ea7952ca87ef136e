//! A heartbeat: one relaxed store a duty cycle, which others may read. Its times are those of the clock of whoever
//! beats.

use std::sync::atomic::{AtomicU64, Ordering};

/// The thread has ended, and is expected to beat no more.
const ENDED: u64 = u64::MAX;

/// On a cache line of its own, so that readers do not slow its neighbours.
#[repr(align(64))]
#[derive(Debug, Default)]
pub(crate) struct Heartbeat(AtomicU64);

impl Heartbeat {
    /// A duty cycle begins.
    pub(crate) fn beat(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.0.store(ENDED, Ordering::Relaxed);
    }

    /// When the last duty cycle began; `None`: the thread has ended.
    pub(crate) fn last(&self) -> Option<u64> {
        let last = self.0.load(Ordering::Relaxed);
        (last != ENDED).then_some(last)
    }
}
