//! Checks the batches behind a place: whole, one behind the other, at the positions that they name.

use super::error::RecordError;
use super::place::{Kind, Place};
use crate::journal::format::{BATCH_HEADER_LEN, BatchHeader, BatchKind};

/// Whether `batches` are such as stand behind this place, `ahead` bytes behind the record's beginning.
pub(super) fn check(place: &Place, ahead: usize, batches: &[u8]) -> Result<(), RecordError> {
    if place.kind.has_batches() == batches.is_empty() {
        return Err(RecordError::Shape("its batches"));
    }
    let mut at = 0;
    while at < batches.len() {
        let len = one(place, ahead + at, &batches[at..]).ok_or(RecordError::Batch(ahead + at))?;
        at += len;
    }
    Ok(())
}

/// The length of the batch that begins here, `behind` bytes behind the record's beginning.
fn one(place: &Place, behind: usize, from: &[u8]) -> Option<usize> {
    let (bytes, rest) = from.split_first_chunk::<BATCH_HEADER_LEN>()?;
    let header = BatchHeader::decode(bytes)?;
    let body = rest.get(..header.body_len as usize)?;
    let position = match place.kind {
        Kind::Carried => header.position,
        _ => place.position.checked_add(behind as u64)?,
    };
    let fits = match place.kind {
        Kind::Carried => matches!(header.kind, BatchKind::Carried | BatchKind::Ids),
        _ => {
            matches!(header.kind, BatchKind::Messages | BatchKind::Settlements)
                && BatchHeader::behind(bytes) as usize == behind
        }
    };
    let has_zeros = bytes[13..16] == [0; 3];
    (fits && has_zeros && header.matches(bytes, body, position))
        .then_some(BATCH_HEADER_LEN + body.len())
}
