//! What a group has agreed that nobody needs: retention of the member that serves proposes it, records say it
//! to all, and each member drops what is below.
//!
//! ```text
//! retention --proposed--> record in flight --confirmed, written--> agreed --> retention: segments go
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

/// Segment numbers; both only grow.
#[derive(Debug, Default)]
pub(crate) struct Low {
    proposed: AtomicU64,
    agreed: AtomicU64,
}

impl Low {
    /// Nothing of the segments below is needed.
    pub(crate) fn propose(&self, low: u64) {
        self.proposed.fetch_max(low, Ordering::Relaxed);
    }

    /// What is proposed.
    pub(crate) fn proposed(&self) -> u64 {
        self.proposed.load(Ordering::Relaxed)
    }

    /// A record that says so is confirmed, and stands in the own journal.
    pub(crate) fn agree(&self, low: u64) {
        self.agreed.fetch_max(low, Ordering::Relaxed);
    }

    /// What is agreed.
    pub(crate) fn agreed(&self) -> u64 {
        self.agreed.load(Ordering::Relaxed)
    }
}
