//! One customer reads half as fast as its messages come: who notices, and who must not.
//!
//! Two lanes through one engine: the slow customer with its own source, and the others.

use std::process::Command;

use clap::Args;
use serde_json::json;

use crate::common::{Bench, Common, FRAME_LEN};
use crate::curve::Curve;
use crate::engine::Settings;
use crate::error::{Context, PerfError};
use crate::lane::Lane;
use crate::parts::sink::SLOW_SOCKET_HELD;
use crate::picture::{Picture, percentiles};
use crate::plan::Plan;
use crate::report::{Aim, Section, Table};
use crate::round::Outcome;
use crate::rounds::{are_exact, faults};
use crate::screen::say;
use crate::spread::{Spread, shown, time};
use crate::testbed::{Running, Subject, Testbed};

const ROUNDS: u32 = 3;
const RATE: u64 = 20_000;
const SECONDS: u64 = 20;
const SECONDS_QUICK: u64 = 2;
const WARMUP_SECONDS: u64 = 1;
/// Customers that read as they should.
const OTHERS: usize = 3;
/// `[delivery] credit` by default: what an urgent message cannot overtake, beside what lies in the
/// reader's own socket.
const CREDIT_BYTES: u64 = 256 * 1024;
/// By the budget of the design: level 1 at most twice as late, plus the credit's drain time.
const LEVEL_1_TIMES_MAX: f64 = 2.0;
/// The others "unmoved": what two rounds of the same differ by on a quiet machine.
const OTHERS_RATIO_MAX: f64 = 1.5;

const TEXT: &str = "Four customers get the same share of the messages, a third of them at each \
level; one of them, without overload and with, reads half of its share, from a small socket buffer. \
Latency runs from the time a message was due to its arrival, through to the last message of the \
backlog, which the slow customer works off after the sources have ended. The worst wait is the \
longest of all rounds. Level 3 waits longest by design, and ageing moves it up.";

/// What `overload` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct OverloadArgs {
    /// Messages a second, of all sources together.
    #[arg(long, value_name = "N", default_value_t = RATE)]
    rate: u64,
    /// How long the sources send [default: 20].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

/// One round of both lanes.
struct Shared {
    slow: Outcome,
    others: Outcome,
}

/// Rounds without the overload, and with it.
struct Compared {
    without: Vec<Shared>,
    with: Vec<Shared>,
    /// What the engine promises of waits, in its own words.
    promise: Vec<String>,
}

impl Bench for OverloadArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        let rounds = common.rounds(ROUNDS);
        let settings = common.settings();
        say(&format!("overload: {} msg/s for {seconds} s", self.rate));
        let mut compared = Compared {
            without: Vec::new(),
            with: Vec::new(),
            promise: Vec::new(),
        };
        for round in 0..rounds {
            // Every other round in the opposite order, as everywhere.
            let order = [!round.is_multiple_of(2), round.is_multiple_of(2)];
            for is_overloaded in order {
                let (shared, promise) = self.play(testbed, &settings, seconds, is_overloaded)?;
                compared.promise = promise;
                match is_overloaded {
                    true => compared.with.push(shared),
                    false => compared.without.push(shared),
                }
            }
        }
        self.section(&compared, rounds, seconds)
    }
}

impl OverloadArgs {
    /// Of the slow customer and of the others.
    fn plans(&self, seconds: u64, is_overloaded: bool) -> [Plan; 2] {
        let share = (self.rate / (OTHERS as u64 + 1)).max(1);
        let others = Plan {
            sources: OTHERS,
            destinations: OTHERS,
            ..Plan::at_rate(share * OTHERS as u64, seconds, WARMUP_SECONDS, FRAME_LEN)
        };
        // Behind the others: the first customer is a VIP, whose levels are one.
        let slow = Plan {
            sources: 1,
            destinations: 1,
            reader_rate: is_overloaded.then_some((share / 2).max(1)),
            ..Plan::at_rate(share, seconds, WARMUP_SECONDS, FRAME_LEN)
        };
        [slow.behind(&others), others]
    }

    fn play(
        &self,
        testbed: &Testbed,
        settings: &Settings,
        seconds: u64,
        is_overloaded: bool,
    ) -> Result<(Shared, Vec<String>), PerfError> {
        let [slow, others] = self.plans(seconds, is_overloaded);
        let ((mut slow, of_slow), (mut others, of_others)) =
            (Lane::listening(slow)?, Lane::listening(others)?);
        let names = [
            others.plan.destination_names(),
            slow.plan.destination_names(),
        ];
        let addresses = [of_others, of_slow].concat();
        let engine = testbed.start_engine(settings, &addresses, &names.concat())?;
        let promise = promise(testbed, &engine)?;
        for lane in [&mut slow, &mut others] {
            lane.subscribe(engine.address, &[])?;
            lane.expect_connected()?;
        }
        let before = engine.child.usage()?;
        slow.go()?;
        others.go()?;
        let end = |lane: &Lane| {
            let (sent, received) = (lane.sent()?, lane.received()?);
            let usage = engine.child.usage()?.since(before);
            Outcome::of(Subject::Engine, lane, settings, sent, received, usage)
        };
        let others = end(&others)?;
        let slow = end(&slow)?;
        let name = if is_overloaded { "with" } else { "without" };
        let levels = slow.received.arrivals.by_level.iter();
        let levels: Vec<String> = levels.map(|it| shown(it.p99)).collect();
        let p99 = shown(others.received.latency().p99);
        say(&format!(
            "  {name:7} p99 by level {}, others {p99}, {}, {}",
            levels.join(", "),
            slow.verdict(),
            others.verdict()
        ));
        Ok((Shared { slow, others }, promise))
    }

    fn section(
        &self,
        compared: &Compared,
        rounds: u32,
        seconds: u64,
    ) -> Result<Section, PerfError> {
        let mut table = Table::new(&["customers", "overload", "p50", "p99", "worst wait"]);
        for (name, find) in rows() {
            for (side, rounds) in [("without", &compared.without), ("with", &compared.with)] {
                table.push(row(&name, side, rounds, &find));
            }
        }
        let all = || compared.without.iter().chain(&compared.with);
        let outcomes = || all().flat_map(|it| [&it.slow, &it.others]);
        let mut notes = faults(outcomes());
        notes.extend(
            compared
                .promise
                .iter()
                .map(|it| format!("`check` says: {it}.")),
        );
        let aims = self.aims(compared);
        Ok(Section {
            title: format!(
                "Overload: {} msg/s for {seconds} s, {rounds} rounds of each, no store",
                self.rate
            ),
            summary: format!(
                "With a customer that reads half of its messages, the others' p99 is {} times \
                 what it was without.",
                aims[1].found
            ),
            text: TEXT.into(),
            table,
            aims,
            pictures: vec![picture(compared)?],
            notes,
            raw: outcomes().map(|it| json!(it)).collect(),
            is_good: are_exact(outcomes()),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "ns of ten minutes fit 52 bits")]
    fn aims(&self, compared: &Compared) -> Vec<Aim> {
        let p99 = |rounds: &[Shared], find: &Find| {
            Spread::of(rounds.iter().map(|it| find(it).p99 as f64)).median
        };
        let level_1 = level(0);
        let drained_a_second = (self.rate / (OTHERS as u64 + 1) / 2).max(1) * FRAME_LEN as u64;
        let drained = CREDIT_BYTES + SLOW_SOCKET_HELD as u64;
        let drain_ns = drained as f64 * 1e9 / drained_a_second as f64;
        let limit = LEVEL_1_TIMES_MAX * p99(&compared.without, &level_1) + drain_ns;
        let found = p99(&compared.with, &level_1);
        let others = Spread::of(compared.with.iter().zip(&compared.without).map(
            |(with, without)| others(with).p99 as f64 / (others(without).p99 as f64).max(1.0),
        ));
        vec![
            Aim::new(
                "level 1's p99 at the slow customer",
                format!(
                    "{} at most: twice that without, and the drain of credit and socket",
                    time(limit)
                ),
                time(found),
                found <= limit,
            ),
            Aim::new(
                "the others' p99, over that without",
                format!("{OTHERS_RATIO_MAX} at most"),
                others.show(|it| format!("{it:.2}")),
                others.median <= OTHERS_RATIO_MAX,
            ),
        ]
    }
}

/// Finds a curve in a round.
type Find = Box<dyn Fn(&Shared) -> Curve>;

fn level(index: usize) -> Find {
    let find = move |it: &Shared| it.slow.received.arrivals.by_level.get(index).cloned();
    Box::new(move |it| find(it).unwrap_or_default())
}

fn others(shared: &Shared) -> Curve {
    shared.others.received.latency()
}

fn rows() -> Vec<(String, Find)> {
    let mut rows: Vec<(String, Find)> = (0..crate::plan::LEVELS)
        .map(|it| (format!("the slow one, level {}", it + 1), level(it)))
        .collect();
    rows.push(("the other three".into(), Box::new(others)));
    rows
}

#[expect(clippy::cast_precision_loss, reason = "ns of ten minutes fit 52 bits")]
fn row(name: &str, side: &str, rounds: &[Shared], find: &Find) -> [String; 5] {
    let curves: Vec<Curve> = rounds.iter().map(find).collect();
    let spread = |figure: fn(&Curve) -> u64| {
        Spread::of(curves.iter().map(|it| figure(it) as f64)).show(time)
    };
    [
        name.to_owned(),
        side.to_owned(),
        spread(|it| it.p50),
        spread(|it| it.p99),
        shown(curves.iter().map(|it| it.max).max().unwrap_or(0)),
    ]
}

/// The percentile curves of the last rounds.
fn picture(compared: &Compared) -> Result<Picture, PerfError> {
    let mut curves = Vec::new();
    for (name, find) in rows() {
        if let Some(round) = compared.with.last() {
            curves.push((name, find(round)));
        }
    }
    if let Some(round) = compared.without.last() {
        curves.push(("the other three, without".into(), others(round)));
    }
    percentiles("latency", "Latency with one slow customer", &curves)
}

/// What `check` says of the worst waits.
fn promise(testbed: &Testbed, engine: &Running) -> Result<Vec<String>, PerfError> {
    let mut command = Command::new(&testbed.engine);
    command.args(["check", "--config"]);
    let output = command.args(engine.settings_file()).output();
    let said = output.context("asking the engine's check")?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines = said.lines().filter(|it| it.contains("worst wait"));
    Ok(lines.map(|it| it.trim().to_owned()).collect())
}
