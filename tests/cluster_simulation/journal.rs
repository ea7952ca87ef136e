//! A member's journal: records in their order, some of which are not synced yet.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use flipped_lb::cluster::record::Place;

use crate::batches::{Order, carried, orders};
use crate::plan::SEGMENT;

type Bytes = Arc<[u8]>;

#[derive(Debug, Default)]
pub struct Journal {
    records: Vec<(Place, Bytes)>,
    unsynced: VecDeque<(Place, Bytes)>,
    /// Segments below this one are gone.
    dropped: u64,
    /// What was set aside, because the stream went on otherwise.
    pub aside: Vec<Bytes>,
}

impl Journal {
    pub fn write(&mut self, place: Place, bytes: &Bytes) {
        self.unsynced.push_back((place, Arc::clone(bytes)));
    }

    pub fn is_idle(&self) -> bool {
        self.unsynced.is_empty()
    }

    /// The oldest write is on disk: this one.
    pub fn sync_one(&mut self) -> Option<(Place, Bytes)> {
        let (place, bytes) = self.unsynced.pop_front()?;
        // With a write before the PubAck it may be there already.
        if self.last_sequence() < place.sequence {
            self.records.push((place, Arc::clone(&bytes)));
        }
        Some((place, bytes))
    }

    /// The process dies, and recovery cuts what is not whole.
    pub fn tear(&mut self) {
        self.unsynced.clear();
    }

    pub fn last(&self) -> Option<Bytes> {
        self.records.last().map(|it| Arc::clone(&it.1))
    }

    /// What the stream gave the last record; 0: there is none.
    pub fn last_sequence(&self) -> u64 {
        self.records.last().map_or(0, |it| it.0.sequence)
    }

    /// The record of this sequence, or the last one before.
    pub fn at_or_before(&self, sequence: u64) -> Option<Bytes> {
        let behind = self.records.partition_point(|it| it.0.sequence <= sequence);
        Some(Arc::clone(&self.records[behind.checked_sub(1)?].1))
    }

    pub fn set_aside(&mut self, behind: u64) {
        let keep = self.records.partition_point(|it| it.0.sequence <= behind);
        self.aside.extend(self.records.drain(keep..).map(|it| it.1));
    }

    /// Drops the segments below this one.
    pub fn drop_below(&mut self, low: u64) {
        if low > self.dropped {
            self.dropped = low;
            self.records.retain(|it| segment_of(it) >= low);
        }
    }

    /// The stream's sequence of the first record from this segment on.
    pub fn first_of(&self, segment: u64) -> Option<u64> {
        let mut records = self.records.iter();
        let found = records.find(|it| segment_of(it) >= segment)?;
        Some(found.0.sequence)
    }

    /// The segment below which nobody needs anything, as the last record says.
    pub fn last_low(&self) -> u64 {
        self.records.last().map_or(0, |it| it.0.low)
    }

    /// The segment below which all orders are settled.
    pub fn low(&self, is_settled: impl Fn(Order) -> bool) -> u64 {
        let holds = |it: &&(Place, Bytes)| all_of(&it.1).any(|it| !is_settled(it));
        let mut records = self.records.iter();
        let first = records.find(holds).or(self.records.last());
        first.map_or(0, segment_of)
    }

    /// The segment that is being filled.
    pub fn newest(&self) -> u64 {
        self.records.last().map_or(0, segment_of)
    }

    /// What holds the segments below this one.
    pub fn unsettled_below(
        &self,
        segment: u64,
        is_settled: impl Fn(Order) -> bool,
    ) -> BTreeSet<Order> {
        let below = self.records.iter().filter(|it| segment_of(it) < segment);
        let all = below.flat_map(|it| all_of(&it.1));
        all.filter(|it| !is_settled(*it)).collect()
    }

    /// What is carried.
    pub fn carried(&self) -> impl Iterator<Item = Order> {
        self.records.iter().flat_map(|it| carried(&it.1))
    }

    pub fn orders(&self) -> Vec<Order> {
        self.records.iter().flat_map(|it| orders(&it.1)).collect()
    }

    /// Each record by its sequence.
    pub fn by_sequence(&self) -> impl Iterator<Item = (Place, Bytes)> {
        self.records.iter().map(|it| (it.0, Arc::clone(&it.1)))
    }

    /// Each record by its position.
    pub fn by_position(&self) -> Vec<(u64, Bytes)> {
        self.records
            .iter()
            .map(|it| (it.0.position, Arc::clone(&it.1)))
            .collect()
    }
}

/// The orders of a record, and those that it carries.
fn all_of(bytes: &Bytes) -> impl Iterator<Item = Order> {
    orders(bytes).into_iter().chain(carried(bytes))
}

/// The segment that a record stands in.
fn segment_of((place, _): &(Place, Bytes)) -> u64 {
    place.position / SEGMENT
}
