//! Flat out for a minute: past what memory takes for the disk, so that the disk would be the limit.
//!
//! The disk's own rate is taken before each round, by one file written from begin to end.

use std::time::Instant;

use super::prelude::*;
use crate::disk::{free_bytes, sequential_rate, sync};

const ROUNDS: u32 = 2;
const SECONDS: [u64; 2] = [60, 2];
/// Enough to see how fast it is, so that the round takes the time asked for.
const TRIAL_MESSAGES: [u64; 2] = [1_000_000, 100_000];
/// More than memory keeps back of a file, on most machines; synced at the end in any case.
const DISK_BYTES: [u64; 2] = [4 << 30, 64 << 20];
/// Of the disk's free room: the journal keeps what the dedup window remembers.
const ROOM_PART: u64 = 2;
/// A record's header, newline and share of its batch's header, about.
const RECORD_OVERHEAD: u64 = 64;
/// Of the disk's rate, by the budget of the design.
const RATIO_MIN: f64 = 0.9;
/// Slices of the timeline in a second.
const SLICES: usize = 10;

const APPENDED: Figure = extra("appended", "appended_bytes_a_second", Unit::Bandwidth);
const DISK: Figure = extra("disk", "disk_bytes_a_second", Unit::Bandwidth);
const WRITTEN: Figure = extra("written", "written_bytes_a_second", Unit::Bandwidth);
const OVER_DISK: Figure = extra("appended over disk", "appended_over_disk", Unit::Ratio);

const TEXT: &str = "Four sources write as fast as the engine takes it, for so long that the \
journal's bytes no longer fit into the memory that the system lends its disk. Appended is what \
the journal took, a second of the round; disk is one file written in order and synced, just \
before it; the ratio is between these two. Written is what the engine had the system write, over \
the round and the time until the disk had all of it: a segment whose messages are settled and out of \
the dedup window is written over, mostly before the system has sent it to the disk, and then the disk \
is no limit at all. A ratio below the aim with a core to spare is the engine's fault; with none, the \
processor is the limit.";

#[derive(Debug, Clone, Args)]
pub(crate) struct SustainedArgs {
    /// How long each round is, about [default: 60].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Messages a round, instead of a time.
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
}

impl Bench for SustainedArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let messages = match self.messages {
            Some(messages) => messages,
            None => self.messages_of_time(stage)?,
        };
        say(format!("sustained: {messages} messages a round"));
        let disk_bytes = stage.pick(None, DISK_BYTES);
        let plan = Plan::flat_out(messages, FRAME_LEN);
        let side = Contestant::new(Subject::Engine, &plan, &stage.settings())
            .playing(|it| beside_disk(testbed, it, disk_bytes));
        let played = stage.play(&[side], ROUNDS)?;
        let found = played[0].spread(&OVER_DISK);
        let reached = Unit::Count.show(played[0].spread(&RATE).mid);
        let aim = "what the journal takes, over the disk's own rate";
        let figures = [RATE, BUSY, APPENDED, DISK, OVER_DISK, WRITTEN];
        Ok(Section {
            title: format!("Sustained, {messages} messages flat out, no store"),
            summary: format!("For as long as the disk must keep up it delivers {reached} msg/s."),
            text: TEXT.into(),
            aims: vec![Aim::at_least(aim, RATIO_MIN, Unit::Ratio, found)],
            pictures: vec![timeline(&played[0])?],
            ..Section::of_rounds(&[], &played, &figures, ALONE)
        })
    }
}

impl SustainedArgs {
    /// As many messages as take the time, if the disk has room for them.
    fn messages_of_time(&self, stage: &Stage<'_>) -> Result<u64> {
        let seconds = stage.pick(self.seconds, SECONDS);
        let trial = stage.pick(None, TRIAL_MESSAGES);
        let trial = Plan::flat_out(trial, FRAME_LEN);
        let testbed = stage.testbed;
        let trial = testbed.play(Subject::Engine, &trial, &stage.settings())?;
        let wanted = (trial.rate * seconds as f64) as u64;
        let room = free_bytes(&testbed.data)? / ROOM_PART / (FRAME_LEN as u64 + RECORD_OVERHEAD);
        if room < wanted {
            say(format!(
                "  the disk has room for {room} messages: a shorter round"
            ));
        }
        Ok(wanted.min(room))
    }
}

/// The disk's own rate, then a round.
fn beside_disk(testbed: &Testbed, it: &Contestant<'_>, disk_bytes: u64) -> Result<Outcome> {
    let disk = sequential_rate(&testbed.data, disk_bytes)?;
    let (running, lane) = testbed.connect(it.subject, &it.plan, &it.settings)?;
    let outcome = finish(&running, lane)?;
    let appended = running.counter("journal_bytes")? as f64 / outcome.seconds;
    let begun = Instant::now();
    running.folder().map_or(Ok(()), sync)?;
    let seconds = outcome.seconds + begun.elapsed().as_secs_f64();
    let written = outcome.usage.written_bytes as f64 / seconds;
    Ok(outcome
        .with(&APPENDED, appended)
        .with(&DISK, disk)
        .with(&WRITTEN, written)
        .with(&OVER_DISK, appended / disk))
}

/// Messages a second, second by second.
fn timeline(played: &Played) -> Result<Picture> {
    let series = |(round, it): (usize, &Outcome)| {
        let slices = &it.received.arrivals.timeline;
        let seconds = slices.chunks_exact(SLICES).enumerate();
        let points = seconds.map(|(at, slices)| (at as f64, slices.iter().sum::<u64>() as f64));
        (format!("round {}", round + 1), points.collect())
    };
    let series: Vec<_> = played.outcomes.iter().enumerate().map(series).collect();
    let axes = ["seconds", "messages a second"].map(|it| Axis::linear(it, Unit::Count));
    Sheet::new("timeline", "Messages a second, over time").plain_lines(axes, &series)
}
