//! A shortage: whether messages, or settlements as well, wait for room, and until when.
//!
//! Told by the batch writer what a write came to. Two counters tell others: sources wait, and the
//! scheduler hands out nothing that would add settlements. It decides no more than when to try again,
//! and logs a shortage that comes and goes once in [`LOG_NS`].

use std::io;
use std::sync::Arc;

use tracing::{error, info};

use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::faults::JournalWaits;
use crate::journal::storage::is_descriptors;

/// Between two tries when the disk is full, in ns.
const RETRY_NS: u64 = 100_000_000;

/// Between two lines about it at least, in ns.
const LOG_NS: u64 = 10_000_000_000;

/// Why messages wait.
pub(super) enum Missing<'a> {
    /// A write failed for want of room, of descriptors, or of a file system that may be written to.
    Room(&'a io::Error),
    /// No file is set aside for their settlements.
    Reserve,
    /// The store's database needs what is left.
    DatabaseRoom,
}

#[derive(Debug)]
pub(super) struct Shortage {
    counters: Arc<Counters>,
    /// Messages wait for room, until then at least.
    is_full: bool,
    /// What others were told of it.
    told: Option<JournalWaits>,
    messages_at_ns: u64,
    is_logged: bool,
    log_at_ns: u64,
    /// Settlements wait as well, until then at least.
    is_stuck: bool,
    retry_at_ns: u64,
}

impl Shortage {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            counters,
            is_full: false,
            told: None,
            messages_at_ns: 0,
            is_logged: false,
            log_at_ns: 0,
            is_stuck: false,
            retry_at_ns: 0,
        }
    }

    /// Whether messages wait for room.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether messages wait for room, and settlements do not.
    #[inline]
    pub(super) fn is_of_messages_alone(&self) -> bool {
        self.is_full && !self.is_stuck
    }

    /// Whether nothing is tried yet.
    #[inline]
    pub(super) fn is_waiting(&self, now: Now) -> bool {
        now.ns < self.retry_at_ns
    }

    /// Whether messages are tried now.
    #[inline]
    pub(super) fn may_try_messages(&self, now: Now) -> bool {
        !self.is_full || now.ns >= self.messages_at_ns
    }

    /// Messages wait, until what is missing is there; settlements go on.
    #[cold]
    pub(super) fn begin(&mut self, missing: &Missing<'_>, now: Now) {
        if !self.is_full && now.ns >= self.log_at_ns {
            self.log_at_ns = now.ns + LOG_NS;
            self.is_logged = true;
            missing.log();
        }
        if self.told != Some(missing.cause()) {
            self.told = Some(missing.cause());
            let begins_us = (!self.is_full).then_some(now.epoch_us);
            let faults = self.counters.faults();
            faults.set_journal_waits(missing.cause(), begins_us);
        }
        self.is_full = true;
        self.counters.set(Counter::JournalWaiting, 1);
    }

    /// The same, and they are tried again a moment later.
    #[cold]
    pub(super) fn hold_messages(&mut self, missing: &Missing<'_>, now: Now) {
        self.messages_at_ns = now.ns + RETRY_NS;
        self.begin(missing, now);
    }

    /// Not even settlements find room.
    #[cold]
    pub(super) fn hold_settlements(&mut self, error: &io::Error, now: Now) {
        self.begin(&Missing::Room(error), now);
        if !self.is_stuck {
            error!(
                %error,
                "the journal finds no room for settlements: nothing is handed out until there is"
            );
        }
        self.is_stuck = true;
        self.retry_at_ns = now.ns + RETRY_NS;
        self.counters.set(Counter::JournalStuck, 1);
    }

    /// A batch was written, with messages or without.
    #[inline]
    pub(super) fn on_written(&mut self, has_messages: bool) {
        if self.is_stuck {
            self.is_stuck = false;
            self.counters.set(Counter::JournalStuck, 0);
            info!("settlements are recorded again");
        }
        if self.is_full && has_messages {
            self.end();
        }
    }

    /// Messages have room.
    #[cold]
    pub(super) fn end(&mut self) {
        self.is_full = false;
        self.told = None;
        self.counters.set(Counter::JournalWaiting, 0);
        if std::mem::take(&mut self.is_logged) {
            info!("the journal has room again");
        }
    }
}

impl Missing<'_> {
    fn cause(&self) -> JournalWaits {
        match self {
            Self::Room(error) if is_descriptors(error) => JournalWaits::Descriptors,
            Self::Room(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                JournalWaits::ReadOnly
            }
            Self::Room(_) => JournalWaits::Room,
            Self::Reserve => JournalWaits::Reserve,
            Self::DatabaseRoom => JournalWaits::DatabaseRoom,
        }
    }

    fn log(&self) {
        let words = self.cause().words();
        match self {
            Self::Room(error) => error!(%error, "{words}"),
            Self::Reserve | Self::DatabaseRoom => error!("{words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::at;

    fn shortage() -> (Shortage, impl Fn() -> [u64; 2]) {
        let counters = Arc::new(Counters::default());
        let shortage = Shortage::new(Arc::clone(&counters));
        let told = [Counter::JournalWaiting, Counter::JournalStuck];
        (shortage, move || told.map(|it| counters.get(it)))
    }

    #[test]
    fn messages_that_found_no_room_wait_a_moment_and_settlements_do_not() {
        let (mut shortage, told) = shortage();
        assert!(shortage.may_try_messages(at(5)));
        shortage.hold_messages(&Missing::DatabaseRoom, at(5));
        assert!(shortage.is_of_messages_alone());
        assert!(!shortage.may_try_messages(at(RETRY_NS + 4)));
        assert!(shortage.may_try_messages(at(RETRY_NS + 5)));
        assert!(!shortage.is_waiting(at(6)));
        shortage.on_written(false);
        assert!(shortage.is_full(), "settlements alone prove no room");
        assert_eq!(told(), [1, 0]);
        shortage.on_written(true);
        assert!(!shortage.is_full());
        assert_eq!(told(), [0, 0]);
    }

    #[test]
    fn settlements_without_room_hold_everything_until_they_are_written() {
        let (mut shortage, told) = shortage();
        let full = io::ErrorKind::StorageFull.into();
        shortage.hold_settlements(&full, at(5));
        assert!(shortage.is_waiting(at(RETRY_NS + 4)) && !shortage.is_waiting(at(RETRY_NS + 5)));
        assert!(!shortage.is_of_messages_alone());
        assert_eq!(told(), [1, 1]);
        shortage.on_written(false);
        assert!(shortage.is_of_messages_alone(), "messages are next");
        assert_eq!(told(), [1, 0]);
    }

    #[test]
    fn a_missing_reserve_needs_no_wait_once_it_is_there() {
        let (mut shortage, told) = shortage();
        shortage.begin(&Missing::Reserve, at(5));
        assert_eq!(told(), [1, 0]);
        let counters = Arc::clone(&shortage.counters);
        let waits = || counters.faults().journal_waits();
        let since_us = at(5).epoch_us;
        assert_eq!(waits(), Some((JournalWaits::Reserve, since_us)));
        shortage.begin(&Missing::DatabaseRoom, at(1_000_000_000));
        assert_eq!(waits(), Some((JournalWaits::DatabaseRoom, since_us)));
        assert!(shortage.may_try_messages(at(5)));
        shortage.end();
        assert_eq!(told(), [0, 0]);
    }

    #[test]
    fn a_shortage_that_comes_and_goes_is_logged_now_and_then() {
        let (mut shortage, _) = shortage();
        let mut logged = Vec::new();
        for ns in [0, 1, LOG_NS - 1, LOG_NS, LOG_NS + 1] {
            shortage.begin(&Missing::Reserve, at(ns));
            logged.push(shortage.is_logged);
            shortage.end();
        }
        assert_eq!(logged, [true, false, false, true, false]);
    }
}
