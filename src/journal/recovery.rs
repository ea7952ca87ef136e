//! Recovery: reads the journal forward at start, and makes its end ready to be written behind.
//!
//! The engine calls it before any agent runs. A torn tail is cut by marking the segment's end before
//! it; damage in the middle is refused, with the place named.

mod closing;

use std::iter::Peekable;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

use self::closing::{Ends, close};
use super::batch::{Batch, JournalRecord};
use super::carried::CarriedRecords;
use super::compacted::CompactedIndex;
use super::error::{Damage, JournalError};
use super::format::{BatchKind, Position, Settlement};
use super::progress::Progress;
use super::reader::{Reader, Tail, header_of};
use super::segment::SegmentStarted;
use super::storage::{Name, Storage};
use crate::clock::BootTie;
use crate::clock::boot::Past;
use crate::message::{CompactId, Sequence};

/// Where the journal goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The segment boundary at which it begins to write.
    pub position: Position,
    /// The sequence of the next message.
    pub next_sequence: Sequence,
}

impl Default for Origin {
    /// An empty journal.
    fn default() -> Self {
        Self {
            position: 0,
            next_sequence: 1,
        }
    }
}

/// Takes what the journal holds, in its order.
pub(crate) trait Sink {
    /// A message was accepted, and recorded at this time of the engine's own, in us.
    fn message(&mut self, record: &JournalRecord<'_>, recorded_us: u64);
    /// A message was accepted with this id, recorded at this time, and settled: its record is gone.
    fn id(&mut self, id: &CompactId<'_>, recorded_us: u64);
    /// A message was settled.
    fn settled(&mut self, settlement: &Settlement);
    /// In a group: a message stands in a carried record. It was accepted long before, and is unsettled at this
    /// point; the segment that it came in may be there or not. The position is that of the carried record.
    fn carried(&mut self, _: &JournalRecord<'_>, _recorded_us: u64) {}
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Where to go on.
    pub origin: Origin,
    /// What it says of the time at its end.
    pub past: Past,
    /// The segments that are there, in their order.
    pub segments: Vec<SegmentStarted>,
    /// The compacted files that are there, in their order.
    pub compacted: Vec<Arc<CompactedIndex>>,
    /// Bytes of what was not whole, and is cut.
    pub torn_len: u64,
    /// Where they stood.
    pub torn_at: Position,
    /// The free file that is set aside for settlements, once there is one.
    pub reserve: Option<u64>,
    /// Whether room for a compaction is set aside, once it was looked for.
    pub may_compact: bool,
    /// The carried records that are there.
    pub carried: CarriedRecords,
}

/// Reads the journal and closes its last segment.
///
/// Of a last segment that has whole batches of a later write behind a damaged place, nothing is cut:
/// they hold what was accepted, and perhaps acknowledged, and a repair keeps them.
///
/// # Errors
/// It cannot be read or written, or is damaged before its end.
pub(crate) fn recover<S: Storage + Clone>(
    storage: &mut S,
    segment_len: u64,
    now_us: u64,
    sink: &mut impl Sink,
) -> Result<Recovered, JournalError> {
    let compacted = load_compacted(storage)?;
    let numbers = storage.segments().map_err(JournalError::List)?;
    if compacted.is_empty() && numbers.is_empty() {
        return Ok(Recovered::default());
    }
    let mut progress = Progress::new(range(&compacted, &numbers), segment_len);
    let mut reader = Reader::new(storage.clone(), segment_len, 0);
    let mut found = Found::new(&compacted, segment_len);
    found.read(&mut reader, Position::MAX, &mut progress, sink)?;
    let next_sequence = found.next_sequence_at_end();
    let Found {
        segments,
        mut past,
        ends,
        ..
    } = found;
    progress.finish(reader.position());
    let tail = whole_tail(&mut reader, segment_len)?;
    past.tie = latest_tie(storage)?;
    ends.cut_before(tail.position / segment_len, storage, segment_len);
    let position = close(storage, segment_len, tail, now_us)?;
    let end = SegmentStarted {
        number: position / segment_len,
        first_sequence: next_sequence,
        time_ms: past.steady_us / 1_000,
        taken: 0,
    };
    let numbers = storage.segments().map_err(JournalError::List)?;
    Ok(Recovered {
        origin: Origin {
            position,
            next_sequence,
        },
        past,
        compacted: compacted.into_iter().map(Arc::new).collect(),
        segments: with_empty_ones(&numbers, &segments, end),
        torn_len: tail.torn_len,
        torn_at: tail.position,
        reserve: None,
        may_compact: false,
        carried: CarriedRecords::default(),
    })
}

/// Reads the journal of a member of a group from segment `low` on, below which nobody needs anything, up to
/// `end`, where a record ends: another goes on writing behind that, so nothing is closed or cut.
///
/// # Errors
/// It cannot be read, or is damaged.
pub(crate) fn read_through<S: Storage + Clone>(
    storage: &mut S,
    segment_len: u64,
    (low, end): (u64, Position),
    sink: &mut impl Sink,
) -> Result<Recovered, JournalError> {
    let compacted = load_compacted(storage)?;
    let mut numbers = storage.segments().map_err(JournalError::List)?;
    numbers.retain(|it| it * segment_len < end);
    let mut progress = Progress::new(range(&compacted, &numbers), segment_len);
    let mut reader = Reader::new(storage.clone(), segment_len, low * segment_len);
    let mut found = Found::new(&compacted, segment_len);
    found.read(&mut reader, end, &mut progress, sink)?;
    progress.finish(end);
    let next_sequence = found.next_sequence_at_end();
    let Found {
        segments,
        past,
        carried,
        ..
    } = found;
    let last = SegmentStarted {
        number: end / segment_len + 1,
        first_sequence: next_sequence,
        time_ms: past.steady_us / 1_000,
        taken: 0,
    };
    Ok(Recovered {
        origin: Origin {
            position: end,
            next_sequence,
        },
        past,
        segments: with_empty_ones(&numbers, &segments, last),
        compacted: compacted.into_iter().map(Arc::new).collect(),
        carried,
        ..Recovered::default()
    })
}

/// The compacted files that are there; what a crash left beside them is removed.
fn load_compacted<S: Storage>(storage: &mut S) -> Result<Vec<CompactedIndex>, JournalError> {
    let (ranges, left_over) = sort_out(storage)?;
    let compacted = ranges
        .into_iter()
        .map(|range| CompactedIndex::load(storage, range))
        .collect::<Result<_, _>>()?;
    for name in left_over {
        let failed = |source| JournalError::File { name, source };
        storage.remove(name).map_err(failed)?;
    }
    // A free file is written over: a power loss must not give it back the name of a segment, which a
    // life that was killed had taken from it.
    storage.sync_names().map_err(JournalError::List)?;
    Ok(compacted)
}

/// Where the whole batches end, if none stands behind that.
fn whole_tail<S: Storage>(reader: &mut Reader<S>, segment_len: u64) -> Result<Tail, JournalError> {
    let tail = reader.tail()?;
    if tail.whole_beyond.is_some() {
        return Err(JournalError::Corrupt {
            segment: tail.position / segment_len,
            offset: tail.position % segment_len,
            damage: Damage::Torn,
        });
    }
    Ok(tail)
}

/// What the batches say, taken in their order.
struct Found<'a> {
    segment_len: u64,
    /// Compacted files whose segments the batches have not passed.
    ahead: Peekable<slice::Iter<'a, CompactedIndex>>,
    next_sequence: Sequence,
    segments: Vec<SegmentStarted>,
    past: Past,
    ends: Ends,
    carried: CarriedRecords,
}

impl<'a> Found<'a> {
    fn new(compacted: &'a [CompactedIndex], segment_len: u64) -> Self {
        Self {
            segment_len,
            ahead: compacted.iter().peekable(),
            next_sequence: 1,
            segments: Vec::new(),
            past: Past::default(),
            ends: Ends::default(),
            carried: CarriedRecords::default(),
        }
    }

    /// Reads all batches up to `end`.
    fn read<S: Storage + Clone>(
        &mut self,
        reader: &mut Reader<S>,
        end: Position,
        progress: &mut Progress,
        sink: &mut impl Sink,
    ) -> Result<(), JournalError> {
        while let Some(batch) = reader.next(end)? {
            self.take(&batch, sink);
            progress.at(batch.end(), batch.header().entries);
        }
        Ok(())
    }

    fn take(&mut self, batch: &Batch<'_>, sink: &mut impl Sink) {
        self.begin(batch);
        for record in batch.records() {
            self.past.wall_us = record.arrival_us();
            sink.message(&record, self.past.steady_us);
            self.next_sequence = self.next_sequence.max(record.sequence + 1);
        }
        for (sequence, id) in batch.ids() {
            sink.id(&id, self.past.steady_us);
            self.next_sequence = self.next_sequence.max(sequence + 1);
        }
        batch
            .settlements()
            .for_each(|settlement| sink.settled(&settlement));
        self.take_carried(batch, sink);
    }

    /// Carried messages are read again from where they stand here.
    fn take_carried(&mut self, batch: &Batch<'_>, sink: &mut impl Sink) {
        for it in batch.carried() {
            sink.carried(&it.record.standing_at(it.stands_at), it.time_us);
            self.carried.end = batch.position() + batch.len();
            self.carried.entries += 1;
            self.carried.len += it.record.record_len() as u64;
        }
    }

    /// Takes what a batch's header says.
    fn begin(&mut self, batch: &Batch<'_>) {
        let begin = batch.position();
        let is_passed = |it: &&CompactedIndex| it.header.segments.end * self.segment_len <= begin;
        while let Some(passed) = self.ahead.next_if(is_passed) {
            self.next_sequence = self.next_sequence.max(passed.header.sequences.end);
        }
        // What was settled may be gone, its records and all: the settlements know how far it went.
        self.next_sequence = self.next_sequence.max(batch.header().first_sequence);
        let (segments, past) = (&mut self.segments, &mut self.past);
        note_segment(segments, batch, self.segment_len, self.next_sequence, past);
        note_time(past, batch);
        self.ends.note(batch, self.segment_len);
    }

    /// The sequence of the next message, once all batches are taken.
    fn next_sequence_at_end(&self) -> Sequence {
        let ahead = self.ahead.clone();
        ahead.fold(self.next_sequence, |next, it| {
            next.max(it.header.sequences.end)
        })
    }
}

/// The segments that the files stand for.
fn range(compacted: &[CompactedIndex], numbers: &[u64]) -> Range<u64> {
    let of_kept = || compacted.iter().map(|it| &it.header.segments);
    let first = of_kept().map(|it| it.start).chain(numbers.first().copied());
    let end = of_kept()
        .map(|it| it.end)
        .chain(numbers.last().map(|it| it + 1));
    first.min().unwrap_or(0)..end.max().unwrap_or(0)
}

/// The segments that each compacted file stands for, in their order; and what a crash left behind: kept
/// files that were not finished, and what a later compacted file stands for.
fn sort_out<S: Storage>(storage: &S) -> Result<(Vec<Range<u64>>, Vec<Name>), JournalError> {
    let names = storage.list().map_err(JournalError::List)?;
    let compacted: Vec<Range<u64>> = names
        .iter()
        .filter_map(|name| match *name {
            Name::Compacted(from, to) => Some(from..to),
            _ => None,
        })
        .collect();
    let stands_for = |of: &Range<u64>, range: &Range<u64>| {
        of != range && of.start <= range.start && range.end <= of.end
    };
    let is_left_over = |name: &Name| match *name {
        Name::Unfinished(..) => true,
        Name::Segment(number) => compacted.iter().any(|it| it.contains(&number)),
        Name::Compacted(from, to) => compacted.iter().any(|it| stands_for(it, &(from..to))),
        Name::Free(_) => false,
    };
    let left_over = names.iter().copied().filter(is_left_over).collect();
    let mut rest: Vec<_> = compacted
        .iter()
        .filter(|range| !compacted.iter().any(|of| stands_for(of, range)))
        .cloned()
        .collect();
    rest.sort_by_key(|it| it.start);
    Ok((rest, left_over))
}

/// Enters the batch's segment, if it is the first of that.
fn note_segment(
    segments: &mut Vec<SegmentStarted>,
    batch: &Batch<'_>,
    segment_len: u64,
    first_sequence: Sequence,
    past: &Past,
) {
    let number = batch.position() / segment_len;
    if !batch.is_of_compacted_file() && segments.last().is_none_or(|it| it.number != number) {
        segments.push(SegmentStarted {
            number,
            first_sequence,
            time_ms: past.steady_us / 1_000,
            taken: 0,
        });
    }
}

/// Takes note of a batch's time; records tell the wall clock's. The engine's own never goes back, but
/// in a journal of an engine that went by the wall clock alone.
fn note_time(past: &mut Past, batch: &Batch<'_>) {
    let header = batch.header();
    match header.kind {
        BatchKind::Messages | BatchKind::Carried | BatchKind::Ids | BatchKind::Place => {
            past.steady_us = past.steady_us.max(header.time_us);
        }
        _ => past.wall_us = header.time_us,
    }
}

/// The tie of the last segment that has one.
fn latest_tie<S: Storage>(storage: &S) -> Result<BootTie, JournalError> {
    let numbers = storage.segments().map_err(JournalError::List)?;
    for number in numbers.into_iter().rev() {
        let tie = header_of(storage, number)?.map_or(BootTie::default(), |it| it.tie);
        if tie.boot != 0 {
            return Ok(tie);
        }
    }
    Ok(BootTie::default())
}

/// All segments that are there: one without a batch has begun when the next one did.
fn with_empty_ones(
    numbers: &[u64],
    with_batches: &[SegmentStarted],
    end: SegmentStarted,
) -> Vec<SegmentStarted> {
    let (mut rest, mut later) = (with_batches, end);
    let mut segments: Vec<SegmentStarted> = numbers
        .iter()
        .rev()
        .map(|&number| {
            later = match rest.split_last() {
                Some((last, before)) if last.number == number => {
                    rest = before;
                    *last
                }
                _ => SegmentStarted { number, ..later },
            };
            later
        })
        .collect();
    segments.reverse();
    segments
}

#[cfg(test)]
mod tests;
