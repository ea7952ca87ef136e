//! An engine that was killed with a long journal: how long until it is there again.

use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::taken::wait_until_taken;
use crate::common::{Bench, Common, FRAME_LEN};
use crate::engine::Settings;
use crate::error::PerfError;
use crate::lane::Lane;
use crate::picture::{Axis, Scale, bars};
use crate::plan::Plan;
use crate::process::Usage;
use crate::report::{Aim, Section, Table};
use crate::round::Outcome;
use crate::rounds::{are_exact, faults};
use crate::screen::say;
use crate::spread::{Spread, rate};
use crate::testbed::{Subject, Testbed};

const ROUNDS: u32 = 2;
const MESSAGES: u64 = 10_000_000;
const MESSAGES_QUICK: u64 = 100_000;
/// "Ten million records in seconds": not more than ten of them.
const SECONDS_A_MESSAGE_MAX: f64 = 10.0 / 10_000_000.0;

const TEXT: &str = "Four sources send to a customer who is absent; when the engine has accepted \
all, it is killed as by `kill -9` and started again. Ready is when it says that it runs: it has \
read its journal, knows every message that waits and every id of the dedup window. Then the \
customer comes, and checks that each message is there exactly once, in order. The journal is in \
the system's cache, and partly not yet on the disk, as after a crash of the engine alone.";

/// What `recovery` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecoveryArgs {
    /// Messages in the journal [default: 10000000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
}

/// One life after another.
struct Recovered {
    seconds: f64,
    /// When it was ready.
    at_ready: Usage,
    outcome: Outcome,
}

impl Bench for RecoveryArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let messages = common.pick(self.messages, MESSAGES, MESSAGES_QUICK);
        let rounds = common.rounds(ROUNDS);
        let settings = common.settings();
        say(&format!("recovery: {messages} messages in the journal"));
        let mut all = Vec::new();
        for round in 1..=rounds {
            let it = play(testbed, &settings, messages)?;
            say(&format!(
                "  {round} of {rounds} ready after {:.2} s, {} MiB, {}",
                it.seconds,
                it.at_ready.resident_kib / 1024,
                it.outcome.verdict()
            ));
            all.push(it);
        }
        section(&all, messages)
    }
}

fn play(testbed: &Testbed, settings: &Settings, messages: u64) -> Result<Recovered, PerfError> {
    let plan = Plan {
        destinations: 1,
        ..Plan::flat_out(messages, FRAME_LEN)
    };
    let (mut lane, addresses) = Lane::listening(plan)?;
    let engine = testbed.start_engine(settings, &addresses, &lane.plan.destination_names())?;
    lane.expect_connected()?;
    lane.go()?;
    let taken = wait_until_taken(&engine, messages)?;
    if taken < messages {
        let what = format!("stopped reading after {taken} of {messages} messages that wait");
        return Err(engine.child.failed(&what));
    }
    let sent = lane.sent()?;
    let home = engine.kill().expect("an engine has a home");
    let begun = Instant::now();
    let engine = testbed.start_engine_in(home)?;
    let seconds = begun.elapsed().as_secs_f64();
    let at_ready = engine.child.usage()?;
    lane.subscribe(engine.address, &[])?;
    let received = lane.received()?;
    let usage = engine.child.usage()?;
    Ok(Recovered {
        seconds,
        at_ready,
        outcome: Outcome::of(Subject::Engine, &lane, settings, sent, received, usage)?,
    })
}

#[expect(clippy::cast_precision_loss, reason = "messages fit 52 bits")]
fn section(all: &[Recovered], messages: u64) -> Result<Section, PerfError> {
    let mut table = Table::new(&[
        "round",
        "ready after",
        "records a second",
        "CPU",
        "resident when ready",
        "at most until then",
    ]);
    for (round, it) in all.iter().enumerate() {
        table.push([
            (round + 1).to_string(),
            format!("{:.2} s", it.seconds),
            rate(messages as f64 / it.seconds),
            format!("{:.2} s", it.at_ready.cpu_seconds),
            format!("{} MiB", it.at_ready.resident_kib / 1024),
            format!("{} MiB", it.at_ready.resident_max_kib / 1024),
        ]);
    }
    let ready = Spread::of(all.iter().map(|it| it.seconds));
    let limit = (SECONDS_A_MESSAGE_MAX * messages as f64).max(1.0);
    let outcomes = || all.iter().map(|it| &it.outcome);
    let raw = |it: &Recovered| json!({ "outcome": it.outcome, "seconds": it.seconds, "at_ready": it.at_ready });
    let names: Vec<String> = (1..=all.len()).map(|it| format!("round {it}")).collect();
    let y = Axis {
        label: "ready after, ns",
        scale: Scale::LinearTime,
    };
    let values = all.iter().map(|it| it.seconds * 1e9).collect();
    let title = format!("Recovery of {messages} messages");
    let picture = bars("ready", &title, y, &names, &[("engine".to_owned(), values)])?;
    Ok(Section {
        title: format!("Recovery: a journal of {messages} messages, no store"),
        summary: format!(
            "Killed with {messages} messages in its journal, it is ready again after {:.1} s.",
            ready.median
        ),
        text: TEXT.into(),
        table,
        aims: vec![Aim::new(
            "ready",
            format!("within {limit:.1} s"),
            ready.show(|it| format!("{it:.2} s")),
            ready.median <= limit,
        )],
        pictures: vec![picture],
        notes: faults(outcomes()),
        raw: all.iter().map(raw).collect(),
        is_good: are_exact(outcomes()),
    })
}
