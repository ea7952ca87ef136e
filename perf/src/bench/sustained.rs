//! Flat out for a minute: past what memory takes for the disk, so that the disk would be the limit.
//!
//! The disk's own rate is taken before each round, by one file written from begin to end.

use std::time::Instant;

use clap::Args;
use serde_json::json;

use crate::common::{Bench, Common, FRAME_LEN};
use crate::disk::{free_bytes, sequential_rate, sync};
use crate::engine::Settings;
use crate::error::PerfError;
use crate::picture::{Axis, Picture, Scale, lines};
use crate::plan::Plan;
use crate::report::{Aim, Section, Table};
use crate::round::{Outcome, finish};
use crate::rounds::{are_exact, faults};
use crate::screen::say;
use crate::spread::{Spread, rate, ratio};
use crate::testbed::{Subject, Testbed};

const ROUNDS: u32 = 2;
const SECONDS: u64 = 60;
const SECONDS_QUICK: u64 = 2;
/// Enough to see how fast it is, so that the round takes the time asked for.
const TRIAL_MESSAGES: u64 = 1_000_000;
const TRIAL_MESSAGES_QUICK: u64 = 100_000;
/// More than memory keeps back of a file, on most machines; synced at the end in any case.
const DISK_BYTES: u64 = 4 << 30;
const DISK_BYTES_QUICK: u64 = 64 << 20;
/// Of the disk's free room: the journal keeps what the dedup window remembers.
const ROOM_PART: u64 = 2;
/// A record's header, newline and share of its batch's header, about.
const RECORD_OVERHEAD: u64 = 64;
/// Of the disk's rate, by the budget of the design.
const RATIO_MIN: f64 = 0.9;
/// Slices of the timeline in a second.
const SLICES: usize = 10;

const TEXT: &str = "Four sources write as fast as the engine takes it, for so long that the \
journal's bytes no longer fit into the memory that the system lends its disk. Appended MB/s is what \
the journal took, a second of the round; the disk's MB/s is one file written in order and synced, just \
before it; the ratio is between these two. Written MB/s is what the engine had the system write, over \
the round and the time until the disk had all of it: a segment whose messages are settled and out of \
the dedup window is written over, mostly before the system has sent it to the disk, and then the disk \
is no limit at all. A ratio below the aim with a core to spare is the engine's fault; with none, the \
processor is the limit.";

/// What `sustained` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct SustainedArgs {
    /// How long each round is, about [default: 60].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Messages a round, instead of a time.
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
}

/// A round, and the disk before it.
struct Sustained {
    outcome: Outcome,
    /// Bytes a second.
    disk: f64,
    /// Bytes a second that the journal took.
    appended: f64,
    /// Bytes a second that the system wrote for it.
    written: f64,
}

impl Bench for SustainedArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let settings = common.settings();
        let messages = match self.messages {
            Some(messages) => messages,
            None => self.messages_of_time(testbed, common, &settings)?,
        };
        let disk_bytes = common.pick(None, DISK_BYTES, DISK_BYTES_QUICK);
        let rounds = common.rounds(ROUNDS);
        let plan = Plan::flat_out(messages, FRAME_LEN);
        let mut all = Vec::new();
        for round in 1..=rounds {
            let disk = sequential_rate(&testbed.data, disk_bytes)?;
            let it = play(testbed, &plan, &settings, disk)?;
            say(&format!(
                "  {round} of {rounds} {} msg/s, appended {} MB/s, disk {} MB/s, {}",
                rate(it.outcome.rate),
                megabytes(it.appended),
                megabytes(it.disk),
                it.outcome.verdict()
            ));
            all.push(it);
        }
        section(&all, messages)
    }
}

impl SustainedArgs {
    /// As many messages as take the time, if the disk has room for them.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "messages of a day fit 52 bits"
    )]
    fn messages_of_time(
        &self,
        testbed: &Testbed,
        common: &Common,
        settings: &Settings,
    ) -> Result<u64, PerfError> {
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        let trial = common.pick(None, TRIAL_MESSAGES, TRIAL_MESSAGES_QUICK);
        let trial = Plan::flat_out(trial, FRAME_LEN);
        let trial = testbed.play(Subject::Engine, &trial, settings)?;
        let wanted = (trial.rate * seconds as f64) as u64;
        let room = free_bytes(&testbed.data)? / ROOM_PART / (FRAME_LEN as u64 + RECORD_OVERHEAD);
        say(&format!(
            "sustained: {wanted} messages take about {seconds} s"
        ));
        if room < wanted {
            say(&format!("  the disk has room for {room}: a shorter round"));
        }
        Ok(wanted.min(room))
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes fit 52 bits")]
fn play(
    testbed: &Testbed,
    plan: &Plan,
    settings: &Settings,
    disk: f64,
) -> Result<Sustained, PerfError> {
    let (running, lane) = testbed.connect(Subject::Engine, plan, settings)?;
    let outcome = finish(Subject::Engine, &running, lane, settings)?;
    let appended = running.counter("journal_bytes")? as f64 / outcome.seconds;
    let begun = Instant::now();
    running.folder().map_or(Ok(()), sync)?;
    let seconds = outcome.seconds + begun.elapsed().as_secs_f64();
    Ok(Sustained {
        appended,
        written: outcome.usage.written_bytes as f64 / seconds,
        outcome,
        disk,
    })
}

fn section(all: &[Sustained], messages: u64) -> Result<Section, PerfError> {
    let mut table = Table::new(&[
        "round",
        "msg/s",
        "seconds",
        "engine's CPU",
        "appended MB/s",
        "disk MB/s",
        "ratio",
        "written MB/s",
    ]);
    for (round, it) in all.iter().enumerate() {
        let (outcome, cores) = (&it.outcome, it.outcome.usage.cpu_seconds);
        table.push([
            (round + 1).to_string(),
            rate(outcome.rate),
            format!("{:.1}", outcome.seconds),
            format!("{:.0} % of a core", cores / outcome.seconds * 100.0),
            megabytes(it.appended),
            megabytes(it.disk),
            ratio(it.appended / it.disk),
            megabytes(it.written),
        ]);
    }
    let found = Spread::of(all.iter().map(|it| it.appended / it.disk));
    let reached = Spread::of(all.iter().map(|it| it.outcome.rate));
    let outcomes = || all.iter().map(|it| &it.outcome);
    let raw = |it: &Sustained| {
        json!({
            "outcome": it.outcome,
            "appended_bytes_a_second": it.appended,
            "written_bytes_a_second": it.written,
            "disk_bytes_a_second": it.disk,
        })
    };
    Ok(Section {
        title: format!("Sustained, {messages} messages flat out, no store"),
        summary: format!(
            "For as long as the disk must keep up it delivers {} msg/s.",
            rate(reached.median)
        ),
        text: TEXT.into(),
        table,
        aims: vec![Aim::new(
            "what the journal takes, over the disk's own rate",
            format!("{RATIO_MIN} at least"),
            found.show(ratio),
            found.median >= RATIO_MIN,
        )],
        pictures: vec![timeline(all)?],
        notes: faults(outcomes()),
        raw: all.iter().map(raw).collect(),
        is_good: are_exact(outcomes()),
    })
}

/// Messages a second, second by second.
#[expect(clippy::cast_precision_loss, reason = "frames and seconds fit 52 bits")]
fn timeline(all: &[Sustained]) -> Result<Picture, PerfError> {
    let series = |(round, it): (usize, &Sustained)| {
        let slices = &it.outcome.received.arrivals.timeline;
        let seconds = slices.chunks_exact(SLICES).enumerate();
        let points = seconds.map(|(at, slices)| (at as f64, slices.iter().sum::<u64>() as f64));
        (format!("round {}", round + 1), points.collect())
    };
    let series: Vec<_> = all.iter().enumerate().map(series).collect();
    let x = Axis {
        label: "seconds",
        scale: Scale::Count,
    };
    let y = Axis {
        label: "messages a second",
        scale: Scale::Count,
    };
    lines("timeline", "Messages a second, over time", [x, y], &series)
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0}", bytes / 1e6)
}
