//! What one round sends, as all its processes must agree on it: how many frames, of which shape,
//! from which source, due when.
//!
//! The parent makes it and hands it to the parts as JSON; source and sink derive every frame from
//! it. It reads no clock.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

const SECOND_NS: u128 = 1_000_000_000;
/// The source's number has three digits in a frame's id.
pub(crate) const SOURCES_MAX: usize = 999;
/// The destination's number has three digits in its name.
pub(crate) const DESTINATIONS_MAX: usize = 999;
/// A frame's own priority has one digit, and the engine has so many levels.
pub(crate) const LEVELS_MAX: usize = 8;
/// Levels of the simulator's orders, and of the engine as by default.
pub(crate) const LEVELS: usize = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) sources: usize,
    pub(crate) destinations: usize,
    /// Bytes of a frame without its newline; shorter than possible: as short as possible.
    pub(crate) frame_len: usize,
    pub(crate) messages: u64,
    /// Frames a second in all, on schedule; `None`: as fast as the peer takes them.
    pub(crate) rate: Option<u64>,
    /// The first so many frames are verified but not measured.
    pub(crate) warmup: u64,
    pub(crate) levels: usize,
    /// Sources of the round's other plans that are numbered before these.
    pub(crate) first_source: usize,
    /// Destinations of the round's other plans that are numbered before these.
    pub(crate) first_destination: usize,
    /// Frames a second that a subscriber takes at most; `None`: as fast as they come.
    pub(crate) reader_rate: Option<u64>,
    /// Sources and subscribers speak TLS, with the certificate in this folder.
    pub(crate) tls: Option<PathBuf>,
}

impl Plan {
    pub(crate) fn flat_out(messages: u64, frame_len: usize) -> Self {
        Self {
            sources: 4,
            destinations: 4,
            frame_len,
            messages,
            rate: None,
            warmup: 0,
            levels: LEVELS,
            first_source: 0,
            first_destination: 0,
            reader_rate: None,
            tls: None,
        }
    }

    /// At a rate for so long, after a warm-up; in seconds.
    pub(crate) fn at_rate(rate: u64, seconds: u64, warmup_seconds: u64, frame_len: usize) -> Self {
        Self {
            rate: Some(rate),
            warmup: rate * warmup_seconds,
            ..Self::flat_out(rate * (seconds + warmup_seconds), frame_len)
        }
    }

    /// Refuses more sources or destinations than there are names, and none.
    pub(crate) fn check(&self) -> Result<()> {
        for (what, value, max) in [
            ("sources", self.sources, SOURCES_MAX - self.first_source),
            (
                "destinations",
                self.destinations,
                DESTINATIONS_MAX - self.first_destination,
            ),
            ("levels", self.levels, LEVELS_MAX),
        ] {
            ensure!(
                (1..=max).contains(&value),
                "{value} {what}: 1 to {max} are possible"
            );
        }
        ensure!(self.rate != Some(0), "a rate of 0: say 1 or more");
        Ok(())
    }

    /// This plan for parties that are numbered behind those of another one of the same round.
    pub(crate) fn behind(self, other: &Self) -> Self {
        Self {
            first_source: other.first_source + other.sources,
            first_destination: other.first_destination + other.destinations,
            ..self
        }
    }

    /// The names of its destinations.
    pub(crate) fn destination_names(&self) -> Vec<String> {
        let first = self.first_destination + 1;
        let name = |number| format!("table{number:03}");
        (first..first + self.destinations).map(name).collect()
    }

    /// Frames that a source sends: all are dealt out in turn.
    pub(crate) fn messages_of(&self, source: usize) -> u64 {
        let after = self.messages.saturating_sub(source as u64);
        after.div_ceil(self.sources as u64)
    }

    /// The place in the whole plan of a source's frame.
    pub(crate) fn index_of(&self, source: usize, number: u64) -> u64 {
        number * self.sources as u64 + source as u64
    }

    /// When a source's frame is due, in ns after the start: computed, never added up, so a late
    /// frame moves none after it. Flat out all are due at the start.
    pub(crate) fn due_ns(&self, source: usize, number: u64) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        let since = u128::from(self.index_of(source, number)) * SECOND_NS / u128::from(rate);
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// Whether a source's frame is measured.
    pub(crate) fn is_measured(&self, source: usize, number: u64) -> bool {
        self.index_of(source, number) >= self.warmup
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(sources: usize, messages: u64, rate: u64) -> Plan {
        Plan {
            sources,
            rate: Some(rate),
            ..Plan::flat_out(messages, 390)
        }
    }

    #[test]
    fn the_sources_send_the_messages_between_them_whatever_the_remainder() {
        for sources in [1, 3, 4, 256] {
            for messages in [0, 1, 255, 256, 257, 10_007] {
                let plan = plan(sources, messages, 1);
                let sum: u64 = (0..sources).map(|it| plan.messages_of(it)).sum();
                assert_eq!(sum, messages, "{sources} sources");
            }
        }
    }

    #[test]
    fn due_times_are_even_over_all_sources_and_never_drift() {
        let plan = plan(4, 100_000, 30_000);
        let numbers = |source| (0..plan.messages_of(source)).map(move |number| (source, number));
        let dues = (0..4)
            .flat_map(numbers)
            .map(|(source, number)| plan.due_ns(source, number));
        let mut dues: Vec<u64> = dues.collect();
        dues.sort_unstable();
        assert_eq!((dues.len(), dues[0]), (100_000, 0));
        assert_eq!(dues[30_000], 1_000_000_000);
        assert_eq!(dues[90_000], 3_000_000_000);
        let gaps = dues.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.clone().all(|gap| gap == 33_333 || gap == 33_334));
    }

    #[test]
    fn the_warm_up_is_the_first_of_all_sources_together() {
        let plan = Plan::at_rate(1_000, 2, 1, 390);
        assert_eq!(plan.messages, 3_000);
        let measured = (0..4)
            .flat_map(|source| (0..plan.messages_of(source)).map(move |number| (source, number)))
            .filter(|&(source, number)| plan.is_measured(source, number));
        let dues: Vec<u64> = measured.map(|(s, n)| plan.due_ns(s, n)).collect();
        assert_eq!(dues.len(), 2_000);
        assert!(dues.iter().all(|due| *due >= 1_000_000_000));
    }

    #[test]
    fn plans_of_one_round_share_no_source_and_no_destination() {
        let first = Plan::flat_out(10, 390);
        let second = Plan::flat_out(10, 390).behind(&first);
        let third = Plan::flat_out(10, 390).behind(&second);
        assert_eq!((third.first_source, third.first_destination), (8, 8));
        assert_eq!(second.destination_names()[0], "table005");
        assert_eq!(third.destination_names().len(), 4);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(plan(0, 1, 1).check().is_err() && plan(1_000, 1, 1).check().is_err());
        assert!(plan(4, 1, 0).check().is_err() && plan(256, 1, 1).check().is_ok());
    }
}
