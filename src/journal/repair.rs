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

mod rebuild;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

pub(crate) use self::rebuild::rebuild;
use super::batch::Batch;
use super::error::{Damage, JournalError};
use super::format::{BatchKind, SegmentHeaderError};
use super::reader::scan::{CompactedHole, Finding, Hole, Scan};
use super::storage::{Name, Storage};
use crate::limits::REPAIR_GAP_MAX;
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

/// What refuses a compacted file whose header names another version.
fn another_version(hole: &CompactedHole) -> Option<JournalError> {
    let name = hole.name;
    match hole.damage {
        Damage::SegmentHeader(source @ SegmentHeaderError::Version(_)) => {
            Some(JournalError::CompactedVersion { name, source })
        }
        _ => None,
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
    // A compacted file with another version, and nothing whole of this one behind its header yet.
    let mut foreign = None;
    while let Some(found) = scan.advance()? {
        match (foreign.take(), &found) {
            (None, _) | (Some(_), Finding::Batch(_)) => {}
            (Some(error), _) => return Err(error),
        }
        match found {
            Finding::Batch(batch) => next = plan.take(&batch).max(next),
            Finding::Hole(hole) => plan.note(hole, next, segment_len)?,
            Finding::CompactedHole(hole) => {
                foreign = another_version(&hole);
                plan.note_compacted(hole, next);
            }
            Finding::Segment(_) | Finding::Compacted { .. } | Finding::Tail(_) => {}
        }
    }
    plan.bound(next);
    foreign.map_or(Ok(plan), Err)
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
            BatchKind::Void | BatchKind::Place | BatchKind::End => {}
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

#[cfg(test)]
mod tests;
