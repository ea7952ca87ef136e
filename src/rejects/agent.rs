//! The rejects agent: takes lines from ingest's ring, and has its core write them.
//!
//! It has a thread of its own, for it waits for the disk. Whatever the disk says is a shortage that
//! may pass: it is counted, logged once, and the same lines are tried again.

use std::io;
use std::sync::Arc;

use tracing::{info, warn};

use super::log::RejectLog;
use super::protocol::RejectReceiver;
use super::writer::{Shortage, Writer};
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::REJECTS_BATCH_LEN;
use crate::rolling::storage::Storage;
use crate::rolling::{Limits, RollingLog};

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

/// The agent.
#[derive(Debug)]
pub(crate) struct RejectsAgent<S: Storage> {
    from_ingest: RejectReceiver,
    counters: Arc<Counters>,
    writer: Writer<S>,
    log: RejectLog,
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
        let batch_len_max = (limits.file_len_max as usize).min(REJECTS_BATCH_LEN);
        let agent = Self {
            from_ingest: parts.from_ingest,
            counters: parts.counters,
            writer: Writer::new(log, limits.syncs, batch_len_max),
            log: RejectLog::default(),
        };
        agent.count_written(0);
        Ok(agent)
    }

    /// Fills the batch.
    fn poll_ingest(&mut self, now: Now) {
        let (writer, log) = (&mut self.writer, &mut self.log);
        while writer.takes_more()
            && self.from_ingest.poll(|line| {
                writer.add(&line);
                log.note(&line, now);
            })
        {}
    }

    fn write(&mut self, now: Now) -> usize {
        let before = self.writer.shortage();
        let written = self.writer.write(now);
        let dropped = self.writer.take_dropped();
        self.counters.add(Counter::RejectedDropped, dropped.lines);
        let bytes = Counter::RejectedDroppedBytes;
        self.counters.add(bytes, dropped.bytes);
        let has_changed = self.writer.shortage() != before;
        if has_changed {
            self.show_shortage();
        }
        match written {
            Ok(lines) => {
                self.from_ingest.mark_durable(self.from_ingest.polled());
                self.count_written(lines);
                if has_changed {
                    info!("rejected.ndjson takes lines again");
                }
                lines as usize
            }
            Err(error) => {
                if self.writer.shortage() == Some(Shortage::Failing) {
                    self.counters.add(Counter::RejectedUnwritable, 1);
                }
                if has_changed {
                    warn!(
                        %error,
                        "rejected.ndjson takes nothing: sources wait at their next wrong line until it does"
                    );
                }
                0
            }
        }
    }

    fn count_written(&self, lines: u64) {
        self.counters.subtract(Counter::RejectedWaiting, lines);
        let total_len = self.writer.total_len();
        self.counters.set(Counter::RejectedDisk, total_len);
    }

    fn show_shortage(&self) {
        let is = |shortage| u64::from(self.writer.shortage() == Some(shortage));
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
        self.poll_ingest(now);
        self.log.log_left_out(now);
        match self.writer.is_due(now) {
            true => Ok(self.write(now)),
            false => Ok(0),
        }
    }
}
