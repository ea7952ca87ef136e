//! How an interval changes hands: the scheduler agent holds the [`Recorder`], the monitor the
//! [`Collector`]. The mechanism is in `ring/exchange.rs`.

use super::{Interval, Totals};
use crate::message::Level;
use crate::ring::exchange::{self, Reuse, Writer};

/// The scheduler's end: the active interval, and its swap once a duty cycle.
pub type Recorder = Writer<Interval>;

/// The monitor's end.
pub type Collector = exchange::Collector<Interval>;

/// Makes both ends and the two intervals.
#[must_use]
pub fn exchange(levels: Level, destinations: usize) -> (Recorder, Collector) {
    exchange::exchange(|| Interval::new(levels, destinations))
}

impl Reuse for Interval {
    fn clear(&mut self) {
        self.clear();
    }
}

impl Collector {
    /// Adds what came back since the last call, and asks for the next. So the totals lag one call
    /// behind, save for the last call after the recorder has gone: that one has everything.
    pub fn collect(&mut self, totals: &mut Totals) {
        self.collect_with(|interval| totals.merge(interval));
    }

    /// As [`Collector::collect`], for whoever adds intervals up himself.
    pub(crate) fn collect_with(&mut self, take: impl FnMut(&Interval)) {
        self.poll(take);
        self.ask();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{Stage, View};

    #[test]
    fn the_last_call_after_the_recorder_has_gone_has_everything() {
        const VIEW: View = View::Stage(Stage::Ingest);
        let (mut recorder, mut collector) = exchange(1, 1);
        let mut totals = Totals::new(1, 1);
        for lagging in 0..5 {
            recorder.active_mut().record(Stage::Ingest, 1, 0, 500, 1);
            collector.collect(&mut totals);
            assert_eq!(totals.count(VIEW), lagging);
            assert!(recorder.poll_swap());
        }
        recorder.active_mut().record(Stage::Ingest, 1, 0, 500, 1);
        drop(recorder);
        collector.collect(&mut totals);
        assert_eq!(totals.count(VIEW), 6);
        assert_eq!(totals.histogram(VIEW).len(), 6);
    }
}
