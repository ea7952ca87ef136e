//! Idle: what an engine costs that has nothing to do but be connected, by idle strategy.

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::common::{Bench, Common, FRAME_LEN};
use crate::engine::{Idle, Settings, name_of};
use crate::error::PerfError;
use crate::lane::Lane;
use crate::plan::Plan;
use crate::process::Usage;
use crate::report::{Aim, Section, Table};
use crate::screen::say;
use crate::testbed::Testbed;

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
#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArgs {
    /// How long each strategy is watched [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

impl Bench for IdleArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        let mut table = Table::new(&["idle", "CPU", "waits a second", "resident"]);
        let (mut raw, mut percents) = (Vec::new(), Vec::new());
        for idle in [Idle::Backoff, Idle::Yield, Idle::Spin] {
            let settings = Settings {
                idle,
                ..common.settings()
            };
            let (usage, watched) = watch(testbed, &settings, Duration::from_secs(seconds))?;
            let percent = usage.cpu_seconds / watched * 100.0;
            say(&format!("idle: {} {percent:.2} %", name_of(idle)));
            table.push(row(idle, usage, watched));
            raw.push(json!({ "settings": settings, "usage": usage, "seconds": watched }));
            percents.push(percent);
        }
        let found = format!("{:.2} %", percents[0]);
        let is_met = percents[0] <= CPU_PERCENT_MAX;
        let wanted = format!("under {CPU_PERCENT_MAX} % of a core");
        Ok(Section {
            title: format!("Idle for {seconds} s, no store"),
            summary: format!("With nothing to do the engine takes {found} of a core."),
            text: TEXT.into(),
            table,
            aims: vec![Aim::new("CPU idle, backoff", wanted, found, is_met)],
            raw: Value::Array(raw),
            is_good: true,
            ..Section::default()
        })
    }
}

/// What an engine used, and over how many seconds.
fn watch(
    testbed: &Testbed,
    settings: &Settings,
    time: Duration,
) -> Result<(Usage, f64), PerfError> {
    let (mut lane, addresses) = Lane::listening(Plan::flat_out(0, FRAME_LEN))?;
    let engine = testbed.start_engine(settings, &addresses, &lane.plan.destination_names())?;
    lane.subscribe(engine.address, &["--silent"])?;
    lane.expect_connected()?;
    thread::sleep(SETTLE);
    let (begun, before) = (Instant::now(), engine.child.usage()?);
    thread::sleep(time);
    let usage = engine.child.usage()?.since(before);
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
