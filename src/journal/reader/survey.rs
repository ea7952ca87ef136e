//! Reads a journal whole, whatever is wrong with it: all that can be read, and the holes between.
//!
//! For the `journal` commands. An engine may write the journal meanwhile: what looks damaged is
//! looked at twice, the second time after what stands behind it was looked for, so that a batch
//! that is being written is no damage. It decides nothing and writes nothing.
//!
//! ```text
//! segment 4                        5        6               7
//! | header | batch | hole | batch | | hole | | batch | hole | | batch | tail |
//!                    damaged          gone            not closed        end
//! ```

use std::io;

use super::{Reader, Tail, read_header};
use crate::journal::batch::Batch;
use crate::journal::error::{Damage, JournalError};
use crate::journal::record::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN, SegmentHeader,
    SegmentHeaderError,
};
use crate::journal::storage::Storage;

/// What a survey comes upon, in the order of the journal.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A segment begins.
    Segment(u64),
    /// A whole batch; end marks are none.
    Batch(Batch<'a>),
    /// Something that cannot be read.
    Hole(Hole),
    /// The end of the journal; it comes once, and last.
    Tail(Tail),
}

/// A stretch of the journal that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Where it begins.
    pub from: Position,
    /// Where the next whole batch or the next segment stands.
    pub to: Position,
    /// What stands at its beginning.
    pub damage: Damage,
}

/// What the next look brought.
enum Step {
    Batch(BatchHeader),
    Hole(Hole),
    Tail(Tail),
    /// Nothing more stands in this segment.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next segment is this one, or the first one behind it.
    Between(u64),
    Inside(u64),
    Ended,
}

/// Reads a journal from its first segment to its end.
pub struct Survey<S: Storage> {
    reader: Reader<S>,
    state: State,
    has_begun: bool,
}

impl<S: Storage> Survey<S> {
    /// Surveys the whole journal. `segment_len` is what its segments say, see [`segment_len`].
    pub fn new(storage: S, segment_len: u64) -> Self {
        Self {
            reader: Reader::new(storage, segment_len, 0),
            state: State::Between(0),
            has_begun: false,
        }
    }

    /// What comes next; `None` behind the tail.
    ///
    /// # Errors
    /// The operating system refuses the bytes, or segments differ in length.
    pub fn advance(&mut self) -> Result<Option<Finding<'_>>, JournalError> {
        loop {
            let step = match self.state {
                State::Ended => return Ok(None),
                State::Between(number) => match self.begin(number)? {
                    Some(found) => return Ok(Some(found)),
                    None => continue,
                },
                State::Inside(number) if self.reader.number() != number => Step::Closed,
                State::Inside(_) => self.step()?,
            };
            match step {
                Step::Batch(header) => return Ok(Some(Finding::Batch(self.reader.take(header)))),
                Step::Hole(hole) => {
                    self.reader.stand_at(hole.to);
                    return Ok(Some(Finding::Hole(hole)));
                }
                Step::Tail(tail) => {
                    self.state = State::Ended;
                    return Ok(Some(Finding::Tail(tail)));
                }
                Step::Closed => self.leave(),
            }
        }
    }

    fn leave(&mut self) {
        if let State::Inside(number) = self.state {
            self.state = State::Between(number + 1);
        }
    }

    /// Goes to segment `number`, or to the next one that is there.
    fn begin(&mut self, number: u64) -> Result<Option<Finding<'static>>, JournalError> {
        let len = self.reader.segment_len;
        let segments = self.reader.storage.segments().map_err(JournalError::List)?;
        let Some(&found) = segments.iter().find(|&&it| it >= number) else {
            self.state = State::Ended;
            return Ok(Some(Finding::Tail(Tail {
                position: number * len,
                torn_len: 0,
                whole_beyond: None,
            })));
        };
        // An engine removes from the front: where nothing is left before it, nothing is missing.
        let is_missed = self.has_begun && segments.first().is_some_and(|&it| it < number);
        if found > number && is_missed {
            self.state = State::Between(found);
            return Ok(Some(Finding::Hole(Hole {
                from: number * len,
                to: found * len,
                damage: Damage::Absent,
            })));
        }
        self.has_begun = true;
        self.reader.stand_at(found * len);
        self.state = State::Inside(found);
        Ok(Some(Finding::Segment(found)))
    }

    fn step(&mut self) -> Result<Step, JournalError> {
        let at = self.reader.position;
        let damage = match self.examine()? {
            Ok(header) => return Ok(Step::of(header)),
            Err(damage) => damage,
        };
        let behind = match damage {
            Damage::Absent => return Ok(Step::Closed),
            damage if damage.is_of_segment() => self.reader.first_batch(),
            _ => self.reader.position + BATCH_HEADER_LEN as u64,
        };
        let beyond = self.reader.whole_from(behind)?;
        let goes_on = self.reader.has_later_segment()?;
        self.reader.stand_at(at);
        let damage = match self.examine()? {
            Ok(header) => return Ok(Step::of(header)),
            Err(Damage::Absent) => return Ok(Step::Closed),
            Err(damage) => damage,
        };
        let end = (self.reader.number() + 1) * self.reader.segment_len;
        match beyond {
            None if !goes_on && !is_of_another_engine(damage) => self.tail(damage),
            beyond => Ok(Step::Hole(Hole {
                from: self.reader.position,
                to: beyond.unwrap_or(end),
                damage,
            })),
        }
    }

    fn tail(&mut self, damage: Damage) -> Result<Step, JournalError> {
        let position = self.reader.position;
        let torn_len = self.reader.torn(damage)?;
        Ok(Step::Tail(Tail {
            position,
            torn_len,
            whole_beyond: None,
        }))
    }

    /// What stands at the position: a whole batch, or what else. A damaged segment header counts
    /// only where it stands itself.
    fn examine(&mut self) -> Result<Result<BatchHeader, Damage>, JournalError> {
        let of_segment = self.reader.enter()?;
        let is_at_header = self.reader.position.is_multiple_of(self.reader.segment_len);
        match of_segment {
            Some(damage) if damage == Damage::Absent || is_at_header => Ok(Err(damage)),
            _ => self.reader.examine_any(),
        }
    }
}

/// What an engine that is not this one wrote is no tail, even if it ends the journal.
fn is_of_another_engine(damage: Damage) -> bool {
    matches!(
        damage,
        Damage::SegmentHeader(SegmentHeaderError::Version(_))
    )
}

impl Step {
    fn of(header: BatchHeader) -> Self {
        match header.kind {
            BatchKind::End => Self::Closed,
            _ => Self::Batch(header),
        }
    }
}

/// Bytes of a segment of this journal, as the first segment with a whole header says; `None`: there
/// is none.
///
/// # Errors
/// The journal cannot be read.
pub fn segment_len<S: Storage>(storage: &S) -> Result<Option<u64>, JournalError> {
    for number in storage.segments().map_err(JournalError::List)? {
        let len_min = (SEGMENT_HEADER_LEN + BATCH_HEADER_LEN + 1) as u64;
        let read = storage
            .open(number)
            .and_then(|it| read_header(storage, &it));
        let bytes = match read {
            // It was there a moment ago: an engine has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(|source| JournalError::Read {
                segment: number,
                offset: 0,
                source,
            })?,
        };
        match bytes.map(|it| SegmentHeader::decode(&it)) {
            Some(Ok(header)) if header.segment_len >= len_min => {
                return Ok(Some(header.segment_len));
            }
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
