//! The target: 10,000 msg/s for a minute, and nothing lost. PASS or FAIL.

use clap::Args;
use serde_json::json;

use super::latency::{show, shown};
use super::{faults, say};
use crate::cli::Common;
use crate::engine::Settings;
use crate::error::PerfError;
use crate::plan::Plan;
use crate::report::{Section, Table};
use crate::round::{Lab, Outcome, Subject};
use crate::spread::rate;

const RATE: u64 = 10_000;
const SECONDS: u64 = 60;
const SECONDS_QUICK: u64 = 5;
const WARMUP_SECONDS: u64 = 1;
const FRAME_LEN: usize = 390;
/// Of the rate asked for, over a time that may end as late as the p99 allows for its last frame.
const RATE_PART_MIN: f64 = 0.998;
/// The budget of the design.
const RESIDENT_KIB_MAX: u64 = 64 * 1024;
/// A human sees nothing of it, and no queue grows.
const P99_MS_MAX: u64 = 10;

const TEXT: &str = "The engine takes four sources' frames on a fixed schedule and hands them to \
four subscribers, who check that every frame comes exactly once, in order, unchanged. Latency runs \
from the time a frame was due to its arrival.";

/// What `target` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct TargetArgs {
    /// Messages a second.
    #[arg(
        long, value_name = "N", default_value_t = RATE,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000)
    )]
    rate: u64,
    /// For how long [default: 60].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// The p99 that is still good, in ms.
    #[arg(long, value_name = "MS", default_value_t = P99_MS_MAX)]
    p99: u64,
    /// The engine's store: none, sqlite, or a MySQL URL.
    #[arg(long, value_name = "URL", default_value = "sqlite")]
    store: String,
}

impl Default for TargetArgs {
    fn default() -> Self {
        Self {
            rate: RATE,
            seconds: None,
            p99: P99_MS_MAX,
            store: "sqlite".into(),
        }
    }
}

/// One thing that must hold.
struct Check {
    what: &'static str,
    wanted: String,
    found: String,
    holds: bool,
}

/// Plays the target.
///
/// # Errors
/// A process failed.
pub(crate) fn run(lab: &Lab, common: &Common, args: &TargetArgs) -> Result<Section, PerfError> {
    let default = if common.quick { SECONDS_QUICK } else { SECONDS };
    let seconds = args.seconds.unwrap_or(default);
    let plan = Plan::at_rate(args.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
    let settings = Settings {
        store: args.store.clone(),
        ..Settings::new(common.durability)
    };
    say(&format!("target: {} msg/s for {seconds} s", args.rate));
    let outcome = lab.play(Subject::Engine, &plan, &settings)?;
    say(&format!("  {}, {}", show(&outcome), outcome.verdict()));
    Ok(section(args, seconds, &outcome))
}

fn section(args: &TargetArgs, seconds: u64, outcome: &Outcome) -> Section {
    let checks = checks(args, outcome);
    let is_good = checks.iter().all(|it| it.holds);
    let mut table = Table::new(&["figure", "wanted", "found", "verdict"]);
    for check in checks {
        let verdict = if check.holds { "pass" } else { "FAIL" };
        let what = check.what.to_owned();
        table.push([what, check.wanted, check.found, verdict.to_owned()]);
    }
    let latency = outcome.latency();
    for (what, value) in [
        ("p50", latency.p50),
        ("p99.9", latency.p999),
        ("max", latency.max),
    ] {
        table.push([what.into(), String::new(), shown(value), String::new()]);
    }
    let verdict = if is_good { "PASS" } else { "FAIL" };
    let mut notes = faults([outcome]);
    notes.push(format!(
        "**{verdict}**: {} msg/s for {seconds} s",
        args.rate
    ));
    Section {
        title: format!("Target: {} msg/s for {seconds} s: {verdict}", args.rate),
        text: TEXT.into(),
        table,
        notes,
        raw: json!([outcome]),
        is_good,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate fits 52 bits")]
fn checks(args: &TargetArgs, outcome: &Outcome) -> Vec<Check> {
    let usage = outcome.usage;
    let latency = outcome.latency();
    let least = outcome.plan.messages as f64 / (args.rate as f64 * RATE_PART_MIN);
    let seconds_max = least + args.p99 as f64 / 1e3;
    vec![
        Check {
            what: "rate reached, msg/s",
            wanted: rate(args.rate as f64),
            found: rate(outcome.rate),
            holds: outcome.seconds <= seconds_max,
        },
        Check {
            what: "exactly once, in order",
            wanted: outcome.plan.messages.to_string(),
            found: outcome.received.frames.to_string(),
            holds: outcome.is_exact(),
        },
        Check {
            what: "p99",
            wanted: format!("{} ms at most", args.p99),
            found: shown(latency.p99),
            holds: latency.p99 <= args.p99 * 1_000_000,
        },
        Check {
            what: "resident memory",
            wanted: format!("{} MiB at most", RESIDENT_KIB_MAX / 1024),
            found: format!("{} MiB", usage.resident_max_kib / 1024),
            holds: usage.resident_max_kib <= RESIDENT_KIB_MAX,
        },
    ]
}
