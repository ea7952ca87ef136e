//! The memory of the cold lanes: blocks of one size, from a pool that grows and shrinks by extents.
//!
//! A cold lane takes a block when its last one is full and gives each back once it is read. Extents
//! are taken from the system one by one - nothing is ever copied to grow - and go back to it when
//! none of their blocks is in use, all but one that is spare.

use super::NONE;
use crate::scheduler::bitmap::Bitmap;

/// Bytes of messages in a block; with its header it has 512.
pub(super) const BLOCK_ROOM: usize = 506;

/// Blocks of an extent: 256 KiB, for some 18,000 messages.
const EXTENT_LEN: usize = 512;

/// Some of one lane's packed messages.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Block {
    /// The block behind it in its lane, or in its extent's list of free ones.
    pub(super) next: u32,
    /// Bytes in use.
    len: u16,
    bytes: [u8; BLOCK_ROOM],
}

impl Block {
    const EMPTY: Self = Self {
        next: NONE,
        len: 0,
        bytes: [0; BLOCK_ROOM],
    };

    /// What was appended, from `at` on.
    pub(super) fn from(&self, at: usize) -> &[u8] {
        &self.bytes[at..usize::from(self.len)]
    }

    /// Takes bytes in, all or none; says whether it had room.
    pub(super) fn append(&mut self, bytes: &[u8]) -> bool {
        let start = usize::from(self.len);
        let Some(room) = self.bytes.get_mut(start..start + bytes.len()) else {
            return false;
        };
        room.copy_from_slice(bytes);
        self.len += bytes.len() as u16;
        true
    }
}

/// Blocks that are taken from the system together.
#[derive(Debug)]
struct Extent {
    /// Empty: it was given back.
    blocks: Box<[Block]>,
    /// The first free one.
    free: u32,
    used: usize,
}

impl Extent {
    fn new() -> Self {
        let mut blocks = vec![Block::EMPTY; EXTENT_LEN].into_boxed_slice();
        for (block, next) in blocks.iter_mut().zip(1..EXTENT_LEN as u32) {
            block.next = next;
        }
        Self {
            blocks,
            free: 0,
            used: 0,
        }
    }
}

/// The pool. Invariant: `with_room` has just the extents with memory and a free block.
#[derive(Debug)]
pub(super) struct Blocks {
    extents: Vec<Extent>,
    with_room: Bitmap,
    /// Extents whose memory was given back.
    absent: Vec<u32>,
    /// One whose blocks are all free, if there is one.
    spare: Option<u32>,
}

impl Blocks {
    pub(super) fn new() -> Self {
        Self {
            extents: Vec::new(),
            with_room: Bitmap::new(0),
            absent: Vec::new(),
            spare: None,
        }
    }

    /// An empty block. The extent of the lowest number is used first, so that others fall empty.
    pub(super) fn take(&mut self) -> u32 {
        let number = match self.with_room.first() {
            Some(number) => number,
            None => self.add_extent(),
        };
        let extent = &mut self.extents[number];
        let at = extent.free;
        let block = &mut extent.blocks[at as usize];
        extent.free = block.next;
        (block.next, block.len) = (NONE, 0);
        extent.used += 1;
        if extent.free == NONE {
            self.with_room.clear(number);
        }
        if self.spare == Some(number as u32) {
            self.spare = None;
        }
        (number * EXTENT_LEN) as u32 + at
    }

    /// Takes a block back.
    pub(super) fn give_back(&mut self, block: u32) {
        let (number, at) = (block as usize / EXTENT_LEN, block as usize % EXTENT_LEN);
        let extent = &mut self.extents[number];
        extent.blocks[at].next = extent.free;
        extent.free = at as u32;
        extent.used -= 1;
        self.with_room.set(number);
        if extent.used == 0 {
            self.note_unused(number);
        }
    }

    pub(super) fn get(&self, block: u32) -> &Block {
        let (number, at) = (block as usize / EXTENT_LEN, block as usize % EXTENT_LEN);
        &self.extents[number].blocks[at]
    }

    pub(super) fn get_mut(&mut self, block: u32) -> &mut Block {
        let (number, at) = (block as usize / EXTENT_LEN, block as usize % EXTENT_LEN);
        &mut self.extents[number].blocks[at]
    }

    /// Blocks in use.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.extents.iter().map(|it| it.used).sum()
    }

    /// Blocks that memory is held for.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.extents.iter().map(|it| it.blocks.len()).sum()
    }

    #[cold]
    fn add_extent(&mut self) -> usize {
        let number = match self.absent.pop() {
            Some(number) => {
                self.extents[number as usize] = Extent::new();
                number as usize
            }
            None => {
                self.extents.push(Extent::new());
                self.with_room.grow(self.extents.len());
                self.extents.len() - 1
            }
        };
        self.with_room.set(number);
        number
    }

    /// An extent fell empty: it is the spare one, or goes back to the system.
    fn note_unused(&mut self, number: usize) {
        if self.spare.is_none() {
            self.spare = Some(number as u32);
            return;
        }
        self.extents[number].blocks = Box::default();
        self.with_room.clear(number);
        self.absent.push(number as u32);
    }
}

const _: () = assert!(size_of::<Block>() == 512);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_back_when_its_blocks_do_and_comes_again_when_they_are_needed() {
        let mut blocks = Blocks::new();
        for _ in 0..2 {
            let taken: Vec<u32> = (0..5 * EXTENT_LEN).map(|_| blocks.take()).collect();
            let distinct: std::collections::HashSet<_> = taken.iter().collect();
            assert_eq!((distinct.len(), blocks.used()), (taken.len(), taken.len()));
            assert_eq!(blocks.held(), 5 * EXTENT_LEN);
            taken.iter().for_each(|&block| blocks.give_back(block));
            assert_eq!((blocks.used(), blocks.held()), (0, EXTENT_LEN));
        }
    }

    #[test]
    fn a_block_takes_what_fits_and_nothing_else() {
        let mut blocks = Blocks::new();
        let at = blocks.take();
        let block = blocks.get_mut(at);
        assert!(block.append(&[1; 500]) && block.append(&[2; 6]));
        assert!(!block.append(&[3]));
        assert_eq!((block.from(0).len(), block.from(500)), (506, &[2; 6][..]));
        blocks.give_back(at);
        let redelivered = blocks.take();
        assert_eq!(blocks.get(redelivered).from(0), [0; 0]);
    }
}
