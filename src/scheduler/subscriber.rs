//! One subscriber: what it asked for, what it was handed, and its credit.
//!
//! It is *open* while it may be handed a message: bytes on their way to its socket and frames that
//! it has not acknowledged are both limited. Values only.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::message::SlotIndex;
use crate::limits::{LEVELS_MAX, UNACKNOWLEDGED_MAX};
use crate::message::{DestinationIndex, Level};

/// A subscriber's name: its delivery agent, and the agent's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubscriberId {
    pub(crate) agent: u16,
    pub(crate) key: u32,
}

/// One subscriber. Invariant: `written <= in_flight.len()`.
#[derive(Debug)]
pub(crate) struct Subscriber {
    /// It acknowledges.
    pub(crate) ack: bool,
    /// Where it connects from.
    pub(crate) peer: Option<SocketAddr>,
    /// The destinations that it asked for, without repetitions.
    pub(crate) destinations: Vec<DestinationIndex>,
    /// The last so many of them came with a line that is not complete.
    pub(super) joining: usize,
    /// One of its lines was answered: before that it is handed nothing.
    pub(super) is_answered: bool,
    /// What it was handed and is not settled, oldest first. The first `written` are in its socket.
    pub(crate) in_flight: VecDeque<SlotIndex>,
    pub(crate) written: usize,
    /// Frames written since it connected.
    pub(crate) written_total: u64,
    /// The others, by level.
    pub(super) unwritten: Unwritten,
    /// What it is handed next, in this order, once it was read from the journal.
    pub(crate) fetching: VecDeque<SlotIndex>,
    /// It has gone, and is still in rows of the subscriptions.
    pub(super) is_leaving: bool,
    /// It is in the dispatcher's list of those that wait for room in a ring.
    pub(crate) waits_for_room: bool,
    /// Bytes that it may be handed; the last frame may overdraw it.
    credit: i64,
    /// Its own serving group, if it has very many destinations.
    pub(crate) group: Option<u8>,
}

impl Subscriber {
    pub(super) fn new(ack: bool, credit: i64) -> Self {
        Self {
            ack,
            peer: None,
            destinations: Vec::new(),
            joining: 0,
            is_answered: false,
            in_flight: VecDeque::new(),
            written: 0,
            written_total: 0,
            unwritten: Unwritten::default(),
            fetching: VecDeque::new(),
            is_leaving: false,
            waits_for_room: false,
            credit,
            group: None,
        }
    }

    /// Whether it may be handed a message.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.is_answered
            && self.credit > 0
            && self.in_flight.len() + self.fetching.len() < UNACKNOWLEDGED_MAX as usize
    }

    /// Whether something less urgent than `level` is on its way, and cannot be overtaken.
    #[inline]
    pub(crate) fn is_ahead_of(&self, level: Level) -> bool {
        self.unwritten.has_beyond(level)
    }

    /// A message of this many bytes is for it, and takes its credit.
    #[inline]
    pub(crate) fn charge(&mut self, wire_len: usize) {
        self.credit -= wire_len as i64;
    }

    /// The message in this slot is on its way to its socket.
    #[inline]
    pub(crate) fn hand(&mut self, index: SlotIndex, level: Level) {
        self.in_flight.push_back(index);
        self.unwritten.add(level);
    }

    /// So many more frames, of so many bytes, are wholly in its socket. `written` is called
    /// with each message, and returns its level.
    #[inline]
    pub(crate) fn write(
        &mut self,
        frames: usize,
        bytes: u32,
        mut written: impl FnMut(SlotIndex) -> Level,
    ) {
        let first = self.written;
        self.written += frames;
        self.written_total += frames as u64;
        self.credit += i64::from(bytes);
        for &index in self.in_flight.range(first..self.written) {
            self.unwritten.remove(written(index));
        }
    }

    /// The oldest so many messages, which are written, are done with.
    #[inline]
    pub(crate) fn settle(&mut self, frames: usize) -> impl Iterator<Item = SlotIndex> {
        let still_written = self.written.checked_sub(frames);
        self.written = still_written.expect("only what was written is settled");
        self.in_flight.drain(..frames)
    }
}

/// Frames on their way to a socket, counted by level.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    counts: [u32; LEVELS_MAX + 1],
    /// The levels that have one, one bit each.
    levels: u16,
}

impl Unwritten {
    #[inline]
    fn add(&mut self, level: Level) {
        self.counts[usize::from(level)] += 1;
        self.levels |= 1 << level;
    }

    #[inline]
    fn remove(&mut self, level: Level) {
        let count = &mut self.counts[usize::from(level)];
        *count -= 1;
        self.levels &= !(u16::from(*count == 0) << level);
    }

    /// Whether there is one that is less urgent than `level`.
    #[inline]
    fn has_beyond(&self, level: Level) -> bool {
        self.levels >> level >> 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answered(credit: i64) -> Subscriber {
        let mut subscriber = Subscriber::new(true, credit);
        subscriber.is_answered = true;
        subscriber
    }

    #[test]
    fn credit_and_unacknowledged_frames_both_close_a_subscriber() {
        assert!(!Subscriber::new(true, 1).is_open(), "it was not answered");
        let mut subscriber = answered(1);
        assert!(subscriber.is_open());
        subscriber.charge(100);
        assert!(!subscriber.is_open());
        subscriber.hand(0, 1);
        subscriber.write(1, 100, |_| 1);
        assert!(subscriber.is_open());
        (1..UNACKNOWLEDGED_MAX).for_each(|index| subscriber.hand(index, 1));
        assert!(!subscriber.is_open());
        assert_eq!(subscriber.settle(1).collect::<Vec<_>>(), [0]);
        assert!(subscriber.is_open());
    }

    proptest! {
        /// Hands over messages of these levels; after each, some are written and some settled.
        #[test]
        fn frames_are_written_and_settled_in_the_order_they_were_handed_over(
            steps in prop::collection::vec((1..=LEVELS_MAX as Level, 0..3_usize, 0..3_usize), 1..60),
        ) {
            let mut subscriber = answered(1_000);
            let mut levels = Vec::new();
            let (mut written, mut settled) = (0, 0);
            for (level, writes, settles) in steps {
                subscriber.hand(levels.len() as SlotIndex, level);
                levels.push(level);
                let writes = writes.min(levels.len() - written);
                let mut expected = written as SlotIndex;
                subscriber.write(writes, 0, |index| {
                    assert_eq!(index, expected);
                    expected += 1;
                    levels[index as usize]
                });
                written += writes;
                let settles = settles.min(written - settled);
                let indices: Vec<_> = subscriber.settle(settles).collect();
                let expected = settled as SlotIndex..(settled + settles) as SlotIndex;
                prop_assert_eq!(indices, expected.collect::<Vec<_>>());
                settled += settles;
                for level in 1..=LEVELS_MAX as Level {
                    let is_ahead = levels[written..].iter().any(|&it| it > level);
                    prop_assert_eq!(subscriber.is_ahead_of(level), is_ahead);
                }
            }
        }
    }
}
