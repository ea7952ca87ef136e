//! The replay agent: polls the scheduler and retention, and has its cores read.

use std::sync::Arc;

use tracing::{error, info};

use super::chunk::{Chunk, ENTRIES_PER_FETCH};
use super::records::Records;
use super::requests::Requests;
use crate::agent::{Agent, Fatal};
use crate::arena::Writer;
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::journal::protocol::{CompactedFiles, Fetch, FromReplay, Moved, Switched};
use crate::journal::storage::Storage;
use crate::limits::FETCHES_PER_CYCLE;
use crate::ring::{Receiver, Sender};

/// What the replay agent is made of.
pub(crate) struct ReplayParts<S> {
    /// Requests come from here.
    pub(crate) from_scheduler: Receiver<Fetch>,
    /// Chunks to read into come from here.
    pub(crate) chunks: Receiver<Writer>,
    /// Records go there.
    pub(crate) to_scheduler: Sender<FromReplay>,
    /// What has moved comes from here.
    pub(crate) from_retention: Receiver<Moved>,
    /// Told when no file is used any more that it has left.
    pub(crate) to_retention: Sender<Switched>,
    /// The compacted files to begin with, in their order.
    pub(crate) compacted: CompactedFiles,
    pub(crate) storage: S,
    pub(crate) segment_len: u64,
    pub(crate) counters: Arc<Counters>,
}

pub(crate) struct ReplayAgent<S: Storage> {
    from_scheduler: Receiver<Fetch>,
    to_scheduler: Sender<FromReplay>,
    from_retention: Receiver<Moved>,
    to_retention: Sender<Switched>,
    requests: Requests,
    records: Records<S>,
    chunk: Chunk,
    counters: Arc<Counters>,
}

impl<S: Storage> ReplayAgent<S> {
    pub(crate) fn new(parts: ReplayParts<S>) -> Self {
        Self {
            from_scheduler: parts.from_scheduler,
            to_scheduler: parts.to_scheduler,
            from_retention: parts.from_retention,
            to_retention: parts.to_retention,
            requests: Requests::default(),
            records: Records::new(parts.storage, parts.segment_len, parts.compacted),
            chunk: Chunk::new(parts.chunks),
            counters: parts.counters,
        }
    }

    /// One at a time: retention waits for each answer before it sends the next.
    fn poll_retention(&mut self) -> usize {
        if let Some(mut permit) = self.to_retention.claim(1)
            && let Some(moved) = self.from_retention.poll()
        {
            self.records.switch(moved);
            permit.send(Switched);
            return 1;
        }
        0
    }

    fn poll_scheduler(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = 0;
        for _ in 0..FETCHES_PER_CYCLE {
            let Some(mut out) = self.to_scheduler.claim(ENTRIES_PER_FETCH) else {
                break;
            };
            let next = self.requests.next_or(|| self.from_scheduler.poll());
            let Some(wanted) = next else { break };
            let Some(room) = self.chunk.room_for(wanted.len as usize, &mut out) else {
                self.requests.put_back(wanted);
                break;
            };
            match self.records.read(&wanted) {
                Ok(record) => {
                    let (slot, frame) = (wanted.slot, room.copy(&record));
                    out.send(FromReplay::Fetched { slot, frame });
                }
                // What was changed will not be what was written later either.
                Err(error) if !error.is_transient() => return Err(error.into()),
                Err(error) => {
                    self.records.close();
                    self.counters.add(Counter::ReplayFailures, 1);
                    if self.requests.on_failed(wanted, now) {
                        error!("{error}");
                    }
                }
            }
            work_count += 1;
        }
        Ok(work_count)
    }
}

impl<S: Storage> Agent for ReplayAgent<S> {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.poll_retention();
        self.requests.begin(now);
        work_count += self.poll_scheduler(now)?;
        if self.requests.end() {
            info!("what could not be read from the journal is read");
        }
        self.to_retention.flush();
        self.to_scheduler.flush();
        Ok(work_count)
    }
}
