//! Lines that were accepted and not confirmed when a term ended, of sources that send nothing again: kept
//! whole in `data_dir/unconfirmed.ndjson`, as rejected lines are.
//!
//! Some of them may be in the group's stream all the same: whoever offers them again has the dedup window
//! drop those.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use crate::clock::wall_us;
use crate::config::Ingest;
use crate::rejects::format::write_line;
use crate::rolling::storage::Directory;
use crate::rolling::{Limits, RollingLog};

/// The file's stem.
const STEM: &str = "unconfirmed";

/// Keeps these lines, within the limits of rejected ones.
///
/// # Errors
/// None of them is kept.
pub(crate) fn keep(data_dir: &Path, settings: &Ingest, lines: &[Vec<u8>]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let limits = Limits::new(
        settings.rejected_max_bytes,
        settings.rejected_max_total,
        settings.rejected_when_full,
    );
    let mut log = RollingLog::open(Directory::at(data_dir, STEM)?, limits.synced(true))?;
    let (mut bytes, now_us) = (Vec::new(), wall_us());
    for line in lines {
        write_line(&mut bytes, STEM, Cow::Borrowed(""), now_us, line);
    }
    log.append(&bytes, lines.len() as u64)?;
    log.sync()
}
