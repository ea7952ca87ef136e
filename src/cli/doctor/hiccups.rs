//! The hiccup meter: how long, and how often, a thread that spins on a core is held up.
//!
//! A thread on each core reads the clock without pause. Two readings that lie further apart than
//! [`STALL_MIN_NS`] are a stall: an interrupt, another thread, the host. [`Meter`] is the core,
//! which
//! takes readings; [`measure`] runs it on real cores.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::finding::Finding;
use crate::agent::affinity;

const SUBJECT: &str = "hiccups";
/// Below it are the reading of the clock itself and what the processor does by itself.
const STALL_MIN_NS: u64 = 1_000;
/// Stalls kept at most: 8 bytes each, 512 KiB a core. A tick at 1,000 Hz makes 1,000 a second.
const STALLS_MAX: usize = 65_536;
/// Bounds of the histogram that is shown, in us.
const BOUNDS_US: [u64; 5] = [1, 10, 100, 1_000, 10_000];
/// A message of such a core is late by less than a tenth of the path's own time.
const LONGEST_GOOD_US: f64 = 50.0;
/// What the settings ask for (a core of its own) is not so.
const LONGEST_BAD_US: f64 = 10_000.0;

/// The stalls of one core.
#[derive(Debug)]
pub(super) struct Meter {
    begun_ns: u64,
    last_ns: u64,
    stalls_ns: Vec<u64>,
    unkept: u64,
}

impl Meter {
    pub(super) fn starting_at(now_ns: u64) -> Self {
        Self {
            begun_ns: now_ns,
            last_ns: now_ns,
            stalls_ns: Vec::with_capacity(STALLS_MAX),
            unkept: 0,
        }
    }

    /// The clock says this.
    #[inline]
    pub(super) fn read(&mut self, now_ns: u64) {
        let gap_ns = now_ns.saturating_sub(self.last_ns);
        self.last_ns = now_ns;
        if gap_ns < STALL_MIN_NS {
            return;
        }
        match self.stalls_ns.len() < STALLS_MAX {
            true => self.stalls_ns.push(gap_ns),
            false => self.unkept += 1,
        }
    }

    /// What a core did to its thread.
    pub(super) fn hiccups(&self, core: usize) -> Hiccups {
        let mut stalls = histogram();
        for &stall_ns in &self.stalls_ns {
            stalls.saturating_record(stall_ns);
        }
        Hiccups {
            core,
            measured_ns: self.last_ns - self.begun_ns,
            stalled_ns: self.stalls_ns.iter().sum(),
            longest_ns: self.stalls_ns.iter().copied().max().unwrap_or(0),
            unkept: self.unkept,
            stalls,
        }
    }
}

/// From 1 ns to a minute, two digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("these bounds are right")
}

/// The stalls of one core, counted.
#[derive(Debug, Clone)]
pub(super) struct Hiccups {
    pub(super) core: usize,
    pub(super) measured_ns: u64,
    stalled_ns: u64,
    longest_ns: u64,
    unkept: u64,
    stalls: Histogram<u64>,
}

impl Hiccups {
    fn longest_us(&self) -> f64 {
        self.longest_ns as f64 / 1e3
    }

    fn stalled_percent(&self) -> f64 {
        self.stalled_ns as f64 * 100.0 / self.measured_ns.max(1) as f64
    }

    /// How many stalls are as long as each bound, and shorter than the next.
    fn buckets(&self) -> Vec<(u64, u64)> {
        let upper = BOUNDS_US.iter().skip(1).map(|us| us * 1_000 - 1);
        let upper = upper.chain([60_000_000_000]);
        BOUNDS_US
            .iter()
            .zip(upper)
            .map(|(&from_us, to_ns)| (from_us, self.stalls.count_between(from_us * 1_000, to_ns)))
            .collect()
    }

    fn words(&self) -> String {
        let labels = ["1-10 us", "10-100 us", "0.1-1 ms", "1-10 ms", "longer"];
        let buckets = self.buckets();
        let buckets: Vec<String> = labels
            .iter()
            .zip(buckets)
            .map(|(label, (_, count))| format!("{label} {count}"))
            .collect();
        format!(
            "core {}: longest {:.0} us, p99 of the stalls {:.0} us, {:.2} % of {:.1} s lost; {}",
            self.core,
            self.longest_us(),
            self.stalls.value_at_quantile(0.99) as f64 / 1e3,
            self.stalled_percent(),
            self.measured_ns as f64 / 1e9,
            buckets.join(", "),
        )
    }

    /// `is_own`: an agent is pinned to the core.
    pub(super) fn finding(&self, is_own: bool) -> Finding {
        let advice = match is_own {
            true => {
                "keep the core to its agent: see isolcpus, interrupts, sleep states, cpu quota and \
                 steal time here; what is left is the firmware's or the host's"
            }
            false => {
                "other threads take the time: run it while the machine is otherwise idle, or give \
                 the agents cores of their own"
            }
        };
        let found = self.words();
        let finding = match self.longest_us() {
            it if it > LONGEST_BAD_US && is_own => Finding::bad(SUBJECT, found, advice),
            it if it > LONGEST_GOOD_US => Finding::fair(SUBJECT, found, advice),
            _ => Finding::good(SUBJECT, found),
        };
        finding.because(
            "a message that comes in a stall waits until its end; nothing in the \
                         engine can be quicker",
        )
    }

    pub(super) fn json(&self) -> Value {
        let buckets = self.buckets();
        let buckets: Vec<Value> = buckets
            .iter()
            .map(|(from_us, count)| json!({ "from_us": from_us, "count": count }))
            .collect();
        json!({
            "core": self.core,
            "seconds": self.measured_ns as f64 / 1e9,
            "longest_us": self.longest_us(),
            "p99_us": self.stalls.value_at_quantile(0.99) as f64 / 1e3,
            "stalled_percent": self.stalled_percent(),
            "unkept": self.unkept,
            "buckets": buckets,
        })
    }
}

/// Spins on these cores at the same time; a core that cannot be had is left out.
pub(super) fn measure(cores: &[usize], time: Duration) -> Vec<Hiccups> {
    let barrier = Barrier::new(cores.len());
    let barrier = &barrier;
    std::thread::scope(|scope| {
        let threads: Vec<_> = cores
            .iter()
            .map(|&core| scope.spawn(move || spin(core, time, barrier)))
            .collect();
        let ended = threads.into_iter().filter_map(|it| it.join().ok()?);
        ended.collect()
    })
}

fn spin(core: usize, time: Duration, barrier: &Barrier) -> Option<Hiccups> {
    let pinned = affinity::pin("doctor", core);
    barrier.wait();
    pinned.ok()?;
    let begun = Instant::now();
    let mut meter = Meter::starting_at(0);
    let time_ns = time.as_nanos() as u64;
    loop {
        let now_ns = begun.elapsed().as_nanos() as u64;
        meter.read(now_ns);
        if now_ns >= time_ns {
            return Some(meter.hiccups(core));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    /// A meter that reads the clock each 50 ns, but for these gaps.
    fn after(stalls_us: &[u64]) -> Hiccups {
        let mut meter = Meter::starting_at(7);
        let mut now_ns = 7;
        for stall_us in stalls_us {
            for _ in 0..100 {
                now_ns += 50;
                meter.read(now_ns);
            }
            now_ns += stall_us * 1_000;
            meter.read(now_ns);
        }
        meter.hiccups(3)
    }

    #[test]
    fn stalls_are_counted_by_their_length() {
        let hiccups = after(&[2, 20, 25, 300, 4_000, 50_000]);
        let counts: Vec<u64> = hiccups.buckets().iter().map(|it| it.1).collect();
        assert_eq!(counts, [1, 2, 1, 1, 1]);
        assert_eq!(hiccups.longest_ns, 50_000_000);
        let words = hiccups.finding(true).found;
        assert!(words.contains("core 3: longest 50000 us"), "{words}");
        assert!(words.contains("10-100 us 2, 0.1-1 ms 1"), "{words}");
        assert_eq!(hiccups.json()["buckets"][1]["count"], 2);
    }

    #[test]
    fn a_quiet_core_is_good_and_a_loud_one_that_an_agent_has_is_bad() {
        let verdict = |stalls: &[u64], is_own| after(stalls).finding(is_own).verdict;
        assert_eq!(verdict(&[], true), Verdict::Good);
        assert_eq!(verdict(&[5, 40], true), Verdict::Good);
        assert_eq!(verdict(&[5, 400], true), Verdict::Fair);
        assert_eq!(verdict(&[20_000], true), Verdict::Bad);
        assert_eq!(verdict(&[20_000], false), Verdict::Fair);
    }

    #[test]
    fn what_is_too_much_to_keep_is_counted() {
        let mut meter = Meter::starting_at(0);
        for n in 1..=STALLS_MAX as u64 + 3 {
            meter.read(n * 2_000);
        }
        assert_eq!(meter.hiccups(0).unkept, 3);
    }
}
