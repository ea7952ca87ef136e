//! When the first message of each queue will have waited too long: a binary heap with at most one
//! entry a queue, which knows where each queue's entry is, so that it can be moved.
//!
//! The queues enter a lower bound of the time and look again when it has come. Nothing here knows
//! messages.

use super::links::NONE;

/// Queues by the time at which they are checked next.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: Vec<(u64, u32)>,
    /// Each queue's place in the heap, or `NONE`.
    places: Vec<u32>,
}

impl Deadlines {
    /// Makes room for the queues below `queues`.
    pub(super) fn grow(&mut self, queues: usize) {
        self.places.resize(queues, NONE);
        self.heap.reserve(queues - self.heap.len());
    }

    /// Has memory set aside for so many queues.
    pub(super) fn reserve(&mut self, queues: usize) {
        self.heap
            .reserve_exact(queues.saturating_sub(self.heap.len()));
        self.places
            .reserve_exact(queues.saturating_sub(self.places.len()));
    }

    /// The earliest time, and its queue; the lower number first where times are equal.
    #[inline]
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        self.heap.first().copied()
    }

    /// Enters `queue` at `time_ms`, or moves its entry there.
    pub(super) fn set(&mut self, queue: u32, time_ms: u64) {
        let at = match self.places[queue as usize] {
            NONE => {
                self.heap.push((time_ms, queue));
                self.heap.len() - 1
            }
            at => {
                self.heap[at as usize].0 = time_ms;
                at as usize
            }
        };
        let at = self.rise(at);
        self.sink(at);
    }

    /// Takes the entry of `queue` out, if it has one.
    pub(super) fn remove(&mut self, queue: u32) {
        let at = std::mem::replace(&mut self.places[queue as usize], NONE) as usize;
        if at >= self.heap.len() {
            return;
        }
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            let at = self.rise(at);
            self.sink(at);
        }
    }

    fn rise(&mut self, at: usize) -> usize {
        let mut at = at;
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent] <= self.heap[at] {
                break;
            }
            self.heap.swap(parent, at);
            self.places[self.heap[at].1 as usize] = at as u32;
            at = parent;
        }
        self.places[self.heap[at].1 as usize] = at as u32;
        at
    }

    fn sink(&mut self, at: usize) {
        let mut at = at;
        loop {
            let children = (2 * at + 1)..(2 * at + 3).min(self.heap.len());
            let least = children.min_by_key(|&child| self.heap[child]);
            let Some(least) = least.filter(|&child| self.heap[child] < self.heap[at]) else {
                break;
            };
            self.heap.swap(least, at);
            self.places[self.heap[at].1 as usize] = at as u32;
            at = least;
        }
        self.places[self.heap[at].1 as usize] = at as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_first_is_always_the_least(
            steps in prop::collection::vec((0u32..20, 0u64..50, any::<bool>()), 1..300),
        ) {
            let (mut deadlines, mut model) = (Deadlines::default(), BTreeMap::new());
            deadlines.grow(20);
            for (queue, time_ms, set) in steps {
                if set {
                    deadlines.set(queue, time_ms);
                    model.insert(queue, time_ms);
                } else {
                    deadlines.remove(queue);
                    model.remove(&queue);
                }
                let least = model.iter().map(|(&queue, &time_ms)| (time_ms, queue)).min();
                prop_assert_eq!(deadlines.first(), least);
            }
        }
    }
}
