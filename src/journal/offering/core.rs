//! The core: what is gathered for the next record, and what is on its way.
//!
//! Values only: the agent feeds it runs, settlements and what the member's thread says.

use std::collections::VecDeque;

use crate::clock::Now;
use crate::cluster::record::Kind;
use crate::cluster::run::link::{Buffers, Filled};
use crate::journal::format::{BATCH_HEADER_LEN, SETTLEMENT_LEN, Settlement, batch_len};
use crate::limits::{BATCH_LEN_MAX, GATHERED_LEN_MAX, SETTLEMENTS_LEN_MAX};
use crate::message::layout::record_len;
use crate::message::{Record, Sequence};

/// A write on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outstanding {
    pub(super) first_sequence: Sequence,
    pub(super) entries: u32,
    pub(super) settled: u64,
    /// Bytes of its batches.
    pub(super) len: usize,
    /// It has messages that are carried, and nothing else.
    pub(super) is_carried: bool,
}

/// Messages and settlements that wait for a record.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Records of messages, one behind the other.
    messages: Vec<u8>,
    entries: u32,
    /// Of the first message that is gathered, or of the next one.
    first_sequence: Sequence,
    settlements: Vec<Settlement>,
    /// A batch of messages that are carried, and how many settlements stand before it.
    carried: Option<(Vec<u8>, u64)>,
    pub(super) outstanding: VecDeque<Outstanding>,
    /// Settlements that came, and those of them that are recorded.
    pub(super) settled: u64,
    pub(super) recorded: u64,
}

impl Gathered {
    pub(super) fn new(next_sequence: Sequence) -> Self {
        Self {
            messages: Vec::new(),
            entries: 0,
            first_sequence: next_sequence,
            settlements: Vec::new(),
            carried: None,
            outstanding: VecDeque::new(),
            settled: 0,
            recorded: 0,
        }
    }

    /// Whether a run of so many bytes may join; what is longer than a record is cut when it is handed over.
    /// While the disk is full messages pile up here, so that the settlements behind them are reached.
    pub(super) fn has_room(&self, chunk_len: usize, is_full: bool) -> bool {
        let settlements = self.settlements.len() * SETTLEMENT_LEN;
        let messages = self.messages.len();
        if is_full {
            return messages + chunk_len <= GATHERED_LEN_MAX && settlements < SETTLEMENTS_LEN_MAX;
        }
        batch_len(messages) + batch_len(settlements) + chunk_len <= BATCH_LEN_MAX
    }

    /// Whether there is something for a record, with messages or without.
    pub(super) fn has_some(&self, with_messages: bool) -> bool {
        !self.settlements.is_empty()
            || with_messages && (self.entries > 0 || self.carried.is_some())
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        !self.has_some(true)
    }

    /// Copies a run: sequences have no holes.
    pub(super) fn push_run(&mut self, bytes: &[u8], first_sequence: Sequence, entries: u32) {
        let next = self.first_sequence + u64::from(self.entries);
        assert!(next == first_sequence, "sequences have no holes");
        self.messages.extend_from_slice(bytes);
        self.entries += entries;
    }

    pub(super) fn push_settlement(&mut self, settlement: Settlement) {
        self.settled += 1;
        self.settlements.push(settlement);
    }

    /// Takes a batch of messages that are unsettled now: it becomes a record behind all settlements that came,
    /// and before those that come.
    pub(super) fn carry(&mut self, batch: Vec<u8>) {
        self.carried = Some((batch, self.settled));
    }

    /// Gives up what is to be carried, if `is_lost` says so of its length; returns whether it did.
    pub(super) fn give_up_carried(&mut self, is_lost: impl FnOnce(usize) -> bool) -> bool {
        self.carried.take_if(|it| is_lost(it.0.len())).is_some()
    }

    /// Settlements that stand before what is carried; `None`: nothing is.
    fn ahead_of_carried(&self) -> Option<usize> {
        let handed_over = self.settled - self.settlements.len() as u64;
        let mark = self.carried.as_ref()?.1;
        Some(mark.saturating_sub(handed_over) as usize)
    }

    /// Hands over what is carried, in a record of its own, if its turn has come.
    pub(super) fn hand_over_carried(&mut self, buffers: &mut Buffers, now: Now) -> Option<Filled> {
        if self.ahead_of_carried()? > 0 {
            return None;
        }
        let (batch, _) = self.carried.take()?;
        let mut buffers = std::mem::take(buffers);
        buffers.messages = batch;
        let filled = Filled {
            kind: Kind::Carried,
            buffers,
            first_sequence: self.first_sequence,
            entries: 0,
            steady_us: now.steady_us,
            epoch_us: now.epoch_us,
        };
        self.outstanding.push_back(Outstanding {
            first_sequence: filled.first_sequence,
            entries: 0,
            settled: 0,
            len: filled.len(),
            is_carried: true,
        });
        Some(filled)
    }

    /// Hands over as much as a record takes, with messages or without, in these buffers, which are empty; the
    /// rest stays.
    pub(super) fn hand_over(
        &mut self,
        mut buffers: Buffers,
        len_max: usize,
        with_messages: bool,
        now: Now,
    ) -> Filled {
        let (entries, len) = match with_messages {
            true => fitting(&self.messages, self.entries, len_max),
            false => (0, 0),
        };
        if len == self.messages.len() {
            std::mem::swap(&mut buffers.messages, &mut self.messages);
        } else {
            buffers.messages.extend_from_slice(&self.messages[..len]);
            self.messages.drain(..len);
        }
        let room = len_max - batch_len(len);
        let fits = room.saturating_sub(BATCH_HEADER_LEN) / SETTLEMENT_LEN;
        // None stands before its message, which was recorded before it was handed out.
        let may_go = self.ahead_of_carried().unwrap_or(usize::MAX);
        let settled = self.settlements.len().min(fits).min(may_go);
        for settlement in self.settlements.drain(..settled) {
            let mut bytes = [0; SETTLEMENT_LEN];
            settlement.encode(now.epoch_us, &mut bytes);
            buffers.settlements.extend_from_slice(&bytes);
        }
        let filled = Filled {
            kind: Kind::Batches,
            buffers,
            first_sequence: self.first_sequence,
            entries,
            steady_us: now.steady_us,
            epoch_us: now.epoch_us,
        };
        self.first_sequence += u64::from(entries);
        self.entries -= entries;
        self.outstanding.push_back(Outstanding {
            first_sequence: filled.first_sequence,
            entries,
            settled: settled as u64,
            len: filled.len(),
            is_carried: false,
        });
        filled
    }
}

/// How many of these messages, and how many bytes of them, fit into a record.
fn fitting(messages: &[u8], entries: u32, len_max: usize) -> (u32, usize) {
    if batch_len(messages.len()) <= len_max {
        return (entries, messages.len());
    }
    let (mut count, mut rest) = (0, messages);
    while let Some((record, behind)) = Record::split_first(rest) {
        let len = messages.len() - behind.len();
        debug_assert!(record_len(record.frame().len()) <= rest.len());
        if batch_len(len) > len_max {
            break;
        }
        (count, rest) = (count + 1, behind);
    }
    (count, messages.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::record::{PLACE_LEN, Place, Record as GroupRecord, encode};
    use crate::journal::testing::TestMessage;

    const NOW: Now = Now {
        ns: 0,
        steady_us: 7_000,
        epoch_us: 9_000,
    };

    fn settled(sequence: Sequence) -> Settlement {
        Settlement {
            sequence,
            settled_us: 8_500,
        }
    }

    fn run(first: Sequence, count: u32) -> Vec<u8> {
        (first..first + u64::from(count))
            .flat_map(|it| TestMessage::new(it).record())
            .collect()
    }

    #[test]
    fn all_that_was_gathered_becomes_one_record_of_the_group() {
        let mut gathered = Gathered::new(5);
        gathered.push_run(&run(5, 3), 5, 3);
        gathered.push_run(&run(8, 1), 8, 1);
        gathered.push_settlement(settled(2));
        assert_eq!((gathered.settled, gathered.recorded), (1, 0));
        let filled = gathered.hand_over(Buffers::default(), BATCH_LEN_MAX, true, NOW);
        assert_eq!((filled.entries, filled.next_sequence()), (4, 9));
        assert!(gathered.is_empty());
        let place = Place {
            kind: Kind::Batches,
            position: 64,
            next_message: 9,
            sequence: 1,
            group: 1,
            term: Default::default(),
            before: Default::default(),
            lease_ms: 1,
            low: 0,
            time_us: 7_000,
        };
        let batches = filled.seal(64);
        assert_eq!(batches.len(), filled.len());
        let bytes = encode(&place, None, &batches).expect("its batches are in their places");
        assert_eq!(bytes.len(), PLACE_LEN + filled.len());
        assert!(GroupRecord::decode(&bytes).is_ok());
    }

    #[test]
    fn on_a_full_disk_settlements_go_and_messages_stay() {
        let mut gathered = Gathered::new(5);
        gathered.push_run(&run(5, 3), 5, 3);
        gathered.push_settlement(settled(2));
        let filled = gathered.hand_over(Buffers::default(), BATCH_LEN_MAX, false, NOW);
        assert_eq!((filled.entries, filled.next_sequence()), (0, 5));
        assert_eq!(filled.buffers.settlements.len(), SETTLEMENT_LEN);
        assert!(!gathered.has_some(false) && gathered.has_some(true));
        let filled = gathered.hand_over(Buffers::default(), BATCH_LEN_MAX, true, NOW);
        assert_eq!((filled.entries, filled.next_sequence()), (3, 8));
        assert_eq!(filled.buffers.messages, run(5, 3));
    }

    #[test]
    fn what_does_not_fit_into_a_record_stays_for_the_next_one_message_by_message() {
        let mut gathered = Gathered::new(1);
        let one = run(1, 1).len();
        gathered.push_run(&run(1, 10), 1, 10);
        (1..=10).for_each(|it| gathered.push_settlement(settled(it)));
        let len_max = BATCH_HEADER_LEN + 3 * one + one / 2;
        let (mut next, mut settlements) = (1, 0);
        while !gathered.is_empty() {
            let filled = gathered.hand_over(Buffers::default(), len_max, true, NOW);
            assert!(filled.len() <= len_max);
            assert_eq!(filled.first_sequence, next);
            next = filled.next_sequence();
            settlements += filled.buffers.settlements.len() / SETTLEMENT_LEN;
        }
        assert_eq!((next, settlements), (11, 10));
        let sums: u32 = gathered.outstanding.iter().map(|it| it.entries).sum();
        assert_eq!(sums, 10);
    }

    #[test]
    fn what_is_carried_stands_behind_settlements_that_came_before_it_and_before_those_that_come() {
        let mut gathered = Gathered::new(5);
        gathered.push_run(&run(5, 3), 5, 3);
        (1..=3).for_each(|it| gathered.push_settlement(settled(it)));
        gathered.carry(vec![1; 70]);
        gathered.push_settlement(settled(4));
        let mut records = Vec::new();
        // So much that the first record has two settlements.
        let len_max = batch_len(run(5, 3).len()) + batch_len(2 * SETTLEMENT_LEN);
        while gathered.has_some(true) {
            let mut buffers = Buffers::default();
            let carried = gathered.hand_over_carried(&mut buffers, NOW);
            let filled = carried.unwrap_or_else(|| gathered.hand_over(buffers, len_max, true, NOW));
            let settlements = filled.buffers.settlements.len() / SETTLEMENT_LEN;
            records.push((filled.kind, filled.entries, settlements));
        }
        let batches = |entries, settlements| (Kind::Batches, entries, settlements);
        let expected = [
            batches(3, 2),
            batches(0, 1),
            (Kind::Carried, 0, 0),
            batches(0, 1),
        ];
        assert_eq!(records, expected);
        let carried: Vec<_> = gathered
            .outstanding
            .iter()
            .map(|it| it.is_carried)
            .collect();
        assert_eq!(carried, [false, false, true, false]);
    }

    #[test]
    fn what_is_carried_is_given_up_where_it_finds_no_room() {
        let mut gathered = Gathered::new(5);
        gathered.carry(vec![1; 70]);
        assert!(!gathered.give_up_carried(|len| len > 70) && gathered.has_some(true));
        assert!(!gathered.has_some(false), "not on a full disk");
        assert!(gathered.give_up_carried(|len| len > 69) && gathered.is_empty());
        assert!(!gathered.give_up_carried(|_| true), "there is nothing");
    }
}
