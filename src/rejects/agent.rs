//! The rejects agent: takes lines from ingest's ring, and has its core keep them.
//!
//! It has a thread of its own, for it waits for the disk. Whatever the disk says is a shortage that may
//! pass: it is counted and told once, and the same lines are tried again.

use std::io;
use std::sync::Arc;

use tracing::{info, warn};

use super::protocol::RejectReceiver;
use super::writer::Writer;
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::{KEPT_RETRY_NS, REJECTS_BATCH_LEN};
use crate::rolling::storage::Storage;
use crate::rolling::{Limits, RollingError, RollingLog};

/// What the agent is made of.
#[derive(Debug)]
pub(crate) struct RejectsParts<S> {
    /// Lines come from there.
    pub from_ingest: RejectReceiver,
    /// Where the files live.
    pub storage: S,
    /// How much is kept, and whether what a source waits for is synced.
    pub limits: Limits,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// Why nothing can be kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shortage {
    /// The files have reached their limit.
    Full,
    /// The disk.
    Failing,
}

/// The agent.
#[derive(Debug)]
pub(crate) struct RejectsAgent<S: Storage> {
    from_ingest: RejectReceiver,
    counters: Arc<Counters>,
    writer: Writer<S>,
    batch_len: usize,
    shortage: Option<Shortage>,
    retry_at_ns: u64,
}

impl<S: Storage> RejectsAgent<S> {
    /// Opens the files.
    ///
    /// # Errors
    /// They cannot be opened, read or healed.
    pub(crate) fn open(parts: RejectsParts<S>) -> io::Result<Self> {
        let limits = parts.limits;
        let log = RollingLog::open(parts.storage, limits)?;
        if log.torn_len() > 0 {
            let bytes = log.torn_len();
            warn!(bytes, "the torn last line of rejected.ndjson was cut off");
        }
        let agent = Self {
            from_ingest: parts.from_ingest,
            counters: parts.counters,
            writer: Writer::new(log, limits.syncs),
            batch_len: (limits.file_len_max as usize).min(REJECTS_BATCH_LEN),
            shortage: None,
            retry_at_ns: 0,
        };
        agent.count(0);
        Ok(agent)
    }

    /// Fills the batch; what was tried already stays as it is.
    fn gather(&mut self) {
        let writer = &mut self.writer;
        while writer.batch_len() < self.batch_len {
            if !self.from_ingest.poll(|line| writer.gather(&line)) {
                return;
            }
        }
    }

    fn keep(&mut self, now: Now) -> usize {
        let kept = self.writer.keep();
        let dropped = self.writer.take_dropped();
        self.counters.add(Counter::RejectedDropped, dropped.lines);
        let bytes = Counter::RejectedDroppedBytes;
        self.counters.add(bytes, dropped.bytes);
        match kept {
            Ok(lines) => {
                self.from_ingest.keep(self.from_ingest.taken());
                self.count(lines);
                self.recovered();
                lines as usize
            }
            Err(error) => {
                self.failed(&error);
                self.retry_at_ns = now.ns + KEPT_RETRY_NS;
                0
            }
        }
    }

    fn count(&self, lines: u64) {
        self.counters.subtract(Counter::RejectedWaiting, lines);
        let total_len = self.writer.total_len();
        self.counters.set(Counter::RejectedDisk, total_len);
    }

    fn failed(&mut self, error: &RollingError) {
        let shortage = match error {
            RollingError::Full(_) => Shortage::Full,
            RollingError::Io(_) => Shortage::Failing,
        };
        if shortage == Shortage::Failing {
            self.counters.add(Counter::RejectedUnwritable, 1);
        }
        if self.shortage != Some(shortage) {
            self.tell(Some(shortage));
            warn!(
                %error,
                "rejected.ndjson takes nothing: sources wait at their next wrong line until it does"
            );
        }
    }

    fn recovered(&mut self) {
        if self.shortage.is_some() {
            self.tell(None);
            info!("rejected.ndjson takes lines again");
        }
    }

    fn tell(&mut self, shortage: Option<Shortage>) {
        self.shortage = shortage;
        let is = |it| u64::from(shortage == Some(it));
        let counters = &self.counters;
        counters.set(Counter::RejectedFull, is(Shortage::Full));
        counters.set(Counter::RejectedFailing, is(Shortage::Failing));
    }
}

impl<S: Storage> Agent for RejectsAgent<S> {
    fn name(&self) -> &'static str {
        "rejects"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        if self.shortage.is_some() && now.ns < self.retry_at_ns {
            return Ok(0);
        }
        if self.writer.batch_len() == 0 {
            self.gather();
        }
        match self.writer.batch_len() {
            0 => Ok(0),
            _ => Ok(self.keep(now)),
        }
    }
}
