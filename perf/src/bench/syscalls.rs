//! How many system calls the engine makes for a thousand messages.
//!
//! strace slows the engine down, so that more comes with each call than without it: flat out the
//! figure is a little too good, on schedule it is right.

use clap::Args;
use serde_json::json;

use crate::common::{Bench, Common, FRAME_LEN};
use crate::error::PerfError;
use crate::picture::{Axis, Picture, Scale, bars};
use crate::plan::Plan;
use crate::report::{Aim, Section, Table};
use crate::round::{Outcome, finish};
use crate::rounds::{are_exact, faults};
use crate::screen::say;
use crate::strace::{Calls, Strace};
use crate::testbed::{Subject, Testbed, on_path};

const MESSAGES: u64 = 500_000;
const MESSAGES_QUICK: u64 = 100_000;
const RATES: [u64; 2] = [10_000, 100_000];
const SECONDS: u64 = 5;
const SECONDS_QUICK: u64 = 1;
/// "No system call a message at load".
const PER_MESSAGE_MAX: f64 = 1.0;
/// Kinds of calls in the table; the rest in one line.
const SHOWN: usize = 6;

const TEXT: &str = "All threads of the engine under `strace -c -f`, from before the first message \
to after the last. strace makes each call some microseconds slower, so flat out the engine falls \
behind and finds more work at each call than without strace.";

/// What `syscalls` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct SyscallsArgs {
    /// Messages flat out [default: 500000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// How long each round on schedule is [default: 5].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

/// A load, and what it called for.
struct Counted {
    name: String,
    outcome: Outcome,
    calls: Vec<Calls>,
}

impl Bench for SyscallsArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let Some(strace) = on_path("strace") else {
            let what = "strace is not on PATH (`apt-get install strace`)";
            return Err(PerfError::Usage(format!("no system calls counted: {what}")));
        };
        let settings = common.settings();
        let messages = common.pick(self.messages, MESSAGES, MESSAGES_QUICK);
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        let mut loads = vec![("flat out".to_owned(), Plan::flat_out(messages, FRAME_LEN))];
        loads.extend(RATES.map(|rate| {
            let plan = Plan::at_rate(rate, seconds, 0, FRAME_LEN);
            (format!("{rate} msg/s"), plan)
        }));
        let mut all = Vec::new();
        for (name, plan) in loads {
            let (engine, lane) = testbed.connect(Subject::Engine, &plan, &settings)?;
            let strace = Strace::attach(&strace, engine.child.pid(), &testbed.data)?;
            let outcome = finish(Subject::Engine, &engine, lane, &settings)?;
            let it = Counted {
                calls: strace.detach()?,
                name,
                outcome,
            };
            let verdict = it.outcome.verdict();
            say(&format!(
                "syscalls: {}: {:.1} for a thousand messages, {verdict}",
                it.name,
                it.per_thousand(it.all())
            ));
            all.push(it);
        }
        section(&all)
    }
}

impl Counted {
    fn all(&self) -> u64 {
        self.calls.iter().map(|it| it.count).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "calls and messages fit 52 bits")]
    fn per_thousand(&self, calls: u64) -> f64 {
        calls as f64 * 1e3 / self.outcome.plan.messages.max(1) as f64
    }
}

fn section(all: &[Counted]) -> Result<Section, PerfError> {
    let mut table = Table::new(&["load", "system call", "calls", "for a thousand messages"]);
    for it in all {
        let mut push = |what: &str, count: u64| {
            let share = format!("{:.2}", it.per_thousand(count));
            table.push([it.name.clone(), what.to_owned(), count.to_string(), share]);
        };
        push("all", it.all());
        let (shown, rest) = it.calls.split_at(SHOWN.min(it.calls.len()));
        shown.iter().for_each(|it| push(&it.name, it.count));
        if !rest.is_empty() {
            push("others", rest.iter().map(|it| it.count).sum());
        }
    }
    let flat_out = &all[0];
    let found = flat_out.per_thousand(flat_out.all());
    let outcomes = || all.iter().map(|it| &it.outcome);
    let raw = |it: &Counted| json!({ "load": it.name, "outcome": it.outcome, "calls": it.calls });
    Ok(Section {
        title: "System calls, no store".into(),
        summary: format!("Flat out it makes {found:.1} system calls for a thousand messages."),
        text: TEXT.into(),
        table,
        aims: vec![Aim::new(
            "system calls a message, flat out",
            format!("below {PER_MESSAGE_MAX}"),
            format!("{:.4}", found / 1e3),
            found / 1e3 < PER_MESSAGE_MAX,
        )],
        pictures: vec![picture(all)?],
        notes: faults(outcomes()),
        raw: all.iter().map(raw).collect(),
        is_good: are_exact(outcomes()),
    })
}

fn picture(all: &[Counted]) -> Result<Picture, PerfError> {
    let names: Vec<String> = all.iter().map(|it| it.name.clone()).collect();
    let values = all.iter().map(|it| it.per_thousand(it.all())).collect();
    let y = Axis {
        label: "for a thousand messages",
        scale: Scale::Count,
    };
    let series = [("engine".to_owned(), values)];
    bars("calls", "System calls by load", y, &names, &series)
}
