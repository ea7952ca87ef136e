//! Rebuilds a group's stream from one member's journal.
//!
//! Used by `flipped-lb cluster restore`, while this member does not run and no other one serves: after its
//! stream was deleted or replaced. The records become messages again as they were, at their own sequences, so
//! each member compares its files with them as at any start.

use std::path::Path;

use super::jetstream::{Making, Settings};
use super::owner::{self, OwnerError};
use super::run::files::{RecordFiles, RecordFilesError};
use crate::config::Config;
use crate::engine::{DirectoryLock, LockError};
use crate::journal::error::JournalError;
use crate::journal::journal_folder;
use crate::journal::storage::Directory;

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restored {
    /// Sequence of the first record.
    pub(crate) first: u64,
    /// Sequence of the last one.
    pub(crate) last: u64,
    /// How many there are.
    pub(crate) records: u64,
}

/// It was not made, or not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Files(#[from] RecordFilesError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{0} has no record: restore the stream from the member with the longest journal")]
    Empty(String),
    /// The servers, or the stream.
    #[error("{0}")]
    Servers(String),
    /// Some records are there.
    #[error(
        "the stream was made, and ends before record {next}: {words}; run it again with --replace before any \
         member starts"
    )]
    Half { next: u64, words: String },
    #[error("no runtime could be made: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Makes the stream; one that has messages is replaced only with `replaces`. `progress` is told how many
/// records are published.
///
/// # Errors
/// See [`RestoreError`].
pub(crate) fn restore(
    config: &Config,
    replaces: bool,
    mut progress: impl FnMut(u64),
) -> Result<Restored, RestoreError> {
    let _lock = DirectoryLock::take(&config.data_dir)?;
    owner::check(&config.data_dir, &config.cluster.group)?;
    let folder = journal_folder(&config.data_dir);
    let (files, found) = RecordFiles::open(storage(&folder)?, config.journal.segment)?;
    let empty = || RestoreError::Empty(folder.display().to_string());
    let first = files.first_record()?.ok_or_else(empty)?;
    if found.last.is_none() {
        return Err(empty());
    }
    // All of it, before a stream is replaced.
    files.each(|_, _| Ok::<(), RestoreError>(()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let settings = Settings::from(&config.cluster);
    let making = runtime.block_on(Making::begin(settings, first, replaces));
    let mut making = making.map_err(RestoreError::Servers)?;
    let mut restored = Restored {
        first,
        last: 0,
        records: 0,
    };
    files.each(|place, bytes| {
        let put = runtime.block_on(making.put(place, bytes));
        put.map_err(|words| RestoreError::Half {
            next: place.sequence,
            words,
        })?;
        restored.last = place.sequence;
        restored.records += 1;
        progress(restored.records);
        Ok::<(), RestoreError>(())
    })?;
    Ok(restored)
}

fn storage(folder: &Path) -> Result<Directory, RestoreError> {
    Directory::at(folder).map_err(|it| RestoreError::Journal(JournalError::List(it)))
}
