//! Why bytes are no record, or none can be made of something.

use crate::limits::RECORD_MESSAGE_LEN_MAX;

/// Why bytes are no record, or none can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Shorter than a place, or another length than it says.
    #[error("it has {0} bytes, and should have others")]
    Length(usize),
    /// Longer than a record may be.
    #[error("it has {0} bytes; a record has {RECORD_MESSAGE_LEN_MAX} at most")]
    TooLong(usize),
    /// It is something else.
    #[error("it does not begin as a record does")]
    Magic,
    /// An engine of another version wrote it.
    #[error("it has record format {0}; this engine reads format {RECORD_FORMAT}: upgrade it", RECORD_FORMAT = super::RECORD_FORMAT)]
    Format(u16),
    /// A byte was changed.
    #[error("it is damaged (wrong CRC)")]
    Damaged,
    /// A part of it is as no engine writes it.
    #[error("{0} cannot be")]
    Shape(&'static str),
    /// A batch in it is not whole, or not where it says.
    #[error("its batch at byte {0} is not whole, or not in its place")]
    Batch(usize),
}
