//! Intake: drops duplicates, gives each message its sequence and level, and has it journaled.
//!
//! Ingest's arrivals feed it; it fills the table of messages and the journal's ring, and says of
//! each arrival what it was. Records that stand one behind the other in a chunk go to the journal
//! as one run. It does not know what waits: the gate and the queues come behind it.

use super::dedup::DedupWindow;
use super::message::{Line, SlotIndex};
use super::messages::{Messages, New};
use super::protocol::{Arrival, FromIngest, ToJournal};
use super::rules::Rules;
use crate::arena::{Committed, Lease};
use crate::clock::{LocalMinute, Now};
use crate::message::{DestinationIndex, Directory, Level, Reason, Record, Sequence, Text};
use crate::ring::{Permit, Receiver};

/// Arrivals between two looks ahead. A processor fetches some twenty cache lines at once:
/// prefetching more makes it wait.
pub(crate) const PREFETCH_STRIDE: usize = 4;

/// How many arrivals ahead their dedup bucket and their record are prefetched, and how many ahead
/// the arrivals themselves.
const NEEDS_AHEAD: usize = 12;
const ARRIVALS_AHEAD: usize = 28;

/// What an arrival was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// A new message: its slot, and the bytes of its record.
    Message { index: SlotIndex, record_len: u32 },
    /// A duplicate, and the line that it came as.
    Duplicate(Line),
}

/// Records for the journal that stand one behind the other.
#[derive(Debug)]
struct Run {
    lease: Lease,
    first_sequence: Sequence,
    entries: u32,
}

/// Lines by what became of them; accepted ones are counted by the table of messages.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
    /// By reason.
    pub(crate) rejected_for: [u64; Reason::ALL.len()],
}

/// The core.
pub(crate) struct Intake {
    dedup: DedupWindow,
    rules: Rules,
    minute: LocalMinute,
    next_sequence: Sequence,
    /// The run that this cycle's last records belong to.
    run: Option<Run>,
    counts: Counts,
}

impl Intake {
    pub(crate) fn new(dedup: DedupWindow, rules: Rules, next_sequence: Sequence) -> Self {
        Self {
            dedup,
            rules,
            minute: LocalMinute::default(),
            next_sequence,
            run: None,
            counts: Counts::default(),
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Ids in the dedup window.
    pub(crate) fn dedup_len(&self) -> usize {
        self.dedup.len()
    }

    /// The next message's sequence.
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.next_sequence
    }

    /// Counts `count` recovered messages.
    pub(crate) fn count_recovered(&mut self, count: u64) {
        self.counts.received += count;
    }

    /// Counts lines that ingest rejected.
    pub(crate) fn reject(&mut self, reason: Reason, count: u32) {
        self.counts.received += u64::from(count);
        self.counts.rejected += u64::from(count);
        self.counts.rejected_for[reason as usize] += u64::from(count);
    }

    /// Whether a destination has this index now.
    #[inline]
    pub(crate) fn knows(&self, destination: DestinationIndex) -> bool {
        self.rules.knows(destination)
    }

    /// A destination was created, at the next index or at one that is vacant.
    pub(crate) fn add_destination(&mut self, destination: DestinationIndex, name: &str) {
        self.rules.add_destination(destination, name);
    }

    /// Other rules follow; afterwards `next` has those before.
    pub(crate) fn take_rules(&mut self, next: &mut Rules, names: &Directory) {
        self.rules.take_over(next, names);
    }

    /// The name of a destination is gone.
    pub(crate) fn remove_destination(&mut self, destination: DestinationIndex) {
        self.rules.remove_destination(destination);
    }

    /// Prefetches what the next arrivals need: other cores wrote it, or it was not used for long.
    /// Without it, waiting for the dedup window alone took a tenth of the path's time.
    #[inline]
    pub(crate) fn look_ahead(&self, arrivals: &mut Receiver<FromIngest>, messages: &Messages) {
        arrivals.peek(ARRIVALS_AHEAD, PREFETCH_STRIDE, crate::memory::prefetch_all);
        arrivals.peek(NEEDS_AHEAD, PREFETCH_STRIDE, |event| {
            if let FromIngest::Arrived(arrival) = event {
                self.dedup.touch(arrival.id);
                messages.prefetch_record(&arrival.frame);
            }
        });
    }

    /// Accepts an arrival or drops it as a duplicate. It takes one entry of the permit at most, and
    /// leaves one run to be sent.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        arrival: Arrival,
        now: Now,
        messages: &mut Messages,
        journal: &mut Permit<'_, ToJournal>,
    ) -> Admitted {
        self.counts.received += 1;
        let line = Line {
            source: arrival.source,
            connection: arrival.connection,
            number: arrival.line,
        };
        if !self.dedup.claim(arrival.id, now.steady_ms()) {
            self.counts.duplicates += 1;
            messages.discard(arrival.frame);
            return Admitted::Duplicate(line);
        }
        let level = self.level(&arrival, now, messages);
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let new = New {
            sequence,
            frame: arrival.frame,
            read_ns: arrival.read_ns,
            bucket_ms: arrival.bucket_ms,
            line,
            destination: arrival.destination,
            message_type: arrival.message_type,
            level,
        };
        let index = messages.accept(new, now);
        self.add_to_run(index, sequence, messages, journal);
        let record_len = messages.get(index).place.record_len() as u32;
        Admitted::Message { index, record_len }
    }

    /// Sends the run that was begun to the journal.
    #[inline]
    pub(crate) fn end_run(&mut self, journal: &mut Permit<'_, ToJournal>) {
        if let Some(run) = self.run.take() {
            journal.send(ToJournal::Run {
                lease: run.lease,
                first_sequence: run.first_sequence,
                entries: run.entries,
            });
        }
    }

    fn level(&mut self, arrival: &Arrival, now: Now, messages: &Messages) -> Level {
        let (frame, minute) = (&arrival.frame, &mut self.minute);
        self.rules.level(
            arrival.destination,
            arrival.message_type,
            arrival.priority,
            || (minute.of_day(now), source_of(frame, messages)),
        )
    }

    /// Adds a record to the run, or begins a new run with it.
    #[inline]
    fn add_to_run(
        &mut self,
        index: SlotIndex,
        sequence: Sequence,
        messages: &mut Messages,
        journal: &mut Permit<'_, ToJournal>,
    ) {
        if let Some(run) = &mut self.run
            && messages.extend(&mut run.lease, index)
        {
            run.entries += 1;
            return;
        }
        self.end_run(journal);
        self.run = Some(Run {
            lease: messages.lend_accepted(index),
            first_sequence: sequence,
            entries: 1,
        });
    }
}

/// The `sourceServerId` of a record, for rules that look at it.
fn source_of<'a>(frame: &'a Committed, messages: &'a Messages) -> Text<'a> {
    Record::parse(messages.record(frame)).map_or(Text::plain(&[]), |it| it.source_id())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::ring::{Wake, ring};
    use crate::scheduler::testing::{Frames, arrival, messages, now_at};

    fn intake(first_sequence: Sequence) -> Intake {
        let dedup = DedupWindow::new(1_000, Duration::from_secs(60), [7; 8]);
        let destinations = [crate::config::Destination::to("a")];
        Intake::new(dedup, Rules::new(&[], &destinations, 3), first_sequence)
    }

    proptest! {
        /// Each cycle admits messages of these ids, and ends its run.
        #[test]
        fn every_new_id_gets_the_next_sequence_and_the_journal_gets_all_of_them_in_order(
            cycles in prop::collection::vec(prop::collection::vec(0..60_u64, 0..20), 1..20),
        ) {
            let wake = Wake::new().expect("a descriptor");
            let (mut to_journal, mut journal) = ring(1024, &wake);
            let mut messages = messages(1_024);
            let (mut intake, mut frames) = (intake(5), Frames::default());
            let (mut seen, mut next, mut journaled) = (HashSet::new(), 5, 5);
            for ids in cycles {
                let mut permit = to_journal.claim_up_to(ids.len() + 1);
                for &id in &ids {
                    let new = arrival(&mut frames, &mut messages, id);
                    let admitted = intake.admit(new, now_at(1), &mut messages, &mut permit);
                    match admitted {
                        Admitted::Message { index, record_len } => {
                            prop_assert!(seen.insert(id));
                            let message = messages.get(index);
                            prop_assert_eq!((message.sequence, message.level), (next, 2));
                            prop_assert_eq!(message.place.record_len() as u32, record_len);
                            next += 1;
                        }
                        Admitted::Duplicate(line) => {
                            prop_assert!(seen.contains(&id));
                            prop_assert_eq!(line.number, id);
                        }
                    }
                }
                intake.end_run(&mut permit);
                while let Some(entry) = journal.poll() {
                    let ToJournal::Run { lease, first_sequence, entries } = entry else {
                        panic!("{entry:?}");
                    };
                    prop_assert_eq!(first_sequence, journaled);
                    journaled += u64::from(entries);
                    messages.take_back(crate::arena::Returned::one(lease));
                }
                prop_assert_eq!(journaled, next, "a run never waits for the next cycle");
                let counts = intake.counts();
                prop_assert_eq!(counts.received, counts.duplicates + messages.counts().accepted);
            }
            prop_assert_eq!(intake.next_sequence(), next);
        }
    }

    #[test]
    fn records_that_stand_one_behind_the_other_are_one_run() {
        let wake = Wake::new().expect("a descriptor");
        let (mut to_journal, mut journal) = ring(8, &wake);
        let mut messages = messages(64);
        let (mut intake, mut frames) = (intake(1), Frames::default());
        let mut permit = to_journal.claim_up_to(8);
        for id in 0..10 {
            if id == 6 {
                frames.begin_chunk(&mut messages);
            }
            let new = arrival(&mut frames, &mut messages, id);
            intake.admit(new, now_at(1), &mut messages, &mut permit);
        }
        intake.end_run(&mut permit);
        let runs = std::iter::from_fn(|| journal.poll()).map(|entry| match entry {
            ToJournal::Run {
                first_sequence,
                entries,
                ..
            } => (first_sequence, entries),
            entry => panic!("{entry:?}"),
        });
        assert_eq!(runs.collect::<Vec<_>>(), [(1, 6), (7, 4)]);
    }

    #[test]
    fn rejected_lines_are_received_and_counted_by_reason() {
        let mut intake = intake(1);
        intake.reject(Reason::BadJson, 3);
        intake.reject(Reason::Oversize, 1);
        let counts = intake.counts();
        assert_eq!((counts.received, counts.rejected), (4, 4));
        assert_eq!(counts.rejected_for[Reason::BadJson as usize], 3);
    }
}
