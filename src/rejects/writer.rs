//! The core of the rejects agent: gathers lines into a batch, and keeps it.
//!
//! ```text
//! gather          keep: append          keep: sync, where a source waits
//! | batch grows | -> | written     | -> | kept, and the next one begins |
//!                    ^ a sync failed: the same again, into another file
//! ```

use super::format;
use super::protocol::Rejected;
use crate::rolling::storage::Storage;
use crate::rolling::{Dropped, RollingError, RollingLog};

/// Lines on their way to the files: the same until all of them are kept.
#[derive(Debug)]
pub(super) struct Writer<S: Storage> {
    log: RollingLog<S>,
    /// Whether what a source waits for is synced.
    syncs: bool,
    batch: Vec<u8>,
    lines: u64,
    is_awaited: bool,
    is_written: bool,
}

impl<S: Storage> Writer<S> {
    pub(super) fn new(log: RollingLog<S>, syncs: bool) -> Self {
        Self {
            log,
            syncs,
            batch: Vec::new(),
            lines: 0,
            is_awaited: false,
            is_written: false,
        }
    }

    /// Adds a line to a batch that was not tried yet.
    pub(super) fn gather(&mut self, rejected: &Rejected<'_>) {
        format::write(&mut self.batch, rejected);
        self.lines += 1;
        self.is_awaited |= rejected.is_awaited;
    }

    /// Bytes of the batch; zero: there is none.
    pub(super) fn batch_len(&self) -> usize {
        self.batch.len()
    }

    /// Keeps the batch, and returns how many lines it had.
    ///
    /// # Errors
    /// It is not kept yet: try again.
    pub(super) fn keep(&mut self) -> Result<u64, RollingError> {
        if !self.is_written {
            self.log.append(&self.batch, self.lines)?;
            self.is_written = true;
        }
        if self.syncs && self.is_awaited {
            // What was written since the last sync may be gone.
            self.log.sync().inspect_err(|_| self.is_written = false)?;
        }
        self.batch.clear();
        (self.is_awaited, self.is_written) = (false, false);
        Ok(std::mem::take(&mut self.lines))
    }

    /// Bytes of all files.
    pub(super) fn total_len(&self) -> u64 {
        self.log.total_len()
    }

    pub(super) fn take_dropped(&mut self) -> Dropped {
        self.log.take_dropped()
    }
}
