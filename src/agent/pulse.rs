//! A thread's sign of life: one relaxed store a duty cycle, which others may look at.

use std::sync::atomic::{AtomicU64, Ordering};

/// The thread has ended, and owes no sign any more.
const ENDED: u64 = u64::MAX;

/// On a cache line of its own: whoever looks must not slow its neighbours.
#[repr(align(64))]
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// A duty cycle begins, at `now_ns`.
    pub fn beat(&self, now_ns: u64) {
        self.0.store(now_ns, Ordering::Relaxed);
    }

    /// The thread ends.
    pub fn end(&self) {
        self.0.store(ENDED, Ordering::Relaxed);
    }

    /// When the last duty cycle began, in ns; `None`: the thread has ended.
    #[must_use]
    pub fn last_ns(&self) -> Option<u64> {
        let last = self.0.load(Ordering::Relaxed);
        (last != ENDED).then_some(last)
    }
}
