//! What the scheduler agent records between two swaps.
//!
//! Fed by the scheduler agent alone (one thread at a time owns it: no locks, no atomics); read by
//! the monitor after the swap. Everything is made in [`Interval::new`]: recording never allocates.

use super::Stage;
use super::customer::{Customer, Customers, Delivered};
use super::grid::{Grid, Shape};
use crate::message::{DestinationIndex, Level};

/// Latencies by stage, level and destination, and what each customer got, since the last swap.
#[derive(Debug)]
pub struct Interval {
    grid: Grid<u32>,
    customers: Customers,
}

impl Interval {
    /// An empty one for levels `1..=levels` and at most so many destinations (those that may be
    /// created count too). It takes address space for all of them and memory for those in use: see
    /// the sizes in `grid.rs` and, with 428 bytes a customer, `customer.rs`.
    #[must_use]
    pub fn new(levels: Level, destinations: usize) -> Self {
        Self {
            grid: Grid::new(Shape::new(levels, destinations)),
            customers: Customers::new(destinations),
        }
    }

    /// `count` messages took `ns` in this stage. Never allocates, never fails; a latency over an
    /// hour counts as an hour, a full count stays full.
    #[inline]
    pub fn record(
        &mut self,
        stage: Stage,
        level: Level,
        destination: DestinationIndex,
        ns: u64,
        count: u32,
    ) {
        let shape = self.grid.shape();
        let cell = shape.cell(stage, level, shape.slot(destination));
        self.grid.record(cell, ns, count);
    }

    /// A customer got a message. It counts by customer, level and type only: the latencies of its
    /// stages are [`Interval::record`]'s. Never allocates.
    #[inline]
    pub fn delivered(&mut self, it: Delivered) {
        self.customers.delivered(&it);
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.seen().is_empty() && self.grid.is_empty()
    }

    /// Back to empty; only what was used is touched.
    pub fn clear(&mut self) {
        self.grid.clear();
        self.customers.clear();
    }

    pub(super) fn grid(&self) -> &Grid<u32> {
        &self.grid
    }

    pub(super) fn customers(&self) -> &[Customer] {
        self.customers.seen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_kind_of_record_makes_it_not_empty() {
        let mut interval = Interval::new(3, 4);
        assert!(interval.is_empty());
        interval.record(Stage::Queue, 3, 3, 5, 1);
        assert!(!interval.is_empty());
        interval.clear();
        assert!(interval.is_empty());
        interval.delivered(Delivered {
            destination: 1,
            level: 1,
            message_type: 0,
            sequence: 1,
            latency_ns: 1,
            epoch_us: 1,
        });
        assert!(!interval.is_empty());
        interval.clear();
        assert!(interval.is_empty());
    }
}
