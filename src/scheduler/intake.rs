//! Accepting: drops duplicates, gives each message its sequence and level, has it journaled.
//!
//! Ingest feeds it; it feeds the journal and the gate. Records that stand one behind the other in a
//! chunk go to the journal as one run.

use tracing::{info, warn};

use super::messages::{Line, Message, Times};
use super::{Pending, SchedulerAgent};
use crate::arena::Place;
use crate::clock::Now;
use crate::config::Durability;
use crate::counters::Counter;
use crate::ingest::protocol::{Arrival, FromIngest};
use crate::journal::protocol::ToJournal;
use crate::limits::{ARRIVALS_PER_CYCLE, UNRECORDED_MAX};
use crate::memory::{prefetch, prefetch_all};
use crate::message::layout::RecordHeader;
use crate::message::{DestinationIndex, Level, Record, Sequence, Text};

/// Arrivals that are taken without asking for room.
const BATCH: usize = 16;

/// Arrivals that are taken without a look ahead. A processor fetches some twenty lines at once: what
/// is asked for beyond that makes it wait.
const STRIDE: usize = 4;

/// How many arrivals ahead what they need is fetched, and they themselves before.
const NEEDS_AHEAD: usize = 12;
const ARRIVALS_AHEAD: usize = 28;

impl SchedulerAgent {
    pub(super) fn poll_ingest(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < ARRIVALS_PER_CYCLE && self.may_accept(now) {
            let count = self.poll_batch(now);
            work_count += count;
            if count < BATCH {
                break;
            }
        }
        self.end_run();
        work_count
    }

    fn poll_batch(&mut self, now: Now) -> usize {
        for count in 0..BATCH {
            if count % STRIDE == 0 {
                self.look_ahead();
            }
            let Some(event) = self.parts.from_ingest.poll() else {
                return count;
            };
            self.on_event(event, now);
        }
        BATCH
    }

    /// Has memory fetched that other cores have had last, or none for long. Without it, the wait for
    /// what the dedup window needs alone was a tenth of the path's time.
    fn look_ahead(&mut self) {
        let (dedup, view) = (&self.parts.dedup, &self.view);
        let ring = &mut self.parts.from_ingest;
        ring.peek(ARRIVALS_AHEAD, STRIDE, prefetch_all);
        ring.peek(NEEDS_AHEAD, STRIDE, |event| {
            if let FromIngest::Arrived(arrival) = event {
                dedup.touch(arrival.id);
                prefetch(view.record(&arrival.frame));
            }
        });
    }

    fn on_event(&mut self, event: FromIngest, now: Now) {
        match event {
            FromIngest::Arrived(arrival) => self.take_arrival(arrival, now),
            FromIngest::Sealed(writer) => {
                self.chunks_at_ingest -= 1;
                self.parts.ledger.seal(writer);
            }
            FromIngest::Rejected { reason, count } => {
                self.sums.received += u64::from(count);
                self.sums.rejected += u64::from(count);
                self.rejections[reason as usize] += u64::from(count);
            }
        }
    }

    /// Whether another handful finds room in the gate, in slots, in the journal's ring and on disk.
    fn may_accept(&mut self, now: Now) -> bool {
        let has_room =
            self.pending.len() + BATCH <= UNRECORDED_MAX && self.may_hold_more(BATCH, now);
        // A run for each arrival, and the one that was begun.
        let journal_has_room = self.parts.to_journal.has_room(BATCH + 1);
        if !journal_has_room {
            self.parts.counters.add(Counter::JournalBackPressure, 1);
        }
        has_room && journal_has_room && self.journal_may_grow()
    }

    /// Whether the journal, with what is on its way there, is short of what retention granted.
    pub(super) fn journal_may_grow(&self) -> bool {
        self.journal_end + self.unwritten_len < self.granted
    }

    /// Whether so many more messages may be held, hot and cold.
    fn may_hold_more(&mut self, count: usize, now: Now) -> bool {
        let held = self.messages.used() + self.parts.queues.len_cold();
        let may = self.messages.has_room(count) && held + count <= self.parts.messages_max;
        if !may {
            self.parts.counters.add(Counter::HeldBackPressure, 1);
        }
        if may == self.is_full {
            self.is_full = !may;
            match self.log_full.admit(now) {
                None => {}
                Some(more) if may => {
                    info!(
                        held,
                        "there is room for messages again: sources are read{more}"
                    );
                }
                Some(more) => warn!(held, "no more messages can be held: all sources wait{more}"),
            }
        }
        may
    }

    fn take_arrival(&mut self, arrival: Arrival, now: Now) {
        self.sums.received += 1;
        let Arrival {
            source,
            connection,
            line,
            ..
        } = arrival;
        let line = Line {
            source,
            connection,
            number: line,
        };
        if self.parts.dedup.claim(arrival.id, now.steady_ms()) {
            self.sums.accepted += 1;
            self.accept(arrival, line, now);
            return;
        }
        self.sums.duplicates += 1;
        self.ensure_destination(arrival.destination);
        self.allowances.leave(arrival.destination);
        self.parts.ledger.discard(arrival.frame);
        // With `memory` those before it did not wait in the gate either.
        if self.pending.is_empty() || self.parts.durability == Durability::Memory {
            self.take_responsibility(line);
        } else if line.number > 0 {
            self.pending.push_back(Pending::Duplicate(line));
        }
    }

    fn accept(&mut self, arrival: Arrival, line: Line, now: Now) {
        let sequence = self.parts.next_sequence;
        self.parts.next_sequence += 1;
        self.parts.unsettled.insert(sequence);
        let destination = arrival.destination;
        self.ensure_destination(destination);
        let level = self.level(&arrival, now);
        let mut frame = arrival.frame;
        RecordHeader::seal(self.view.header_mut(&mut frame), sequence, level);
        let place = self.parts.ledger.place(frame);
        self.add_to_run(place, sequence);
        let read_ns = arrival.read_ns;
        let times = Times {
            read_ns,
            accepted_ns: now.ns,
            recorded_ns: now.ns,
            ..Times::default()
        };
        let index = self.messages.insert(Message {
            sequence,
            place,
            position: 0,
            times,
            bucket_ms: arrival.bucket_ms,
            line,
            destination,
            message_type: arrival.message_type,
            level,
            redelivered: false,
            fetching: false,
            was_cold: false,
        });
        let len = place.record_len() as u32;
        self.unwritten_len += u64::from(len);
        self.pending.push_back(Pending::Message { index, len });
        if self.parts.durability == Durability::Memory {
            self.enqueue(index, now);
        } else {
            self.unrecorded += 1;
        }
    }

    fn level(&mut self, arrival: &Arrival, now: Now) -> Level {
        let (view, frame, minute) = (&self.view, &arrival.frame, &mut self.minute);
        self.parts.rules.level(
            arrival.destination,
            arrival.message_type,
            arrival.priority,
            || (minute.of_day(now), source_of(view.record(frame))),
        )
    }

    /// A destination may be new.
    #[inline]
    pub(super) fn ensure_destination(&mut self, destination: DestinationIndex) {
        if self.known_destinations <= destination {
            self.add_destinations_until(destination);
        }
    }

    #[cold]
    fn add_destinations_until(&mut self, destination: DestinationIndex) {
        while self.known_destinations <= destination {
            let name = self.parts.destinations.name(self.known_destinations);
            self.parts
                .rules
                .add_destination(name.as_deref().unwrap_or_default());
            self.known_destinations += 1;
            self.parts.queues.grow(self.known_destinations as usize);
            self.subscriptions.grow(self.known_destinations as usize);
            self.allowances.grow(self.known_destinations as usize);
        }
    }

    /// Adds a record to the run that goes to the journal, beginning a new one where it must.
    fn add_to_run(&mut self, place: Place, sequence: Sequence) {
        if let Some(ToJournal::Run { lease, entries, .. }) = &mut self.run
            && self.parts.ledger.extend(lease, place)
        {
            *entries += 1;
            return;
        }
        self.end_run();
        let lease = self
            .parts
            .ledger
            .lend(place)
            .expect("it was placed a moment ago");
        self.run = Some(ToJournal::Run {
            lease,
            first_sequence: sequence,
            entries: 1,
        });
    }

    pub(super) fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            let permit = self.parts.to_journal.claim(1);
            permit.expect("`may_accept` saw room for it").send(run);
        }
    }
}

/// The `sourceServerId` of a record, for rules that ask for it.
fn source_of(record: &[u8]) -> Text<'_> {
    Record::parse(record).map_or(Text::plain(&[]), |it| it.source_id())
}
