//! The figures of a round: each with its name, its unit and where it stands in an outcome. Tables,
//! pictures, aims and comparisons are all made of these.

use crate::curve::Curve;
use crate::round::Outcome;
use crate::spread::Unit;

/// A figure of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// Over its column.
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
    pub(crate) of: Of,
}

/// Which way a figure improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    More,
    Less,
    /// It only explains the others.
    Neither,
}

/// Where a figure stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    Round(fn(&Outcome) -> f64),
    /// What not every party has.
    Maybe(fn(&Outcome) -> Option<f64>),
    /// What only some benchmarks add to an outcome, under this name.
    Extra(&'static str),
    /// A figure of the latencies at this quantile: of several rounds, of all values together.
    Latency(f64, fn(&Curve) -> u64),
    /// The same of how late the sources were.
    Late(f64, fn(&Curve) -> u64),
}

const fn figure(name: &'static str, unit: Unit, better: Better, of: Of) -> Figure {
    Figure {
        name,
        unit,
        better,
        of,
    }
}

const fn round(name: &'static str, unit: Unit, better: Better, of: fn(&Outcome) -> f64) -> Figure {
    figure(name, unit, better, Of::Round(of))
}

const fn latency(name: &'static str, quantile: f64, of: fn(&Curve) -> u64) -> Figure {
    figure(name, Unit::Time, Better::Less, Of::Latency(quantile, of))
}

const fn late(name: &'static str, quantile: f64, of: fn(&Curve) -> u64) -> Figure {
    figure(name, Unit::Time, Better::Neither, Of::Late(quantile, of))
}

/// A figure that a benchmark adds to its outcomes.
pub(crate) const fn extra(name: &'static str, key: &'static str, unit: Unit) -> Figure {
    figure(name, unit, Better::Neither, Of::Extra(key))
}

pub(crate) const RATE: Figure = round("msg/s", Unit::Count, Better::More, |it| it.rate);
pub(crate) const BANDWIDTH: Figure = round("MB/s", Unit::Bandwidth, Better::Neither, |it| {
    it.rate * it.frame_len as f64
});
pub(crate) const P50: Figure = latency("p50", 0.5, |it| it.p50);
pub(crate) const P90: Figure = latency("p90", 0.9, |it| it.p90);
pub(crate) const P99: Figure = latency("p99", 0.99, |it| it.p99);
pub(crate) const P999: Figure = latency("p99.9", 0.999, |it| it.p999);
pub(crate) const P9999: Figure = latency("p99.99", 0.9999, |it| it.p9999);
/// The longest of all rounds; it is never thin.
pub(crate) const MAX: Figure = latency("max", 0.0, |it| it.max);
pub(crate) const LATE_P50: Figure = late("sources late p50", 0.5, |it| it.p50);
pub(crate) const LATE_P99: Figure = late("sources late p99", 0.99, |it| it.p99);
pub(crate) const SUBJECT_CPU: Figure = round("CPU a message", Unit::Cpu, Better::Less, |it| {
    it.cpu_ns(it.usage.cpu_seconds)
});
pub(crate) const SOURCES_CPU: Figure = round("sources' CPU", Unit::Cpu, Better::Neither, |it| {
    it.cpu_ns(it.harness.source.cpu_seconds)
});
pub(crate) const SINKS_CPU: Figure = round("subscribers' CPU", Unit::Cpu, Better::Neither, |it| {
    it.cpu_ns(it.harness.sink.cpu_seconds)
});
pub(crate) const BUSY: Figure = round("cores busy", Unit::Percent, Better::Less, |it| {
    it.usage.cpu_seconds / it.seconds * 100.0
});
pub(crate) const WAITS: Figure = round("waits a second", Unit::Count, Better::Less, |it| {
    it.usage.waits as f64 / it.seconds
});
pub(crate) const FAST_PATH: Figure = figure(
    "fast path",
    Unit::Percent,
    Better::Neither,
    Of::Maybe(|it| it.fast_path.map(|part| part * 100.0)),
);
pub(crate) const RESIDENT: Figure = round("resident", Unit::Bytes, Better::Less, |it| {
    it.usage.resident_kib as f64 * 1024.0
});
pub(crate) const RESIDENT_MAX: Figure =
    round("resident at most", Unit::Bytes, Better::Less, |it| {
        it.usage.resident_max_kib as f64 * 1024.0
    });

/// What every table ends with: the processor time of all parties for a message.
pub(crate) const CPU: [Figure; 3] = [SUBJECT_CPU, SOURCES_CPU, SINKS_CPU];

impl Figure {
    /// Of one round; nothing where the party has none.
    pub(crate) fn of(&self, outcome: &Outcome) -> f64 {
        self.find(outcome).unwrap_or_default()
    }

    pub(crate) fn find(&self, outcome: &Outcome) -> Option<f64> {
        match self.of {
            Of::Round(of) => Some(of(outcome)),
            Of::Maybe(of) => of(outcome),
            Of::Extra(key) => outcome.extra.get(key).copied(),
            Of::Latency(_, of) => Some(of(&outcome.received.latency()) as f64),
            Of::Late(_, of) => Some(of(&outcome.late()) as f64),
        }
    }
}
