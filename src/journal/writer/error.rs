//! Why the journal cannot go on: the engine ends with it.

use std::io;

#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// Not for want of room.
    #[error(
        "the journal could not write segment {segment} at offset {offset}: {source}; \
         what was delivered is recorded, and the next start goes on from there"
    )]
    Write {
        segment: u64,
        offset: u64,
        source: io::Error,
    },
    /// Its files were removed or moved while it ran.
    #[error(
        "the journal's files are gone, none can be made behind segment {segment}: {source}; somebody has removed \
         or moved them while the engine ran: put them back before the next start, or what waited in \
         them is lost"
    )]
    Gone { segment: u64, source: io::Error },
    /// What was written may be lost, and nothing tells how much of it.
    #[error(
        "the journal could not sync segment {segment}: {source}; what was not acknowledged may be \
         lost on disk: check the disk, then start again, and recovery takes what is there"
    )]
    Sync { segment: u64, source: io::Error },
}
