//! A cold lane: packed messages, first in, first out, in a chain of blocks.
//!
//! ```text
//! first | head block: read.. |unread........| -> |..........| -> |......    | tail block | last
//!       |              read_at^                                         ^ appended here
//! ```
//! The first message is kept unpacked, so looking at it costs nothing; the last one too, for the
//! next is packed as its difference to it. A lane of one message has no block.

use super::blocks::Blocks;
use super::packed::{pack, unpack};
use super::{ColdMessage, NONE};

/// 88 bytes, and the blocks. Invariant: the chain holds all messages but the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColdLane {
    first: ColdMessage,
    last: ColdMessage,
    head: u32,
    tail: u32,
    /// How far the head block was read.
    read_at: u32,
    len: u32,
}

impl ColdLane {
    pub(super) const EMPTY: Self = Self {
        first: ColdMessage::ZERO,
        last: ColdMessage::ZERO,
        head: NONE,
        tail: NONE,
        read_at: 0,
        len: 0,
    };

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The one that goes next.
    #[inline]
    pub(super) fn first(&self) -> Option<&ColdMessage> {
        (self.len > 0).then_some(&self.first)
    }

    /// Puts a message behind all others.
    pub(super) fn push(&mut self, blocks: &mut Blocks, message: ColdMessage) {
        if self.len == 0 {
            self.first = message;
        } else {
            let (bytes, len) = pack(&self.last, &message);
            self.append(blocks, &bytes[..len]);
        }
        self.last = message;
        self.len += 1;
    }

    /// Takes the one that goes next.
    pub(super) fn pop(&mut self, blocks: &mut Blocks) -> Option<ColdMessage> {
        let message = *self.first()?;
        self.len -= 1;
        if self.len > 0 {
            self.unpack_first(blocks);
        } else if self.head != NONE {
            blocks.give_back(self.head);
            *self = Self::EMPTY;
        }
        Some(message)
    }

    fn append(&mut self, blocks: &mut Blocks, bytes: &[u8]) {
        if self.tail != NONE && blocks.get_mut(self.tail).append(bytes) {
            return;
        }
        let fresh = blocks.take();
        match self.tail {
            NONE => self.head = fresh,
            tail => blocks.get_mut(tail).next = fresh,
        }
        self.tail = fresh;
        let has_room = blocks.get_mut(fresh).append(bytes);
        debug_assert!(has_room, "any packed message fits an empty block");
    }

    fn unpack_first(&mut self, blocks: &mut Blocks) {
        if blocks.get(self.head).from(self.read_at as usize).is_empty() {
            let next = blocks.get(self.head).next;
            blocks.give_back(self.head);
            (self.head, self.read_at) = (next, 0);
        }
        let bytes = blocks.get(self.head).from(self.read_at as usize);
        let (message, len) = unpack(&self.first, bytes);
        self.first = message;
        self.read_at += len as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn it_goes_as_a_queue_does_and_leaves_no_block_behind(
            steps in prop::collection::vec((0u64..2_000, any::<u64>(), 0usize..400), 1..60),
        ) {
            let (mut lane, mut blocks) = (ColdLane::EMPTY, Blocks::new());
            let mut model = VecDeque::new();
            for (pushes, seed, pops) in steps {
                for at in 0..pushes / 4 {
                    let number = seed.rotate_left(at as u32 % 64) >> (at % 60);
                    let message = ColdMessage {
                        sequence: number,
                        position: number.wrapping_mul(3),
                        timestamp_ms: seed ^ at,
                        record_len: number as u32,
                        message_type: number as u16,
                        level0: (at % 8) as u8,
                        redelivered: at % 3 == 0,
                    };
                    lane.push(&mut blocks, message);
                    model.push_back(message);
                }
                for _ in 0..pops {
                    prop_assert_eq!(lane.first(), model.front());
                    prop_assert_eq!(lane.pop(&mut blocks), model.pop_front());
                }
                prop_assert_eq!(lane.len(), model.len());
            }
            while let Some(message) = lane.pop(&mut blocks) {
                prop_assert_eq!(Some(message), model.pop_front());
            }
            prop_assert!(model.is_empty());
            prop_assert_eq!(blocks.used(), 0);
        }
    }
}
