//! Idle: what an engine costs that has nothing to do but be connected, by idle strategy.

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::say;
use crate::cli::Common;
use crate::engine::{Idle, Settings, name_of};
use crate::error::PerfError;
use crate::plan::Plan;
use crate::process::Usage;
use crate::report::{Section, Table};
use crate::round::{Lab, Subject, difference, expect_connected, start_sink, start_sources};

const SECONDS: u64 = 10;
const SECONDS_QUICK: u64 = 2;
/// The engine has dialled, subscribed, written its first position: from here on nothing is to do.
const SETTLE: Duration = Duration::from_secs(1);
/// The budget of the design for the default strategy: a percent of a core.
const CPU_PERCENT_MAX: f64 = 1.0;

const TEXT: &str = "Four sources and four subscribers are connected and silent. CPU is of one \
core; waits are how often a thread of the engine went to sleep, hence woke up. `yield` and `spin` \
keep their cores busy on purpose.";

/// What `idle` takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct IdleArgs {
    /// How long each strategy is watched [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

/// Watches every strategy.
///
/// # Errors
/// A process failed.
pub(crate) fn run(lab: &Lab, common: &Common, args: &IdleArgs) -> Result<Section, PerfError> {
    let default = if common.quick { SECONDS_QUICK } else { SECONDS };
    let seconds = args.seconds.unwrap_or(default);
    let mut table = Table::new(&["idle", "CPU", "waits a second", "resident"]);
    let (mut raw, mut is_good) = (Vec::new(), true);
    for idle in [Idle::Backoff, Idle::Yield, Idle::Spin] {
        let settings = Settings {
            idle,
            ..Settings::new(common.durability)
        };
        let (usage, watched) = watch(lab, &settings, Duration::from_secs(seconds))?;
        let percent = usage.cpu_seconds / watched * 100.0;
        is_good &= idle != Idle::Backoff || percent <= CPU_PERCENT_MAX;
        say(&format!("idle: {} {percent:.2} %", name_of(idle)));
        table.push(row(idle, usage, watched));
        raw.push(json!({ "settings": settings, "usage": usage, "seconds": watched }));
    }
    let verdict = if is_good { "PASS" } else { "FAIL" };
    let wanted = format!("**{verdict}**: `backoff` at most {CPU_PERCENT_MAX} % of a core.");
    Ok(Section {
        title: format!("Idle for {seconds} s, no store"),
        text: TEXT.into(),
        table,
        notes: vec![wanted],
        raw: Value::Array(raw),
        is_good,
    })
}

/// What an engine used, and over how many seconds.
fn watch(lab: &Lab, settings: &Settings, time: Duration) -> Result<(Usage, f64), PerfError> {
    let plan = Plan::flat_out(0, 390);
    let (source, addresses) = start_sources(&plan)?;
    let engine = lab.start(Subject::Engine, &plan, settings, &addresses)?;
    let _sink = start_sink(&plan, engine.address, true)?;
    expect_connected(&source)?;
    thread::sleep(SETTLE);
    let (begun, before) = (Instant::now(), engine.child.usage()?);
    thread::sleep(time);
    let usage = difference(before, engine.child.usage()?);
    Ok((usage, begun.elapsed().as_secs_f64()))
}

#[expect(clippy::cast_precision_loss, reason = "waits fit 52 bits")]
fn row(idle: Idle, usage: Usage, seconds: f64) -> [String; 4] {
    [
        name_of(idle),
        format!("{:.2} %", usage.cpu_seconds / seconds * 100.0),
        format!("{:.1}", usage.waits as f64 / seconds),
        format!("{} MiB", usage.resident_kib / 1024),
    ]
}
