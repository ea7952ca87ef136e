//! The cellar: the cold parts of the queues. Who waits long waits here, in some seven bytes.
//!
//! A cold message has no slot, no links and no frame in memory: only what is needed to order it, to
//! age it and to read it again from the journal. The queues move the front of a long lane here when
//! nothing can be put before it any more, and take it out when it is its turn: so a cell's cold
//! messages always stand before its hot ones, and both are first in, first out.
//!
//! ```text
//! cell   | native  [ cold ..................... ][ hot: linked slots, by timestamp ]
//!        | aged    [ cold ............ ][ hot ]
//! ```
//! Ten million messages that wait for one destination are 70 MB. It knows no slots and no frames;
//! recovery fills one as it reads the journal, which the queues then take over as it is.

mod blocks;
mod lane;
mod packed;

use self::blocks::Blocks;
use self::lane::ColdLane;
use super::links::NONE;
use crate::journal::record::Position;
use crate::message::{DestinationIndex, Sequence, TypeIndex};

/// All that is kept of a message that waits long.
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
    /// It may have been seen by a subscriber before.
    pub again: bool,
}

impl ColdMessage {
    const ZERO: Self = Self {
        sequence: 0,
        position: 0,
        timestamp_ms: 0,
        record_len: 0,
        message_type: 0,
        level0: 0,
        again: false,
    };
}

/// Holds the messages that the queues order: the caller's slab, where they have slots.
pub trait Holder {
    /// Gives up the slot of a message that is to wait in the cellar; `None`: it must keep it. The
    /// queues fill in timestamp and level.
    fn chill(&mut self, slot: u32) -> Option<ColdMessage>;

    /// Gives a message from the cellar a slot.
    fn warm(&mut self, destination: DestinationIndex, message: &ColdMessage) -> u32;
}

/// The holder whose messages all keep their slots: nothing is ever cold.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllHot;

impl Holder for AllHot {
    fn chill(&mut self, _slot: u32) -> Option<ColdMessage> {
        None
    }

    fn warm(&mut self, _destination: DestinationIndex, _message: &ColdMessage) -> u32 {
        unreachable!("nothing was chilled")
    }
}

/// The lanes of a cell that have a cold part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What came at this level.
    Native,
    /// What moved up into it.
    Aged,
}

/// All cold lanes, by cell: destination x level, as the queues count them.
#[derive(Debug)]
pub struct Cellar {
    /// The lane of each cell and kind, or `NONE`.
    cells: Vec<[u32; 2]>,
    lanes: Vec<ColdLane>,
    free: Vec<u32>,
    blocks: Blocks,
    len: usize,
}

impl Default for Cellar {
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

impl Cellar {
    /// Makes room for the cells below `cells`.
    pub fn grow(&mut self, cells: usize) {
        let count = self.cells.len().max(cells);
        self.cells.resize(count, [NONE; 2]);
    }

    /// Destinations, of so many levels, have other indices now, or none: these have no messages.
    /// None has a higher one than before.
    pub fn renumber(&mut self, indices: &[Option<DestinationIndex>], levels: usize) {
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
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Messages in a cell's lane.
    #[must_use]
    pub fn len_of(&self, cell: usize, kind: Kind) -> usize {
        self.lane(cell, kind).map_or(0, ColdLane::len)
    }

    /// Messages of each destination, of so many levels.
    #[must_use]
    pub fn len_by_destination(&self, levels: usize) -> Vec<usize> {
        let of = |cells: &[[u32; 2]]| {
            let lanes = cells.iter().flatten();
            let lanes = lanes.filter_map(|&at| self.lanes.get(at as usize));
            lanes.map(ColdLane::len).sum()
        };
        self.cells.chunks(levels).map(of).collect()
    }

    /// The first message of a cell's lane.
    #[must_use]
    pub fn first(&self, cell: usize, kind: Kind) -> Option<&ColdMessage> {
        self.lane(cell, kind)?.first()
    }

    /// Whether a cell has no cold message.
    #[must_use]
    pub fn is_warm(&self, cell: usize) -> bool {
        self.cells.get(cell).is_none_or(|it| *it == [NONE; 2])
    }

    /// Puts a message behind all others of its lane.
    pub fn push(&mut self, cell: usize, kind: Kind, message: ColdMessage) {
        let at = match self.cells.get(cell).map_or(NONE, |it| it[kind as usize]) {
            NONE => self.add_lane(cell, kind),
            at => at,
        };
        self.lanes[at as usize].push(&mut self.blocks, message);
        self.len += 1;
    }

    /// Takes the first message of a lane.
    pub fn pop(&mut self, cell: usize, kind: Kind) -> Option<ColdMessage> {
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

    /// Keeps only the messages whose sequence is wanted, in their order.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(Sequence) -> bool) {
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
        let mut cellar = Cellar::default();
        for sequence in 0..6_000 {
            let kind = if sequence % 3 == 0 {
                Kind::Aged
            } else {
                Kind::Native
            };
            cellar.push(sequence as usize % 5, kind, message(sequence));
        }
        assert!(cellar.len() == 6_000 && cellar.is_warm(5) && !cellar.is_warm(4));
        cellar.retain(|sequence| sequence % 2 == 0);
        assert_eq!(cellar.len(), 3_000);
        for cell in 0..5 {
            for kind in [Kind::Native, Kind::Aged] {
                let is_here = |it: &u64| {
                    *it as usize % 5 == cell && it.is_multiple_of(3) == (kind == Kind::Aged)
                };
                let expected = (0..6_000).step_by(2).filter(is_here).map(message);
                let found: Vec<_> = std::iter::from_fn(|| cellar.pop(cell, kind)).collect();
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
            assert!(cellar.is_warm(cell));
        }
        assert!(cellar.is_empty());
        assert_eq!(cellar.blocks_used(), 0);
    }

    #[test]
    fn destinations_that_are_renumbered_keep_their_messages() {
        let mut cellar = Cellar::default();
        for (sequence, cell) in (0..).zip([0, 4, 5, 10]) {
            cellar.push(cell, Kind::Native, message(sequence));
        }
        // Of three levels each: the third destination has no message.
        cellar.renumber(&[Some(0), Some(1), None, Some(2)], 3);
        let first = |cell| cellar.first(cell, Kind::Native).map(|it| it.sequence);
        let found: Vec<_> = (0..12).map(first).collect();
        let mut expected = vec![None; 12];
        (expected[0], expected[4], expected[5], expected[7]) = (Some(0), Some(1), Some(2), Some(3));
        assert_eq!(found, expected);
        assert_eq!(cellar.len_by_destination(3), [1, 2, 1]);
    }

    #[test]
    fn a_million_messages_of_three_levels_cost_less_than_eight_bytes_each() {
        let mut cellar = Cellar::default();
        for sequence in 0..1_000_000u64 {
            let jitter = sequence.wrapping_mul(0x9e37_79b9) >> 7 & 31;
            let message = ColdMessage {
                timestamp_ms: 1_693_123_456_789 + sequence / 500,
                record_len: 420 + jitter as u32,
                message_type: (jitter % 8) as TypeIndex,
                position: sequence * 435 + (sequence / 500) * 48,
                ..message(sequence)
            };
            cellar.push(jitter as usize % 3, Kind::Native, message);
        }
        assert!(
            cellar.blocks_used() * 512 < 8_000_000,
            "{}",
            cellar.blocks_used()
        );
    }
}
