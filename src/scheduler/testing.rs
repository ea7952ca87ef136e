//! What the tests of several cores need: a table of messages, frames in it, a time.

use super::message::SlotIndex;
use super::messages::{Messages, New};
use super::protocol::Arrival;
use super::unsettled::Unsettled;
use crate::arena::{Committed, Ledger, Writer};
use crate::clock::Now;
use crate::latency;
use crate::message::layout::RecordHeader;
use crate::message::{DestinationIndex, IdHasher, Level, Sequence};

/// Destinations that tests have.
const DESTINATIONS: DestinationIndex = 16;

/// An empty table of at most `max` slots, with sixteen chunks.
pub(super) fn messages(max: usize) -> Messages {
    let (recorder, _) = latency::exchange(3, DESTINATIONS as usize);
    let ledger = Ledger::new(256 * 1024, 16);
    let mut messages = Messages::new(max, ledger, Unsettled::default(), recorder);
    messages.grow(DESTINATIONS as usize);
    messages
}

/// So many milliseconds after the epoch.
pub(super) fn now_at(ms: u64) -> Now {
    Now {
        ns: ms * 1_000_000,
        steady_us: ms * 1_000,
        epoch_us: ms * 1_000,
    }
}

/// Frames as ingest commits them.
#[derive(Default)]
pub(super) struct Frames {
    writer: Option<Writer>,
}

impl Frames {
    /// Seals the present chunk and begins another.
    pub(super) fn begin_chunk(&mut self, messages: &mut Messages) {
        if let Some(writer) = self.writer.take() {
            messages.seal_chunk(writer);
        }
        self.writer = Some(messages.chunk().expect("a free chunk"));
    }

    /// A frame of one hundred bytes.
    pub(super) fn commit(&mut self, messages: &mut Messages) -> Committed {
        if self.writer.as_ref().is_none_or(|it| it.room() < 512) {
            self.begin_chunk(messages);
        }
        let writer = self.writer.as_mut().expect("one was begun");
        writer.claim(&[b'x'; 100]).expect("there is room").commit()
    }

    /// A frame as the replay agent commits it: its record has its sequence.
    pub(super) fn commit_as(&mut self, messages: &mut Messages, sequence: Sequence) -> Committed {
        if self.writer.is_none() {
            self.begin_chunk(messages);
        }
        let writer = self.writer.as_mut().expect("one was begun");
        let mut claim = writer.claim(&[b'x'; 100]).expect("there is room");
        RecordHeader::seal(claim.header_mut(), sequence, 1);
        claim.commit()
    }

    /// Seals the present chunk.
    pub(super) fn end(&mut self, messages: &mut Messages) {
        if let Some(writer) = self.writer.take() {
            messages.seal_chunk(writer);
        }
    }

    /// Accepts a message for a destination, recorded and queued, at a position that is its
    /// sequence.
    pub(super) fn queued(
        &mut self,
        messages: &mut Messages,
        sequence: Sequence,
        destination: DestinationIndex,
        level: Level,
    ) -> SlotIndex {
        let frame = self.commit(messages);
        let new = New {
            sequence,
            frame,
            read_ns: 1,
            bucket_ms: 1,
            line: super::message::Line::NONE,
            destination,
            message_type: 0,
            level,
        };
        let index = messages.accept(new, now_at(1));
        assert!(messages.record_at(index, sequence, sequence, now_at(1)));
        messages.queue(index);
        index
    }
}

/// An arrival of this id, for the first destination, at priority 2; its line is its id.
pub(super) fn arrival(frames: &mut Frames, messages: &mut Messages, id: u64) -> Arrival {
    let hasher = IdHasher::new([7; 8]);
    Arrival {
        frame: frames.commit(messages),
        id: hasher.hash(&id.to_le_bytes()),
        destination: 0,
        source: 0,
        connection: 1,
        line: id,
        wants_outcome: true,
        message_type: 0,
        priority: 2,
        bucket_ms: 1,
        read_ns: 1,
    }
}
