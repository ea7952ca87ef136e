//! What a subscriber measures: when frames came, how many in each tenth of a second, and how late.
//!
//! The sink feeds it with every frame that was right; the sums of all subscribers go to the parent.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::curve::{Curve, histogram};
use crate::plan::Plan;

pub(crate) const SLICE_NS: u64 = 100_000_000;
/// With more subscribers the levels share a histogram: they are 240 KiB each.
const BY_LEVEL_DESTINATIONS_MAX: usize = 16;
/// A round's pieces, whose percentiles say how steady it is.
const PIECE_NS: u64 = 5_000_000_000;
/// Longer rounds begin again with the first piece: two minutes are enough to see how steady it is.
const PIECES_MAX: usize = 24;

/// The arrivals of one or several subscribers.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// When the first right frame was there; 0: none came.
    first_ns: u64,
    last_ns: u64,
    /// By level, from due to here; shared by all levels where there is only one.
    latency: Vec<Histogram<u64>>,
    has_pieces: bool,
    /// All levels', by pieces of the round.
    pieces: Vec<Histogram<u64>>,
    /// Frames by the clock's slice.
    slices: BTreeMap<u64, u64>,
}

/// The same, for the parent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArrivalReport {
    /// When the first right frame was there; 0: none came.
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    /// On schedule: from due to here, all levels together.
    pub(crate) latency: Option<Curve>,
    /// The same for each level of the frames' own, from the most urgent; empty where there are too
    /// many subscribers.
    pub(crate) by_level: Vec<Curve>,
    /// All levels', for each piece of the round; empty where there are too many subscribers.
    pub(crate) pieces: Vec<Curve>,
    /// Frames in each tenth of a second, from the one with the first frame on.
    pub(crate) timeline: Vec<u64>,
}

impl Arrivals {
    pub(super) fn new(plan: &Plan) -> Self {
        let is_by_level = plan.rate.is_some() && plan.destinations <= BY_LEVEL_DESTINATIONS_MAX;
        let histograms = if is_by_level { plan.levels } else { 1 };
        Self {
            first_ns: 0,
            last_ns: 0,
            has_pieces: is_by_level,
            latency: (0..histograms).map(|_| histogram()).collect(),
            pieces: Vec::new(),
            slices: BTreeMap::new(),
        }
    }

    /// So many right frames came with one read.
    pub(super) fn count(&mut self, frames: u64, now_ns: u64) {
        if frames == 0 {
            return;
        }
        if self.slices.is_empty() {
            self.first_ns = now_ns;
        }
        self.last_ns = now_ns;
        *self.slices.entry(now_ns / SLICE_NS).or_default() += frames;
    }

    /// One of them is measured, so long after its round's first due time.
    #[inline]
    pub(super) fn record(&mut self, level: usize, latency_ns: u64, since_ns: u64) {
        let last = self.latency.len() - 1;
        self.latency[level.min(last)].saturating_record(latency_ns);
        if self.has_pieces {
            let piece = (since_ns / PIECE_NS) as usize % PIECES_MAX;
            if piece >= self.pieces.len() {
                self.pieces.resize_with(piece + 1, histogram);
            }
            self.pieces[piece].saturating_record(latency_ns);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.latency, &other.latency);
        add(&mut self.pieces, &other.pieces);
        if other.slices.is_empty() {
            return;
        }
        if self.slices.is_empty() {
            self.first_ns = other.first_ns;
        }
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        for (slice, frames) in &other.slices {
            *self.slices.entry(*slice).or_default() += frames;
        }
    }

    pub(super) fn report(self) -> ArrivalReport {
        let mut all = histogram();
        for it in &self.latency {
            all.add(it).expect("equal bounds");
        }
        let [first, last] = [self.first_ns, self.last_ns].map(|it| it / SLICE_NS);
        let frames = |slice| self.slices.get(&slice).copied().unwrap_or_default();
        let timeline = match self.slices.is_empty() {
            true => Vec::new(),
            false => (first..=last).map(frames).collect(),
        };
        let by_level = match self.latency.len() > 1 && !all.is_empty() {
            true => self.latency.iter().map(Curve::new).collect(),
            false => Vec::new(),
        };
        ArrivalReport {
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            latency: (!all.is_empty()).then(|| Curve::new(&all)),
            by_level,
            pieces: self.pieces.iter().map(Curve::new).collect(),
            timeline,
        }
    }
}

fn add(mine: &mut Vec<Histogram<u64>>, theirs: &[Histogram<u64>]) {
    mine.resize_with(mine.len().max(theirs.len()), histogram);
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        mine.add(theirs).expect("equal bounds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(at: &[(u64, u64)]) -> Arrivals {
        let mut arrivals = Arrivals::new(&Plan::at_rate(1, 1, 0, 390));
        for &(slice, frames) in at {
            arrivals.count(frames, slice * SLICE_NS + 5);
        }
        arrivals
    }

    #[test]
    fn the_timelines_of_subscribers_that_began_apart_add_up_slice_by_slice() {
        for (mut one, other) in [
            (arrivals(&[(10, 1), (12, 2)]), arrivals(&[(8, 4), (10, 8)])),
            (arrivals(&[(8, 4), (10, 8)]), arrivals(&[(10, 1), (12, 2)])),
        ] {
            one.add(&other);
            one.add(&arrivals(&[]));
            let report = one.report();
            assert_eq!(report.timeline, [4, 0, 9, 0, 2]);
            assert_eq!(report.first_ns, 8 * SLICE_NS + 5);
            assert_eq!(report.last_ns, 12 * SLICE_NS + 5);
        }
        let mut none = arrivals(&[]);
        none.add(&arrivals(&[(3, 7)]));
        assert_eq!(none.report().timeline, [7]);
    }

    #[test]
    fn the_levels_curves_are_parts_of_the_whole() {
        let mut arrivals = arrivals(&[]);
        (0..9).for_each(|it| {
            arrivals.record(it % 3, 1_000 * (it as u64 + 1), it as u64 * 2_000_000_000)
        });
        let report = arrivals.report();
        assert_eq!(report.latency.map(|it| it.count), Some(9));
        let counts: Vec<u64> = report.by_level.iter().map(|it| it.count).collect();
        assert_eq!(counts, [3, 3, 3]);
        let counts: Vec<u64> = report.pieces.iter().map(|it| it.count).collect();
        assert_eq!(counts, [3, 2, 3, 1], "pieces of five seconds");
        assert!(report.by_level[0].max < report.by_level[2].max);
    }
}
