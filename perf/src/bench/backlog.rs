//! Messages by the million for a customer who is not there: what that costs, and whom.
//!
//! Five lanes through one engine: the absent customer's, and four of other customers, each measured
//! in one phase: before, while it fills, when all of it waits, while it drains.

use std::cell::RefCell;
use std::time::Duration;

use super::prelude::*;
use crate::lane::Lane;
use crate::process::{Usage, usage, watched};

const MESSAGES: [u64; 2] = [10_000_000, 100_000];
const FILL_RATE: u64 = 100_000;
const OTHERS_RATE: u64 = 10_000;
const SECONDS: [u64; 2] = [10, 2];
/// Sources and customers of each of the other lanes.
const OTHERS: usize = 2;
/// By the budget of the design.
const RESIDENT_MAX_BYTES: f64 = 256.0 * 1_048_576.0;
/// "Unmoved": what two rounds of the same differ by on a quiet machine.
const OTHERS_RATIO_MAX: f64 = 1.5;
/// Between two looks at the engine's memory.
const LOOK: Duration = Duration::from_millis(100);
const PHASES: [&str; 4] = [
    "before",
    "while it fills",
    "when all waits",
    "while it drains",
];
/// The other customers of each phase, and the absent one.
const LANES: usize = PHASES.len() + 1;
const FULL: usize = 2;
const DRAINED: &str = "drained";

/// Messages that the engine took while they waited.
const TAKEN_WAITING: Figure = extra("taken", "taken", Unit::Count);
/// Messages a second, from the first to the last.
const DRAIN_RATE: Figure = extra("drain msg/s", "drain_rate", Unit::Count);

const TEXT: &str = "One customer is absent while its messages come; then it comes and takes them \
as fast as it can, and checks that it got each exactly once, in order. Meanwhile other customers \
take theirs on schedule, and their latency is measured in each phase alone. Resident is the \
engine's memory at the end of the phase; CPU is the engine's for all that it did until then, by \
the phase's messages.";

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

/// Seconds, and bytes resident then.
type Memory = Vec<(f64, f64)>;

impl Bench for BacklogArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let messages = stage.pick(self.messages, MESSAGES);
        let seconds = stage.pick(self.seconds, SECONDS);
        say(format!(
            "backlog: {messages} messages for an absent customer"
        ));
        let memory = RefCell::new(Memory::new());
        let plans = self.plans(messages, seconds);
        let side = Contestant::new(Subject::Engine, &plans[0], &stage.settings());
        let side = side.playing_lanes(|it| {
            let mut scene = Scene::open(testbed, it, &plans)?;
            let pid = scene.engine.child.pid();
            let look = || Ok(usage(pid)?.resident_kib as f64 * 1024.0);
            let (outcomes, seen) = watched(LOOK, look, || scene.play())?;
            memory.replace(seen);
            Ok(outcomes)
        });
        let played = stage.play(&[side], 1)?;
        section(&played, messages, &memory.borrow())
    }
}

impl BacklogArgs {
    /// Of the other customers, a phase each, then of the absent one. The first destination is a VIP;
    /// the absent one stands behind all others.
    fn plans(&self, messages: u64, seconds: u64) -> [Plan; LANES] {
        let fill_seconds = messages.div_ceil(self.fill_rate);
        let mut plans: Vec<Plan> = Vec::new();
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
        let absent = Plan {
            destinations: 1,
            messages,
            ..Plan::at_rate(self.fill_rate, 0, 0, FRAME_LEN)
        };
        plans.push(absent.behind(&plans[PHASES.len() - 1]));
        plans.try_into().expect("a phase each, and the absent one")
    }
}

/// An engine with all its lanes.
struct Scene {
    engine: Running,
    absent: Lane,
    others: Vec<Lane>,
    before: Usage,
}

impl Scene {
    fn open(testbed: &Testbed, it: &Contestant<'_>, plans: &[Plan; LANES]) -> Result<Self> {
        let (engine, lanes) = testbed.open(&it.settings, plans.clone())?;
        let mut others = Vec::from(lanes);
        let absent = others.pop().expect("the last is the absent customer's");
        for lane in &mut others {
            lane.join(&engine)?;
        }
        absent.expect_connected()?;
        Ok(Self {
            before: engine.child.usage()?,
            engine,
            absent,
            others,
        })
    }

    /// The phases one after another, then what the absent customer got. An engine that stops reading
    /// before all waits has no phase in which all does.
    fn play(&mut self) -> Result<Vec<(String, Outcome)>> {
        let mut phases = Vec::new();
        self.others[0].go()?;
        phases.push(self.end_of(0)?);

        self.others[1].go()?;
        self.absent.go()?;
        let messages = self.absent.plan.messages;
        let before = self.others[0].plan.messages;
        let all = before + self.others[1].plan.messages + messages;
        let taken = self.engine.wait_for(TAKEN, all, TAKING)?;
        if taken >= all {
            phases.push(self.end_of(1)?);
            self.others[FULL].go()?;
            phases.push(self.end_of(FULL)?);
        } else {
            say(format!("  it stopped reading after {taken} of {all}"));
        }

        self.absent.subscribe(self.engine.address, &[])?;
        self.others[FULL + 1].go()?;
        let drained = ended(&self.engine, &self.absent, self.before)?;
        phases.push(self.end_of(FULL + 1)?);
        let rate = drain_rate(&drained);
        let taken = (taken - before).min(messages) as f64;
        let drained = drained.with(&DRAIN_RATE, rate).with(&TAKEN_WAITING, taken);
        phases.push((DRAINED.to_owned(), drained));
        Ok(phases)
    }

    fn end_of(&self, index: usize) -> Result<(String, Outcome)> {
        let outcome = ended(&self.engine, &self.others[index], self.before)?;
        say(format!("  {}", PHASES[index]));
        Ok((PHASES[index].to_owned(), outcome))
    }
}

fn drain_rate(drained: &Outcome) -> f64 {
    let arrivals = &drained.received.arrivals;
    let ns = arrivals.last_ns.saturating_sub(arrivals.first_ns).max(1);
    drained.received.frames as f64 * 1e9 / ns as f64
}

fn section(played: &[Played], messages: u64, memory: &Memory) -> Result<Section> {
    let (drained, phases) = played
        .split_last()
        .expect("the last is the drained backlog");
    let mut section = Section::of_rounds(&[], phases, &[P50, P99, P999, MAX, RESIDENT], ALONE);
    let figures = [TAKEN_WAITING, DRAIN_RATE, RESIDENT_MAX];
    section.join(Section::of_rounds(
        &[],
        std::slice::from_ref(drained),
        &figures,
        ALONE,
    ));
    let [resident, rate] =
        [RESIDENT_MAX, DRAIN_RATE].map(|it| it.unit.show(drained.spread(&it).mid));
    Ok(Section {
        title: format!("Backlog: {messages} messages for an absent customer, no store"),
        summary: format!(
            "With {messages} messages waiting for an absent customer it is {resident} large, and hands \
             them out at {rate} msg/s."
        ),
        text: TEXT.into(),
        aims: aims(phases, drained, messages),
        pictures: pictures(phases, drained, memory)?,
        ..section
    })
}

fn aims(phases: &[Played], drained: &Played, messages: u64) -> Vec<Aim> {
    let full = phases.iter().find(|it| it.name == PHASES[FULL]);
    let what = "the others' p99 when all waits, over that before";
    let unmoved = match full.map(|it| it.ratio(&phases[0], &P99)) {
        Some(moved) => Aim::at_most(what, OTHERS_RATIO_MAX, Unit::Ratio, moved),
        None => Aim::holds(what, "that all waits", "it never did", false),
    };
    vec![
        Aim::at_least(
            "messages taken while they wait",
            messages as f64,
            Unit::Count,
            drained.spread(&TAKEN_WAITING),
        ),
        drained.aim_at_most("resident", &RESIDENT_MAX, RESIDENT_MAX_BYTES),
        unmoved,
    ]
}

fn pictures(phases: &[Played], drained: &Played, memory: &Memory) -> Result<Vec<Picture>> {
    let memory = [("engine".to_owned(), memory.clone())];
    let last = drained.outcomes.last().expect("a round was played");
    let slices = last.received.arrivals.timeline.iter().enumerate();
    let drain = slices
        .map(|(at, &frames)| (at as f64 / 10.0, frames as f64 * 10.0))
        .collect();
    let drain = [("the absent customer's".to_owned(), drain)];
    let over_time = |label, unit| {
        [
            Axis::linear("seconds", Unit::Count),
            Axis::linear(label, unit),
        ]
    };
    let aims = [("aim".to_owned(), RESIDENT_MAX_BYTES)];
    Ok(vec![
        Sheet::new("latency", "The other customers' latency").percentiles(&curves(phases))?,
        Sheet::new("memory", "Resident memory, over time")
            .with_aims(&aims)
            .plain_lines(over_time("resident", Unit::Bytes), &memory)?,
        Sheet::new("drain", "The backlog's end, over time, last round")
            .plain_lines(over_time("messages a second", Unit::Count), &drain)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_absent_customer_stands_behind_all_others_and_no_two_lanes_share_a_party() {
        let args = BacklogArgs {
            messages: None,
            fill_rate: 1_000,
            rate: 500,
            seconds: None,
        };
        let plans = args.plans(5_000, 2);
        let seconds = plans.iter().map(|it| it.messages / it.rate.unwrap_or(1));
        assert_eq!(seconds.collect::<Vec<_>>(), [2, 5, 2, 2, 5]);
        let names: Vec<String> = plans.iter().flat_map(Plan::destination_names).collect();
        assert_eq!(names.last().map(String::as_str), Some("table009"));
        assert!(names.is_sorted());
    }
}
