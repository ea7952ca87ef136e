//! A program beside an engine without a store: it only writes to the disk and syncs, as much and as
//! often as the embedded store does. What delivery notices of that, the machine's disk costs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::setpriority_process;

use crate::bench::prelude::*;

/// Between two syncs: the store's `batch_time`.
pub(super) const PERIOD: Duration = Duration::from_millis(100);
/// Where the file is written from the beginning again.
const FILE_LEN: u64 = 64 << 20;
/// The priority that the store's thread has.
const NICE_MAX: i32 = 19;

/// Bytes a period of so many a second; none of a difference that is noise.
pub(super) fn bytes(a_second: f64) -> usize {
    (a_second.max(0.0) * PERIOD.as_secs_f64()) as usize
}

/// The file that it writes, and what it writes each period.
#[derive(Debug)]
pub(super) struct Bystander {
    file: File,
    block: Vec<u8>,
    place: u64,
}

impl Bystander {
    pub(super) fn new(folder: &Path, bytes: usize) -> Result<Self> {
        Ok(Self {
            file: File::create(folder.join("bystander")).context("making the bystander's file")?,
            block: vec![b'x'; bytes],
            place: 0,
        })
    }

    /// A period's bytes, synced.
    pub(super) fn write_and_sync(&mut self) -> Result<()> {
        // Refused, it is as good a thread as any.
        let _ = setpriority_process(None, NICE_MAX);
        let written = self.file.write_all_at(&self.block, self.place);
        written
            .and_then(|()| self.file.sync_all())
            .context("writing as the bystander")?;
        self.place = (self.place + self.block.len() as u64) % FILE_LEN;
        Ok(())
    }
}
