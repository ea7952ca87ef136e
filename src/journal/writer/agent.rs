//! The journal agent: polls the scheduler, and has its core write.

use super::batch_writer::{BatchWriter, Output};
use super::error::WriteError;
use super::parts::JournalParts;
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::journal::protocol::{FromJournal, ToJournal, ToRetention};
use crate::journal::storage::Storage;
use crate::ring::{Receiver, Sender};

pub(crate) struct JournalAgent<S: Storage> {
    from_scheduler: Receiver<ToJournal>,
    to_scheduler: Sender<FromJournal>,
    to_retention: Sender<ToRetention>,
    core: BatchWriter<S>,
}

impl<S: Storage> JournalAgent<S> {
    pub(crate) fn new(parts: JournalParts<S>) -> Self {
        let (core, from_scheduler, to_scheduler, to_retention) = BatchWriter::assemble(parts);
        Self {
            from_scheduler,
            to_scheduler,
            to_retention,
            core,
        }
    }

    /// Takes what came, a batch at most, and writes it.
    fn write(&mut self, now: Now) -> Result<usize, WriteError> {
        if self.core.is_waiting(now) {
            return Ok(0);
        }
        let Some(mut out) = Output::claim(&mut self.to_scheduler, &mut self.to_retention) else {
            return Ok(0);
        };
        while self.core.has_room()
            && let Some(event) = self.from_scheduler.poll()
        {
            self.core.on_event(event, now);
        }
        self.core.write(now, &mut out)
    }

    /// As far as the ring takes them; the rest in a later cycle.
    fn return_leases(&mut self) {
        while self.core.has_ended_leases()
            && let Some(mut permit) = self.to_scheduler.claim(1)
            && let Some(returned) = self.core.next_returned()
        {
            permit.send(FromJournal::Returned(returned));
        }
    }
}

impl<S: Storage> Agent for JournalAgent<S> {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        self.return_leases();
        let work_count = self.write(now)?;
        self.return_leases();
        self.to_scheduler.flush();
        self.to_retention.flush();
        Ok(work_count)
    }
}
