//! Growth: throughput and latency while one thing grows and all others stay as they are.
//!
//! Each value gets its own engines: one flat out, one on schedule.

use clap::Args;
use serde_json::{Value, json};

use super::latency::{p50, p99};
use super::taken::wait_until_taken;
use super::{Bench, FRAME_LEN};
use crate::cli::Common;
use crate::engine::{Settings, Threads};
use crate::error::PerfError;
use crate::lab::{Lab, Subject};
use crate::lane::Lane;
use crate::picture::{Axis, LATENCY, Picture, Scale, lines};
use crate::plan::Plan;
use crate::report::{Section, Table};
use crate::round::{Outcome, finish};
use crate::rounds::{are_exact, faults};
use crate::screen::say;
use crate::spread::{Spread, rate, time};

const ROUNDS: u32 = 3;
const MESSAGES: u64 = 500_000;
const MESSAGES_QUICK: u64 = 20_000;
/// A round of long frames sends fewer.
const BYTES_MAX: u64 = 1 << 30;
const RATE: u64 = 10_000;
const SECONDS: u64 = 3;
const SECONDS_QUICK: u64 = 1;
const WARMUP_SECONDS: u64 = 1;

const TEXT: &str = "Four sources, four subscribers, three levels, 390-byte frames, no backlog, one \
delivery agent, no store: each table row changes one of these. With more than one delivery agent \
every agent has its own thread, with one on a small machine they share a thread, so that step shows \
the mode, too. A backlog waits for a customer who is absent throughout. Flat out, and on schedule at \
the rate in the heading; medians, with the least and the most. All parties share the machine, so \
what grows with the number of sockets is in part the harness's.";

/// What `growth` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct GrowthArgs {
    /// What grows [default: all of them].
    #[arg(long, value_enum, value_delimiter = ',')]
    of: Vec<Dimension>,
    /// Messages a round flat out [default: 500000].
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Messages a second on schedule.
    #[arg(
        long, value_name = "N", default_value_t = RATE,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    rate: u64,
    /// How long a round on schedule is [default: 3].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// The values, where one thing alone grows [default: a handful].
    #[arg(long, value_name = "N", value_delimiter = ',')]
    values: Vec<usize>,
}

/// What can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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
}

/// One place on a curve.
#[derive(Debug, Clone)]
struct Point {
    plan: Plan,
    settings: Settings,
    waiting: u64,
}

/// A place, and what was seen there.
struct Seen {
    value: usize,
    flat_out: Vec<Outcome>,
    timed: Vec<Outcome>,
}

impl Dimension {
    const ALL: [Self; 6] = [
        Self::Sources,
        Self::Destinations,
        Self::Levels,
        Self::Frame,
        Self::Backlog,
        Self::Agents,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Destinations => "destinations",
            Self::Levels => "levels",
            Self::Frame => "bytes of a frame",
            Self::Backlog => "backlog",
            Self::Agents => "delivery agents",
        }
    }

    fn values(self) -> &'static [usize] {
        match self {
            Self::Sources | Self::Destinations => &[1, 4, 16, 64, 256],
            Self::Levels => &[1, 2, 3, 5, 8],
            Self::Frame => &[0, 390, 1024, 4096, 8192],
            Self::Backlog => &[0, 10_000, 100_000, 1_000_000],
            Self::Agents => &[1, 2, 4],
        }
    }

    /// A plan and settings with this value in their one place.
    fn point(self, value: usize, plan: &Plan, settings: &Settings) -> Point {
        let mut point = Point {
            plan: plan.clone(),
            settings: settings.clone(),
            waiting: 0,
        };
        match self {
            Self::Sources => point.plan.sources = value,
            Self::Destinations => point.plan.destinations = value,
            Self::Levels => (point.plan.levels, point.settings.levels) = (value, value),
            Self::Frame => {
                point.plan.frame_len = value;
                let most = BYTES_MAX / value.max(1) as u64;
                point.plan.messages = point.plan.messages.min(most);
            }
            Self::Backlog => point.waiting = value as u64,
            Self::Agents => {
                point.settings.agents = value;
                if value > 1 {
                    // Else they share one thread, and more of them show nothing.
                    point.settings.threads = Threads::Dedicated;
                }
            }
        }
        point
    }
}

impl Bench for GrowthArgs {
    fn run(&self, lab: &Lab, common: &Common) -> Result<Section, PerfError> {
        let messages = common.pick(self.messages, MESSAGES, MESSAGES_QUICK);
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        let flat_out = Plan::flat_out(messages, FRAME_LEN);
        let timed = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
        let plans = [flat_out, timed];
        let dimensions = match self.of.as_slice() {
            [] => Dimension::ALL.to_vec(),
            some => some.to_vec(),
        };
        if !self.values.is_empty() && dimensions.len() != 1 {
            let what = "--values are those of one thing: name it with --of";
            return Err(PerfError::Usage(what.into()));
        }
        let mut all = Vec::new();
        for dimension in dimensions {
            let values = match self.values.as_slice() {
                [] => dimension.values(),
                values => values,
            };
            all.push((dimension, grow(lab, common, dimension, values, &plans)?));
        }
        self.section(&all)
    }
}

/// All values, round by round, up and down in turn.
fn grow(
    lab: &Lab,
    common: &Common,
    dimension: Dimension,
    values: &[usize],
    plans: &[Plan; 2],
) -> Result<Vec<Seen>, PerfError> {
    let settings = common.settings();
    let seen = |&value: &usize| Seen {
        value,
        flat_out: Vec::new(),
        timed: Vec::new(),
    };
    let mut all: Vec<Seen> = values.iter().map(seen).collect();
    for round in 0..common.rounds(ROUNDS) {
        let mut order: Vec<&mut Seen> = all.iter_mut().collect();
        if !round.is_multiple_of(2) {
            order.reverse();
        }
        for it in order {
            let [flat_out, timed] = plans
                .each_ref()
                .map(|plan| play(lab, &dimension.point(it.value, plan, &settings)));
            let (flat_out, timed) = (flat_out?, timed?);
            say(&format!(
                "growth: {} {:7} {} msg/s, p50 {}, p99 {}, {}, {}",
                dimension.name(),
                it.value,
                rate(flat_out.rate),
                time(p50(&timed)),
                time(p99(&timed)),
                flat_out.verdict(),
                timed.verdict()
            ));
            it.flat_out.push(flat_out);
            it.timed.push(timed);
        }
    }
    Ok(all)
}

/// One round at a point; first its backlog is there.
fn play(lab: &Lab, point: &Point) -> Result<Outcome, PerfError> {
    let Point { plan, settings, .. } = point;
    if point.waiting == 0 {
        return lab.play(Subject::Engine, plan, settings);
    }
    plan.check()?;
    let absent = Plan {
        destinations: 1,
        ..Plan::flat_out(point.waiting, FRAME_LEN)
    };
    let (mut absent, of_absent) = Lane::listening(absent.behind(plan))?;
    let (mut lane, addresses) = Lane::listening(plan.clone())?;
    let names = [plan.destination_names(), absent.plan.destination_names()].concat();
    let addresses = [addresses, of_absent].concat();
    let engine = lab.start_engine(settings, &addresses, &names)?;
    lane.subscribe(engine.address, &[])?;
    lane.expect_connected()?;
    absent.expect_connected()?;
    absent.go()?;
    let taken = wait_until_taken(&engine, point.waiting)?;
    if taken < point.waiting {
        let what = format!("stopped reading with {taken} messages waiting");
        return Err(engine.child.failed(&what));
    }
    finish(Subject::Engine, &engine, lane, settings)
}

impl Seen {
    fn rate(&self) -> Spread {
        Spread::of(self.flat_out.iter().map(|it| it.rate))
    }

    fn latency(&self, figure: fn(&Outcome) -> f64) -> Spread {
        Spread::of(self.timed.iter().map(figure))
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.flat_out.iter().chain(&self.timed)
    }
}

/// A dimension's curve.
type Grown = (Dimension, Vec<Seen>);

impl GrowthArgs {
    fn section(&self, all: &[Grown]) -> Result<Section, PerfError> {
        let at_rate = |name: &str| format!("{name} at {} msg/s", self.rate);
        let (p50_title, p99_title) = (at_rate("p50"), at_rate("p99"));
        let mut table = Table::new(&["what grows", "to", "msg/s flat out", &p50_title, &p99_title]);
        let mut pictures = Vec::new();
        for (dimension, seen) in all {
            for it in seen {
                table.push([
                    dimension.name().to_owned(),
                    shown_value(*dimension, it),
                    it.rate().show(rate),
                    it.latency(p50).show(time),
                    it.latency(p99).show(time),
                ]);
            }
            pictures.extend(drawn(*dimension, seen)?);
        }
        let outcomes = || {
            all.iter()
                .flat_map(|(_, seen)| seen)
                .flat_map(Seen::outcomes)
        };
        Ok(Section {
            title: "Growth".into(),
            summary: summary(all),
            text: TEXT.into(),
            table,
            pictures,
            notes: faults(outcomes()),
            raw: all.iter().flat_map(raw).collect(),
            is_good: are_exact(outcomes()),
            ..Section::default()
        })
    }
}

/// The frame that is as short as possible by the length that it has.
fn shown_value(dimension: Dimension, it: &Seen) -> String {
    match dimension {
        Dimension::Frame => it.flat_out[0].frame_len.to_string(),
        _ => it.value.to_string(),
    }
}

fn summary(all: &[Grown]) -> String {
    let change = |(dimension, seen): &Grown| {
        let (first, last) = (seen.first()?, seen.last()?);
        let times = last.rate().median / first.rate().median.max(f64::MIN_POSITIVE);
        let (name, from, to) = (
            dimension.name(),
            shown_value(*dimension, first),
            shown_value(*dimension, last),
        );
        Some(format!("{name} {from} to {to}: {times:.2}"))
    };
    let changes: Vec<String> = all.iter().filter_map(change).collect();
    format!(
        "Messages a second, last over first, as one thing grows: {}.",
        changes.join("; ")
    )
}

fn raw((dimension, seen): &Grown) -> Vec<Value> {
    let of = |it: &Seen| {
        let (name, value) = (dimension.name(), it.value);
        let outcomes = it.outcomes();
        outcomes
            .map(|outcome| json!({ "grows": name, "value": value, "outcome": outcome }))
            .collect::<Vec<_>>()
    };
    seen.iter().flat_map(of).collect()
}

#[expect(clippy::cast_precision_loss, reason = "values fit 52 bits")]
fn drawn(dimension: Dimension, seen: &[Seen]) -> Result<[Picture; 2], PerfError> {
    let name = dimension.name();
    let file = name.replace(' ', "-");
    let at = |it: &Seen| match dimension {
        Dimension::Frame => it.flat_out[0].frame_len as f64,
        _ => it.value as f64,
    };
    let curve = |name: &str, figure: &dyn Fn(&Seen) -> f64| {
        let points = seen.iter().map(|it| (at(it), figure(it)));
        (name.to_owned(), points.collect())
    };
    let x = Axis {
        label: name,
        // A backlog may be none, and levels and agents are few.
        scale: match dimension {
            Dimension::Levels | Dimension::Agents | Dimension::Backlog => Scale::Count,
            _ => Scale::Logarithm,
        },
    };
    let y = Axis {
        label: "messages a second",
        scale: Scale::Count,
    };
    let rates = [curve("flat out", &|it| it.rate().median)];
    let latencies = [
        curve("p50", &|it| it.latency(p50).median),
        curve("p99", &|it| it.latency(p99).median),
    ];
    Ok([
        lines(
            &format!("{file}-rate"),
            &format!("Throughput by {name}"),
            [x, y],
            &rates,
        )?,
        lines(
            &format!("{file}-latency"),
            &format!("Latency by {name}"),
            [x, LATENCY],
            &latencies,
        )?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Durability;

    #[test]
    fn each_dimension_changes_its_own_place_alone() {
        let (plan, settings) = (
            Plan::flat_out(1_000, FRAME_LEN),
            Settings::new(Durability::Written),
        );
        let changed = |dimension: Dimension| {
            let it = dimension.point(7, &plan, &settings);
            [it.plan != plan, it.settings != settings, it.waiting != 0]
        };
        assert_eq!(changed(Dimension::Sources), [true, false, false]);
        assert_eq!(changed(Dimension::Frame), [true, false, false]);
        assert_eq!(changed(Dimension::Levels), [true, true, false]);
        assert_eq!(changed(Dimension::Agents), [false, true, false]);
        assert_eq!(changed(Dimension::Backlog), [false, false, true]);
    }
}
