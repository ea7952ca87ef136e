//! What can be wrong with a journal, and what to do about it.
//!
//! Made by `reader`; shown to people as it stands, so each message names segment and offset. It
//! does not decide what follows from it: that is the caller's business.

use std::io;

use super::format::SegmentHeaderError;
use super::storage::Name;

/// Why the journal cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused the bytes.
    #[error(
        "journal segment {segment:020}.segment cannot be read at offset {offset}: {source}; check \
         the disk and the permissions of the data directory"
    )]
    Read {
        /// Number of the segment.
        segment: u64,
        /// Where in its file.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system did not take the mark that closes the segment, or the next segment.
    #[error(
        "journal segment {segment:020}.segment cannot be written at offset {offset}: {source}; \
         nothing is lost: make room on the disk, or see to the permissions of the data directory, \
         and start again"
    )]
    Unwritten {
        /// Number of the segment.
        segment: u64,
        /// Where in its file.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused the directory.
    #[error("the journal's directory cannot be listed: {0}; check its permissions")]
    List(io::Error),
    /// Something is wrong in the middle: behind it, the journal goes on.
    #[error(
        "the journal is damaged in segment {segment:020}.segment at offset {offset}: {damage}; \
         nothing was changed: `flipped-lb journal verify DIR` shows what can be saved (DIR is the \
         data directory), and `flipped-lb journal repair DIR` keeps it and puts the rest aside"
    )]
    Corrupt {
        /// Number of the segment.
        segment: u64,
        /// Where in its file.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// A compacted file never changes once it has its name, so this is no torn tail.
    #[error(
        "the journal's kept file {name} is damaged at offset {offset}: {damage}; nothing was \
         changed: `flipped-lb journal verify DIR` shows what can be saved (DIR is the data \
         directory), and `flipped-lb journal repair DIR` keeps it and puts the rest aside"
    )]
    Compacted {
        /// Its name.
        name: Name,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// Another engine wrote a compacted file.
    #[error(
        "the journal's kept file {name} cannot be read: {source}; use the engine that wrote it, or, if \
         no other one did, see what `flipped-lb journal verify DIR` finds in it (DIR is the data \
         directory)"
    )]
    CompactedVersion {
        /// Its name.
        name: Name,
        /// Which version it has.
        source: SegmentHeaderError,
    },
    /// The operating system refused a compacted file.
    #[error(
        "the journal's file {name} cannot be used: {source}; check the disk and the permissions"
    )]
    File {
        /// Its name.
        name: Name,
        /// What the operating system said.
        source: io::Error,
    },
    /// A segment between others is gone.
    #[error(
        "journal segment {0:020}.segment is missing, though later ones are there; put its file \
         back, or have `flipped-lb journal repair DIR` close the gap (DIR is the data directory; \
         `flipped-lb journal verify DIR` shows what is there)"
    )]
    Missing(u64),
    /// More segments than a repair makes are gone.
    #[error(
        "journal segments {first:020}.segment to {last:020}.segment are missing, more than a repair \
         makes anew: what stands behind them is no part of this journal: move it away, and repair again"
    )]
    Gap {
        /// The first that is missing.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Another engine wrote it.
    #[error(
        "journal segment {segment:020}.segment cannot be read: {source}; use the engine that wrote \
         it, or, if no other one did, see what `flipped-lb journal verify DIR` finds in it (DIR is \
         the data directory)"
    )]
    Version {
        /// Number of the segment.
        segment: u64,
        /// Which version it has.
        source: SegmentHeaderError,
    },
    /// Positions would mean other places.
    #[error(
        "journal segment {segment:020}.segment is {found} bytes long, but the setting \
         journal.segment says {expected}: set it back to {found}"
    )]
    SegmentLen {
        /// Number of the segment.
        segment: u64,
        /// What its header says.
        found: u64,
        /// What the reader was told.
        expected: u64,
    },
}

impl JournalError {
    /// Whether the same read may succeed later: the operating system failed, not the journal.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::Unwritten { .. } | Self::List(_) | Self::File { .. }
        )
    }
}

/// What stands where a whole batch should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No file.
    #[error("the segment is not there")]
    Absent,
    /// The segment's own header is wrong.
    #[error("{0}")]
    SegmentHeader(SegmentHeaderError),
    /// The segment's header is another segment's.
    #[error("its header is that of segment {0}")]
    OtherSegment(u64),
    /// Fewer bytes than there should be.
    #[error("the file ends there")]
    Short,
    /// Zeros, a former life, or anything.
    #[error("no batch begins there")]
    NotABatch,
    /// A batch of this place, but not as it was written.
    #[error("the batch that begins there is not whole (wrong CRC)")]
    Torn,
    /// The CRC is right and the content is not: it was written wrong.
    #[error("the batch that begins there has a right CRC and wrong lengths, sequences or entries")]
    Malformed,
}

impl Damage {
    /// Whether it is the segment's header that is wrong, not a batch.
    #[must_use]
    pub fn is_of_segment(&self) -> bool {
        matches!(self, Self::SegmentHeader(_) | Self::OtherSegment(_))
    }
}
