//! Throughput and latency while one thing varies and all others stay as they are: `growth`, and
//! `durability`, which is the same with another thing.
//!
//! Each value gets its own engines: one flat out, one on schedule.

mod dimension;
mod pictures;

use clap::Args;
use serde_json::{Value, json};

use super::latency::{p50, p99};
use super::taken::wait_until_taken;
use crate::common::{Bench, Common, FRAME_LEN};
use crate::error::PerfError;
use crate::lane::Lane;
use crate::plan::Plan;
use crate::report::{Section, Table};
use crate::round::{Outcome, finish};
use crate::rounds::{are_exact, faults};
use crate::screen::say;
use crate::spread::{rate, time};
use crate::testbed::{Subject, Testbed};
use dimension::{Dimension, Point, Seen};
use pictures::drawn;

const ROUNDS: u32 = 3;
const MESSAGES: u64 = 500_000;
const MESSAGES_QUICK: u64 = 20_000;
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

const DURABILITY_MESSAGES: u64 = 1_000_000;
const DURABILITY_SECONDS: u64 = 5;

const DURABILITY_TEXT: &str = "What has happened before a message is delivered. `memory`: nothing, the journal \
follows; `written`: the operating system has it, which survives a killed engine; `synced`: the disk \
has it, which survives a power cut. Flat out, and on schedule; each durability in turn. Medians, \
with the least and the most.";

/// What `durability` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct DurabilityArgs {
    /// Messages a round flat out [default: 1000000].
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Messages a second on schedule.
    #[arg(long, value_name = "N", default_value_t = RATE)]
    rate: u64,
    /// How long a round on schedule is [default: 5].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

impl Bench for DurabilityArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let growth = GrowthArgs {
            of: vec![Dimension::Durability],
            messages: Some(common.pick(self.messages, DURABILITY_MESSAGES, MESSAGES_QUICK)),
            rate: self.rate,
            seconds: Some(common.pick(self.seconds, DURABILITY_SECONDS, SECONDS_QUICK)),
            values: Vec::new(),
        };
        let section = growth.run(testbed, common)?;
        Ok(Section {
            title: format!("Durability: flat out, and at {} msg/s; no store", self.rate),
            text: DURABILITY_TEXT.into(),
            ..section
        })
    }
}

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

impl Bench for GrowthArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
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
        if !self.values.is_empty() && dimensions == [Dimension::Durability] {
            return Err(PerfError::Usage("durability has values of its own".into()));
        }
        let mut all = Vec::new();
        for dimension in dimensions {
            let values = match self.values.as_slice() {
                [] => dimension.values(),
                values => values,
            };
            all.push((dimension, grow(testbed, common, dimension, values, &plans)?));
        }
        self.section(&all)
    }
}

/// All values, round by round, up and down in turn.
fn grow(
    testbed: &Testbed,
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
                .map(|plan| play(testbed, &dimension.point(it.value, plan, &settings)));
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
fn play(testbed: &Testbed, point: &Point) -> Result<Outcome, PerfError> {
    let Point { plan, settings, .. } = point;
    if point.waiting == 0 {
        return testbed.play(Subject::Engine, plan, settings);
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
    let engine = testbed.start_engine(settings, &addresses, &names)?;
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
                    dimension.shown(it),
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

fn summary(all: &[Grown]) -> String {
    let change = |(dimension, seen): &Grown| {
        let (first, last) = (seen.first()?, seen.last()?);
        let times = last.rate().median / first.rate().median.max(f64::MIN_POSITIVE);
        let (name, from, to) = (
            dimension.name(),
            dimension.shown(first),
            dimension.shown(last),
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
    let one = |(it, outcome): (&Seen, &Outcome)| json!({ "grows": dimension.name(), "value": it.value, "outcome": outcome });
    let flat_out = seen
        .iter()
        .flat_map(|it| it.flat_out.iter().map(move |outcome| (it, outcome)));
    let timed = seen
        .iter()
        .flat_map(|it| it.timed.iter().map(move |outcome| (it, outcome)));
    flat_out.chain(timed).map(one).collect()
}
