//! Throughput and latency while one thing varies and all others stay as they are: `growth`, and
//! `durability`, which is the same with another thing.
//!
//! Each value gets its own engines: one flat out, one on schedule.

use anyhow::ensure;
use clap::ValueEnum;

use super::prelude::*;
use crate::engine::{Durability, Threads};
use crate::frames::frame_len;

const ROUNDS: u32 = 3;
const MESSAGES: [u64; 2] = [500_000, 20_000];
const RATE_PLANNED: u64 = 10_000;
const SECONDS: [u64; 2] = [3, 1];
const WARMUP_SECONDS: u64 = 1;
/// The two loads of every value.
const LOADS: [&str; 2] = ["flat out", "on schedule"];

const TEXT: &str = "Four sources, four subscribers, three levels, 390-byte frames, no backlog, one \
delivery agent, no store: each table row changes one of these. With more than one delivery agent \
every agent has its own thread, with one on a small machine they share a thread, so that step shows \
the mode, too. A backlog waits for a customer who is absent throughout. Flat out, and on schedule at \
the rate in the heading. All parties share the machine, so what grows with the number of sockets is \
in part the harness's.";

const DURABILITY_MESSAGES: [u64; 2] = [1_000_000, 20_000];
const DURABILITY_SECONDS: [u64; 2] = [5, 1];
const DURABILITIES: [Durability; 3] = [Durability::Memory, Durability::Written, Durability::Synced];

const DURABILITY_TEXT: &str = "What has happened before a message is delivered. `memory`: nothing, \
the journal follows; `written`: the operating system has it, which survives a killed engine; \
`synced`: the disk has it, which survives a power cut. Flat out, and on schedule; each durability in \
turn.";

/// What both take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Loads {
    /// Messages a round flat out [default: 500000; 1000000 for durability].
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Messages a second on schedule.
    #[arg(
        long, value_name = "N", default_value_t = RATE_PLANNED,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    rate: u64,
    /// How long a round on schedule is [default: 3; 5 for durability].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DurabilityArgs {
    #[command(flatten)]
    loads: Loads,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct GrowthArgs {
    /// What grows [default: all of them].
    #[arg(long, value_enum, value_delimiter = ',')]
    of: Vec<Dimension>,
    #[command(flatten)]
    loads: Loads,
    /// The values, where one thing alone grows [default: a handful].
    #[arg(long, value_name = "N", value_delimiter = ',')]
    values: Vec<usize>,
}

/// What can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dimension {
    /// Message servers.
    Sources,
    /// Customers, with a subscriber each.
    Destinations,
    /// Priorities.
    Levels,
    /// Bytes of a frame.
    Frame,
    /// Messages that wait for somebody else.
    Backlog,
    /// Delivery agents.
    Agents,
    /// What has happened before a message is delivered: a benchmark of its own.
    #[value(skip)]
    Durability,
}

/// A value, as a number and as people read it, and what was played with it under each load.
struct Seen {
    at: f64,
    shown: String,
    played: [Played; 2],
}

impl Bench for DurabilityArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let (rate, loads) = (self.loads.rate, &self.loads);
        let plans = loads.plans(stage, DURABILITY_MESSAGES, DURABILITY_SECONDS);
        let durability = Dimension::Durability;
        let seen = grow(stage, durability, durability.values(), &plans)?;
        let section = section(&[(durability, seen)])?;
        Ok(Section {
            title: format!("Durability: flat out, and at {rate} msg/s; no store"),
            text: DURABILITY_TEXT.into(),
            ..section
        })
    }
}

impl Bench for GrowthArgs {
    fn check(&self) -> Result<()> {
        let is_of_one = self.values.is_empty() || self.of.len() == 1;
        ensure!(
            is_of_one,
            "--values are those of one thing: name it with --of"
        );
        Ok(())
    }

    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let plans = self.loads.plans(stage, MESSAGES, SECONDS);
        let dimensions = match self.of.as_slice() {
            [] => Dimension::value_variants(),
            some => some,
        };
        let mut all = Vec::new();
        stage.progress.expect_cases(dimensions.len());
        for &dimension in dimensions {
            let values = match self.values.as_slice() {
                [] => dimension.values(),
                values => values,
            };
            let seen = grow(stage, dimension, values, &plans)?;
            all.push((dimension, seen));
        }
        let section = section(&all)?;
        Ok(Section {
            title: format!("Growth: flat out, and at {} msg/s", self.loads.rate),
            text: TEXT.into(),
            ..section
        })
    }
}

impl Loads {
    /// Flat out, and on schedule.
    fn plans(&self, stage: &Stage<'_>, messages: [u64; 2], seconds: [u64; 2]) -> [Plan; 2] {
        let messages = stage.pick(self.messages, messages);
        let seconds = stage.pick(self.seconds, seconds);
        let timed = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
        [Plan::flat_out(messages, FRAME_LEN), timed]
    }
}

impl Dimension {
    fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Destinations => "destinations",
            Self::Levels => "levels",
            Self::Frame => "bytes of a frame",
            Self::Backlog => "backlog",
            Self::Agents => "delivery agents",
            Self::Durability => "durability",
        }
    }

    fn values(self) -> &'static [usize] {
        match self {
            Self::Sources | Self::Destinations => &[1, 4, 16, 64, 256],
            Self::Levels => &[1, 2, 3, 5, 8],
            Self::Frame => &[0, 390, 1024, 4096, 8192],
            Self::Backlog => &[0, 10_000, 100_000, 1_000_000],
            Self::Agents => &[1, 2, 4],
            Self::Durability => &[0, 1, 2],
        }
    }

    /// Puts a value into its one place; returns how many messages are to wait for somebody else.
    fn put(self, value: usize, plan: &mut Plan, settings: &mut Settings) -> u64 {
        match self {
            Self::Sources => plan.sources = value,
            Self::Destinations => plan.destinations = value,
            Self::Levels => (plan.levels, settings.levels) = (value, value),
            Self::Frame => {
                plan.frame_len = value;
                plan.messages = plan.messages.min(messages_max(value));
            }
            Self::Backlog => return value as u64,
            Self::Durability => settings.durability = DURABILITIES[value],
            Self::Agents => {
                settings.agents = value;
                if value > 1 {
                    // Else they share one thread, and more of them show nothing.
                    settings.threads = Threads::Dedicated;
                }
            }
        }
        0
    }

    /// A value as a number and as people read it; of a frame the length that it has.
    fn shown(self, value: usize, plan: &Plan) -> Result<(f64, String)> {
        let value = match self {
            Self::Frame => frame_len(plan)?,
            Self::Durability => return Ok((value as f64, name_of(DURABILITIES[value]))),
            _ => value,
        };
        Ok((value as f64, value.to_string()))
    }
}

/// All values, round by round, up and down in turn.
fn grow(
    stage: &Stage<'_>,
    dimension: Dimension,
    values: &[usize],
    plans: &[Plan; 2],
) -> Result<Vec<Seen>> {
    say(format!("growth: {}", dimension.name()));
    let testbed = stage.testbed;
    let (mut sides, mut shown) = (Vec::new(), Vec::new());
    for &value in values {
        for (plan, load) in plans.iter().zip(LOADS) {
            let (mut plan, mut settings) = (plan.clone(), stage.settings());
            let waiting = dimension.put(value, &mut plan, &mut settings);
            let (at, text) = dimension.shown(value, &plan)?;
            let cells = [dimension.name().to_owned(), text.clone(), load.to_owned()];
            let side = Contestant::new(Subject::Engine, &plan, &settings).of_case(cells);
            sides.push(side.playing(move |it| behind_backlog(testbed, it, waiting)));
            shown.push((at, text));
        }
    }
    let played = stage.play(&sides, ROUNDS)?;
    let pairs = shown.chunks_exact(2).zip(played.chunks_exact(2));
    let seen = pairs.map(|(shown, played)| Seen {
        at: shown[0].0,
        shown: shown[0].1.clone(),
        played: [played[0].clone(), played[1].clone()],
    });
    Ok(seen.collect())
}

/// One round; first so many messages wait for somebody else.
fn behind_backlog(testbed: &Testbed, it: &Contestant<'_>, waiting: u64) -> Result<Outcome> {
    let (plan, settings) = (&it.plan, &it.settings);
    if waiting == 0 {
        return testbed.play(Subject::Engine, plan, settings);
    }
    let absent = Plan {
        destinations: 1,
        ..Plan::flat_out(waiting, FRAME_LEN)
    };
    let absent = absent.behind(plan);
    let (engine, [mut lane, mut absent]) = testbed.open(settings, [plan.clone(), absent])?;
    lane.join(&engine)?;
    absent.expect_connected()?;
    absent.go()?;
    engine.expect(TAKEN, waiting, TAKING)?;
    finish(&engine, lane)
}

/// A dimension's curve.
type Grown = (Dimension, Vec<Seen>);

fn section(all: &[Grown]) -> Result<Section> {
    let seen = all.iter().flat_map(|(_, seen)| seen);
    let [flat_out, timed] = [0, 1].map(|load| {
        let played = seen.clone().map(|it| it.played[load].clone());
        played.collect::<Vec<Played>>()
    });
    let labels = ["what varies", "value", "load"];
    let mut section = Section::of_rounds(&labels, &flat_out, &[RATE], ALONE);
    let on_schedule = Section::of_rounds(&labels, &timed, &[P50, P99, P999], ALONE);
    section.join(on_schedule);
    for (dimension, seen) in all {
        section.pictures.extend(pictures(*dimension, seen)?);
    }
    Ok(Section {
        summary: summary(all),
        ..section
    })
}

fn summary(all: &[Grown]) -> String {
    let change = |(dimension, seen): &Grown| {
        let (first, last) = (seen.first()?, seen.last()?);
        let [from, to] = [first, last].map(|it| it.played[0].spread(&RATE).mid);
        let times = to / from.max(f64::MIN_POSITIVE);
        let (name, first, last) = (dimension.name(), &first.shown, &last.shown);
        Some(format!("{name} {first} to {last}: {times:.2}"))
    };
    let changes: Vec<String> = all.iter().filter_map(change).collect();
    let changes = changes.join("; ");
    format!("Messages a second, last over first, as one thing varies: {changes}.")
}

/// Both loads over what varies: lines over numbers, bars over names.
fn pictures(dimension: Dimension, seen: &[Seen]) -> Result<[Picture; 2]> {
    let name = dimension.name();
    let files = ["rate", "latency"].map(|it| format!("{}-{it}", name.replace(' ', "-")));
    let titles = ["Throughput", "Latency"].map(|it| format!("{it} by {name}"));
    let [rate, latency] = [0, 1].map(|it| Sheet::new(&files[it], &titles[it]));
    let loads = [(0, RATE), (1, P50), (1, P99)];
    let spreads = loads.map(|(load, figure)| {
        let values = seen.iter().map(|it| it.played[load].spread(&figure));
        (figure.name.to_owned(), values.collect::<Vec<Spread>>())
    });
    let y = Axis::linear("messages a second", Unit::Count);
    if dimension == Dimension::Durability {
        let names: Vec<String> = seen.iter().map(|it| it.shown.clone()).collect();
        let linear = Axis::linear("latency", Unit::Time);
        return Ok([
            rate.bars(y, &names, &spreads[..1])?,
            latency.bars(linear, &names, &spreads[1..])?,
        ]);
    }
    let points = spreads.map(|(name, values)| {
        let points = seen.iter().map(|it| it.at).zip(values);
        (name, points.collect::<Vec<_>>())
    });
    let x = match dimension {
        // A backlog may be none, and levels and agents are few.
        Dimension::Levels | Dimension::Agents | Dimension::Backlog => {
            Axis::linear(name, Unit::Count)
        }
        _ => Axis::logarithm(name, Unit::Count),
    };
    Ok([
        rate.lines([x, y], &points[..1])?,
        latency.lines([x, LATENCY], &points[1..])?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dimension_changes_its_own_place_alone() {
        let settings = Settings::new(Durability::Written);
        let plan = Plan::flat_out(1_000, FRAME_LEN);
        let changed = |dimension: Dimension| {
            let (mut its_plan, mut its_settings) = (plan.clone(), settings.clone());
            let waiting = dimension.put(7, &mut its_plan, &mut its_settings);
            [its_plan != plan, its_settings != settings, waiting != 0]
        };
        assert_eq!(changed(Dimension::Sources), [true, false, false]);
        assert_eq!(changed(Dimension::Frame), [true, false, false]);
        assert_eq!(changed(Dimension::Levels), [true, true, false]);
        assert_eq!(changed(Dimension::Agents), [false, true, false]);
        assert_eq!(changed(Dimension::Backlog), [false, false, true]);
    }
}
