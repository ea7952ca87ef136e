//! Interval logs over time: a histogram a step, for each tag.
//!
//! The `histogram` command feeds it with the lines of logs; its table and the pictures show the steps. It
//! opens no file and knows no time but that of the lines.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::log_lines::{Entry, HlogError};
use crate::limits::LATENCY_COUNTS_MAX;

/// Steps that people like, in us.
const STEPS_US: [u64; 20] = {
    let mut steps = [
        1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200,
        86_400, 172_800, 604_800,
    ];
    let mut at = 0;
    while at < steps.len() {
        steps[at] *= 1_000_000;
        at += 1;
    }
    steps
};

/// A time, and what was measured in it.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// In us since the epoch, or since the log began.
    pub(crate) start_us: u64,
    pub(crate) length_us: u64,
    /// `None`: the logs have nothing of this time.
    pub(crate) histogram: Option<Histogram<u64>>,
}

impl Step {
    /// Its last moment.
    pub(crate) fn end_us(&self) -> u64 {
        self.start_us.saturating_add(self.length_us)
    }
}

/// The steps of each tag.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// `None`: the intervals of the logs are the steps.
    step_us: Option<u64>,
    by_tag: BTreeMap<String, BTreeMap<u64, Step>>,
    /// Counts of all histograms, empty or not.
    counts: usize,
}

impl Timeline {
    /// Nothing yet, in steps of this length.
    pub(crate) fn new(step_us: Option<u64>) -> Self {
        let step_us = step_us.map(|it| it.max(1));
        Self {
            step_us,
            ..Self::default()
        }
    }

    /// Adds a line to the step in which it begins.
    ///
    /// # Errors
    /// Its histogram cannot be read, or too much was added.
    pub(crate) fn add(&mut self, entry: &Entry<'_>) -> Result<(), HlogError> {
        let histogram = entry.histogram()?;
        self.put(entry.tag, entry.start_us, entry.length_us, histogram)
            .map_err(|why| entry.refused(why))
    }

    /// The same in longer steps.
    ///
    /// # Errors
    /// Two histograms do not fit into one.
    pub(crate) fn in_steps_of(&self, step_us: u64) -> Result<Self, String> {
        let mut coarse = Self::new(Some(step_us));
        for (tag, steps) in &self.by_tag {
            for step in steps.values() {
                if let Some(histogram) = &step.histogram {
                    coarse.put(tag, step.start_us, step.length_us, histogram.clone())?;
                }
            }
        }
        Ok(coarse)
    }

    fn put(
        &mut self,
        tag: &str,
        start_us: u64,
        length_us: u64,
        mut histogram: Histogram<u64>,
    ) -> Result<(), String> {
        let (start_us, length_us) = match self.step_us {
            Some(step_us) => (start_us / step_us * step_us, step_us),
            None => (start_us, length_us),
        };
        if !self.by_tag.contains_key(tag) {
            self.by_tag.insert(tag.to_owned(), BTreeMap::new());
        }
        let steps = self.by_tag.entry(tag.to_owned()).or_default();
        let step = steps.entry(start_us).or_insert(Step {
            start_us,
            length_us,
            histogram: None,
        });
        step.length_us = step.length_us.max(length_us);
        match &mut step.histogram {
            Some(sum) => {
                self.counts -= sum.distinct_values();
                sum.add(histogram).map_err(|it| it.to_string())?;
                self.counts += sum.distinct_values();
            }
            None => {
                // Another log's histograms may reach further.
                histogram.auto(true);
                self.counts += histogram.distinct_values();
                step.histogram = Some(histogram);
            }
        }
        match self.counts {
            0..=LATENCY_COUNTS_MAX => Ok(()),
            _ => Err(
                "all tags and steps together have more counts than fit into memory; choose fewer \
                 with --tag, or a longer --step"
                    .to_owned(),
            ),
        }
    }

    /// Each tag with its steps in the order of time; one step stands for each time without lines.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&str, Vec<Step>)> {
        let tags = self.by_tag.iter();
        tags.map(|(tag, steps)| (tag.as_str(), with_gaps(steps.values())))
    }
}

fn with_gaps<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    for step in steps {
        if let Some(last) = all.last() {
            let (start_us, gap_us) = (last.end_us(), step.start_us.saturating_sub(last.end_us()));
            // Lines begin a moment late: the writer is no clock.
            if gap_us > step.length_us / 2 {
                all.push(Step {
                    start_us,
                    length_us: gap_us,
                    histogram: None,
                });
            }
        }
        all.push(step.clone());
    }
    all
}

/// The shortest step that people like and that makes at most so many of this time. It is twice an
/// interval at least: then each step has a line, though the writer's interval is not exact.
pub(crate) fn step_for(extent_us: u64, interval_us: u64, steps_max: u64) -> u64 {
    let least_us = (extent_us / steps_max.max(1)).max(interval_us.saturating_mul(2));
    let liked = STEPS_US.into_iter().find(|&it| it >= least_us);
    liked.unwrap_or_else(|| least_us.next_multiple_of(STEPS_US[STEPS_US.len() - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::bins;

    const SECOND: u64 = 1_000_000;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = bins::histogram();
        values.iter().for_each(|&it| histogram.record(it).unwrap());
        histogram
    }

    fn put(timeline: &mut Timeline, second: u64, values: &[u64]) {
        let put = timeline.put("a", second * SECOND, SECOND, histogram(values));
        put.unwrap();
    }

    /// Second, length in seconds and count of each step.
    fn steps(timeline: &Timeline) -> Vec<(u64, u64, Option<u64>)> {
        let (tag, steps) = timeline.tags().next().unwrap();
        assert_eq!(tag, "a");
        let counts = steps.iter().map(|it| {
            let count = it.histogram.as_ref().map(Histogram::len);
            (it.start_us / SECOND, it.length_us / SECOND, count)
        });
        counts.collect()
    }

    #[test]
    fn each_line_is_a_step_and_so_is_each_gap() {
        let mut timeline = Timeline::new(None);
        put(&mut timeline, 11, &[7]);
        put(&mut timeline, 10, &[7, 8]);
        put(&mut timeline, 17, &[9]);
        put(&mut timeline, 17, &[9]);
        let expected = [
            (10, 1, Some(2)),
            (11, 1, Some(1)),
            (12, 5, None),
            (17, 1, Some(2)),
        ];
        assert_eq!(steps(&timeline), expected);
    }

    #[test]
    fn longer_steps_add_up_what_begins_in_them() {
        let mut timeline = Timeline::new(None);
        for second in [10, 11, 14, 15, 16, 40] {
            put(&mut timeline, second, &[second]);
        }
        let coarse = timeline.in_steps_of(5 * SECOND).unwrap();
        let expected = [
            (10, 5, Some(3)),
            (15, 5, Some(2)),
            (20, 20, None),
            (40, 5, Some(1)),
        ];
        assert_eq!(steps(&coarse), expected);
        let (_, all) = coarse.tags().next().unwrap();
        assert_eq!(all[0].histogram, Some(histogram(&[10, 11, 14])));
    }

    #[test]
    fn steps_are_round_and_never_shorter_than_two_lines() {
        assert_eq!(step_for(600 * SECOND, SECOND, 60), 10 * SECOND);
        assert_eq!(step_for(86_400 * SECOND, 10 * SECOND, 60), 1_800 * SECOND);
        assert_eq!(step_for(100 * SECOND, 10 * SECOND, 60), 20 * SECOND);
        let year = 365 * 86_400 * SECOND;
        assert_eq!(step_for(10 * year, SECOND, 60), 9 * 604_800 * SECOND);
    }
}
