//! Why a record cannot be read back.

use std::io;

use crate::journal::error::JournalError;
use crate::message::Sequence;

#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error(
        "journal segment {segment} cannot be read at offset {offset}: {source}; message {sequence} \
         and its destination wait, and it is tried again each second: check the disk"
    )]
    Read {
        segment: u64,
        offset: u64,
        sequence: Sequence,
        source: io::Error,
    },
    #[error(
        "journal segment {segment} does not hold message {sequence} at offset {offset}; \
         somebody changed the file, or the disk is damaged: check it, then start again"
    )]
    Changed {
        segment: u64,
        offset: u64,
        sequence: Sequence,
    },
    #[error(transparent)]
    Compacted(#[from] JournalError),
}

impl ReplayError {
    /// Whether the same read may succeed later: the operating system failed, not the journal.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Read { .. } => true,
            Self::Changed { .. } => false,
            Self::Compacted(error) => error.is_transient(),
        }
    }
}
