//! A thread's heartbeat: one relaxed store a duty cycle, which others may read.

use std::sync::atomic::{AtomicU64, Ordering};

/// The thread has ended, and is expected to beat no more.
const ENDED: u64 = u64::MAX;

/// On a cache line of its own, so that readers do not slow its neighbours.
#[repr(align(64))]
#[derive(Debug, Default)]
pub(crate) struct Heartbeat(AtomicU64);

impl Heartbeat {
    /// A duty cycle begins.
    pub(crate) fn beat(&self, now_ns: u64) {
        self.0.store(now_ns, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.0.store(ENDED, Ordering::Relaxed);
    }

    /// When the last duty cycle began, in ns; `None`: the thread has ended.
    pub(crate) fn last_ns(&self) -> Option<u64> {
        let last = self.0.load(Ordering::Relaxed);
        (last != ENDED).then_some(last)
    }
}
