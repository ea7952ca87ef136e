//! The histograms of all stages, levels and destinations, in one lazily touched array.
//!
//! [`super::Interval`] feeds the one of 32-bit counts (with latencies), [`super::Totals`] the one
//! of 64-bit counts (with intervals). It knows cells by number, not customers by name, and draws no
//! conclusions: quantiles are the crate's business.
//!
//! ```text
//! cells   [ingest: level 1: d0 d1 .. others | level 2: .. ] [journal: ..] .. [total: ..]
//! counts  [3,712 bins of cell 0] [3,712 bins of cell 1] ..
//! ```
//!
//! Size: a cell is 3,712 x 4 = 14.5 KiB of counts (29 KiB in totals) and 4 bytes of head. The
//! default 3 levels x 4 destinations are 75 cells, 1.1 MiB; 8 levels x 65 destinations are 2,600
//! cells, 37 MiB of address space. A cell's latencies lie close together, so what becomes resident
//! is one to three pages of each cell in use.

use hdrhistogram::Histogram;

use super::Stage;
use super::bins::{self, BINS};
use crate::limits::LATENCY_DESTINATIONS_MAX;
use crate::message::{DestinationIndex, Level};

/// How many cells there are, and which is whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// At least 1.
    pub(super) levels: usize,
    /// Destinations with cells of their own, and one for the others; at least 2.
    pub(super) slots: usize,
}

impl Shape {
    /// For `destinations` that may exist at most.
    pub(super) fn new(levels: Level, destinations: usize) -> Self {
        Self {
            levels: usize::from(levels).max(1),
            slots: destinations.clamp(1, LATENCY_DESTINATIONS_MAX) + 1,
        }
    }

    /// The slot that counts all destinations without cells of their own, and those whose names have
    /// gone.
    pub(super) fn others(self) -> usize {
        self.slots - 1
    }

    /// The slot of a destination.
    #[inline]
    pub(super) fn slot(self, destination: DestinationIndex) -> usize {
        (destination as usize).min(self.others())
    }

    /// The cell of a stage, a level (from 1) and a slot.
    #[inline]
    pub(super) fn cell(self, stage: Stage, level: Level, slot: usize) -> usize {
        debug_assert!((1..=self.levels).contains(&usize::from(level)));
        let level = usize::from(level.saturating_sub(1)).min(self.levels - 1);
        (stage as usize * self.levels + level) * self.slots + slot
    }

    fn cells(self) -> usize {
        Stage::ALL.len() * self.levels * self.slots
    }
}

/// A cell's head: which of its bins are in use. It spares the reader the empty ones, and the writer
/// does not write it once it fits: most records only add to their bin.
#[derive(Debug, Clone, Copy)]
struct Cell {
    low: u16,
    high: u16,
}

impl Cell {
    const EMPTY: Cell = Cell {
        low: u16::MAX,
        high: 0,
    };

    fn is_empty(self) -> bool {
        self.low > self.high
    }

    #[inline]
    fn widen(&mut self, low: u16, high: u16) {
        if low < self.low {
            self.low = low;
        }
        if high > self.high {
            self.high = high;
        }
    }
}

/// Invariant: a count outside its cell's `low..=high` is 0.
#[derive(Debug)]
pub(super) struct Grid<C> {
    shape: Shape,
    cells: Vec<Cell>,
    counts: Vec<C>,
}

impl<C: Copy + Default> Grid<C> {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            cells: vec![Cell::EMPTY; shape.cells()],
            // `vec!` of a zero asks the allocator for zeroed pages and touches none.
            counts: vec![C::default(); shape.cells() * BINS],
        }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.iter().all(|cell| cell.is_empty())
    }

    /// The cells in use: number, head, and the index of their first count.
    fn used(&self) -> impl Iterator<Item = (usize, Cell)> + '_ {
        let numbered = self.cells.iter().copied().enumerate();
        numbered.filter(|(_, cell)| !cell.is_empty())
    }
}

/// Where the counts of a cell's used bins lie.
fn range(number: usize, cell: Cell) -> std::ops::RangeInclusive<usize> {
    let base = number * BINS;
    base + usize::from(cell.low)..=base + usize::from(cell.high)
}

impl<C: Copy + Default> Grid<C> {
    /// Back to empty; untouched pages stay untouched.
    pub(super) fn clear(&mut self) {
        for (number, cell) in self.cells.iter_mut().enumerate() {
            if !cell.is_empty() {
                self.counts[range(number, *cell)].fill(C::default());
                *cell = Cell::EMPTY;
            }
        }
    }
}

impl Grid<u32> {
    /// Counts `count` latencies of `ns`. On the path.
    #[inline]
    pub(super) fn record(&mut self, cell: usize, ns: u64, count: u32) {
        let bin = bins::index(ns);
        let tally = &mut self.counts[cell * BINS + bin];
        *tally = tally.saturating_add(count);
        self.cells[cell].widen(bin as u16, bin as u16);
    }
}

impl Grid<u64> {
    /// Adds an interval's counts.
    ///
    /// # Panics
    /// The shapes differ: a bug.
    pub(super) fn merge(&mut self, interval: &Grid<u32>) {
        assert_eq!(self.shape, interval.shape, "one engine, one shape");
        self.merge_into(interval, Some);
    }

    /// Adds an interval's counts of each cell to another one; `None`: they are left out.
    pub(super) fn merge_into(
        &mut self,
        interval: &Grid<u32>,
        cell_of: impl Fn(usize) -> Option<usize>,
    ) {
        for (from, cell) in interval.used() {
            let Some(into) = cell_of(from) else {
                continue;
            };
            let counts = &interval.counts[range(from, cell)];
            for (total, &count) in self.counts[range(into, cell)].iter_mut().zip(counts) {
                if count > 0 {
                    *total = total.saturating_add(u64::from(count));
                }
            }
            self.cells[into].widen(cell.low, cell.high);
        }
    }

    /// Forgets what one cell has.
    pub(super) fn clear_cell(&mut self, number: usize) {
        let cell = std::mem::replace(&mut self.cells[number], Cell::EMPTY);
        if !cell.is_empty() {
            self.counts[range(number, cell)].fill(0);
        }
    }

    /// Moves what one cell has to another.
    pub(super) fn move_cell(&mut self, from: usize, to: usize) {
        let cell = std::mem::replace(&mut self.cells[from], Cell::EMPTY);
        if cell.is_empty() {
            return;
        }
        for (at, into) in range(from, cell).zip(range(to, cell)) {
            let count = std::mem::take(&mut self.counts[at]);
            self.counts[into] = self.counts[into].saturating_add(count);
        }
        self.cells[to].widen(cell.low, cell.high);
    }

    /// How many latencies a cell has.
    pub(super) fn count(&self, number: usize) -> u64 {
        let cell = self.cells[number];
        match cell.is_empty() {
            true => 0,
            false => self.counts[range(number, cell)].iter().sum(),
        }
    }

    /// Adds a cell to a histogram of the crate. Each bin goes in by its shortest latency, which is
    /// in the same bin there, so that nothing is rounded twice.
    pub(super) fn add_to(&self, number: usize, histogram: &mut Histogram<u64>) {
        let cell = self.cells[number];
        if cell.is_empty() {
            return;
        }
        let counts = &self.counts[range(number, cell)];
        for (bin, &count) in (usize::from(cell.low)..).zip(counts) {
            if count > 0 {
                histogram.saturating_record_n(bins::lowest_ns(bin), count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_destinations_share_one_slot() {
        let shape = Shape::new(3, LATENCY_DESTINATIONS_MAX + 10);
        let last_own = LATENCY_DESTINATIONS_MAX as u32 - 1;
        assert_eq!(shape.slot(last_own), LATENCY_DESTINATIONS_MAX - 1);
        assert_eq!(shape.slot(last_own + 1), shape.others());
        assert_eq!(shape.slot(last_own + 9), shape.others());
    }

    #[test]
    fn cells_are_all_different() {
        let shape = Shape::new(3, 4);
        let mut seen = Vec::new();
        for stage in Stage::ALL {
            for level in 1..=3 {
                seen.extend((0..5).map(|slot| shape.cell(stage, level, slot)));
            }
        }
        assert_eq!(seen, (0..shape.cells()).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_count_stays_full() {
        let mut grid = Grid::<u32>::new(Shape::new(1, 1));
        grid.record(0, 500, u32::MAX);
        grid.record(0, 500, 7);
        let mut totals = Grid::<u64>::new(Shape::new(1, 1));
        totals.merge(&grid);
        let mut histogram = bins::histogram();
        totals.add_to(0, &mut histogram);
        assert_eq!(histogram.len(), u64::from(u32::MAX));
    }

    #[test]
    fn cleared_is_as_new() {
        let mut grid = Grid::<u32>::new(Shape::new(2, 2));
        for ns in [0, 1, 127, 128, 1_000_000, u64::MAX] {
            grid.record(3, ns, 2);
        }
        assert!(!grid.is_empty());
        grid.clear();
        assert!(grid.is_empty());
        assert!(grid.counts.iter().all(|&count| count == 0));
    }
}
