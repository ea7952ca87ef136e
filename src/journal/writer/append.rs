//! The bytes of a batch: its headers, and the write of all its pieces.
//!
//! ```text
//! | header | run | run | ... | header | settlements |      headers[0], leased memory, headers[1]
//! ```

use std::io::{self, IoSlice};

use super::staged::Staged;
use crate::arena::View;
use crate::journal::format::{BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SETTLEMENT_LEN};
use crate::journal::segment::Segments;
use crate::journal::storage::Storage;
use crate::limits::PIECES_PER_BATCH;
use crate::message::Sequence;
use crate::message::layout::RECORD_HEADER_LEN;

/// Makes the headers of the staged batch for the position where it will stand; `next` is the sequence
/// of the next message, `steady_us` the engine's own time.
pub(super) fn seal(
    staged: &mut Staged,
    view: &View,
    position: Position,
    next: Sequence,
    steady_us: u64,
) {
    let mut bytes = [0; BATCH_HEADER_LEN];
    let (mut end, mut end_sequence) = (position, next);
    staged.headers.iter_mut().for_each(Vec::clear);
    if let Some(first_sequence) = staged.first_sequence() {
        assert!(first_sequence == next, "sequences have no holes");
        let header = BatchHeader {
            crc: 0,
            body_len: staged.runs_len as u32,
            kind: BatchKind::Messages,
            entries: staged.entries,
            position,
            first_sequence,
            time_us: steady_us,
        };
        let runs = staged.batch_runs();
        header.encode(runs.map(|it| view.bytes(&it.lease)), &mut bytes);
        staged.headers[0].extend_from_slice(&bytes);
        end += (BATCH_HEADER_LEN + staged.runs_len) as u64;
        end_sequence += u64::from(staged.entries);
    }
    if !staged.settlements.is_empty() {
        let len = staged.settlements.len();
        let header = BatchHeader {
            crc: 0,
            body_len: len as u32,
            kind: BatchKind::Settlements,
            entries: (len / SETTLEMENT_LEN) as u32,
            position: end,
            first_sequence: end_sequence,
            time_us: staged.time_us,
        };
        let body = std::iter::once(&staged.settlements[..]);
        header.encode_behind((end - position) as u32, body, &mut bytes);
        staged.headers[1].extend_from_slice(&bytes);
    }
}

/// Writes what is left of the sealed batch.
///
/// # Errors
/// Nothing more could be written; [`Staged::written`] says how far it came.
pub(super) fn write<S: Storage>(
    staged: &mut Staged,
    view: &View,
    segments: &Segments<S>,
) -> io::Result<()> {
    let total = staged.len();
    while staged.written < total {
        let mut pieces = [IoSlice::new(&[]); PIECES_PER_BATCH + 3];
        let mut count = 0;
        let mut skip = staged.written;
        let runs = staged.batch_runs().map(|it| view.bytes(&it.lease));
        let all = std::iter::once(&staged.headers[0][..])
            .chain(runs)
            .chain([&staged.headers[1][..], &staged.settlements[..]]);
        for piece in all {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            if skipped < piece.len() {
                pieces[count] = IoSlice::new(&piece[skipped..]);
                count += 1;
            }
        }
        let ahead = staged.written as u64;
        staged.written += segments.write(ahead, &pieces[..count])?;
    }
    Ok(())
}

const _: () = assert!(
    RECORD_HEADER_LEN < BATCH_HEADER_LEN,
    "a batch is told from a record"
);
