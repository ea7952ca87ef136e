//! Progress, to standard error, so that the result alone is on standard output: what was seen, how
//! many rounds are done, and how long the rest takes.

use std::cell::Cell;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// A run's progress.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    done: Cell<usize>,
    /// Rounds of the present case to come, and those of a case.
    rounds: Cell<[usize; 2]>,
    /// Cases of the present benchmark to come, behind the present one.
    cases: Cell<usize>,
    /// Benchmarks to come, behind the present one.
    benchmarks: Cell<usize>,
}

impl Progress {
    pub(crate) fn new(benchmarks: usize) -> Self {
        Self {
            begun: Instant::now(),
            done: Cell::new(0),
            rounds: Cell::new([0, 0]),
            cases: Cell::new(0),
            benchmarks: Cell::new(benchmarks),
        }
    }

    /// The next benchmark begins.
    pub(crate) fn begin_benchmark(&self) {
        self.benchmarks.set(self.benchmarks.get().saturating_sub(1));
        self.cases.set(0);
    }

    /// The present benchmark has so many cases, each of as many rounds.
    pub(crate) fn expect_cases(&self, cases: usize) {
        self.cases.set(cases);
    }

    /// The next case begins, with so many rounds.
    pub(crate) fn begin_case(&self, rounds: usize) {
        self.cases.set(self.cases.get().saturating_sub(1));
        self.rounds.set([rounds, rounds]);
    }

    /// A round is over.
    pub(crate) fn step(&self, round: u32, rounds: u32, what: &str) {
        self.done.set(self.done.get() + 1);
        let [here, all] = self.rounds.get();
        self.rounds.set([here.saturating_sub(1), all]);
        say(format!("  {round} of {rounds} {what}{}", self.rest()));
    }

    /// What remains: of this benchmark by the pace so far, and how many benchmarks behind it.
    fn rest(&self) -> String {
        let [here, all] = self.rounds.get();
        let rounds = here + all * self.cases.get();
        let seconds = remaining(self.begun.elapsed(), self.done.get(), rounds).as_secs();
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let time = match rounds {
            0 => String::new(),
            _ => format!(" [{rounds} more rounds, about {minutes}:{seconds:02}]"),
        };
        match self.benchmarks.get() {
            0 => time,
            more => format!("{time} [{more} more benchmarks]"),
        }
    }
}

/// How long so many more rounds take, if they go on as those that are done.
fn remaining(elapsed: Duration, done: usize, more: usize) -> Duration {
    elapsed.mul_f64(more as f64 / done.max(1) as f64)
}

pub(crate) fn say(line: impl Display) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_is_counted_and_timed_by_the_pace_so_far() {
        let minute = Duration::from_secs(60);
        assert_eq!(remaining(minute, 6, 3), Duration::from_secs(30));
        let progress = Progress::new(3);
        progress.begin_benchmark();
        progress.expect_cases(2);
        progress.begin_case(2);
        progress.step(1, 2, "");
        let rest = progress.rest();
        assert!(
            rest.contains("[3 more rounds, ") && rest.ends_with("[2 more benchmarks]"),
            "{rest}"
        );
        progress.step(2, 2, "");
        progress.begin_case(2);
        progress.step(1, 2, "");
        progress.step(2, 2, "");
        assert_eq!(progress.rest(), " [2 more benchmarks]");
    }
}
