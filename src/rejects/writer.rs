//! The core of the rejects agent: gathers lines into a batch, writes it, and tries again what
//! fails.
//!
//! The agent feeds it lines and the time; it reaches the disk through a narrow trait only.
//!
//! ```text
//! add             write: append         write: sync, where a source waits
//! | batch grows | -> | written     | -> | durable, and the next one begins |
//!                    ^ a sync failed: the same again, into another file
//! ```

use super::format;
use super::protocol::Rejected;
use crate::clock::Now;
use crate::limits::KEPT_RETRY_NS;
use crate::rolling::storage::Storage;
use crate::rolling::{Dropped, RollingError, RollingLog};

/// Why nothing can be written now. It may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// The files have reached their limit, or the disk the room that is left to others.
    Full,
    /// The disk.
    Failing,
}

/// Lines on their way to the files: the same until all of them are durable.
#[derive(Debug)]
pub(super) struct Writer<S: Storage> {
    log: RollingLog<S>,
    /// Whether what a source waits for is synced.
    syncs: bool,
    batch: Vec<u8>,
    /// Bytes above which no more is added.
    batch_len_max: usize,
    lines: u64,
    is_awaited: bool,
    is_written: bool,
    shortage: Option<Shortage>,
    retry_at_ns: u64,
}

impl<S: Storage> Writer<S> {
    pub(super) fn new(log: RollingLog<S>, syncs: bool, batch_len_max: usize) -> Self {
        Self {
            log,
            syncs,
            batch: Vec::new(),
            batch_len_max,
            lines: 0,
            is_awaited: false,
            is_written: false,
            shortage: None,
            retry_at_ns: 0,
        }
    }

    /// Whether a line may be added: what was tried stays as it is.
    pub(super) fn takes_more(&self) -> bool {
        self.shortage.is_none() && self.batch.len() < self.batch_len_max
    }

    /// Adds a line.
    pub(super) fn add(&mut self, rejected: &Rejected<'_>) {
        format::write(&mut self.batch, rejected);
        self.lines += 1;
        self.is_awaited |= rejected.is_awaited;
    }

    /// Whether there is something to write now.
    pub(super) fn is_due(&self, now: Now) -> bool {
        let rests = self.shortage.is_some() && now.ns < self.retry_at_ns;
        !self.batch.is_empty() && !rests
    }

    /// Writes the batch, and returns how many lines it had.
    ///
    /// # Errors
    /// It is not durable; [`Self::shortage`] says why, and it is due again later.
    pub(super) fn write(&mut self, now: Now) -> Result<u64, RollingError> {
        let written = self.try_write();
        self.shortage = match &written {
            Ok(()) => None,
            Err(RollingError::Full(_) | RollingError::NoRoom { .. }) => Some(Shortage::Full),
            Err(RollingError::Io(_)) => Some(Shortage::Failing),
        };
        self.retry_at_ns = now.ns + KEPT_RETRY_NS;
        written?;
        self.batch.clear();
        (self.is_awaited, self.is_written) = (false, false);
        Ok(std::mem::take(&mut self.lines))
    }

    fn try_write(&mut self) -> Result<(), RollingError> {
        if !self.is_written {
            self.log.append(&self.batch, self.lines)?;
            self.is_written = true;
        }
        if self.syncs && self.is_awaited {
            // What was written since the last sync may be gone.
            self.log.sync().inspect_err(|_| self.is_written = false)?;
        }
        Ok(())
    }

    /// Why the last try has failed, if it has.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        self.shortage
    }

    /// Bytes of all files.
    pub(super) fn total_len(&self) -> u64 {
        self.log.total_len()
    }

    /// What went so that younger lines could be written, since this was asked last.
    pub(super) fn take_dropped(&mut self) -> Dropped {
        self.log.take_dropped()
    }
}
