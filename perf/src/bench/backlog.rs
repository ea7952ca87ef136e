//! Messages by the million for a customer who is not there: what that costs, and whom.
//!
//! Five lanes through one engine: the absent customer's, and four of other customers, each measured
//! in one phase: before, while it fills, when all of it waits, while it drains.

use clap::Args;
use serde_json::json;

use super::taken::wait_until_taken;
use crate::common::{Bench, Common, FRAME_LEN};
use crate::engine::Settings;
use crate::error::PerfError;
use crate::lane::Lane;
use crate::parts::{SinkReport, SourceReport};
use crate::picture::{Axis, Picture, Scale, lines, percentiles};
use crate::plan::Plan;
use crate::process::{Usage, Watch};
use crate::report::{Aim, Section, Table};
use crate::round::Outcome;
use crate::rounds::{are_exact, faults};
use crate::screen::say;
use crate::spread::{rate, shown};
use crate::testbed::{Running, Subject, Testbed};

const MESSAGES: u64 = 10_000_000;
const MESSAGES_QUICK: u64 = 100_000;
const FILL_RATE: u64 = 100_000;
const OTHERS_RATE: u64 = 10_000;
const SECONDS: u64 = 10;
const SECONDS_QUICK: u64 = 2;
/// Sources and customers of each of the other lanes.
const OTHERS: usize = 2;
/// By the budget of the design.
const RESIDENT_KIB_MAX: u64 = 256 * 1024;
/// "Unmoved": what two rounds of the same differ by on a quiet machine.
const OTHERS_RATIO_MAX: f64 = 1.5;
const PHASES: [&str; 4] = [
    "before",
    "while it fills",
    "when all waits",
    "while it drains",
];
const FULL: usize = 2;

const TEXT: &str = "One customer is absent while its messages come; then it comes and takes them \
as fast as it can, and checks that it got each exactly once, in order. Meanwhile other customers \
take theirs on schedule, and their latency is measured in each phase alone. Resident is the \
engine's memory at the end of the phase.";

/// What `backlog` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct BacklogArgs {
    /// Messages for the absent customer [default: 10000000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// ... a second.
    #[arg(
        long, value_name = "N", default_value_t = FILL_RATE,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    fill_rate: u64,
    /// Messages a second for the other customers.
    #[arg(
        long, value_name = "N", default_value_t = OTHERS_RATE,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    rate: u64,
    /// How long a phase is that could be of any length [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

/// A lane's end, and the engine's memory then.
struct Phase {
    name: &'static str,
    outcome: Outcome,
}

/// What all phases showed.
struct Shown {
    phases: Vec<Phase>,
    /// The absent customer's, from its coming on.
    drained: Outcome,
    /// Messages a second, from the first to the last.
    drain_rate: f64,
    /// Messages that the engine took while they waited.
    taken: u64,
    memory: Vec<(f64, u64)>,
    resident_max_kib: u64,
}

/// An engine with all its lanes.
struct Scene {
    engine: Running,
    absent: Lane,
    others: Vec<Lane>,
    settings: Settings,
    before: Usage,
}

impl Bench for BacklogArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let messages = common.pick(self.messages, MESSAGES, MESSAGES_QUICK);
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        say(&format!(
            "backlog: {messages} messages for an absent customer"
        ));
        let settings = common.settings();
        let scene = self.scene(testbed, &settings, messages, seconds)?;
        let watch = Watch::begin(scene.engine.child.pid());
        let shown = scene.play(messages, watch)?;
        section(&shown, messages)
    }
}

impl BacklogArgs {
    fn scene(
        &self,
        testbed: &Testbed,
        settings: &Settings,
        messages: u64,
        seconds: u64,
    ) -> Result<Scene, PerfError> {
        let fill_seconds = messages.div_ceil(self.fill_rate);
        let absent = Plan {
            destinations: 1,
            ..Plan::at_rate(self.fill_rate, 0, 0, FRAME_LEN)
        };
        let absent = Plan { messages, ..absent };
        // The first destination is a VIP; the absent one stands behind all others.
        let mut plans = Vec::new();
        for phase_seconds in [seconds, fill_seconds, seconds, seconds] {
            let plan = Plan {
                sources: OTHERS,
                destinations: OTHERS,
                ..Plan::at_rate(self.rate, phase_seconds, 0, FRAME_LEN)
            };
            plans.push(match plans.last() {
                Some(last) => plan.behind(last),
                None => plan,
            });
        }
        plans.push(absent.behind(&plans[FULL + 1]));
        let (mut lanes, mut addresses, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for plan in plans {
            names.extend(plan.destination_names());
            let (lane, listening) = Lane::listening(plan)?;
            addresses.extend(listening);
            lanes.push(lane);
        }
        let engine = testbed.start_engine(settings, &addresses, &names)?;
        let absent = lanes.pop().expect("the last is the absent customer's");
        for lane in &mut lanes {
            lane.subscribe(engine.address, &[])?;
            lane.expect_connected()?;
        }
        absent.expect_connected()?;
        Ok(Scene {
            before: engine.child.usage()?,
            engine,
            absent,
            others: lanes,
            settings: settings.clone(),
        })
    }
}

impl Scene {
    fn play(mut self, messages: u64, watch: Watch) -> Result<Shown, PerfError> {
        let mut phases = Vec::new();
        self.others[0].go()?;
        phases.push(self.end_of(0)?);

        self.others[1].go()?;
        self.absent.go()?;
        let mut all = messages + self.others[0].plan.messages + self.others[1].plan.messages;
        let taken = wait_until_taken(&self.engine, all)?;
        let is_full = taken >= all;
        if is_full {
            phases.push(self.end_of(1)?);
            self.others[FULL].go()?;
            phases.push(self.end_of(FULL)?);
            all += self.others[FULL].plan.messages;
        } else {
            say(&format!("  it stopped reading after {taken} of {all}"));
        }

        self.absent.subscribe(self.engine.address, &[])?;
        self.others[FULL + 1].go()?;
        let (sent, received) = (self.absent.sent()?, self.absent.received()?);
        phases.push(self.end_of(FULL + 1)?);
        let drained = self.outcome(&self.absent, sent, received)?;
        Ok(Shown {
            drain_rate: drain_rate(&drained),
            taken: taken.min(all) - self.others[0].plan.messages,
            resident_max_kib: drained.usage.resident_max_kib,
            drained,
            phases,
            memory: watch.end(),
        })
    }

    fn end_of(&self, index: usize) -> Result<Phase, PerfError> {
        let lane = &self.others[index];
        let outcome = self.outcome(lane, lane.sent()?, lane.received()?)?;
        let (name, p99) = (PHASES[index], shown(outcome.received.latency().p99));
        let resident = outcome.usage.resident_kib / 1024;
        let verdict = outcome.verdict();
        say(&format!(
            "  {name}: others' p99 {p99}, resident {resident} MiB, {verdict}"
        ));
        Ok(Phase { name, outcome })
    }

    fn outcome(
        &self,
        lane: &Lane,
        sent: SourceReport,
        received: SinkReport,
    ) -> Result<Outcome, PerfError> {
        let usage = self.engine.child.usage()?.since(self.before);
        Outcome::of(Subject::Engine, lane, &self.settings, sent, received, usage)
    }
}

#[expect(clippy::cast_precision_loss, reason = "frames and ns fit 52 bits")]
fn drain_rate(drained: &Outcome) -> f64 {
    let arrivals = &drained.received.arrivals;
    let ns = arrivals.last_ns.saturating_sub(arrivals.first_ns).max(1);
    drained.received.frames as f64 * 1e9 / ns as f64
}

fn section(it: &Shown, messages: u64) -> Result<Section, PerfError> {
    let mut table = Table::new(&["phase", "others' p50", "p99", "p99.9", "max", "resident"]);
    for Phase { name, outcome } in &it.phases {
        let latency = outcome.received.latency();
        table.push([
            (*name).to_owned(),
            shown(latency.p50),
            shown(latency.p99),
            shown(latency.p999),
            shown(latency.max),
            format!("{} MiB", outcome.usage.resident_kib / 1024),
        ]);
    }
    let outcomes = || {
        let phases = it.phases.iter().map(|it| &it.outcome);
        phases.chain([&it.drained])
    };
    let mut notes = faults(outcomes());
    notes.push(format!(
        "Drained: {} messages, {} msg/s from the first to the last.",
        it.drained.received.frames,
        rate(it.drain_rate)
    ));
    let resident = it.resident_max_kib / 1024;
    Ok(Section {
        title: format!("Backlog: {messages} messages for an absent customer, no store"),
        summary: format!(
            "With {messages} messages waiting for an absent customer it is {resident} MiB large, \
             and hands them out at {} msg/s.",
            rate(it.drain_rate)
        ),
        text: TEXT.into(),
        table,
        aims: aims(it, messages),
        pictures: pictures(it)?,
        notes,
        raw: outcomes().map(|it| json!(it)).collect(),
        is_good: are_exact(outcomes()),
    })
}

#[expect(clippy::cast_precision_loss, reason = "ns of ten minutes fit 52 bits")]
fn aims(it: &Shown, messages: u64) -> Vec<Aim> {
    let resident = it.resident_max_kib;
    let p99 = |name: &str| {
        let phase = it.phases.iter().find(|it| it.name == name)?;
        Some(phase.outcome.received.latency().p99 as f64)
    };
    let moved = (p99(PHASES[FULL]).zip(p99(PHASES[0]))).map(|(full, before)| full / before);
    vec![
        Aim::new(
            "messages taken while they wait",
            messages.to_string(),
            it.taken.min(messages).to_string(),
            it.taken >= messages,
        ),
        Aim::new(
            "resident at most",
            format!("{} MiB", RESIDENT_KIB_MAX / 1024),
            format!("{} MiB", resident / 1024),
            resident <= RESIDENT_KIB_MAX,
        ),
        Aim::new(
            "the others' p99 when all waits, over that before",
            format!("{OTHERS_RATIO_MAX} at most"),
            moved.map_or("it never did".into(), |it| format!("{it:.2}")),
            moved.is_some_and(|it| it <= OTHERS_RATIO_MAX),
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "KiB and frames fit 52 bits")]
fn pictures(it: &Shown) -> Result<Vec<Picture>, PerfError> {
    let curve = |it: &Phase| (it.name.to_owned(), it.outcome.received.latency());
    let curves: Vec<_> = it.phases.iter().map(curve).collect();
    let bytes = |&(seconds, kib): &(f64, u64)| (seconds, kib as f64 * 1024.0);
    let memory = [("engine".to_owned(), it.memory.iter().map(bytes).collect())];
    let slices = it.drained.received.arrivals.timeline.iter().enumerate();
    let drain = slices.map(|(at, &frames)| (at as f64 / 10.0, frames as f64 * 10.0));
    let drain = [("the absent customer's".to_owned(), drain.collect())];
    let axis = |label| Axis {
        label,
        scale: Scale::Count,
    };
    let over_time = |y| [axis("seconds"), axis(y)];
    Ok(vec![
        percentiles("latency", "The other customers' latency", &curves)?,
        lines(
            "memory",
            "Resident memory, over time",
            over_time("bytes"),
            &memory,
        )?,
        lines(
            "drain",
            "The backlog's end, over time",
            over_time("messages a second"),
            &drain,
        )?,
    ])
}
