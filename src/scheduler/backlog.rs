//! The backlog: what an earlier life of the engine accepted and did not settle.
//!
//! Recovery feeds it with the journal, record by record; the scheduler takes over what is left. It
//! restores the dedup window on the way.

use std::collections::VecDeque;

use super::dedup::DedupWindow;
use super::slots::{Line, Slot, Times};
use crate::arena::Place;
use crate::clock::Now;
use crate::ingest::parser::text_of;
use crate::journal::batch::Record;
use crate::journal::record::{Position, Settlement, record_len};
use crate::journal::recovery::Sink;
use crate::message::{DestinationIndex, Directory, Level, Sequence, TypeIndex};

/// A message that waits in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// Where its record stands.
    pub position: Position,
    /// When it arrived, us since the epoch; never before the one before it.
    pub arrival_us: u64,
    /// Bytes of its record.
    pub record_len: u32,
    /// Whom it is for.
    pub destination: DestinationIndex,
    /// Its type.
    pub message_type: TypeIndex,
    /// Its level when it was accepted.
    pub level: Level,
}

impl Waiting {
    /// The message as the scheduler holds it.
    pub(super) fn into_slot(self, now: Now) -> Slot {
        let times = Times {
            read_ns: now.ns,
            accepted_ns: now.ns,
            recorded_ns: now.ns,
            ..Times::default()
        };
        Slot {
            sequence: self.sequence,
            place: Place::nowhere(self.record_len),
            position: self.position,
            times,
            bucket_ms: self.arrival_us / 1_000,
            line: Line {
                source: 0,
                connection: 0,
                number: 0,
            },
            destination: self.destination,
            message_type: self.message_type,
            level: self.level,
            again: true,
            fetching: false,
        }
    }
}

/// What an engine takes over from its earlier life.
#[derive(Debug)]
pub struct Inheritance {
    /// The ids that were accepted lately.
    pub dedup: DedupWindow,
    /// What was accepted and not settled, in the order of the sequences.
    pub waiting: Vec<Waiting>,
}

impl Inheritance {
    /// When the last message that waits arrived, in ms since the epoch; zero: none waits.
    #[must_use]
    pub fn last_arrival_ms(&self) -> u64 {
        self.waiting
            .iter()
            .map(|it| it.arrival_us)
            .max()
            .unwrap_or(0)
            / 1_000
    }
}

/// Gathers the backlog while the journal is read.
#[derive(Debug)]
pub struct Backlog {
    dedup: DedupWindow,
    destinations: Directory,
    message_types: Directory,
    /// By sequence, from `first` on; settled ones are gone.
    waiting: VecDeque<Option<Waiting>>,
    first: Sequence,
    /// When the last message arrived: between two lives, the wall clock may have been set back.
    last_arrival_us: u64,
    levels: u8,
}

impl Backlog {
    /// Nothing yet.
    #[must_use]
    pub fn new(
        dedup: DedupWindow,
        destinations: Directory,
        message_types: Directory,
        levels: u8,
    ) -> Self {
        let waiting = VecDeque::new();
        Self {
            dedup,
            destinations,
            message_types,
            waiting,
            first: 1,
            last_arrival_us: 0,
            levels,
        }
    }

    /// What is left when the journal has been read.
    #[must_use]
    pub fn finish(self) -> Inheritance {
        Inheritance {
            dedup: self.dedup,
            waiting: self.waiting.into_iter().flatten().collect(),
        }
    }
}

impl Sink for Backlog {
    fn message(&mut self, record: &Record<'_>) {
        let header = &record.header;
        let text = |span| text_of(record.frame, span, header.escaped);
        let id = self.dedup.hasher().hash(text(header.id).as_bytes());
        self.dedup.claim(id, header.arrival_us / 1_000);
        self.last_arrival_us = self.last_arrival_us.max(header.arrival_us);
        if self.waiting.is_empty() {
            self.first = record.sequence;
        }
        let message_type = self
            .message_types
            .find_or_create(&text(header.message_type));
        let message_type = message_type.unwrap_or(self.message_types.len() as u32);
        self.waiting.push_back(Some(Waiting {
            sequence: record.sequence,
            position: record.position,
            arrival_us: self.last_arrival_us,
            record_len: record_len(record.frame.len()) as u32,
            destination: self.destinations.adopt(&text(header.destination)),
            message_type: message_type as TypeIndex,
            level: header.level.clamp(1, self.levels),
        }));
    }

    fn settled(&mut self, settlement: &Settlement) {
        let Some(offset) = settlement.sequence.checked_sub(self.first) else {
            return;
        };
        if let Some(entry) = self.waiting.get_mut(offset as usize) {
            *entry = None;
        }
        while self.waiting.front().is_some_and(Option::is_none) {
            self.waiting.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::RecordHeader;
    use crate::journal::testing::TestMessage;
    use std::time::Duration;

    #[test]
    fn a_wall_clock_set_back_between_two_lives_does_not_turn_the_backlog_around() {
        let names = || Directory::new(["table1", "table2"], true, 10);
        let dedup = DedupWindow::new(100, Duration::from_secs(60), [7; 8]);
        let mut backlog = Backlog::new(dedup, names(), names(), 3);
        for (sequence, arrival_us) in [(1, 9_000), (2, 9_500), (3, 4_000), (4, 9_600)] {
            let record = TestMessage::new(sequence).record();
            let (header, frame) = record.split_first_chunk().expect("a header");
            let header = RecordHeader {
                arrival_us,
                ..RecordHeader::decode(header)
            };
            backlog.message(&Record {
                header,
                sequence,
                position: 0,
                frame: &frame[..frame.len() - 1],
            });
        }
        let waiting = backlog.finish().waiting;
        let arrivals: Vec<u64> = waiting.iter().map(|it| it.arrival_us).collect();
        assert_eq!(arrivals, [9_000, 9_500, 9_500, 9_600]);
    }
}
