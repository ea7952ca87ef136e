//! What does not work now, since when, and why: the words that a counter cannot hold.
//!
//! The store's thread, the retention agent and NATS write an entry when something fails and when it
//! works again; HTTP reads it for `/readyz`. Never on the path, for it locks and allocates; but for why the
//! journal waits, which is two atomic values.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// The journal has reached `journal.max_bytes`: sources wait.
    JournalLimit,
}

/// What sources wait for while the journal takes no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum JournalWaits {
    Room = 1,
    Descriptors,
    ReadOnly,
    /// No file is set aside for settlements.
    Reserve,
    /// The store's database needs what is left.
    DatabaseRoom,
}

impl JournalWaits {
    const ALL: [Self; 5] = [
        Self::Room,
        Self::Descriptors,
        Self::ReadOnly,
        Self::Reserve,
        Self::DatabaseRoom,
    ];

    /// Whether bytes are what is short.
    pub(crate) fn is_of_room(self) -> bool {
        matches!(self, Self::Room | Self::Reserve | Self::DatabaseRoom)
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Room => "the journal's disk is full: sources wait until there is room",
            Self::Descriptors => {
                "the journal finds no descriptor for its next segment: sources wait until there is \
                 one (raise `ulimit -n`)"
            }
            Self::ReadOnly => {
                "the journal's file system is read-only: sources wait until it may be written to again"
            }
            Self::Reserve => {
                "the journal's disk has no room set aside: sources wait until there is"
            }
            Self::DatabaseRoom => {
                "the journal's disk has no more room than the store needs to follow: sources wait \
                 until it has followed and old segments go"
            }
        }
    }
}

const PARTS: usize = Part::JournalLimit as usize + 1;

/// A way to another system that is kept open: its name in the settings, and why it does not work now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) name: String,
    /// `None`: it works.
    pub(crate) fault: Option<Fault>,
    /// Messages that the other side has answered for.
    pub(crate) acknowledged: u64,
    /// Connections and messages that failed.
    pub(crate) failures: u64,
}

/// What one link counts. Its thread adds, HTTP reads.
#[derive(Debug, Default)]
pub(crate) struct LinkFigures {
    acknowledged: AtomicU64,
    failures: AtomicU64,
}

impl LinkFigures {
    pub(crate) fn add_acknowledged(&self, messages: u64) {
        self.acknowledged.fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn add_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is known of one.
#[derive(Debug, Default)]
struct LinkState {
    fault: Option<Fault>,
    figures: Arc<LinkFigures>,
}

/// Why a part does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Since when: us since the epoch.
    pub(crate) since_us: u64,
    pub(crate) reason: String,
}

/// The faults of one engine.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    parts: [Mutex<Option<Fault>>; PARTS],
    /// By name.
    links: Mutex<BTreeMap<String, LinkState>>,
    /// A [`JournalWaits`], and since when, us since the epoch. Written on the path, hence without a lock;
    /// relaxed: words for people.
    journal_waits: AtomicU8,
    journal_waits_since_us: AtomicU64,
}

impl Faults {
    /// The journal takes no messages for this reason; `begins_us`: from then on, us since the epoch. What
    /// it says stays when it is over: a counter tells whether it is.
    pub(crate) fn set_journal_waits(&self, waits: JournalWaits, begins_us: Option<u64>) {
        self.journal_waits.store(waits as u8, Ordering::Relaxed);
        if let Some(since_us) = begins_us {
            self.journal_waits_since_us
                .store(since_us, Ordering::Relaxed);
        }
    }

    /// Why the journal takes no messages, or took none the last time, and since when, us since the
    /// epoch.
    #[must_use]
    pub(crate) fn journal_waits(&self) -> Option<(JournalWaits, u64)> {
        let waits = self.journal_waits.load(Ordering::Relaxed);
        let waits = JournalWaits::ALL
            .into_iter()
            .find(|it| *it as u8 == waits)?;
        Some((waits, self.journal_waits_since_us.load(Ordering::Relaxed)))
    }

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

    /// A link works, or fails with the latest cause; it is known from the first call on.
    pub(crate) fn set_link(&self, name: &str, now_us: u64, reason: Option<&str>) {
        let mut links = self.links();
        let entry = &mut links.entry(name.to_owned()).or_default().fault;
        *entry = reason.map(|reason| Fault {
            since_us: entry.as_ref().map_or(now_us, |it| it.since_us),
            reason: reason.to_owned(),
        });
    }

    /// What a link counts by; it is known from then on.
    pub(crate) fn figures(&self, name: &str) -> Arc<LinkFigures> {
        let mut links = self.links();
        let entry = links.entry(name.to_owned()).or_default();
        Arc::clone(&entry.figures)
    }

    /// There is no such link any more.
    pub(crate) fn forget_link(&self, name: &str) {
        self.links().remove(name);
    }

    /// All links, by name.
    #[must_use]
    pub(crate) fn all_links(&self) -> Vec<Link> {
        let links = self.links();
        let links = links.iter();
        links
            .map(|(name, LinkState { fault, figures })| Link {
                name: name.clone(),
                fault: fault.clone(),
                acknowledged: figures.acknowledged.load(Ordering::Relaxed),
                failures: figures.failures.load(Ordering::Relaxed),
            })
            .collect()
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<String, LinkState>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, part: Part) -> MutexGuard<'_, Option<Fault>> {
        // A whole entry is written at once, also by a thread that died.
        let entry = self.parts[part as usize].lock();
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

    #[test]
    fn a_link_is_known_from_its_first_word_and_keeps_since_when_it_fails() {
        let faults = Faults::default();
        assert!(faults.all_links().is_empty());
        faults.set_link("b", 3, Some("refused"));
        faults.set_link("b", 4, Some("no answer"));
        faults.set_link("a", 5, None);
        let links = faults.all_links();
        assert_eq!((&*links[0].name, &links[0].fault), ("a", &None));
        let fault = links[1].fault.as_ref().expect("it fails");
        assert_eq!((fault.since_us, &*fault.reason), (3, "no answer"));
        let figures = faults.figures("b");
        figures.add_acknowledged(5);
        figures.add_failure();
        faults.set_link("b", 6, None);
        let b = &faults.all_links()[1];
        assert_eq!((b.acknowledged, b.failures), (5, 1), "they stay");
        faults.set_link("b", 7, Some("refused"));
        let links = faults.all_links();
        assert_eq!(links[1].fault.as_ref().map(|it| it.since_us), Some(7));
    }
}
