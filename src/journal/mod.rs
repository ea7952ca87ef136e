//! The journal: the append-only log on disk, the engine's only durable truth.
//!
//! In the order of the data:
//!
//! ```text
//!   protocol                          what the agents below take and give
//!   writer                            runs and settlements -> batches
//!   offering                          the same in a group: -> the member's thread
//!   segment    format, batch          batches -> files: the format, one writer's end of it
//!   storage    reserve                files, and room that is set aside for a full disk
//!   reader     scan                   files -> batches, whatever is wrong with them
//!   recovery   progress, continuation the start: what an earlier life left, and where to go on
//!   replay                            messages that have left memory -> the scheduler
//!   retention  compacted, carried     what may go, and what is carried forward of it
//!   repair     error, strays          what to do about damage
//! ```

pub(crate) mod protocol;

pub(crate) mod offering;
pub(crate) mod writer;

pub(crate) mod batch;
pub mod format;
mod segment;

pub(crate) mod reserve;
pub mod storage;

pub mod reader;

pub(crate) mod continuation;
mod progress;
pub(crate) mod recovery;

pub(crate) mod replay;

pub(crate) mod carried;
pub(crate) mod compacted;
pub(crate) mod retention;

pub(crate) mod error;
pub(crate) mod repair;
pub(crate) mod strays;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "some of it is for tests"))]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod watched;

use std::path::{Path, PathBuf};

/// The journal's directory under the data directory.
#[must_use]
pub fn journal_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}
