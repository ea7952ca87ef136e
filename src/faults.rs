//! What does not work now, since when, and why: the words that a counter cannot hold.
//!
//! The store's thread and the retention agent write an entry when something fails and when it works
//! again; HTTP reads it for `/readyz`. Never on the path: it locks and allocates.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parts of the engine that may fail while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Part {
    Store,
    /// It has not answered since the start.
    StoreUnreached,
    /// Rows older than `[store] keep` cannot be removed.
    StoreKeep,
    /// Old journal files cannot be rewritten, renamed or removed.
    Retention,
}

const PARTS: usize = Part::Retention as usize + 1;

/// Why a part does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Since when: us since the epoch.
    pub(crate) since_us: u64,
    pub(crate) reason: String,
}

/// The faults of one engine.
#[derive(Debug, Default)]
pub(crate) struct Faults([Mutex<Option<Fault>>; PARTS]);

impl Faults {
    /// A part fails, with the latest cause.
    pub(crate) fn set(&self, part: Part, now_us: u64, reason: &str) {
        let mut entry = self.entry(part);
        let since_us = entry.as_ref().map_or(now_us, |it| it.since_us);
        let reason = reason.to_owned();
        *entry = Some(Fault { since_us, reason });
    }

    pub(crate) fn clear(&self, part: Part) {
        *self.entry(part) = None;
    }

    /// Why a part does not work; `None`: it works.
    #[must_use]
    pub(crate) fn get(&self, part: Part) -> Option<Fault> {
        self.entry(part).clone()
    }

    fn entry(&self, part: Part) -> MutexGuard<'_, Option<Fault>> {
        // A whole entry is written at once, also by a thread that died.
        let entry = self.0[part as usize].lock();
        entry.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_keeps_its_beginning_and_its_latest_cause() {
        let faults = Faults::default();
        faults.set(Part::Store, 5, "refused");
        faults.set(Part::Store, 9, "no answer");
        let fault = faults.get(Part::Store).expect("it fails");
        assert_eq!((fault.since_us, &*fault.reason), (5, "no answer"));
        assert_eq!(faults.get(Part::Retention), None);
        faults.clear(Part::Store);
        faults.set(Part::Store, 12, "refused");
        assert_eq!(faults.get(Part::Store).map(|it| it.since_us), Some(12));
    }
}
