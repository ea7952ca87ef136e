//! Begins the journal behind what the store has, where the store has more than the journal.
//!
//! A power loss with `written` or `memory` may take the journal's last batches, and not the rows
//! that the store had made of them; a journal that was moved away leaves its store behind. New
//! messages must get none of the sequences and positions that these rows have. The engine calls it
//! between recovery and the first write.
//!
//! ```text
//! journal   | segment 7 | segment 8 ..cut | 9: closed | 10: closed, next sequence 4712 | 11 ...
//! store     ----------------------------------------------- position, rows up to 4711
//! ```

use std::io;

use super::error::JournalError;
use super::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN, SegmentHeader,
};
use super::recovery::Origin;
use super::segment::SegmentStarted;
use super::storage::{Name, Storage, write_whole};
use crate::clock::{BootTie, Now};
use crate::limits::SEGMENTS_AHEAD_MAX;
use crate::message::Sequence;

/// How far the store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The position up to which it has followed.
    pub position: Position,
    /// The highest sequence that has a row; zero: none has.
    pub last_sequence: Sequence,
}

impl Reached {
    /// Whether the journal that goes on at `origin` has less than that.
    #[must_use]
    pub(crate) fn is_ahead_of(&self, origin: &Origin) -> bool {
        self.position > origin.position || self.last_sequence >= origin.next_sequence
    }
}

/// Where the journal goes on, and the segments on the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Continuation {
    /// Behind what the store has.
    pub origin: Origin,
    /// The segments that were made, in their order.
    pub segments: Vec<SegmentStarted>,
}

/// Where the journal goes on so that it is behind what the store has. The way there is closed
/// segments, of which the last one holds the next sequence, so that it is known for good. `None`:
/// the store has followed so much further that it can be no power loss; nothing was written.
///
/// # Errors
/// The segments cannot be written. What was written is whole, and may be tried again.
pub(crate) fn continue_behind<S: Storage>(
    storage: &mut S,
    segment_len: u64,
    origin: Origin,
    reached: Reached,
    now: Now,
) -> Result<Option<Continuation>, JournalError> {
    let names = storage.list().map_err(JournalError::List)?;
    let is_part = |name: &Name| matches!(name, Name::Segment(_) | Name::Compacted(..));
    let last = reached.position.div_ceil(segment_len);
    let last = last.max(origin.position / segment_len);
    // A journal that has nothing yet may begin anywhere.
    let first = match names.iter().any(is_part) {
        true => origin.position / segment_len,
        false => last,
    };
    if last - first >= SEGMENTS_AHEAD_MAX {
        return Ok(None);
    }
    let next_sequence = origin.next_sequence.max(reached.last_sequence + 1);
    for number in first..=last {
        let note = (number == last).then_some(next_sequence);
        closed_segment(storage, segment_len, number, note, now.epoch_us).map_err(|source| {
            JournalError::Unwritten {
                segment: number,
                offset: 0,
                source,
            }
        })?;
    }
    storage.sync_names().map_err(JournalError::List)?;
    let started = |number| SegmentStarted {
        number,
        first_sequence: next_sequence,
        time_ms: now.steady_ms(),
        taken: 0,
    };
    Ok(Some(Continuation {
        origin: Origin {
            position: (last + 1) * segment_len,
            next_sequence,
        },
        segments: (first..=last).map(started).collect(),
    }))
}

/// Makes a segment without messages; its settlements, none, tell the next message's sequence.
fn closed_segment<S: Storage>(
    storage: &mut S,
    segment_len: u64,
    number: u64,
    next_sequence: Option<Sequence>,
    now_us: u64,
) -> io::Result<()> {
    let header = SegmentHeader {
        number,
        segment_len,
        created_ms: now_us / 1_000,
        tie: BootTie::default(),
    };
    let mut bytes = header.encode().to_vec();
    let position = number * segment_len + SEGMENT_HEADER_LEN as u64;
    let mut end = position;
    if let Some(first_sequence) = next_sequence {
        let note = BatchHeader {
            crc: 0,
            body_len: 0,
            kind: BatchKind::Settlements,
            entries: 0,
            position,
            first_sequence,
            time_us: now_us,
        };
        let mut note_bytes = [0; BATCH_HEADER_LEN];
        note.encode(std::iter::empty(), &mut note_bytes);
        bytes.extend_from_slice(&note_bytes);
        end += note_bytes.len() as u64;
    }
    bytes.extend_from_slice(&BatchHeader::end_mark(end, now_us));
    let segment = storage.create(Name::Segment(number))?;
    write_whole(storage, &segment, 0, &bytes)?;
    storage.sync(&segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::reader::Reader;
    use crate::journal::testing::{Memory, TIME_US, TestWriter};

    const SEGMENT: u64 = 4_096;
    const NOW: Now = Now {
        ns: 0,
        steady_us: TIME_US,
        epoch_us: TIME_US,
    };

    fn reached(position: Position, last_sequence: Sequence) -> Reached {
        Reached {
            position,
            last_sequence,
        }
    }

    /// All sequences of a journal, and the highest one that it says comes next.
    fn read(memory: &Memory) -> (Vec<Sequence>, Sequence, Position) {
        let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
        let (mut sequences, mut next) = (Vec::new(), 0);
        while let Some(batch) = reader.next(Position::MAX).expect("it is whole") {
            next = next.max(batch.header().first_sequence);
            sequences.extend(batch.records().map(|it| it.sequence));
        }
        (sequences, next, reader.position())
    }

    #[test]
    fn who_has_less_or_as_much_is_not_ahead() {
        let origin = Origin {
            position: 2 * SEGMENT,
            next_sequence: 10,
        };
        assert!(!reached(2 * SEGMENT, 9).is_ahead_of(&origin));
        assert!(reached(2 * SEGMENT + 1, 9).is_ahead_of(&origin));
        assert!(reached(5, 10).is_ahead_of(&origin));
    }

    #[test]
    fn a_cut_journal_goes_on_behind_the_store_without_a_hole() {
        for position in [SEGMENT + 1, 2 * SEGMENT, 3 * SEGMENT + 500] {
            let mut memory = Memory::default();
            let mut writer = TestWriter::new(memory.clone(), SEGMENT);
            writer.plain(1..=3);
            writer.close();
            let origin = Origin {
                position: SEGMENT,
                next_sequence: 4,
            };
            let behind = continue_behind(&mut memory, SEGMENT, origin, reached(position, 9), NOW);
            let behind = behind.expect("memory has room").expect("it is near");
            let numbers: Vec<_> = behind.segments.iter().map(|it| it.number).collect();
            assert_eq!(numbers, memory.segments().expect("memory")[1..]);
            let behind = behind.origin;
            assert_eq!(behind.next_sequence, 10);
            assert!(behind.position >= position && behind.position.is_multiple_of(SEGMENT));
            assert_eq!(read(&memory), (vec![1, 2, 3], 10, behind.position));
            assert!(!reached(position, 9).is_ahead_of(&behind), "once is enough");
        }
    }

    #[test]
    fn a_new_journal_begins_behind_the_store_however_far_that_is() {
        let mut memory = Memory::default();
        let origin = Origin {
            position: 0,
            next_sequence: 1,
        };
        let far = reached(1_000_000 * SEGMENT + 70, 1 << 40);
        let behind = continue_behind(&mut memory, SEGMENT, origin, far, NOW);
        let behind = behind
            .expect("memory has room")
            .expect("nothing is between")
            .origin;
        assert_eq!(behind.position, 1_000_002 * SEGMENT);
        assert_eq!(read(&memory), (vec![], (1 << 40) + 1, behind.position));
        assert_eq!(memory.files().len(), 1);
    }

    #[test]
    fn a_store_that_is_absurdly_far_ahead_followed_another_journal() {
        let mut memory = Memory::default();
        TestWriter::new(memory.clone(), SEGMENT).plain(1..=1);
        let origin = Origin {
            position: SEGMENT,
            next_sequence: 2,
        };
        let far = reached(1_000_000 * SEGMENT, 9);
        let behind = continue_behind(&mut memory, SEGMENT, origin, far, NOW);
        assert_eq!(behind.expect("nothing is written"), None);
        assert_eq!(memory.files().len(), 1);
    }
}
