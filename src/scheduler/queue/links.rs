//! The links between queued messages: one node for each slot of the caller's slab, and FIFO lists.
//!
//! The caller's slot index is the node's index, so a message is linked without any allocation and a
//! list is two indexes. Nothing here knows levels, destinations or time.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// What a queue keeps of a message: 16 bytes, four to a cache line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Timestamp in ms, and below it, in 8 bits, the level as pushed: native lanes hold one level
    /// each, so there stamps compare as timestamps do.
    pub(super) stamp: u64,
    /// The one behind it in its list.
    pub(super) next: u32,
    /// In a native lane, of the last one of a bucket: the last one of the bucket before.
    pub(super) before: u32,
}

impl Node {
    pub(super) const FREE: Self = Self {
        stamp: 0,
        next: NONE,
        before: NONE,
    };

    pub(super) fn new(timestamp_ms: u64, level0: usize) -> Self {
        Self {
            stamp: timestamp_ms << 8 | level0 as u64,
            ..Self::FREE
        }
    }

    pub(super) fn timestamp_ms(&self) -> u64 {
        self.stamp >> 8
    }

    /// The level as pushed, from 0.
    pub(super) fn level0(&self) -> usize {
        (self.stamp & 0xff) as usize
    }
}

/// The nodes of all slots.
#[derive(Debug, Default)]
pub(super) struct Links {
    nodes: Vec<Node>,
    /// Sort keys of requeued messages by slot; empty until the first message is requeued.
    orders: Vec<u64>,
}

impl Links {
    #[inline]
    pub(super) fn node(&self, slot: u32) -> &Node {
        &self.nodes[slot as usize]
    }

    #[inline]
    pub(super) fn node_mut(&mut self, slot: u32) -> &mut Node {
        &mut self.nodes[slot as usize]
    }

    /// Starts the life of `slot`.
    #[inline]
    pub(super) fn put(&mut self, slot: u32, node: Node) {
        match self.nodes.get_mut(slot as usize) {
            Some(place) => *place = node,
            None => self.put_beyond(slot, node),
        }
    }

    #[cold]
    fn put_beyond(&mut self, slot: u32, node: Node) {
        assert_ne!(slot, NONE, "this index stands for no slot");
        self.grow(slot as usize + 1);
        self.nodes[slot as usize] = node;
    }

    /// Makes room for the slots below `slots`.
    pub(super) fn grow(&mut self, slots: usize) {
        if slots > self.nodes.len() {
            self.nodes.resize(slots, Node::FREE);
        }
    }

    pub(super) fn order(&self, slot: u32) -> u64 {
        self.orders[slot as usize]
    }

    pub(super) fn set_order(&mut self, slot: u32, order: u64) {
        if self.orders.len() < self.nodes.len() {
            self.orders.resize(self.nodes.len(), 0);
        }
        self.orders[slot as usize] = order;
    }
}

/// First in, first out.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) head: u32,
    tail: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
    };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    #[inline]
    pub(super) fn push_back(&mut self, links: &mut Links, slot: u32) {
        links.node_mut(slot).next = NONE;
        match self.tail {
            NONE => self.head = slot,
            tail => links.node_mut(tail).next = slot,
        }
        self.tail = slot;
    }

    #[inline]
    pub(super) fn pop_front(&mut self, links: &Links) -> Option<u32> {
        let slot = self.head;
        if slot == NONE {
            return None;
        }
        self.head = links.node(slot).next;
        if self.head == NONE {
            self.tail = NONE;
        }
        Some(slot)
    }
}

/// Requeued messages, in the order of their sort keys.
///
/// Those that come in ascending runs are merged in one walk: the place of the last one is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sorted {
    list: List,
    /// Where the last one went in, if it is still here.
    last: u32,
}

impl Sorted {
    pub(super) const EMPTY: Self = Self {
        list: List::EMPTY,
        last: NONE,
    };

    pub(super) fn head(&self) -> u32 {
        self.list.head
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn pop_front(&mut self, links: &Links) -> Option<u32> {
        let slot = self.list.pop_front(links)?;
        if slot == self.last {
            self.last = NONE;
        }
        Some(slot)
    }

    /// Puts `slot` behind all whose key is not above its own.
    pub(super) fn insert(&mut self, links: &mut Links, slot: u32) {
        let order = links.order(slot);
        let is_behind = |links: &Links, other: u32| other != NONE && links.order(other) <= order;
        self.last = match self.last {
            last if is_behind(links, last) => last,
            _ if is_behind(links, self.list.head) => self.list.head,
            _ => NONE,
        };
        if is_behind(links, self.list.tail) {
            self.last = self.list.tail;
        }
        if self.last == NONE {
            links.node_mut(slot).next = self.list.head;
            self.list.head = slot;
            if self.list.tail == NONE {
                self.list.tail = slot;
            }
        } else {
            while is_behind(links, links.node(self.last).next) {
                self.last = links.node(self.last).next;
            }
            self.insert_after(links, self.last, slot);
        }
        self.last = slot;
    }

    fn insert_after(&mut self, links: &mut Links, before: u32, slot: u32) {
        if before == self.list.tail {
            return self.list.push_back(links, slot);
        }
        links.node_mut(slot).next = links.node(before).next;
        links.node_mut(before).next = slot;
    }
}
