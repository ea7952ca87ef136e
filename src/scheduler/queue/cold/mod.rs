//! The cold store: queued messages without a slot, packed to some seven bytes each.
//!
//! A cold message has no slot, no links and no frame in memory, only what is needed to order it, to
//! age it and to read it again from the journal. The queues evict the front of a long lane into it,
//! and restore a message when it is popped. So a cell's cold messages stand before its hot ones,
//! and both are first in, first out.
//!
//! ```text
//! cell   | native  [ cold ..................... ][ hot: linked slots, by timestamp ]
//!        | aged    [ cold ............ ][ hot ]
//! ```
//! Ten million messages for one destination take 70 MB. Recovery fills a cold store as it reads the
//! journal, and the queues load it as it is. It knows no slots and no frames.

mod blocks;
mod lane;
mod packed;

use self::blocks::Blocks;
use self::lane::ColdLane;
use super::links::NONE;
use crate::journal::format::Position;
use crate::message::{DestinationIndex, Sequence, TypeIndex};

/// All that is kept in memory of a cold message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdMessage {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// Where its record stands in the journal.
    pub position: Position,
    /// By which it is queued, in ms of the engine's own time.
    pub timestamp_ms: u64,
    /// Bytes of its record.
    pub record_len: u32,
    /// Its type.
    pub message_type: TypeIndex,
    /// Its level when it was pushed, from 0.
    pub level0: u8,
    /// A subscriber may have seen it.
    pub redelivered: bool,
}

impl ColdMessage {
    const ZERO: Self = Self {
        sequence: 0,
        position: 0,
        timestamp_ms: 0,
        record_len: 0,
        message_type: 0,
        level0: 0,
        redelivered: false,
    };
}

/// The caller's slab of messages, which the queues order by slot.
pub trait SlotStore {
    /// Frees the slot of a message and returns what the cold store keeps of it; `None`: the message
    /// must keep its slot. The queues fill in timestamp and level.
    fn evict(&mut self, slot: u32) -> Option<ColdMessage>;

    /// Gives a cold message a slot.
    fn restore(&mut self, destination: DestinationIndex, message: &ColdMessage) -> u32;
}

/// A slot store that gives up no slot: nothing is ever cold.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllHot;

impl SlotStore for AllHot {
    fn evict(&mut self, _slot: u32) -> Option<ColdMessage> {
        None
    }

    fn restore(&mut self, _destination: DestinationIndex, _message: &ColdMessage) -> u32 {
        unreachable!("nothing was evicted")
    }
}

/// The lanes of a cell that have a cold part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What came at this level.
    Native,
    /// What moved up into it.
    Aged,
}

/// All cold lanes, by cell: destination x level, as the queues count them.
#[derive(Debug)]
pub(crate) struct ColdStore {
    /// The lane of each cell and kind, or `NONE`.
    cells: Vec<[u32; 2]>,
    lanes: Vec<ColdLane>,
    free: Vec<u32>,
    blocks: Blocks,
    len: usize,
}

impl Default for ColdStore {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            lanes: Vec::new(),
            free: Vec::new(),
            blocks: Blocks::new(),
            len: 0,
        }
    }
}

impl ColdStore {
    /// Makes room for the cells below `cells`.
    pub(crate) fn grow(&mut self, cells: usize) {
        let count = self.cells.len().max(cells);
        self.cells.resize(count, [NONE; 2]);
    }

    /// Moves the cells of each destination to its new index, which is never higher than the old
    /// one; destinations without a new index have no messages.
    pub(crate) fn renumber(&mut self, indices: &[Option<DestinationIndex>], levels: usize) {
        self.grow(indices.len() * levels);
        let mut kept = 0;
        for (former, index) in indices.iter().enumerate() {
            if let Some(index) = index {
                let cells = former * levels..(former + 1) * levels;
                self.cells.copy_within(cells, *index as usize * levels);
                kept = (*index as usize + 1) * levels;
            }
        }
        self.cells.truncate(kept);
    }

    /// Messages in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Messages in a cell's lane.
    pub(crate) fn len_of(&self, cell: usize, kind: Kind) -> usize {
        self.lane(cell, kind).map_or(0, ColdLane::len)
    }

    /// Messages of each destination, of so many levels.
    pub(crate) fn len_by_destination(&self, levels: usize) -> Vec<usize> {
        let of = |cells: &[[u32; 2]]| {
            let lanes = cells.iter().flatten();
            let lanes = lanes.filter_map(|&at| self.lanes.get(at as usize));
            lanes.map(ColdLane::len).sum()
        };
        self.cells.chunks(levels).map(of).collect()
    }

    /// The first message of a cell's lane.
    pub(crate) fn first(&self, cell: usize, kind: Kind) -> Option<&ColdMessage> {
        self.lane(cell, kind)?.first()
    }

    /// Whether a cell has no cold message.
    pub(crate) fn is_empty_at(&self, cell: usize) -> bool {
        self.cells.get(cell).is_none_or(|it| *it == [NONE; 2])
    }

    /// Puts a message behind all others of its lane.
    pub(crate) fn push(&mut self, cell: usize, kind: Kind, message: ColdMessage) {
        let at = match self.cells.get(cell).map_or(NONE, |it| it[kind as usize]) {
            NONE => self.add_lane(cell, kind),
            at => at,
        };
        self.lanes[at as usize].push(&mut self.blocks, message);
        self.len += 1;
    }

    /// Puts messages before all others of their lane.
    pub(crate) fn put_first(&mut self, cell: usize, kind: Kind, messages: &[ColdMessage]) {
        let behind = self.len_of(cell, kind);
        messages.iter().for_each(|it| self.push(cell, kind, *it));
        for _ in 0..behind {
            let message = self.pop(cell, kind).expect("it was counted");
            self.push(cell, kind, message);
        }
    }

    /// Takes the first message of a lane.
    pub(crate) fn pop(&mut self, cell: usize, kind: Kind) -> Option<ColdMessage> {
        let at = self.cells.get(cell)?[kind as usize];
        let lane = self.lanes.get_mut(at as usize)?;
        let message = lane.pop(&mut self.blocks)?;
        self.len -= 1;
        if lane.len() == 0 {
            self.cells[cell][kind as usize] = NONE;
            self.free.push(at);
        }
        Some(message)
    }

    /// Keeps the messages whose sequence `is_wanted`, in their order.
    pub(crate) fn retain(&mut self, mut is_wanted: impl FnMut(Sequence) -> bool) {
        for cell in 0..self.cells.len() {
            for kind in [Kind::Native, Kind::Aged] {
                for _ in 0..self.len_of(cell, kind) {
                    let message = self.pop(cell, kind).expect("it was counted");
                    if is_wanted(message.sequence) {
                        self.push(cell, kind, message);
                    }
                }
            }
        }
    }

    fn lane(&self, cell: usize, kind: Kind) -> Option<&ColdLane> {
        self.lanes
            .get(self.cells.get(cell)?[kind as usize] as usize)
    }

    #[cold]
    fn add_lane(&mut self, cell: usize, kind: Kind) -> u32 {
        self.grow(cell + 1);
        let at = self.free.pop().unwrap_or_else(|| {
            self.lanes.push(ColdLane::EMPTY);
            self.free.reserve(self.lanes.len());
            self.lanes.len() as u32 - 1
        });
        self.cells[cell][kind as usize] = at;
        at
    }

    /// Blocks of memory in use.
    #[cfg(test)]
    pub(super) fn blocks_used(&self) -> usize {
        self.blocks.used()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: u64) -> ColdMessage {
        ColdMessage {
            sequence,
            position: sequence * 435,
            record_len: 435,
            ..ColdMessage::ZERO
        }
    }

    #[test]
    fn lanes_are_kept_apart_and_what_is_not_wanted_goes() {
        let mut cold_store = ColdStore::default();
        for sequence in 0..6_000 {
            let kind = if sequence % 3 == 0 {
                Kind::Aged
            } else {
                Kind::Native
            };
            cold_store.push(sequence as usize % 5, kind, message(sequence));
        }
        assert!(
            cold_store.len() == 6_000 && cold_store.is_empty_at(5) && !cold_store.is_empty_at(4)
        );
        cold_store.retain(|sequence| sequence % 2 == 0);
        assert_eq!(cold_store.len(), 3_000);
        for cell in 0..5 {
            for kind in [Kind::Native, Kind::Aged] {
                let is_here = |it: &u64| {
                    *it as usize % 5 == cell && it.is_multiple_of(3) == (kind == Kind::Aged)
                };
                let expected = (0..6_000).step_by(2).filter(is_here).map(message);
                let found: Vec<_> = std::iter::from_fn(|| cold_store.pop(cell, kind)).collect();
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
            assert!(cold_store.is_empty_at(cell));
        }
        assert!(cold_store.is_empty());
        assert_eq!(cold_store.blocks_used(), 0);
    }

    #[test]
    fn destinations_that_are_renumbered_keep_their_messages() {
        let mut cold_store = ColdStore::default();
        for (sequence, cell) in (0..).zip([0, 4, 5, 10]) {
            cold_store.push(cell, Kind::Native, message(sequence));
        }
        // Of three levels each: the third destination has no message.
        cold_store.renumber(&[Some(0), Some(1), None, Some(2)], 3);
        let first = |cell| cold_store.first(cell, Kind::Native).map(|it| it.sequence);
        let found: Vec<_> = (0..12).map(first).collect();
        let mut expected = vec![None; 12];
        (expected[0], expected[4], expected[5], expected[7]) = (Some(0), Some(1), Some(2), Some(3));
        assert_eq!(found, expected);
        assert_eq!(cold_store.len_by_destination(3), [1, 2, 1]);
    }

    #[test]
    fn a_million_messages_of_three_levels_cost_less_than_eight_bytes_each() {
        let mut cold_store = ColdStore::default();
        for sequence in 0..1_000_000u64 {
            let jitter = sequence.wrapping_mul(0x9e37_79b9) >> 7 & 31;
            let message = ColdMessage {
                timestamp_ms: 1_693_123_456_789 + sequence / 500,
                record_len: 420 + jitter as u32,
                message_type: (jitter % 8) as TypeIndex,
                position: sequence * 435 + (sequence / 500) * 48,
                ..message(sequence)
            };
            cold_store.push(jitter as usize % 3, Kind::Native, message);
        }
        assert!(
            cold_store.blocks_used() * 512 < 8_000_000,
            "{}",
            cold_store.blocks_used()
        );
    }
}
