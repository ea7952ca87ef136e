//! Repair: rebuilds what is damaged, from all that can still be read.
//!
//! Fed by a [`Scan`]; used by `flipped-lb journal repair`, which puts the new segments in the
//! place of the old ones. It writes only to the storage it is given for that.
//!
//! Positions stay what they are, for the store has followed up to one of them: each whole batch is
//! written where it stood, and where something is lost a batch of kind `Void` says so.
//!
//! ```text
//! damaged   | header | batch | ?????????? | batch | batch | ??????
//! rebuilt   | header | batch |    void    | batch | batch | end |
//! ```
//!
//! In a compacted file batches say themselves where they stood: what is left of them is written closely.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::iter::once;
use std::ops::Range;

use super::batch::Batch;
use super::compacted::{CompactedHeader, CompactedWriter};
use super::error::{Damage, JournalError};
use super::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN, SegmentHeader,
    SegmentHeaderError,
};
use super::reader::Tail;
use super::reader::scan::{CompactedHole, Finding, Hole, Scan};
use super::storage::{Name, Storage, write_whole};
use crate::clock::BootTie;
use crate::limits::{BATCH_LEN_MAX, REPAIR_GAP_MAX};
use crate::message::Sequence;

/// What is wrong with a journal, and what to do about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What is lost, in the order of the journal.
    pub losses: Vec<Loss>,
    /// The segments that must be made anew; some of them may be gone altogether.
    pub segments: BTreeSet<u64>,
    /// The compacted files that must be made anew, by their segments.
    pub compacted: BTreeMap<(u64, u64), Course>,
    /// Messages that are kept.
    pub messages: u64,
    /// Settlements that are kept.
    pub settlements: u64,
    /// Ids of settled messages that are kept.
    pub ids: u64,
}

/// What is known of the course of a compacted file's segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    /// The sequences that were accepted.
    pub sequences: Range<Sequence>,
    /// When the last of what is left of it was recorded: us of the engine's own time.
    pub end_us: u64,
}

/// Where something is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// In or between segments.
    Segments(Hole),
    /// In a compacted file.
    Compacted(CompactedHole),
}

/// One gap, and what may have stood in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Where.
    pub gap: Gap,
    /// Which messages.
    pub sequences: Sequences,
}

/// Which messages are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequences {
    /// At most settlements: their messages will be delivered again.
    None,
    /// These, first and last.
    Between(Sequence, Sequence),
    /// Those before this one: nothing before them tells how many.
    Before(Sequence),
    /// From this one on: nothing behind it tells how many.
    From(Sequence),
}

impl fmt::Display for Sequences {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(out, "no message; settlements, if any"),
            Self::Between(first, last) if first == last => write!(out, "message {first}"),
            Self::Between(first, last) => write!(out, "messages {first} to {last}"),
            Self::Before(next) => write!(out, "messages before {next}, if there were any"),
            Self::From(first) => write!(out, "messages from {first} on, if there were any"),
        }
    }
}

/// Finds out what is wrong.
///
/// # Errors
/// The journal cannot be read, or another version of the engine wrote it.
pub(crate) fn plan<S: Storage>(mut scan: Scan<S>, segment_len: u64) -> Result<Plan, JournalError> {
    let mut plan = Plan::default();
    // The sequence that follows what was read; zero: nothing has told it yet.
    let mut next = 0;
    while let Some(found) = scan.advance()? {
        match found {
            Finding::Batch(batch) => next = plan.take(&batch).max(next),
            Finding::Hole(hole) => plan.note(hole, next, segment_len)?,
            Finding::CompactedHole(hole) => plan.note_compacted(hole, next),
            Finding::Segment(_) | Finding::Compacted { .. } | Finding::Tail(_) => {}
        }
    }
    plan.bound(next);
    Ok(plan)
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.compacted.is_empty()
    }

    /// The files that must be made anew.
    pub(crate) fn names(&self) -> impl Iterator<Item = Name> + '_ {
        let compacted = self
            .compacted
            .keys()
            .map(|&(from, to)| Name::Compacted(from, to));
        compacted.chain(self.segments.iter().map(|&it| Name::Segment(it)))
    }

    /// Counts what is kept; returns the sequence that follows it, as far as the batch tells.
    fn take(&mut self, batch: &Batch<'_>) -> Sequence {
        let header = batch.header();
        let entries = u64::from(header.entries);
        match header.kind {
            BatchKind::Messages | BatchKind::Carried => self.messages += entries,
            BatchKind::Settlements => self.settlements += entries,
            BatchKind::Ids => self.ids += entries,
            BatchKind::Void | BatchKind::End => {}
        }
        if header.first_sequence > 0 {
            self.resolve(header.first_sequence);
            if !batch.is_of_compacted_file() {
                self.bound(header.first_sequence);
            }
        }
        if matches!(header.kind, BatchKind::Carried | BatchKind::Ids)
            && let Some(mut last) = self.compacted.last_entry()
        {
            // Compacted files come in their order: if this is not its own, it is an earlier one, and the
            // longer it stays, the better.
            let course = last.get_mut();
            course.end_us = course.end_us.max(header.time_us);
        }
        let records = batch.records().map(|it| it.sequence);
        let last = records.chain(batch.ids().map(|it| it.0)).last();
        last.map_or(header.first_sequence, |it| it + 1)
    }

    /// What was lost last came before this sequence. Several holes, with nothing between them that
    /// has a sequence, share what is lost.
    fn resolve(&mut self, first: Sequence) {
        for loss in self.losses.iter_mut().rev() {
            let Sequences::From(lost) = loss.sequences else {
                break;
            };
            loss.sequences = match lost {
                0 => Sequences::Before(first),
                lost if lost < first => Sequences::Between(lost, first - 1),
                _ => Sequences::None,
            };
        }
    }

    /// The compacted files before this sequence hold none from it on.
    fn bound(&mut self, next: Sequence) {
        for course in self.compacted.values_mut() {
            let sequences = &mut course.sequences;
            if sequences.end == Sequence::MAX {
                sequences.end = next.max(sequences.start);
            }
        }
    }

    fn note_compacted(&mut self, hole: CompactedHole, next: Sequence) {
        if let Name::Compacted(from, to) = hole.name {
            let course = Course {
                sequences: next.max(1)..Sequence::MAX,
                end_us: 0,
            };
            self.compacted.entry((from, to)).or_insert(course);
        }
        self.losses.push(Loss {
            gap: Gap::Compacted(hole),
            sequences: Sequences::From(next),
        });
    }

    fn note(&mut self, hole: Hole, next: Sequence, len: u64) -> Result<(), JournalError> {
        let segments = hole.from / len..hole.to.div_ceil(len);
        if let Damage::SegmentHeader(source @ SegmentHeaderError::Version(_)) = hole.damage
            && hole.to.is_multiple_of(len)
        {
            let segment = segments.start;
            return Err(JournalError::Version { segment, source });
        }
        if segments.end - segments.start > REPAIR_GAP_MAX {
            return Err(JournalError::Gap {
                first: segments.start,
                last: segments.end - 1,
            });
        }
        self.segments.extend(segments);
        self.losses.push(Loss {
            gap: Gap::Segments(hole),
            sequences: Sequences::From(next),
        });
        Ok(())
    }
}

/// Makes the segments of `plan` anew, in `target`.
///
/// # Errors
/// The journal cannot be read, or `target` not be written.
pub(crate) fn rebuild<S: Storage, T: Storage>(
    mut scan: Scan<S>,
    segment_len: u64,
    plan: &Plan,
    target: &mut T,
    now_us: u64,
) -> Result<(), JournalError> {
    let mut builder = Builder {
        target,
        segment_len,
        plan,
        open: None,
        compacted: None,
        now_us,
    };
    while let Some(found) = scan.advance()? {
        let position = builder.open.as_ref().map_or(0, |it| it.position);
        let built = match found {
            Finding::Segment(number) => builder.begin(number),
            Finding::Batch(batch) => builder.copy(&batch),
            Finding::Compacted { segments, header } => builder.begin_compacted(segments, header),
            Finding::Hole(hole) => builder.fill(&hole),
            Finding::CompactedHole(_) => Ok(()),
            Finding::Tail(tail) => builder.end(&tail),
        };
        built.map_err(|source| JournalError::Unwritten {
            segment: position / segment_len,
            offset: position % segment_len,
            source,
        })?;
    }
    Ok(())
}

/// The segment that is being made.
struct Open<Segment> {
    file: Segment,
    /// Where the next batch goes.
    position: Position,
}

struct Builder<'a, T: Storage> {
    target: &'a mut T,
    segment_len: u64,
    plan: &'a Plan,
    open: Option<Open<T::Segment>>,
    /// The compacted file that is being made.
    compacted: Option<CompactedWriter<T>>,
    now_us: u64,
}

impl<T: Storage> Builder<'_, T> {
    fn begin(&mut self, number: u64) -> io::Result<()> {
        let position = number * self.segment_len + SEGMENT_HEADER_LEN as u64;
        if self.open.as_ref().is_some_and(|it| it.position == position) {
            // It was listed, and is not there: it comes again, and then as a hole.
            return Ok(());
        }
        self.close()?;
        if !self.plan.segments.contains(&number) {
            return Ok(());
        }
        let file = self.target.create(Name::Segment(number))?;
        let header = SegmentHeader {
            number,
            segment_len: self.segment_len,
            created_ms: self.now_us / 1_000,
            tie: BootTie::default(),
        };
        write_whole(self.target, &file, 0, &header.encode())?;
        self.open = Some(Open { file, position });
        Ok(())
    }

    /// Begins a compacted file with this header, or, where that is damaged, with what is known of it.
    fn begin_compacted(
        &mut self,
        segments: Range<u64>,
        found: Option<CompactedHeader>,
    ) -> io::Result<()> {
        self.close()?;
        let course = self.plan.compacted.get(&(segments.start, segments.end));
        let Some(course) = course else {
            return Ok(());
        };
        let header = found.unwrap_or(CompactedHeader {
            segments,
            segment_len: self.segment_len,
            sequences: course.sequences.clone(),
            end_ms: course.end_us / 1_000,
        });
        self.compacted = Some(CompactedWriter::create(self.target, header, false)?);
        Ok(())
    }

    fn copy(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        match &mut self.compacted {
            Some(compacted) => compacted.copy(self.target, batch),
            None if batch.is_of_compacted_file() => Ok(()),
            None => self.put(*batch.header(), batch.body()),
        }
    }

    fn fill(&mut self, hole: &Hole) -> io::Result<()> {
        if hole.damage == Damage::Absent {
            for number in hole.from / self.segment_len..hole.to / self.segment_len {
                self.begin(number)?;
            }
            return Ok(());
        }
        // Where nothing more stands in the segment, its end mark tells all.
        if hole.to.is_multiple_of(self.segment_len) {
            return Ok(());
        }
        while let Some(position) = self.open.as_ref().map(|it| it.position)
            && position < hole.to
        {
            let body_len = void_len(hole.to - position)?;
            let header = self.header(BatchKind::Void, body_len, position);
            self.put(header, &vec![0; body_len])?;
        }
        Ok(())
    }

    /// The last segment is left open, as it was: recovery closes it.
    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        if tail.position.is_multiple_of(self.segment_len) || self.compacted.is_some() {
            return self.close();
        }
        self.finish()
    }

    fn close(&mut self) -> io::Result<()> {
        if let Some(compacted) = self.compacted.take() {
            compacted.finish(self.target)?;
        }
        if let Some(position) = self.open.as_ref().map(|it| it.position) {
            let left = self.segment_len - position % self.segment_len;
            if !position.is_multiple_of(self.segment_len) && left >= BATCH_HEADER_LEN as u64 {
                self.put(self.header(BatchKind::End, 0, position), &[])?;
            }
        }
        self.finish()
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.open.take() {
            Some(open) => self.target.sync(&open.file),
            None => Ok(()),
        }
    }

    fn header(&self, kind: BatchKind, body_len: usize, position: Position) -> BatchHeader {
        BatchHeader {
            crc: 0,
            body_len: body_len as u32,
            kind,
            entries: 0,
            position,
            first_sequence: 0,
            time_us: self.now_us,
        }
    }

    /// Writes a batch into the open segment, if this one is made anew.
    fn put(&mut self, header: BatchHeader, body: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        assert!(
            open.position == header.position,
            "batches and voids leave no gap"
        );
        let mut bytes = [0; BATCH_HEADER_LEN];
        header.encode(once(body), &mut bytes);
        let offset = open.position % self.segment_len;
        write_whole(self.target, &open.file, offset, &bytes)?;
        write_whole(self.target, &open.file, offset + bytes.len() as u64, body)?;
        open.position += (bytes.len() + body.len()) as u64;
        Ok(())
    }
}

/// Bytes of the body of the next of the voids that fill so many bytes.
fn void_len(bytes: u64) -> io::Result<usize> {
    let header = BATCH_HEADER_LEN as u64;
    let max = header + BATCH_LEN_MAX as u64;
    let len = match bytes {
        _ if bytes <= max => bytes,
        // The last one must have room for its header.
        _ if bytes - max < header => max - header,
        _ => max,
    };
    let body = len.checked_sub(header);
    body.map(|it| it as usize)
        .ok_or_else(|| io::Error::other("two batches overlap: this is no journal's damage"))
}

#[cfg(test)]
mod tests;
