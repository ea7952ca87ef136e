//! Reads one segment of records: which are whole, and where they end.

use std::io;
use std::sync::Arc;

use crate::cluster::record::{PLACE_LEN, Place, Record, len_of};
use crate::journal::error::JournalError;
use crate::journal::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN, SegmentHeader,
};
use crate::journal::storage::{Name, Storage, read_full};

/// The whole records of one segment.
pub(super) struct Scan {
    /// The last one, or the last one that was looked for.
    pub(super) last: Option<Arc<[u8]>>,
    /// Where they end in the file.
    pub(super) end: u64,
    /// Something else stands first: a batch of an engine in no group.
    pub(super) is_plain: bool,
}

/// Reads the records of a segment, up to this sequence.
pub(super) fn scan<S: Storage>(
    storage: &S,
    file: &S::Segment,
    number: u64,
    segment_len: u64,
    through: u64,
) -> Result<Scan, JournalError> {
    let failed = |source| JournalError::File {
        name: Name::Segment(number),
        source,
    };
    let mut scan = Scan {
        last: None,
        end: SEGMENT_HEADER_LEN as u64,
        is_plain: false,
    };
    let mut head = [0; SEGMENT_HEADER_LEN];
    let len = read_full(storage, file, 0, &mut head).map_err(failed)?;
    let header = SegmentHeader::decode(&head).ok();
    let Some(header) = header.filter(|it| len == head.len() && it.number == number) else {
        return Ok(scan);
    };
    if header.segment_len != segment_len {
        return Err(JournalError::SegmentLen {
            segment: number,
            found: header.segment_len,
            expected: segment_len,
        });
    }
    let (mut bytes, mut last) = (Vec::new(), Vec::new());
    loop {
        let position = number * segment_len + scan.end;
        let place = read_record(storage, file, position, scan.end, &mut bytes).map_err(failed)?;
        if place.is_none_or(|it| it.sequence > through) {
            break;
        }
        std::mem::swap(&mut last, &mut bytes);
        scan.end += last.len() as u64;
    }
    scan.last = (!last.is_empty()).then(|| last.into());
    if scan.last.is_none() && through == u64::MAX {
        scan.is_plain = begins_plain(storage, file, number * segment_len).map_err(failed)?;
    }
    Ok(scan)
}

/// The whole record that stands at this offset of the file, which is this position.
pub(super) fn read_record<S: Storage>(
    storage: &S,
    file: &S::Segment,
    position: Position,
    offset: u64,
    bytes: &mut Vec<u8>,
) -> io::Result<Option<Place>> {
    let mut head = [0; PLACE_LEN];
    if read_full(storage, file, offset, &mut head)? < PLACE_LEN {
        return Ok(None);
    }
    let Some(len) = len_of(&head) else {
        return Ok(None);
    };
    bytes.resize(len, 0);
    if read_full(storage, file, offset, bytes)? < len {
        return Ok(None);
    }
    let record = Record::decode(bytes).ok();
    Ok(record
        .filter(|it| it.place.position == position)
        .map(|it| it.place))
}

/// Whether the segment begins with a whole batch that is no place.
pub(super) fn begins_plain<S: Storage>(
    storage: &S,
    file: &S::Segment,
    start: Position,
) -> io::Result<bool> {
    let mut head = [0; BATCH_HEADER_LEN];
    let offset = SEGMENT_HEADER_LEN as u64;
    let len = read_full(storage, file, offset, &mut head)?;
    let header = BatchHeader::decode(&head);
    Ok(len == head.len()
        && header.is_some_and(|it| {
            it.position == start + offset && !matches!(it.kind, BatchKind::Place | BatchKind::End)
        }))
}

/// Bytes behind the whole records of a segment, up to the last one that is not zero, where they are no end
/// mark and none of the file's former life.
pub(super) fn torn<S: Storage>(
    storage: &S,
    file: &S::Segment,
    end: u64,
    len: u64,
) -> io::Result<u64> {
    let mut head = [0; BATCH_HEADER_LEN];
    let there = read_full(storage, file, end, &mut head)?;
    let header = BatchHeader::decode(&head).filter(|_| there == head.len());
    Ok(match header {
        Some(header) if header.kind == BatchKind::Place => {
            let behind = PLACE_LEN as u64 + u64::from(header.body_len);
            behind.min(len - end)
        }
        _ => 0,
    })
}

/// The sequence of the first record of a segment.
pub(super) fn first_sequence<S: Storage>(
    storage: &S,
    file: &S::Segment,
) -> io::Result<Option<u64>> {
    let mut bytes = Vec::new();
    let mut head = [0; SEGMENT_HEADER_LEN];
    let len = read_full(storage, file, 0, &mut head)?;
    let header = SegmentHeader::decode(&head).ok();
    let Some(header) = header.filter(|_| len == head.len()) else {
        return Ok(None);
    };
    let offset = SEGMENT_HEADER_LEN as u64;
    let position = header.number * header.segment_len + offset;
    let place = read_record(storage, file, position, offset, &mut bytes)?;
    Ok(place.map(|it| it.sequence))
}
