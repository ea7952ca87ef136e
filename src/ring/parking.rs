//! Who parks and who wakes: the handshake that costs no wake-up.
//!
//! ```text
//!   receiver: parked = true; fence; look at the rings once more; sleep
//!   sender:   publish;       fence; look at parked; wake
//! ```
//!
//! Of the two looks behind the fences at least one sees what the other side did before its own.

use crate::sync::atomic::{AtomicBool, Ordering, fence};

/// Whether a thread is parked, or about to be.
#[derive(Debug)]
pub(crate) struct Parking {
    parked: AtomicBool,
}

impl Parking {
    pub(crate) fn new() -> Self {
        Self {
            parked: AtomicBool::new(false),
        }
    }

    /// The thread is about to park: after this it must look at its rings once more.
    pub(crate) fn begin(&self) {
        // A swap: loom then sees that it stands behind the swap of an earlier `must_wake`.
        self.parked.swap(true, Ordering::Relaxed);
        // Pairs with the fence in `must_wake`.
        fence(Ordering::SeqCst);
    }

    /// The thread is awake.
    pub(crate) fn end(&self) {
        self.parked.store(false, Ordering::Relaxed);
    }

    /// Something was published: says whether the thread must be woken, to one of those who ask.
    #[inline]
    pub(crate) fn must_wake(&self) -> bool {
        // Pairs with the fence in `begin`.
        fence(Ordering::SeqCst);
        self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::Relaxed)
    }
}
