//! One customer who reads more slowly than its messages come: what its levels notice, and whether
//! the other customers do.
//!
//! Two lanes through one engine, the slow customer's and the others', without the overload and with.

use std::cell::RefCell;
use std::process::Command;

use super::prelude::*;
use crate::lane::Lane;
use crate::parts::sink::SLOW_SOCKET_HELD;
use crate::plan::LEVELS;

const ROUNDS: u32 = 3;
const RATE: u64 = 20_000;
const SECONDS: [u64; 2] = [20, 2];
const WARMUP_SECONDS: u64 = 1;
/// Customers that read as they should.
const OTHERS: usize = 3;
/// `[delivery] credit` by default: what an urgent message cannot overtake, beside what lies in the
/// reader's own socket.
const CREDIT_BYTES: u64 = 256 * 1024;
const LEVEL_1_AIM: &str = "level 1's p99 at the slow customer (twice that without, and the drain of credit \
    and socket)";
const OTHERS_AIM: &str = "the others' p99, over that without";
/// By the budget of the design: level 1 at most twice as late, plus the credit's drain time.
const LEVEL_1_TIMES_MAX: f64 = 2.0;
/// The others "unmoved": what two rounds of the same differ by on a quiet machine.
const OTHERS_RATIO_MAX: f64 = 1.5;
const SIDES: [&str; 2] = ["without", "with"];
const LANES: [&str; 2] = ["the slow one", "the other three"];

const TEXT: &str = "Four customers get the same share of the messages, a third of them at each \
level; one of them, without overload and with, reads half of its share, from a small socket buffer. \
Latency runs from the time a message was due to its arrival, through to the last message of the \
backlog, which the slow customer works off after the sources have ended. A second of warm-up is \
not measured. Level 3 waits longest by design, and ageing moves it up.";

#[derive(Debug, Clone, Args)]
pub(crate) struct OverloadArgs {
    /// Messages a second, of all sources together.
    #[arg(long, value_name = "N", default_value_t = RATE)]
    rate: u64,
    /// How long the sources send [default: 20].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

impl Bench for OverloadArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let seconds = stage.pick(self.seconds, SECONDS);
        say(format!("overload: {} msg/s for {seconds} s", self.rate));
        let promise = RefCell::new(Vec::new());
        let sides = SIDES.map(|side| {
            let plans = self.plans(seconds, side == SIDES[1]);
            let side = Contestant::new(Subject::Engine, &plans[1], &stage.settings())
                .of_case([side.to_owned()]);
            let promise = &promise;
            side.playing_lanes(move |it| both_lanes(testbed, it, &plans, promise))
        });
        let played = stage.play(&sides, ROUNDS)?;
        drop(sides);
        self.section(&played, &promise.into_inner(), seconds)
    }
}

/// Both lanes through one engine.
fn both_lanes(
    testbed: &Testbed,
    it: &Contestant<'_>,
    plans: &[Plan; 2],
    promise: &RefCell<Vec<String>>,
) -> Result<Vec<(String, Outcome)>> {
    let [slow, others] = plans.clone();
    let (engine, [mut others, mut slow]) = testbed.open(&it.settings, [others, slow])?;
    *promise.borrow_mut() = promised(testbed, &engine)?;
    slow.join(&engine)?;
    others.join(&engine)?;
    let before = engine.child.usage()?;
    slow.go()?;
    others.go()?;
    let end = |lane: &Lane| ended(&engine, lane, before);
    let others = end(&others)?;
    let slow = end(&slow)?;
    Ok(LANES
        .map(str::to_owned)
        .into_iter()
        .zip([slow, others])
        .collect())
}

impl OverloadArgs {
    /// Of the slow customer and of the others.
    fn plans(&self, seconds: u64, is_overloaded: bool) -> [Plan; 2] {
        let share = self.share();
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

    /// A customer's messages a second.
    fn share(&self) -> u64 {
        (self.rate / (OTHERS as u64 + 1)).max(1)
    }

    fn section(&self, played: &[Played], promise: &[String], seconds: u64) -> Result<Section> {
        let rounds = played[0].outcomes.len();
        // In the order of SIDES, of each the LANES.
        let [slow_without, others_without, slow_with, others_with] = played else {
            unreachable!("both lanes were played with and without")
        };
        let slow = |level| [slow_without, slow_with].map(|it| it.of_level(level));
        let others = [others_without, others_with].map(Played::clone);
        let rows: Vec<Played> = (0..LEVELS).flat_map(slow).chain(others).collect();
        let others = others_with.ratio(others_without, &P99);
        let (times, rate, each) = (others.show(Unit::Ratio), self.rate, several_rounds(rounds));
        let mut section = Section::of_rounds(&["overload"], played, &[P50, P99, MAX], ALONE);
        section.tables.clear();
        section.add_rounds(&["overload"], &rows, &[P50, P99, MAX], ALONE);
        let promise = promise.iter().map(|it| format!("`check` says: {it}."));
        section.notes.extend(promise);
        let limit = self.level_1_max(&rows[0]);
        let aims = [(format!("level 1's p99 at most: {}", time(limit)), limit)];
        let curve = |it: &Played| (format!("{}, {}", it.name, it.case[0]), it.latency());
        let curves = rows.iter().filter(|it| it.case[0] == SIDES[1]).map(curve);
        let curves = curves.chain([curve(others_without)]).collect::<Vec<_>>();
        let title = format!("Latency with one slow customer, {}", together(rounds));
        Ok(Section {
            title: format!("Overload: {rate} msg/s for {seconds} s, {each} of each, no store"),
            summary: format!(
                "With a customer that reads half of its messages, the others' p99 is {times} times \
                 what it was without."
            ),
            text: TEXT.into(),
            aims: vec![
                rows[1].aim_at_most(LEVEL_1_AIM, &P99, limit),
                Aim::at_most(OTHERS_AIM, OTHERS_RATIO_MAX, Unit::Ratio, others),
            ],
            pictures: vec![
                Sheet::new("latency", &title)
                    .with_aims(&aims)
                    .percentiles(&curves)?,
            ],
            ..section
        })
    }

    /// Of level 1's p99 with the overload, by that without.
    fn level_1_max(&self, without: &Played) -> f64 {
        let drained_a_second = (self.share() / 2).max(1) * FRAME_LEN as u64;
        let drained = CREDIT_BYTES + SLOW_SOCKET_HELD as u64;
        let drain_ns = drained as f64 * 1e9 / drained_a_second as f64;
        LEVEL_1_TIMES_MAX * without.spread(&P99).mid + drain_ns
    }
}

/// What `check` says of the worst waits.
fn promised(testbed: &Testbed, engine: &Running) -> Result<Vec<String>> {
    let mut command = Command::new(&testbed.engine);
    command.args(["check", "--config"]);
    let output = command.args(engine.settings_file()).output();
    let said = output.context("asking the engine's check")?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines = said.lines().filter(|it| it.contains("worst wait"));
    Ok(lines.map(|it| it.trim().to_owned()).collect())
}
