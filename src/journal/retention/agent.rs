//! The retention agent: the core of retention on its rings.
//!
//! The journal agent feeds it segments that were begun, and the scheduler's answers; it feeds the
//! scheduler questions and grants, the journal agent free files, replay the compacted files. It decides
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::core::{Inputs, Retention};
use super::parts::RetentionParts;
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::faults::Part;
use crate::journal::protocol::{FromRetention, Moved, Switched, ToRetention};
use crate::journal::storage::Storage;
use crate::limits::RETENTION_EVENTS_PER_CYCLE;
use crate::ring::{Receiver, Sender};

/// See the module.
pub(crate) struct RetentionAgent<S: Storage> {
    pub(super) core: Retention<S>,
    from_journal: Receiver<ToRetention>,
    to_scheduler: Sender<FromRetention>,
    free_files: Sender<u64>,
    to_replay: Sender<Moved>,
    from_replay: Receiver<Switched>,
    draining: Arc<AtomicBool>,
    pub(super) may_compact: Arc<AtomicBool>,
    has_store: bool,
    pub(super) counters: Arc<Counters>,
}

impl<S: Storage + Clone> RetentionAgent<S> {
    /// Puts the agent together.
    #[must_use]
    pub(crate) fn new(parts: RetentionParts<S>) -> Self {
        Self {
            core: Retention::new(parts.core, Arc::clone(&parts.counters)),
            from_journal: parts.from_journal,
            to_scheduler: parts.to_scheduler,
            free_files: parts.free_files,
            to_replay: parts.to_replay,
            from_replay: parts.from_replay,
            draining: parts.draining,
            may_compact: parts.may_compact,
            has_store: parts.has_store,
            counters: parts.counters,
        }
    }

    fn poll_journal(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < RETENTION_EVENTS_PER_CYCLE
            && let Some(event) = self.from_journal.poll()
        {
            work_count += 1;
            match event {
                ToRetention::Started(started) => self.core.note_begun(started),
                ToRetention::Lost(count) => self.core.note_lost(count),
                ToRetention::Query(query) => self.core.take_answer(query, now),
            }
        }
        work_count
    }

    /// Replay answers once each time that something has moved, and nothing else moves before it has.
    fn poll_replay(&mut self) {
        if let Some(Switched) = self.from_replay.poll() {
            self.core.note_switched();
        }
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            stored: if self.has_store {
                self.counters.get(Counter::StorePosition)
            } else {
                u64::MAX
            },
            is_full: self.counters.get(Counter::JournalWaiting) != 0,
            is_draining: self.draining.load(Ordering::Relaxed),
        }
    }

    fn send_files(&mut self) {
        for former in self.core.take_free_files() {
            let permit = self.free_files.claim(1);
            let mut permit = permit.expect("the ring has room for `FREE_FILES_MAX`");
            permit.send(former);
        }
        if let Some(moved) = self.core.take_moved() {
            let permit = self.to_replay.claim(1);
            let mut permit = permit.expect("replay has answered the one before");
            permit.send(moved);
        }
        self.free_files.flush();
        self.to_replay.flush();
    }

    /// Asks the scheduler how far it is, and grants it room; what finds no room in the ring is made anew
    /// in the next cycle.
    fn send_to_scheduler(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        if let Some(mut permit) = self.to_scheduler.claim(1)
            && let Some(query) = self.core.ask(now)
        {
            permit.send(FromRetention::Query(query));
            work_count += 1;
        }
        if let Some(granted) = self.core.grant(now)
            && let Some(mut permit) = self.to_scheduler.claim(1)
        {
            permit.send(FromRetention::Granted(granted));
            self.core.note_granted(granted);
        }
        self.to_scheduler.flush();
        work_count
    }
}

impl<S: Storage + Clone> Agent for RetentionAgent<S> {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn on_start(&mut self, _: Now) -> Result<(), Fatal> {
        // Of an earlier run in this process.
        self.counters.faults().clear(Part::JournalLimit);
        self.core.note_recovered();
        Ok(())
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.poll_journal(now);
        self.poll_replay();
        work_count += self.core.work(self.inputs(), now);
        self.send_files();
        work_count += self.send_to_scheduler(now);
        self.may_compact
            .store(self.core.may_compact(), Ordering::Relaxed);
        if work_count > 0 {
            self.core.publish();
        }
        Ok(work_count)
    }
}
