//! On schedule: how long a message takes from when it was due to its customer, at several rates.
//!
//! The loop is open, so there is no coordinated omission: a frame that could not be sent in time
//! has waited since it was due.

use clap::Args;
use serde_json::json;

use super::{Pair, faults, outcomes, pairs, say};
use crate::cli::Common;
use crate::curve::Curve;
use crate::engine::Settings;
use crate::error::PerfError;
use crate::plan::Plan;
use crate::report::{Section, Table};
use crate::round::{Lab, Outcome};
use crate::spread::{Spread, rate, ratio, time};

const FRAME_LEN: usize = 390;
const RATES: [u64; 4] = [1_000, 10_000, 50_000, 100_000];
const ROUNDS: u32 = 3;
const SECONDS: u64 = 10;
const SECONDS_QUICK: u64 = 2;
const WARMUP_SECONDS: u64 = 1;

const TEXT: &str = "Four sources send on a fixed schedule, whatever happens; every frame carries \
the time at which it was due, and its latency runs from then to the subscriber's read that \
completed it, on one clock. What the source itself was late is in it, for both sides alike, and \
shown. A second of warm-up is verified but not measured. Medians of the rounds, with the least and \
the most for p50 and p99; the ratios are taken within each pair of rounds.";

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
    pub(crate) rate: Vec<u64>,
    /// How long each round is [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Bytes of a frame.
    #[arg(long, value_name = "BYTES", default_value_t = FRAME_LEN)]
    size: usize,
}

impl Default for LatencyArgs {
    fn default() -> Self {
        Self {
            rate: RATES.to_vec(),
            seconds: None,
            size: FRAME_LEN,
        }
    }
}

/// Plays all rates.
///
/// # Errors
/// A process failed.
pub(crate) fn run(lab: &Lab, common: &Common, args: &LatencyArgs) -> Result<Section, PerfError> {
    let rounds = common
        .rounds
        .unwrap_or(if common.quick { 1 } else { ROUNDS });
    let seconds = match (args.seconds, common.quick) {
        (Some(seconds), _) => seconds,
        (None, true) => SECONDS_QUICK,
        (None, false) => SECONDS,
    };
    let settings = Settings::new(common.durability);
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
    let (mut notes, mut raw, mut is_good) = (Vec::new(), Vec::new(), true);
    for &planned in &args.rate {
        let plan = Plan::at_rate(planned, seconds, WARMUP_SECONDS, args.size);
        plan.check()?;
        say(&format!("latency: {planned} msg/s for {seconds} s"));
        let pairs = pairs(lab, &plan, &settings, rounds, show)?;
        table.push(row(planned, "engine", pairs.iter().map(|it| &it.engine)));
        table.push(row(planned, "relay", pairs.iter().map(|it| &it.relay)));
        notes.push(comparison(planned, &pairs));
        notes.extend(faults(outcomes(&pairs)));
        is_good &= outcomes(&pairs).all(Outcome::is_exact);
        raw.extend(outcomes(&pairs).map(|it| json!(it)));
    }
    Ok(Section {
        title: format!("Latency on schedule, {rounds} pairs of rounds of {seconds} s, no store"),
        text: TEXT.into(),
        table,
        notes,
        raw: raw.into(),
        is_good,
    })
}

/// A round in a line.
pub(super) fn show(outcome: &Outcome) -> String {
    let latency = outcome.latency();
    let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(shown);
    format!("p50 {p50}, p99 {p99}, max {max}")
}

/// A latency in words.
#[expect(clippy::cast_precision_loss, reason = "ns of a minute fit 52 bits")]
pub(super) fn shown(ns: u64) -> String {
    time(ns as f64)
}

fn row<'a>(
    planned: u64,
    subject: &str,
    outcomes: impl Iterator<Item = &'a Outcome> + Clone,
) -> [String; 10] {
    let spread = |figure: fn(&Outcome) -> f64| Spread::of(outcomes.clone().map(figure));
    let median = |figure: fn(&Outcome) -> f64| time(spread(figure).median);
    [
        planned.to_string(),
        subject.to_owned(),
        spread(p50).show(time),
        median(|it| float(it.latency().p90)),
        spread(p99).show(time),
        median(|it| float(it.latency().p999)),
        median(|it| float(it.latency().p9999)),
        median(|it| float(it.latency().max)),
        format!(
            "{}, {}",
            median(|it| float(late(it).p50)),
            median(|it| float(late(it).p99))
        ),
        rate(spread(|it| it.rate).median),
    ]
}

fn comparison(planned: u64, pairs: &[Pair]) -> String {
    let of = |figure: fn(&Outcome) -> f64| {
        Spread::of(pairs.iter().map(|it| it.ratio(figure))).show(ratio)
    };
    let (p50, p99) = (of(p50), of(p99));
    format!("At {planned} msg/s, engine over relay: p50 {p50}, p99 {p99}.")
}

fn late(outcome: &Outcome) -> Curve {
    outcome.sent.late.clone().unwrap_or_default()
}

fn p50(outcome: &Outcome) -> f64 {
    float(outcome.latency().p50)
}

fn p99(outcome: &Outcome) -> f64 {
    float(outcome.latency().p99)
}

#[expect(clippy::cast_precision_loss, reason = "ns of a minute fit 52 bits")]
fn float(ns: u64) -> f64 {
    ns as f64
}
