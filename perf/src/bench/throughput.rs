//! Flat out: how many messages a second pass from the sources to the customers, exactly delivered.
//!
//! Cases differ in one thing from the base: 390-byte frames, four sources, four subscribers.

use clap::Args;
use serde_json::json;

use crate::common::{Bench, Common, FRAME_LEN};
use crate::engine::{Settings, store_name};
use crate::error::PerfError;
use crate::picture::{Axis, Scale, bars};
use crate::plan::Plan;
use crate::process::Usage;
use crate::report::{Aim, Section, Table};
use crate::round::Outcome;
use crate::rounds::{Contestant, Played, are_exact, faults, outcomes, play};
use crate::screen::say;
use crate::spread::{rate, ratio};
use crate::testbed::Testbed;

const SOURCES: usize = 4;
const ROUNDS: u32 = 5;
const MESSAGES: u64 = 2_000_000;
const MESSAGES_QUICK: u64 = 200_000;
/// A round of long frames sends fewer: what it sends is the journal's size on disk, too.
const BYTES_MAX: u64 = 1 << 30;
/// Of the relay's rate, by the budget of the design; half is the aim beyond it.
const RATIO_MIN: f64 = 0.4;

const TEXT: &str = "Every source writes as fast as the peer takes it, from the moment all are \
connected and subscribed; the time runs to the arrival of the last frame. Every subscriber checks \
that it got exactly its frames, each once, in the order of source and level, unchanged. The relay \
in the engine's place only searches each line for its destination and copies it. Medians, with \
the least and the most; the ratio is taken within each pair of rounds played one after the other. \
Fast path: lines whose shape the engine's parser knew; simd-json parsed the others. \
CPU is the processor time for a message: the engine's, the relay's, and in the engine's round that \
of the sources and subscribers themselves; all processes share the machine.";

/// What `throughput` takes. Several values: a case each.
#[derive(Debug, Clone, Args)]
pub(crate) struct ThroughputArgs {
    /// Messages a round [default: 2000000, fewer of long frames].
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Bytes of a frame; 0, or too few for an order: as short as possible [default: 390, and with
    /// 4 sources also the shortest, 1024 and 8192].
    #[arg(long, value_name = "BYTES", value_delimiter = ',')]
    size: Vec<usize>,
    /// How many sources [default: 4, and with 390 bytes also 1, 16 and 256].
    #[arg(long, value_name = "N", value_delimiter = ',')]
    sources: Vec<usize>,
    /// How many destinations, with a subscriber each.
    #[arg(long, value_name = "N", default_value = "4")]
    destinations: usize,
    /// The engine's store: none, sqlite, or a MySQL URL; of several the first is the base.
    #[arg(long, value_name = "URL", value_delimiter = ',', default_values = ["none", "sqlite"])]
    store: Vec<String>,
}

/// What sets a case apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    size: usize,
    sources: usize,
    store: String,
}

impl ThroughputArgs {
    /// The base with every store, then everything that was asked for, or else the usual.
    fn cases(&self) -> Vec<Case> {
        let is_usual = self.size.is_empty() && self.sources.is_empty();
        let or = |values: &[usize], default| match values {
            [] => vec![default],
            values => values.to_vec(),
        };
        let mut cases = Vec::new();
        for store in &self.store {
            for size in or(&self.size, FRAME_LEN) {
                let case = |sources| Case {
                    size,
                    sources,
                    store: store.clone(),
                };
                cases.extend(or(&self.sources, SOURCES).into_iter().map(case));
            }
        }
        if let Some(base) = cases.first().cloned().filter(|_| is_usual) {
            let case = |size, sources| Case {
                size,
                sources,
                ..base.clone()
            };
            cases.extend([0, 1024, 8192].map(|size| case(size, SOURCES)));
            cases.extend([1, 16, 256].map(|sources| case(FRAME_LEN, sources)));
        }
        cases
    }

    fn messages(&self, size: usize, is_quick: bool) -> u64 {
        let wanted = match is_quick {
            true => MESSAGES_QUICK,
            false => MESSAGES,
        };
        let most = BYTES_MAX / size.max(1) as u64;
        self.messages.unwrap_or_else(|| wanted.min(most))
    }
}

impl Bench for ThroughputArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let rounds = common.rounds(ROUNDS);
        let cases = self.cases();
        let mut all = Vec::new();
        for case in &cases {
            let (Case { size, sources, .. }, store) = (case, store_name(&case.store));
            let plan = Plan {
                sources: *sources,
                destinations: self.destinations,
                ..Plan::flat_out(self.messages(*size, common.quick), *size)
            };
            say(&format!(
                "throughput: {size} B, {sources} sources, store {store}"
            ));
            let settings = Settings {
                store: case.store.clone(),
                ..common.settings()
            };
            let modes = &common.threads;
            let contestants = Contestant::engines_and_relay(&plan, &settings, modes);
            all.push(play(testbed, &contestants, rounds, |it| {
                format!("{} msg/s", rate(it.rate))
            })?);
        }
        section(&cases, &all, rounds)
    }
}

fn section(cases: &[Case], all: &[Vec<Played>], rounds: u32) -> Result<Section, PerfError> {
    let mut table = Table::new(&[
        "frame",
        "sources",
        "messages",
        "store",
        "subject",
        "engine msg/s",
        "relay msg/s",
        "ratio",
        "engine MB/s",
        "fast path",
        "engine CPU",
        "relay CPU",
        "harness CPU",
    ]);
    for (case, played) in cases.iter().zip(all) {
        let (relay, engines) = sides(played);
        for engine in engines {
            table.push(row(&case.store, engine, relay));
        }
    }
    let base = &all[0];
    let found = base[0].ratio(sides(base).0, |it| it.rate);
    let reached = rate(base[0].spread(|it| it.rate).median);
    let every = || all.iter().flat_map(|it| outcomes(it));
    Ok(Section {
        title: format!("Throughput, flat out, {rounds} pairs of rounds"),
        summary: format!(
            "Flat out it delivers {reached} msg/s, {} of a relay that only copies.",
            ratio(found.median)
        ),
        text: TEXT.into(),
        table,
        aims: vec![Aim::new(
            "engine over relay, first row",
            format!("{RATIO_MIN} at least, 0.5 beyond"),
            found.show(ratio),
            found.median >= RATIO_MIN,
        )],
        pictures: vec![picture(cases, all)?],
        notes: faults(every()),
        raw: every().map(|it| json!(it)).collect(),
        is_good: are_exact(every()),
    })
}

/// The relay, which played last, and the engine in each threading mode.
fn sides(played: &[Played]) -> (&Played, &[Played]) {
    let (relay, engines) = played.split_last().expect("the relay plays each case");
    (relay, engines)
}

fn picture(cases: &[Case], all: &[Vec<Played>]) -> Result<crate::picture::Picture, PerfError> {
    let name = |(case, played): (&Case, &Vec<Played>)| {
        let len = played[0].outcomes[0].frame_len;
        let store = store_name(&case.store);
        format!("{len} B, {}, {store}", case.sources)
    };
    let names: Vec<String> = cases.iter().zip(all).map(name).collect();
    let series = (0..all[0].len()).map(|index| {
        let median = |it: &Vec<Played>| it[index].spread(|it| it.rate).median;
        (all[0][index].name.clone(), all.iter().map(median).collect())
    });
    let series: Vec<_> = series.collect();
    let y = Axis {
        label: "messages a second",
        scale: Scale::Count,
    };
    let title = "Throughput by frame length, sources and store";
    bars("rate", title, y, &names, &series)
}

fn row(store: &str, engine: &Played, relay: &Played) -> [String; 13] {
    let first = &engine.outcomes[0];
    let cpu = |played: &Played, usage: fn(&Outcome) -> Usage| {
        let spread = played.spread(|it| cpu_ns(it, usage(it)));
        format!("{:.0} ns", spread.median)
    };
    let sources = |it: &Outcome| it.harness.source;
    let sinks = |it: &Outcome| it.harness.sink;
    [
        format!("{} B", first.frame_len),
        first.plan.sources.to_string(),
        first.plan.messages.to_string(),
        store_name(store),
        engine.name.clone(),
        engine.spread(|it| it.rate).show(rate),
        relay.spread(|it| it.rate).show(rate),
        engine.ratio(relay, |it| it.rate).show(ratio),
        engine.spread(megabytes).show(|it| format!("{it:.0}")),
        match first.fast_path {
            Some(_) => format!("{:.2} %", engine.spread(fast_path).median),
            None => "-".into(),
        },
        cpu(engine, |it| it.usage),
        cpu(relay, |it| it.usage),
        format!("{} + {}", cpu(engine, sources), cpu(engine, sinks)),
    ]
}

/// In per cent.
fn fast_path(outcome: &Outcome) -> f64 {
    outcome.fast_path.unwrap_or_default() * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "frame lengths fit 52 bits")]
fn megabytes(outcome: &Outcome) -> f64 {
    outcome.rate * outcome.frame_len as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "frames of a round fit 52 bits")]
fn cpu_ns(outcome: &Outcome, usage: Usage) -> f64 {
    usage.cpu_seconds * 1e9 / outcome.plan.messages.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ThroughputArgs,
    }

    fn args(words: &[&str]) -> ThroughputArgs {
        let line = [&["throughput"], words].concat();
        Line::try_parse_from(line).expect("a good line").args
    }

    #[test]
    fn every_value_is_a_case_and_long_frames_are_fewer() {
        let usual = args(&[]);
        assert_eq!(usual.cases().len(), 2 + 6);
        assert_eq!(usual.cases()[0].size, 390);
        let asked = args(&["--size", "0,390", "--sources", "1,16"]);
        assert_eq!(asked.cases().len(), 2 * 2 * 2);
        assert_eq!(usual.messages(390, false), 2_000_000);
        assert_eq!(usual.messages(8192, false), 131_072);
    }
}
