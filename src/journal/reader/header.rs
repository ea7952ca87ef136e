//! Reads the header of a segment.

use std::io;

use crate::journal::error::JournalError;
use crate::journal::format::{SEGMENT_HEADER_LEN, SegmentHeader, SegmentHeaderError};
use crate::journal::storage::{Name, Storage, read_full};

/// The header of an open segment, or what is wrong with it.
///
/// # Errors
/// The bytes cannot be read.
pub(super) fn read<S: Storage>(
    storage: &S,
    file: &S::Segment,
) -> io::Result<Result<SegmentHeader, SegmentHeaderError>> {
    let mut bytes = [0; SEGMENT_HEADER_LEN];
    let len = read_full(storage, file, 0, &mut bytes)?;
    Ok(match len {
        SEGMENT_HEADER_LEN => SegmentHeader::decode(&bytes),
        _ => Err(SegmentHeaderError::NotASegment),
    })
}

/// The header of a segment; `None`: it has no whole one, or an engine has removed the file.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn header_of<S: Storage>(
    storage: &S,
    number: u64,
) -> Result<Option<SegmentHeader>, JournalError> {
    let name = Name::Segment(number);
    match storage.open(name).and_then(|file| read(storage, &file)) {
        Ok(header) => Ok(header.ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JournalError::File { name, source }),
    }
}
