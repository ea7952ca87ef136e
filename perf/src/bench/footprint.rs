//! What the engine takes of the machine: `idle`, its processor time with nothing to do, by idle
//! strategy; and `syscalls`, its system calls for a thousand messages, counted by strace.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::prelude::*;
use crate::engine::Idle;
use crate::strace::Strace;
use crate::testbed::on_path;

const IDLE_SECONDS: [u64; 2] = [10, 2];
/// The engine has dialled, subscribed, written its first position: from here on nothing is to do.
const SETTLE: Duration = Duration::from_secs(1);
/// The budget of the design for the default strategy: a percent of a core.
const CPU_PERCENT_MAX: f64 = 1.0;

const IDLE_TEXT: &str = "Four sources and four subscribers are connected and silent. Cores busy is \
of one core; waits are how often a thread of the engine went to sleep, hence woke up. `yield` and \
`spin` keep their cores busy on purpose.";

#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArgs {
    /// How long each strategy is watched [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

impl Bench for IdleArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let seconds = stage.pick(self.seconds, IDLE_SECONDS);
        say(format!("idle: each strategy for {seconds} s"));
        let sides = [Idle::Backoff, Idle::Yield, Idle::Spin].map(|idle| {
            let settings = Settings {
                idle,
                ..stage.settings()
            };
            Contestant::new(Subject::Engine, &Plan::flat_out(0, FRAME_LEN), &settings)
                .of_case([name_of(idle)])
                .playing(move |it| watched(testbed, it, Duration::from_secs(seconds)))
        });
        let played = stage.play(&sides, 1)?;
        let busy = Unit::Percent.show(played[0].spread(&BUSY).mid);
        let aim = "of a core when idle, backoff";
        let figures = [BUSY, WAITS, RESIDENT];
        Ok(Section {
            title: format!("Idle for {seconds} s, no store"),
            summary: format!("With nothing to do the engine takes {busy} of a core."),
            text: IDLE_TEXT.into(),
            aims: vec![played[0].aim_at_most(aim, &BUSY, CPU_PERCENT_MAX)],
            ..Section::of_rounds(&["idle"], &played, &figures, ALONE)
        })
    }
}

/// What an engine used while nothing was sent.
fn watched(testbed: &Testbed, it: &Contestant<'_>, time: Duration) -> Result<Outcome> {
    let (engine, [mut lane]) = testbed.open(&it.settings, [it.plan.clone()])?;
    lane.subscribe(engine.address, &["--silent"])?;
    lane.expect_connected()?;
    thread::sleep(SETTLE);
    let (begun, before) = (Instant::now(), engine.child.usage()?);
    thread::sleep(time);
    let usage = engine.child.usage()?.since(before);
    Ok(Outcome {
        seconds: begun.elapsed().as_secs_f64(),
        usage,
        harness: lane.harness()?,
        settings: Some(it.settings.clone()),
        ..Outcome::nothing(it.subject, &it.plan)
    })
}

const MESSAGES: [u64; 2] = [500_000, 100_000];
const RATES: [u64; 2] = [10_000, 100_000];
const SECONDS: [u64; 2] = [5, 1];
/// "No system call a message at load".
const PER_MESSAGE_MAX: f64 = 1.0;
/// Kinds of calls in the table; the rest in one line.
const SHOWN: usize = 6;
const CALLS: Figure = extra("calls a thousand messages", "calls", Unit::Count);

const SYSCALLS_TEXT: &str = "All threads of the engine under `strace -c -f`, from before the first \
message to after the last. strace makes each call some microseconds slower, so that more comes with \
each call than without it: flat out the figure is a little too good, on schedule it is right; the \
other figures mean nothing.";

#[derive(Debug, Clone, Args)]
pub(crate) struct SyscallsArgs {
    /// Messages flat out [default: 500000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// How long each round on schedule is [default: 5].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

impl Bench for SyscallsArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let strace = on_path("strace")
            .context("no system calls counted: strace is not on PATH (`apt-get install strace`)")?;
        say("syscalls: under strace");
        let messages = stage.pick(self.messages, MESSAGES);
        let seconds = stage.pick(self.seconds, SECONDS);
        let flat_out = ("flat out".to_owned(), Plan::flat_out(messages, FRAME_LEN));
        let timed = RATES.map(|rate| {
            let plan = Plan::at_rate(rate, seconds, 0, FRAME_LEN);
            (format!("{rate} msg/s"), plan)
        });
        let sides = [flat_out].into_iter().chain(timed).map(|(load, plan)| {
            Contestant::new(Subject::Engine, &plan, &stage.settings())
                .of_case([load])
                .playing(|it| traced(testbed, it, &strace))
        });
        let sides: Vec<_> = sides.collect();
        syscalls(&stage.play(&sides, 1)?)
    }
}

fn traced(testbed: &Testbed, it: &Contestant<'_>, strace: &Path) -> Result<Outcome> {
    let (engine, lane) = testbed.connect(it.subject, &it.plan, &it.settings)?;
    let strace = Strace::attach(strace, engine.child.pid(), &testbed.data)?;
    let outcome = finish(&engine, lane)?;
    let per_thousand = |calls: u64| calls as f64 * 1e3 / it.plan.messages.max(1) as f64;
    let calls = strace.detach()?;
    let all = calls.iter().map(|(_, count)| count).sum();
    let mut outcome = outcome.with(&CALLS, per_thousand(all));
    let kinds = (calls.iter()).map(|(name, count)| (format!("calls.{name}"), per_thousand(*count)));
    outcome.extra.extend(kinds);
    Ok(outcome)
}

fn syscalls(played: &[Played]) -> Result<Section> {
    let calls = played[0].spread(&CALLS).mid;
    let names: Vec<String> = played.iter().map(|it| it.case.join(" ")).collect();
    let values = played.iter().map(|it| it.spread(&CALLS)).collect();
    let y = Axis::linear("for a thousand messages", Unit::Count);
    let picture = Sheet::new("calls", "System calls by load");
    let aim = "system calls for a thousand messages, flat out";
    let mut section = Section::of_rounds(&["load"], played, &[CALLS, RATE], ALONE);
    section.tables.push(kinds(played));
    Ok(Section {
        title: "System calls, no store".into(),
        summary: format!("Flat out it makes {calls:.1} system calls for a thousand messages."),
        text: SYSCALLS_TEXT.into(),
        aims: vec![played[0].aim_at_most(aim, &CALLS, PER_MESSAGE_MAX * 1e3)],
        pictures: vec![picture.bars(y, &names, &[("engine".to_owned(), values)])?],
        ..section
    })
}

/// The most frequent calls of each load, in its last round.
fn kinds(played: &[Played]) -> Table {
    let mut table = Table::new(["load", "system call", "for a thousand messages"]);
    for it in played {
        let extra = it.outcomes.last().map(|it| &it.extra);
        let of_kind = |(name, count): (&String, &f64)| {
            Some((name.strip_prefix("calls.")?.to_owned(), *count))
        };
        let mut calls: Vec<_> = extra.into_iter().flatten().filter_map(of_kind).collect();
        calls.sort_by(|a, b| b.1.total_cmp(&a.1));
        let rest = calls.split_off(SHOWN.min(calls.len()));
        let rest = rest.iter().map(|it| it.1).sum::<f64>();
        for (name, count) in calls.into_iter().chain([("others".to_owned(), rest)]) {
            table.push([it.case.join(" "), name, format!("{count:.2}")]);
        }
    }
    table
}
