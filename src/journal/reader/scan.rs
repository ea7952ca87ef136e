//! Reads a journal whole, whatever is wrong with it: all that can be read, and the holes between.
//!
//! For the `journal` commands. An engine may write the journal meanwhile: what looks damaged is
//! looked at twice, the second time after what stands behind it was looked for, so that a batch
//! that is being written is no damage. Retention may take files away meanwhile: what is gone is
//! looked for where it was carried. It decides nothing and writes nothing.
//!
//! ```text
//! compacted 0-4      segment 4                        5        6               7
//! | batch | hole | | header | batch | hole | batch | | hole | | batch | hole | | batch | tail |
//!         damaged                     damaged          gone            not closed        end
//! ```

mod compacted;

use std::ops::Range;

use super::{Reader, Tail, header_of};
use crate::journal::batch::Batch;
use crate::journal::compacted::{CompactedHeader, CompactedReader, covering};
use crate::journal::error::{Damage, JournalError};
use crate::journal::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN, SegmentHeaderError,
};
use crate::journal::reserve::len_if_there;
use crate::journal::storage::{Name, Storage};

/// What a scan comes upon, in the order of the journal.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A segment begins.
    Segment(u64),
    /// A compacted file begins.
    Compacted {
        /// What it stands for.
        segments: Range<u64>,
        /// Its header; `None`: that is damaged.
        header: Option<CompactedHeader>,
    },
    /// A whole batch; end marks are none.
    Batch(Batch<'a>),
    /// Something that cannot be read.
    Hole(Hole),
    /// Something in a compacted file that cannot be read.
    CompactedHole(CompactedHole),
    /// The end of the journal; it comes once, and last.
    Tail(Tail),
}

/// A range of the journal that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Where it begins.
    pub from: Position,
    /// Where the next whole batch or the next segment stands.
    pub to: Position,
    /// What stands at its beginning.
    pub damage: Damage,
}

/// A range of a compacted file that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactedHole {
    /// The file.
    pub name: Name,
    /// Where in it; zero: its header.
    pub offset: u64,
    /// Bytes up to the next whole batch, or to the file's end.
    pub len: u64,
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
    /// Its file is gone.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next file is the one that has this place, or the first one behind it.
    Between(Position),
    Inside(u64),
    /// In the compacted file that is open.
    Compacted,
    Ended,
}

/// A file of the journal, and the segments that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Next {
    segments: Range<u64>,
    is_compacted: bool,
    /// Nothing stands for the segments before it, though there are earlier ones.
    is_behind_gap: bool,
}

/// Reads a journal from its first segment to its end.
pub struct Scan<S: Storage> {
    reader: Reader<S>,
    state: State,
    /// Where a file was listed and not there, once.
    gone_at: Option<Position>,
    /// The header of the compacted file that was just opened is damaged.
    damaged_header: Option<CompactedHole>,
    has_begun: bool,
}

impl<S: Storage> Scan<S> {
    /// Scans the whole journal. `segment_len` is what its segments say, see [`segment_len`].
    pub fn new(storage: S, segment_len: u64) -> Self {
        Self {
            reader: Reader::new(storage, segment_len, 0),
            state: State::Between(0),
            gone_at: None,
            damaged_header: None,
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
                State::Between(position) => match self.begin(position)? {
                    Some(found) => return Ok(Some(found)),
                    None => continue,
                },
                State::Compacted => match self.step_compacted()? {
                    Some(Ok(header)) => {
                        return Ok(Some(Finding::Batch(self.reader.take_compacted(header))));
                    }
                    Some(Err(hole)) => return Ok(Some(Finding::CompactedHole(hole))),
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
                Step::Gone => {
                    if let Some(hole) = self.look_again()? {
                        return Ok(Some(Finding::Hole(hole)));
                    }
                }
            }
        }
    }

    fn leave(&mut self) {
        if let State::Inside(number) = self.state {
            self.state = State::Between((number + 1) * self.reader.segment_len);
        }
    }

    /// The file that was read is gone: goes on where its place is now, or behind it, if it is listed
    /// and cannot be found. A segment of which that is so, as a link that leads nowhere, is a hole.
    fn look_again(&mut self) -> Result<Option<Hole>, JournalError> {
        let position = self.reader.position;
        self.reader.compacted = None;
        self.reader.forget();
        if self.gone_at.replace(position) != Some(position) {
            self.state = State::Between(position);
            return Ok(None);
        }
        let number = self.reader.number();
        let behind = (number + 1) * self.reader.segment_len;
        let is_segment = self.state == State::Inside(number);
        self.state = State::Between(behind);
        let segments = self.reader.storage.segments().map_err(JournalError::List)?;
        let is_listed = is_segment && segments.contains(&number);
        Ok(is_listed.then_some(Hole {
            from: position,
            to: behind,
            damage: Damage::Absent,
        }))
    }

    /// Goes to the file that has this place, or to the next one that is there.
    fn begin(&mut self, position: Position) -> Result<Option<Finding<'static>>, JournalError> {
        let len = self.reader.segment_len;
        let number = position / len;
        let mut next = self.next_file(number)?;
        // A list that is read while names change may miss one.
        while next.as_ref().is_none_or(|it| it.is_behind_gap) {
            let again = self.next_file(number)?;
            if again == next {
                break;
            }
            next = again;
        }
        let Some(next) = next else {
            self.state = State::Ended;
            return Ok(Some(Finding::Tail(Tail {
                position,
                torn_len: 0,
                whole_beyond: None,
            })));
        };
        let first = next.segments.start * len;
        if next.is_behind_gap && self.has_begun {
            self.state = State::Between(first);
            return Ok(Some(Finding::Hole(Hole {
                from: number * len,
                to: first,
                damage: Damage::Absent,
            })));
        }
        self.has_begun = true;
        self.reader.stand_at(position.max(first));
        if next.is_compacted {
            return self.begin_compacted(next.segments);
        }
        self.state = State::Inside(next.segments.start);
        Ok(Some(Finding::Segment(next.segments.start)))
    }

    /// The file that stands for segment `number`, or the first one behind it.
    fn next_file(&self, number: u64) -> Result<Option<Next>, JournalError> {
        let names = self.reader.storage.list().map_err(JournalError::List)?;
        if let Some(segments) = covering(&names, number) {
            return Ok(Some(Next {
                segments,
                is_compacted: true,
                is_behind_gap: false,
            }));
        }
        let starts = || {
            names.iter().filter_map(|name| match *name {
                Name::Segment(number) | Name::Compacted(number, _) => Some(number),
                _ => None,
            })
        };
        let Some(first) = starts().filter(|&it| it >= number).min() else {
            return Ok(None);
        };
        let compacted = covering(&names, first);
        Ok(Some(Next {
            is_compacted: compacted.is_some(),
            segments: compacted.unwrap_or(first..first + 1),
            // An engine removes from the front: where nothing is left before it, nothing is missing.
            is_behind_gap: first > number && starts().any(|it| it < number),
        }))
    }

    fn step(&mut self) -> Result<Step, JournalError> {
        let at = self.reader.position;
        let damage = match self.examine()? {
            Ok(header) => return Ok(Step::of(header)),
            Err(damage) => damage,
        };
        let position = self.reader.position;
        let behind = match damage {
            Damage::Absent => return Ok(Step::Gone),
            damage if damage.is_of_segment() => self.reader.first_batch(),
            _ => position + BATCH_HEADER_LEN as u64,
        };
        // All of this before the second look: what is written in between stands at the position first.
        let tail = self.reader.tail_at(position, damage)?;
        let beyond = self.reader.whole_from(behind)?.map(|it| it.position);
        let goes_on = self.reader.has_later_segment()?;
        self.reader.stand_at(at);
        let damage = match self.examine()? {
            Ok(header) => return Ok(Step::of(header)),
            Err(Damage::Absent) => return Ok(Step::Gone),
            Err(damage) => damage,
        };
        let number = position / self.reader.segment_len;
        // Its file may have become another segment while it was read.
        let segments = self.reader.storage.segments().map_err(JournalError::List)?;
        if !segments.contains(&number) {
            return Ok(Step::Gone);
        }
        let is_unfinished = beyond.is_none() || !damage.is_of_segment();
        let is_last = is_unfinished && !goes_on && !is_of_another_engine(damage);
        if is_last && tail.whole_beyond.is_none() {
            return Ok(Step::Tail(tail));
        }
        Ok(Step::Hole(Hole {
            from: position,
            to: beyond.unwrap_or((number + 1) * self.reader.segment_len),
            damage,
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

/// Bytes of a segment of this journal, as its first file with a whole header says, else as long as its longest
/// segment is, which has its whole length from its beginning; `None`: there is none.
///
/// # Errors
/// The journal cannot be read.
pub fn segment_len<S: Storage>(storage: &S) -> Result<Option<u64>, JournalError> {
    let len_min = (SEGMENT_HEADER_LEN + BATCH_HEADER_LEN + 1) as u64;
    let mut names = storage.list().map_err(JournalError::List)?;
    names.sort_unstable();
    for &name in &names {
        let len = match name {
            Name::Segment(number) => {
                let header = header_of(storage, number)?;
                header.map(|it| it.segment_len).filter(|it| *it >= len_min)
            }
            Name::Compacted(from, to) => {
                let opened = CompactedReader::open(storage, from..to);
                opened.ok().map(|it| it.header().segment_len)
            }
            Name::Free(_) | Name::Unfinished(..) => None,
        };
        if len.is_some() {
            return Ok(len);
        }
    }
    let segments = names
        .into_iter()
        .filter(|it| matches!(it, Name::Segment(_)));
    let lens = segments.map(|it| len_if_there(storage, it));
    Ok(lens.max().filter(|it| *it >= len_min))
}

#[cfg(test)]
mod tests;
