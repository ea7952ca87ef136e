//! What the journal agent has taken from the scheduler and not recorded yet.
//!
//! The journal agent fills it and writes what it selects: all of it, as a rule; in a shortage the
//! settlements alone, while runs of messages wait. Pure: it names bytes and writes none.
//!
//! ```text
//! runs         | of this batch | held back |
//! settlements  | of this batch | later: of messages that are held back |
//! ```

use std::collections::VecDeque;

use crate::arena::Lease;
use crate::journal::format::{BATCH_HEADER_LEN, SETTLEMENT_LEN, Settlement, batch_len};
use crate::journal::retention::query::UnsettledQuery;
use crate::limits::{
    BATCH_LEN_MAX, CHUNK_LEN, PIECES_PER_BATCH, SETTLEMENTS_LEN_MAX, UNRECORDED_MAX,
};
use crate::message::Sequence;
use crate::message::layout::u64_at;

/// Accepted messages with consecutive sequences, whose records stand one behind the other.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) lease: Lease,
    pub(super) first_sequence: Sequence,
    pub(super) entries: u32,
}

/// Which messages a batch may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Messages {
    /// Settlements only.
    None,
    /// A run at least, and few more: the disk has been full, and a long batch may never fit.
    Few,
    /// As many as go into one.
    All,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Staged {
    runs: VecDeque<Run>,
    /// Bytes of all runs.
    held_len: usize,
    /// How many of the runs are in the batch, their bytes, and their messages.
    runs_in_batch: usize,
    pub(super) runs_len: usize,
    pub(super) entries: u32,
    /// Settlements as they will stand on disk, in a batch of this time.
    pub(super) settlements: Vec<u8>,
    pub(super) time_us: u64,
    later: Vec<u8>,
    /// Goes on when the settlements are recorded.
    pub(super) query: Option<Box<UnsettledQuery>>,
    pub(super) headers: [Vec<u8>; 2],
    /// How much of the batch is on disk.
    pub(super) written: usize,
}

impl Staged {
    pub(super) fn new() -> Self {
        Self {
            runs: VecDeque::with_capacity(PIECES_PER_BATCH),
            ..Self::default()
        }
    }

    /// Whether more may be taken; while the disk is full, runs pile up behind the batch. There are
    /// never more than messages in the gate.
    #[inline]
    pub(super) fn has_room(&self, is_full: bool) -> bool {
        if is_full {
            let settlements_len = self.settlements.len() + self.later.len();
            return settlements_len < SETTLEMENTS_LEN_MAX && self.runs.len() < UNRECORDED_MAX;
        }
        // A run is at most a chunk long.
        let len = batch_len(self.held_len) + batch_len(self.settlements.len());
        len + CHUNK_LEN <= BATCH_LEN_MAX && self.runs.len() < PIECES_PER_BATCH
    }

    /// Takes a run: sequences have no holes.
    #[inline]
    pub(super) fn push_run(&mut self, run: Run) {
        if let Some(last) = self.runs.back() {
            let expected = last.first_sequence + u64::from(last.entries);
            assert!(expected == run.first_sequence, "sequences have no holes");
        }
        self.held_len += run.lease.byte_len();
        self.runs.push_back(run);
    }

    /// Takes a settlement at this time.
    #[inline]
    pub(super) fn push_settlement(&mut self, settlement: &Settlement, now_us: u64) {
        if self.settlements.is_empty() {
            self.time_us = now_us;
        } else if self.time_us != now_us {
            self.move_time(now_us);
        }
        let mut bytes = [0; SETTLEMENT_LEN];
        settlement.encode(now_us, &mut bytes);
        self.settlements.extend_from_slice(&bytes);
    }

    /// Settlements that had to wait are written in a batch of a later time.
    #[cold]
    fn move_time(&mut self, now_us: u64) {
        let (before_us, bytes) = (self.time_us, &mut self.settlements);
        for entry in bytes.chunks_exact_mut(SETTLEMENT_LEN) {
            let entry: &mut [u8; SETTLEMENT_LEN] = entry.try_into().expect("chunks are exact");
            Settlement::decode(before_us, entry).encode(now_us, entry);
        }
        self.time_us = now_us;
    }

    /// Chooses what the next batch holds: the settlements, and as many messages as go with them, or
    /// few, or none. `next` is the sequence of the first message that is not recorded. Returns whether it
    /// holds anything.
    pub(super) fn select(&mut self, with: Messages, next: Sequence) -> bool {
        (self.runs_in_batch, self.runs_len, self.entries) = (0, 0, 0);
        self.written = 0;
        match with {
            Messages::None => {}
            Messages::Few => self.select_runs(CHUNK_LEN),
            Messages::All => {
                let headers_len = 2 * BATCH_HEADER_LEN;
                self.select_runs(BATCH_LEN_MAX - headers_len - self.settlements.len());
            }
        }
        if self.runs_in_batch < self.runs.len() {
            self.put_off(next + u64::from(self.entries));
        }
        self.runs_in_batch > 0 || !self.settlements.is_empty()
    }

    fn select_runs(&mut self, room: usize) {
        for run in self.runs.iter().take(PIECES_PER_BATCH) {
            let len = self.runs_len + run.lease.byte_len();
            if len > room {
                break;
            }
            self.runs_in_batch += 1;
            self.runs_len = len;
            self.entries += run.entries;
        }
    }

    /// Settlements of messages from `end` on wait: no settlement stands before its message. With
    /// `memory` a message may be settled before it is recorded.
    #[cold]
    fn put_off(&mut self, end: Sequence) {
        let entries = self.settlements.chunks_exact(SETTLEMENT_LEN);
        if entries.clone().all(|it| u64_at(it, 0) < end) {
            return;
        }
        let mut now = Vec::with_capacity(self.settlements.len());
        for entry in entries {
            let into = match u64_at(entry, 0) < end {
                true => &mut now,
                false => &mut self.later,
            };
            into.extend_from_slice(entry);
        }
        self.settlements = now;
    }

    /// Whether nothing at all waits.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.settlements.is_empty()
    }

    /// Whether messages wait.
    pub(super) fn has_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Whether the batch holds messages.
    pub(super) fn has_messages(&self) -> bool {
        self.runs_in_batch > 0
    }

    /// The runs of the batch.
    #[inline]
    pub(super) fn batch_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().take(self.runs_in_batch)
    }

    /// Bytes that the batch's messages take on disk.
    pub(super) fn messages_len(&self) -> usize {
        batch_len(self.runs_len)
    }

    /// Bytes that the batch takes on disk.
    pub(super) fn len(&self) -> usize {
        batch_len(self.runs_len) + batch_len(self.settlements.len())
    }

    /// The batch's messages are recorded: gives up their leases.
    pub(super) fn take_runs(&mut self) -> impl Iterator<Item = Lease> {
        self.held_len -= self.runs_len;
        let count = std::mem::take(&mut self.runs_in_batch);
        (self.runs_len, self.entries) = (0, 0);
        self.runs.drain(..count).map(|it| it.lease)
    }

    /// The sequence of the batch's first message, if it holds one.
    pub(super) fn first_sequence(&self) -> Option<Sequence> {
        self.batch_runs().next().map(|it| it.first_sequence)
    }

    /// The batch's settlements are recorded.
    pub(super) fn take_settlements(&mut self) {
        self.settlements.clear();
        if !self.later.is_empty() {
            std::mem::swap(&mut self.settlements, &mut self.later);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Ledger, Writer};

    /// What is staged, and messages to stage.
    struct Scene {
        ledger: Ledger,
        writer: Writer,
        staged: Staged,
        next: Sequence,
        /// The sequence of the first message that is not recorded.
        recorded_to: Sequence,
    }

    impl Scene {
        fn new() -> Self {
            let mut ledger = Ledger::new(CHUNK_LEN, 16);
            let writer = ledger.writer().expect("chunks are free");
            Self {
                ledger,
                writer,
                staged: Staged::new(),
                next: 1,
                recorded_to: 1,
            }
        }

        /// Stages a run of so many messages, whose frames have `len` bytes together.
        fn run(&mut self, entries: u32, len: usize) {
            let frame = vec![b'x'; len];
            if self.writer.claim(&frame).is_none() {
                self.writer = self.ledger.writer().expect("chunks are free");
            }
            let claim = self.writer.claim(&frame).expect("an empty chunk has room");
            let place = self.ledger.place(claim.commit());
            self.staged.push_run(Run {
                lease: self.ledger.lend(place).expect("it is resident"),
                first_sequence: self.next,
                entries,
            });
            self.next += u64::from(entries);
        }

        fn settle(&mut self, sequence: Sequence, settled_us: u64, now_us: u64) {
            let settlement = Settlement {
                sequence,
                settled_us,
            };
            self.staged.push_settlement(&settlement, now_us);
        }

        /// Writes a batch; returns how many messages it has, and the settlements.
        fn write(&mut self, with: Messages) -> (u32, Vec<(Sequence, u64)>) {
            self.staged.select(with, self.recorded_to);
            let entries = self.staged.entries;
            self.recorded_to += u64::from(entries);
            self.staged.take_runs().for_each(drop);
            let time_us = self.staged.time_us;
            let bytes = self.staged.settlements.chunks_exact(SETTLEMENT_LEN);
            let settled = bytes.map(|it| {
                let it = Settlement::decode(time_us, it.try_into().expect("chunks are exact"));
                (it.sequence, it.settled_us)
            });
            let settled = settled.collect();
            self.staged.take_settlements();
            (entries, settled)
        }
    }

    #[test]
    fn a_batch_holds_all_that_came() {
        let mut scene = Scene::new();
        assert!(scene.staged.is_empty());
        scene.run(3, 300);
        scene.run(2, 200);
        scene.settle(1, 5, 9);
        assert!(scene.staged.select(Messages::All, 1));
        assert_eq!(scene.staged.first_sequence(), Some(1));
        let messages = BATCH_HEADER_LEN + scene.staged.runs_len;
        assert_eq!(scene.staged.messages_len(), messages);
        let len = messages + BATCH_HEADER_LEN + SETTLEMENT_LEN;
        assert_eq!(scene.staged.len(), len);
        assert_eq!(scene.write(Messages::All), (5, vec![(1, 5)]));
        assert!(scene.staged.is_empty());
        assert!(!scene.staged.select(Messages::All, 6));
    }

    #[test]
    fn no_settlement_is_written_before_its_message() {
        let mut scene = Scene::new();
        scene.run(2, 100);
        assert_eq!(scene.write(Messages::All).0, 2);
        scene.run(2, 100);
        scene.run(2, 100);
        for sequence in [4, 1, 6, 3] {
            scene.settle(sequence, sequence, 10);
        }
        assert_eq!(scene.write(Messages::None), (0, vec![(1, 1)]));
        assert!(scene.staged.has_runs() && !scene.staged.has_messages());
        scene.settle(2, 2, 11);
        assert_eq!(scene.write(Messages::None), (0, vec![(2, 2)]));
        let (entries, settled) = scene.write(Messages::All);
        assert_eq!(entries, 4);
        assert_eq!(settled, [(4, 4), (6, 6), (3, 3)], "behind their messages");
        assert!(scene.staged.is_empty());
    }

    #[test]
    fn a_settlement_that_waits_keeps_its_time() {
        let mut scene = Scene::new();
        scene.settle(1, 1_000, 1_500);
        scene.settle(2, 2_400, 2_500);
        scene.settle(3, 900, 2_500);
        let expected = vec![(1, 1_000), (2, 2_400), (3, 900)];
        assert_eq!(scene.write(Messages::None), (0, expected));
    }

    #[test]
    fn after_a_shortage_a_batch_takes_a_run_at_least_and_a_chunk_at_most() {
        let mut scene = Scene::new();
        for _ in 0..6 {
            scene.run(1, 60_000);
        }
        scene.staged.select(Messages::Few, 1);
        assert!(scene.staged.runs_len <= CHUNK_LEN);
        let mut written = 0;
        while written < 6 {
            let (entries, _) = scene.write(Messages::Few);
            assert!((1..6).contains(&entries));
            written += entries;
        }
    }

    #[test]
    fn what_is_taken_is_bounded_on_a_full_disk_too() {
        let mut scene = Scene::new();
        let mut settlements = 0;
        while scene.staged.has_room(true) {
            settlements += 1;
            scene.settle(settlements, 1, 1);
        }
        assert_eq!(
            settlements,
            SETTLEMENTS_LEN_MAX.div_ceil(SETTLEMENT_LEN) as u64
        );
        let mut scene = Scene::new();
        while scene.staged.has_room(false) {
            scene.run(1, 60_000);
        }
        assert!(scene.staged.held_len <= BATCH_LEN_MAX);
        assert!(scene.staged.has_room(true), "runs go on piling up");
        scene.staged.select(Messages::All, 1);
        assert!(scene.staged.len() <= BATCH_LEN_MAX);
    }
}
