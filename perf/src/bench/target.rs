//! The target: 10,000 msg/s for a minute, and nothing lost. PASS or FAIL.

use clap::Args;
use serde_json::json;

use super::latency::show;
use crate::common::{Bench, Common, FRAME_LEN};
use crate::engine::{Settings, store_name};
use crate::error::PerfError;
use crate::picture::percentiles;
use crate::plan::Plan;
use crate::report::{Section, Table};
use crate::round::Outcome;
use crate::rounds::faults;
use crate::screen::say;
use crate::spread::{rate, shown};
use crate::testbed::{Subject, Testbed};

const RATE: u64 = 10_000;
const SECONDS: u64 = 60;
const SECONDS_QUICK: u64 = 5;
const WARMUP_SECONDS: u64 = 1;
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

/// One thing that must hold.
struct Check {
    what: &'static str,
    wanted: String,
    found: String,
    holds: bool,
}

impl Bench for TargetArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        let plan = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
        let settings = Settings {
            store: self.store.clone(),
            ..common.settings()
        };
        say(&format!("target: {} msg/s for {seconds} s", self.rate));
        let outcome = testbed.play(Subject::Engine, &plan, &settings)?;
        say(&format!("  {}, {}", show(&outcome), outcome.verdict()));
        section(self, seconds, &outcome)
    }
}

fn section(args: &TargetArgs, seconds: u64, outcome: &Outcome) -> Result<Section, PerfError> {
    let checks = checks(args, outcome);
    let is_good = checks.iter().all(|it| it.holds);
    let mut table = Table::new(&["figure", "wanted", "found", "verdict"]);
    for check in checks {
        let verdict = if check.holds { "pass" } else { "FAIL" };
        let what = check.what.to_owned();
        table.push([what, check.wanted, check.found, verdict.to_owned()]);
    }
    let latency = outcome.received.latency();
    for (what, value) in [
        ("p50", latency.p50),
        ("p99.9", latency.p999),
        ("max", latency.max),
    ] {
        table.push([what.into(), String::new(), shown(value), String::new()]);
    }
    let verdict = if is_good { "PASS" } else { "FAIL" };
    let title = format!("Target: {} msg/s for {seconds} s: {verdict}", args.rate);
    let mut notes = faults([outcome]);
    let goal = format!("{} msg/s for {seconds} s", args.rate);
    notes.push(format!("**{verdict}**: {goal}"));
    let picture = percentiles("latency", &title, &[("engine".into(), latency.clone())])?;
    Ok(Section {
        title,
        summary: format!(
            "{goal}, store {}: {verdict}, p50 {}, p99 {}.",
            store_name(&args.store),
            shown(latency.p50),
            shown(latency.p99)
        ),
        text: TEXT.into(),
        table,
        pictures: vec![picture],
        notes,
        raw: json!([outcome]),
        is_good,
        ..Section::default()
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate fits 52 bits")]
fn checks(args: &TargetArgs, outcome: &Outcome) -> Vec<Check> {
    let usage = outcome.usage;
    let latency = outcome.received.latency();
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
