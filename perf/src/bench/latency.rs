//! On schedule: how long a message takes from when it was due to its customer, at several rates.
//!
//! The loop is open, so there is no coordinated omission: a frame that could not be sent in time
//! has waited since it was due.

use clap::Args;
use serde_json::json;

use crate::common::{Bench, Common, FRAME_LEN};
use crate::curve::Curve;
use crate::error::PerfError;
use crate::picture::{Axis, LATENCY, Picture, Scale, lines, percentiles};
use crate::plan::Plan;
use crate::report::{Aim, Section, Table};
use crate::round::Outcome;
use crate::rounds::{Contestant, Played, are_exact, faults, outcomes, play};
use crate::screen::say;
use crate::spread::{rate, ratio, shown, time};
use crate::testbed::{Subject, Testbed};

const RATES: [u64; 5] = [1_000, 10_000, 40_000, 100_000, 500_000];
const ROUNDS: u32 = 3;
const SECONDS: u64 = 10;
const SECONDS_QUICK: u64 = 2;
const WARMUP_SECONDS: u64 = 1;
/// The rate that the summary speaks of.
const USUAL_RATE: u64 = 10_000;
/// The budget of the design: at a rate, p50 and p99 as a part of the relay's.
const BUDGET: [(u64, f64, f64); 3] = [
    (10_000, 1.25, 1.25),
    (40_000, 1.5, 2.0),
    (100_000, 1.5, 2.0),
];
/// No threading mode is worse than another by more than this: the noise of such rounds.
const MODES_RATIO_MAX: f64 = 1.25;

const TEXT: &str = "Four sources send on a fixed schedule, whatever happens; every frame carries \
the time at which it was due, and its latency runs from then to the subscriber's read that \
completed it, on one clock. What the source itself was late is in it, for all alike, and shown. \
A second of warm-up is verified but not measured. nats-server, where it is on PATH, gets the same \
frames as messages over its own protocol: it keeps no journal, filters no duplicates and drops \
what a subscriber does not take. Medians of the rounds, with the least and the most for p50 and \
p99; the ratios are taken within each round. A rate that is not reached has no latency to speak \
of: it measures how far behind it fell.";

/// What `latency` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct LatencyArgs {
    /// Messages a second, of all sources together; several: a case each.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_values_t = RATES,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000)
    )]
    rate: Vec<u64>,
    /// How long each round is [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Bytes of a frame.
    #[arg(long, value_name = "BYTES", default_value_t = FRAME_LEN)]
    size: usize,
}

impl Bench for LatencyArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let rounds = common.rounds(ROUNDS);
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        let settings = common.settings();
        let mut all = Vec::new();
        for &planned in &self.rate {
            let plan = Plan::at_rate(planned, seconds, WARMUP_SECONDS, self.size);
            let mut contestants = Contestant::engines_and_relay(&plan, &settings, &common.threads);
            if testbed.nats.is_some() {
                contestants.push(Contestant::new(Subject::Nats, &plan, &settings));
            }
            say(&format!("latency: {planned} msg/s for {seconds} s"));
            all.push((planned, play(testbed, &contestants, rounds, show)?));
        }
        section(&all, rounds, seconds)
    }
}

type Figure = fn(&Outcome) -> f64;

/// A rate, and who played it.
type Case = (u64, Vec<Played>);

fn section(all: &[Case], rounds: u32, seconds: u64) -> Result<Section, PerfError> {
    let mut table = Table::new(&[
        "msg/s",
        "subject",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "p99.99",
        "max",
        "source late p50, p99",
        "reached",
    ]);
    let every = || all.iter().flat_map(|(_, played)| outcomes(played));
    let mut notes = faults(every());
    for (planned, played) in all {
        for it in played {
            table.push(row(*planned, it));
        }
        for engine in engines(played) {
            let others = played.iter().filter(|it| it.subject != Subject::Engine);
            notes.extend(others.map(|it| comparison(*planned, engine, it)));
        }
    }
    if every().all(|it| it.subject != Subject::Nats) {
        notes.push(
            "nats-server is not on PATH: not measured (`apt-get install nats-server`).".into(),
        );
    }
    Ok(Section {
        title: format!("Latency on schedule, {rounds} rounds of {seconds} s, no store"),
        summary: summary(all),
        text: TEXT.into(),
        table,
        aims: all.iter().flat_map(aims).collect(),
        pictures: pictures(all)?,
        notes,
        raw: every().map(|it| json!(it)).collect(),
        is_good: are_exact(every()),
    })
}

fn summary(all: &[Case]) -> String {
    let near = |(planned, _): &&Case| planned.abs_diff(USUAL_RATE);
    let Some((planned, played)) = all.iter().min_by_key(near) else {
        return String::new();
    };
    let median = |figure: fn(&Outcome) -> f64| time(played[0].spread(figure).median);
    let (p50, p99) = (median(p50), median(p99));
    format!("At {planned} msg/s half of the messages arrive within {p50}, 99 % within {p99}.")
}

/// A round in a line.
pub(super) fn show(outcome: &Outcome) -> String {
    let latency = outcome.received.latency();
    let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(shown);
    format!("p50 {p50}, p99 {p99}, max {max}")
}

fn row(planned: u64, played: &Played) -> [String; 10] {
    let median = |figure: fn(&Curve) -> u64| {
        let spread = played.spread(|it| float(figure(&it.received.latency())));
        time(spread.median)
    };
    let late =
        |figure: fn(&Curve) -> u64| time(played.spread(|it| float(figure(&late(it)))).median);
    [
        planned.to_string(),
        played.name.clone(),
        played.spread(p50).show(time),
        median(|it| it.p90),
        played.spread(p99).show(time),
        median(|it| it.p999),
        median(|it| it.p9999),
        median(|it| it.max),
        format!("{}, {}", late(|it| it.p50), late(|it| it.p99)),
        rate(played.spread(|it| it.rate).median),
    ]
}

fn comparison(planned: u64, engine: &Played, other: &Played) -> String {
    let of = |figure: Figure| engine.ratio(other, figure).show(ratio);
    let (p50, p99) = (of(p50), of(p99));
    format!(
        "At {planned} msg/s, {} over {}: p50 {p50}, p99 {p99}.",
        engine.name, other.name
    )
}

/// The engine, once for each threading mode.
fn engines(played: &[Played]) -> impl Iterator<Item = &Played> {
    played.iter().filter(|it| it.subject == Subject::Engine)
}

/// Of the first mode beside the relay, and of the first mode beside each other one.
fn aims((planned, played): &Case) -> Vec<Aim> {
    let engine = &played[0];
    let mut aims = Vec::new();
    let mut push = |name: &str, other: &Played, figure: Figure, limit: f64| {
        let found = engine.ratio(other, figure);
        aims.push(Aim::new(
            format!(
                "{}'s {name} at {planned} msg/s over {}'s",
                engine.name, other.name
            ),
            format!("{limit} at most"),
            found.show(ratio),
            found.median <= limit,
        ));
    };
    let budget = BUDGET.iter().find(|(rate, ..)| rate == planned);
    let relay = played.iter().find(|it| it.subject == Subject::Relay);
    if let (Some((_, p50_max, p99_max)), Some(relay)) = (budget, relay) {
        push("p50", relay, p50, *p50_max);
        push("p99", relay, p99, *p99_max);
    }
    for other in engines(played).skip(1) {
        push("p50", other, p50, MODES_RATIO_MAX);
        push("p99", other, p99, MODES_RATIO_MAX);
    }
    aims
}

fn pictures(all: &[Case]) -> Result<Vec<Picture>, PerfError> {
    let mut pictures = Vec::new();
    for (planned, played) in all {
        let curve = |it: &Played| (it.name.clone(), it.middle(p99).received.latency());
        let curves: Vec<_> = played.iter().map(curve).collect();
        let title = format!("Latency at {planned} msg/s");
        pictures.push(percentiles(&planned.to_string(), &title, &curves)?);
    }
    if all.len() > 1 {
        pictures.push(by_rate(all)?);
    }
    Ok(pictures)
}

/// p50 and p99 over the rate.
fn by_rate(all: &[Case]) -> Result<Picture, PerfError> {
    let mut series = Vec::new();
    for (index, it) in all[0].1.iter().enumerate() {
        for (figure_name, figure) in [("p50", p50 as Figure), ("p99", p99)] {
            let point =
                |(planned, played): &Case| (float(*planned), played[index].spread(figure).median);
            let name = format!("{} {figure_name}", it.name);
            series.push((name, all.iter().map(point).collect()));
        }
    }
    let x = Axis {
        label: "messages a second",
        scale: Scale::Logarithm,
    };
    lines("rates", "Latency by rate", [x, LATENCY], &series)
}

fn late(outcome: &Outcome) -> Curve {
    outcome.sent.late.clone().unwrap_or_default()
}

/// The median latency of a round, in ns.
pub(super) fn p50(outcome: &Outcome) -> f64 {
    float(outcome.received.latency().p50)
}

/// The 99th percentile of a round, in ns.
pub(super) fn p99(outcome: &Outcome) -> f64 {
    float(outcome.received.latency().p99)
}

#[expect(clippy::cast_precision_loss, reason = "ns of ten minutes fit 52 bits")]
fn float(ns: u64) -> f64 {
    ns as f64
}
