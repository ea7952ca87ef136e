//! Retention in a group: messages that hold old segments become carried records, so that the segments can go.
//!
//! Called in each cycle. It decides what is worth it and keeps the set together; [`Collecting`] reads what must
//! stay, the journal agent makes records of it. One record at a time: the next one is asked for when the one
//! before stands in the journal. Whatever fails, the set is given up, and the segments stay.

use std::mem;
use std::sync::Arc;

use tracing::info;

use super::core::{Retention, Task};
use super::needed::Needed;
use super::query::Fate;
use crate::clock::Now;
use crate::counters::Counter;
use crate::journal::carried::{Body, CarriedIndex, CarriedRecords, CollectError, Collecting};
use crate::journal::format::Position;
use crate::journal::protocol::Moved;
use crate::journal::reader::Reader;
use crate::journal::storage::Storage;
use crate::message::Sequence;

/// Carried records that stand in the journal.
#[derive(Debug, Default)]
pub(super) struct CarriedSet {
    /// Nobody needs what is below this segment, for these records have it.
    pub(super) low: u64,
    pub(super) records: CarriedRecords,
    /// Where the messages stand, as replay knows it; `None`: those are of an earlier run.
    pub(super) index: Option<Arc<CarriedIndex>>,
}

/// A set on its way.
pub(super) struct Carrying<S: Storage> {
    collecting: Collecting<S>,
    /// One of its bodies is with the query.
    is_out: bool,
    /// What is below this segment shall go.
    to: u64,
    records: CarriedRecords,
    places: Vec<(Sequence, Position)>,
}

impl<S: Storage> Carrying<S> {
    /// Whether a body waits to be asked for.
    pub(super) fn has_body(&self) -> bool {
        !self.is_out && self.collecting.has_body()
    }

    pub(super) fn take(&mut self) -> Option<Body> {
        let body = self.collecting.take();
        self.is_out = body.is_some();
        body
    }

    /// These stand in the journal, in a record at this position.
    fn note(&mut self, body: &Body, position: Position) {
        let records = &mut self.records;
        self.places.extend(body.places(position));
        records.entries += u64::from(body.count());
        records.len += body.len() as u64;
        records.end = records.end.max(position + body.len() as u64);
    }

    /// The set is whole, with what the set before has further on; `None`: nothing is carried.
    fn finish(self, before: &CarriedSet, segment_len: u64) -> Option<CarriedSet> {
        let below = self.to * segment_len;
        let (mut places, mut records) = (self.places, self.records);
        for sequence in self.collecting.left() {
            let place = before.index.as_ref()?.find(sequence)?;
            if place < below {
                return None;
            }
            places.push((sequence, place));
            records.entries += 1;
            records.len += before.records.mean_len();
            records.end = records.end.max(before.records.end);
        }
        (!places.is_empty()).then(|| CarriedSet {
            low: self.to,
            records,
            index: Some(Arc::new(CarriedIndex::new(below, places))),
        })
    }
}

impl<S: Storage + Clone> Retention<S> {
    /// One step on the way to carry messages.
    pub(super) fn carry_in_group(&mut self, now: Now) -> Result<usize, CollectError> {
        match mem::replace(&mut self.task, Task::None) {
            Task::None => Ok(self.consider_in_group(now)),
            Task::Query {
                ripe,
                rest,
                mut needed,
            } if rest.is_empty() => {
                needed.truncate(rest.end);
                Ok(self.choose_in_group(ripe, needed))
            }
            Task::Carry(carrying) => self.collect(carrying),
            Task::Carried(set, messages) if mem::take(&mut self.is_switched) => {
                self.counters.add(Counter::JournalCarried, messages);
                if messages > 0 {
                    info!(
                        messages,
                        segments_below = set.low,
                        "messages that wait are carried forward: the group needs no older segments"
                    );
                }
                self.carried = set;
                Ok(1)
            }
            waiting => {
                self.task = waiting;
                Ok(0)
            }
        }
    }

    /// Where unsettled messages hold two segments or more, finds out which they are. Where room is short, a
    /// segment is reason enough.
    fn consider_in_group(&mut self, now: Now) -> usize {
        if self.is_full || self.state.next_sequence == 0 || self.record_len_max == 0 {
            return 0;
        }
        let agreed = self.agreed();
        let (mut ripe, mut needed, mut is_held, mut to) = (0, 0, false, 0);
        for range in self.ranges.ripe_ranges(false, &self.state) {
            ripe += 1;
            needed += usize::from(range.segments.end > agreed);
            is_held |= self.ranges.held_by(range, &self.state).is_some();
            to = range.segments.end;
        }
        let needed_min = if self.is_short() { 1 } else { 2 };
        if needed < needed_min || !is_held || self.carried.low >= to {
            return 0;
        }
        // Of what stands further on, it must be known where.
        let is_past_last_set = self.carried.records.end <= to * self.segment_len;
        if !is_past_last_set && self.carried.index.is_none() {
            return 0;
        }
        let sequences = self.ranges.sequences(ripe);
        if self.tried.0 == sequences.end && now.ns < self.tried.1 {
            return 0;
        }
        self.tried = (sequences.end, now.ns + self.retry_ns());
        let first = self.state.first_unsettled.min(sequences.start);
        self.task = Task::Query {
            ripe,
            rest: first..sequences.end,
            needed: Needed::default(),
        };
        1
    }

    /// The segment below which all members agree that nothing is of use.
    fn agreed(&self) -> u64 {
        self.group.as_ref().map_or(0, |it| it.agreed())
    }

    /// Begins a set, if half of what it replaces goes, and there is room for it.
    fn choose_in_group(&mut self, ripe: usize, needed: Needed) -> usize {
        let agreed = self.agreed();
        let needed_ranges = self.ranges.iter().take(ripe);
        let mut ranges = needed_ranges
            .skip_while(|it| it.segments.end <= agreed)
            .peekable();
        let Some(first) = ranges.peek() else { return 0 };
        let (from, first_sequence) = (first.segments.start, first.sequences.start);
        let records = self.carried.records;
        let older = needed.count(&(0..first_sequence));
        let (mut len, mut to) = (0, from);
        let mut stays = older * records.mean_len();
        for range in ranges {
            len += range.len;
            stays += range.messages_len(&needed);
            to = range.segments.end;
        }
        let gain = self.gain_min();
        let room = self.room.max_bytes.saturating_sub(self.ranges.len());
        if stays + gain > len || 2 * stays > len || stays > room {
            return 0;
        }
        let segment_len = self.segment_len;
        let reader = Reader::new(self.storage.clone(), segment_len, from * segment_len);
        let end = to * segment_len;
        self.task = Task::Carry(Box::new(Carrying {
            collecting: Collecting::new(reader, end, needed, self.record_len_max),
            is_out: false,
            to,
            records: CarriedRecords::default(),
            places: Vec::new(),
        }));
        1
    }

    fn collect(&mut self, mut carrying: Box<Carrying<S>>) -> Result<usize, CollectError> {
        let wants_step = carrying.collecting.wants_step();
        if wants_step {
            carrying.collecting.step()?;
        }
        let is_done = carrying.collecting.is_done() && !carrying.is_out;
        if !is_done {
            self.task = Task::Carry(carrying);
            return Ok(usize::from(wants_step));
        }
        let messages = carrying.records.entries;
        if let Some(set) = carrying.finish(&self.carried, self.segment_len) {
            self.moved = set.index.clone().map(Moved::Carried);
            self.task = Task::Carried(set, messages);
        }
        Ok(1)
    }

    /// What has become of a body.
    pub(super) fn note_fate(&mut self, body: &Body, fate: Fate, now: Now) {
        let Task::Carry(carrying) = &mut self.task else {
            return;
        };
        carrying.is_out = false;
        match fate {
            Fate::Recorded(_) if body.is_empty() => {}
            Fate::Recorded(position) => carrying.note(body, position),
            Fate::Wanted | Fate::Refused => {
                self.task = Task::None;
                self.tried.1 = now.ns + self.retry_ns();
            }
        }
    }
}
