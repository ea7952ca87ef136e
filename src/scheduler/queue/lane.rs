//! A native lane: messages of one destination and level in the order of their timestamps, first in,
//! first out within a millisecond.
//!
//! It is one list that is always in order, so taking the first is all there is to serving. Most
//! messages come in order and are appended. The last message of each millisecond (bucket) points to
//! that of the bucket before, so one that comes a little late is put in its place after a few
//! steps back. When that would take many, the lane borrows a bucket table until it is empty.
//!
//! ```text
//! head                                        tail
//!  v                                           v
//! [7]->[7]->[8]->[11]->[11]->[11]->[12]->[12]->[15]      timestamps
//!       ^----'<---------------'<----------'<----'        before (last of a bucket to last of one)
//! ```
//! This gives exactly the order of a table of 1 ms buckets for every lane, without the tables: ten
//! thousand idle lanes cost twelve bytes each.

use super::links::{Links, NONE};
use super::table::Tables;
use crate::message::timestamp::window_start;

/// Buckets that a late message is carried back over before the lane borrows a table.
const STEPS_BACK: usize = 8;

/// The messages of one destination and level that came at this level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) head: u32,
    tail: u32,
    table: u32,
}

impl Lane {
    pub(super) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
        table: NONE,
    };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    /// Puts `slot` in its place; its node must be set up. True: it is the first now.
    #[inline]
    pub(super) fn push(
        &mut self,
        links: &mut Links,
        tables: &mut Tables,
        slot: u32,
        now_ms: u64,
    ) -> bool {
        if self.head == NONE {
            self.head = slot;
            self.tail = slot;
            return true;
        }
        if self.table != NONE {
            return self.push_by_table(links, tables, slot, now_ms);
        }
        let stamp = links.node(slot).stamp;
        let tail = *links.node(self.tail);
        if stamp < tail.stamp {
            return self.push_late(links, tables, slot, now_ms);
        }
        links.node_mut(slot).before = if stamp == tail.stamp {
            tail.before
        } else {
            self.tail
        };
        links.node_mut(self.tail).next = slot;
        self.tail = slot;
        false
    }

    /// Takes the first.
    #[inline]
    pub(super) fn pop(&mut self, links: &Links, tables: &mut Tables) -> Option<u32> {
        let slot = self.head;
        if slot == NONE {
            return None;
        }
        let node = links.node(slot);
        self.head = node.next;
        if self.table != NONE {
            tables.get(self.table).forget(node.timestamp_ms(), slot);
            if self.head == NONE {
                tables.give_back(self.table);
                self.table = NONE;
            }
        }
        Some(slot)
    }

    /// Puts in its place what is older than the last.
    fn push_late(
        &mut self,
        links: &mut Links,
        tables: &mut Tables,
        slot: u32,
        now_ms: u64,
    ) -> bool {
        let stamp = links.node(slot).stamp;
        let first_stamp = links.node(self.head).stamp;
        let mut later = self.tail;
        for _ in 0..STEPS_BACK {
            // A first bucket's `before` may be a message long gone: it is not followed.
            if links.node(later).stamp == first_stamp {
                links.node_mut(later).before = slot;
                return self.insert(links, NONE, slot);
            }
            let bucket = links.node(later).before;
            let last = *links.node(bucket);
            if last.stamp <= stamp {
                let before = if last.stamp == stamp {
                    last.before
                } else {
                    bucket
                };
                links.node_mut(slot).before = before;
                links.node_mut(later).before = slot;
                return self.insert(links, bucket, slot);
            }
            later = bucket;
        }
        self.borrow_table(links, tables, now_ms);
        self.push_by_table(links, tables, slot, now_ms)
    }

    /// Enters the buckets of the window, at most `BUCKETS` of them, in a table.
    #[cold]
    fn borrow_table(&mut self, links: &Links, tables: &mut Tables, now_ms: u64) {
        let floor_ms = window_start(now_ms);
        self.table = tables.take(floor_ms);
        let table = tables.get(self.table);
        let first_stamp = links.node(self.head).stamp;
        let mut last = self.tail;
        loop {
            let node = links.node(last);
            table.set(node.timestamp_ms(), last);
            if node.stamp == first_stamp || node.timestamp_ms() < floor_ms {
                return;
            }
            last = node.before;
        }
    }

    fn push_by_table(
        &mut self,
        links: &mut Links,
        tables: &mut Tables,
        slot: u32,
        now_ms: u64,
    ) -> bool {
        let timestamp_ms = links.node(slot).timestamp_ms();
        let table = tables.get(self.table);
        table.advance(window_start(now_ms));
        let before = table.last_until(timestamp_ms);
        table.set(timestamp_ms, slot);
        self.insert(links, before, slot)
    }

    /// Links `slot` behind `before`, or as the first; the lane is not empty.
    fn insert(&mut self, links: &mut Links, before: u32, slot: u32) -> bool {
        if before == NONE {
            links.node_mut(slot).next = self.head;
            self.head = slot;
            return true;
        }
        links.node_mut(slot).next = links.node(before).next;
        links.node_mut(before).next = slot;
        if before == self.tail {
            self.tail = slot;
        }
        false
    }
}
