//! What each durability costs: throughput and latency of all three, side by side.

use clap::Args;
use serde_json::json;

use super::latency::{p50, p99, show};
use super::{Bench, FRAME_LEN};
use crate::cli::Common;
use crate::engine::{Durability, Settings, name_of};
use crate::error::PerfError;
use crate::lab::{Lab, Subject};
use crate::picture::{Axis, Picture, Scale, bars, percentiles};
use crate::plan::Plan;
use crate::report::{Section, Table};
use crate::rounds::{Contestant, Played, are_exact, faults, outcomes, play};
use crate::screen::say;
use crate::spread::{rate, shown, time};

const ALL: [Durability; 3] = [Durability::Memory, Durability::Written, Durability::Synced];
const ROUNDS: u32 = 3;
const MESSAGES: u64 = 1_000_000;
const MESSAGES_QUICK: u64 = 100_000;
const SECONDS: u64 = 5;
const SECONDS_QUICK: u64 = 2;
const WARMUP_SECONDS: u64 = 1;

const TEXT: &str = "What has happened before a message is delivered. `memory`: nothing, the journal \
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
    #[arg(long, value_name = "N", default_value = "10000")]
    rate: u64,
    /// How long a round on schedule is [default: 5].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

impl Bench for DurabilityArgs {
    fn run(&self, lab: &Lab, common: &Common) -> Result<Section, PerfError> {
        let rounds = common.rounds(ROUNDS);
        let messages = common.pick(self.messages, MESSAGES, MESSAGES_QUICK);
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        say(&format!("durability: {messages} messages flat out"));
        let flat_out = contestants(&Plan::flat_out(messages, FRAME_LEN));
        let flat_out = play(lab, &flat_out, rounds, |it| {
            format!("{} msg/s", rate(it.rate))
        })?;
        say(&format!("durability: {} msg/s for {seconds} s", self.rate));
        let plan = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
        let timed = play(lab, &contestants(&plan), rounds, show)?;
        self.section(&flat_out, &timed)
    }
}

impl DurabilityArgs {
    fn section(&self, flat_out: &[Played], timed: &[Played]) -> Result<Section, PerfError> {
        let mut table = Table::new(&[
            "durability",
            "msg/s flat out",
            "p50",
            "p99",
            "p99.99, median round",
        ]);
        for (flat_out, timed) in flat_out.iter().zip(timed) {
            table.push([
                flat_out.name.clone(),
                flat_out.spread(|it| it.rate).show(rate),
                timed.spread(p50).show(time),
                timed.spread(p99).show(time),
                shown(timed.middle(p99).received.latency().p9999),
            ]);
        }
        let cost = |it: &Played| format!("{} {}", it.name, rate(it.spread(|it| it.rate).median));
        let costs: Vec<String> = flat_out.iter().map(cost).collect();
        let every = || outcomes(flat_out).chain(outcomes(timed));
        Ok(Section {
            title: format!("Durability: flat out, and at {} msg/s; no store", self.rate),
            summary: format!("By durability, msg/s flat out: {}.", costs.join(", ")),
            text: TEXT.into(),
            table,
            pictures: self.pictures(flat_out, timed)?,
            notes: faults(every()),
            raw: every().map(|it| json!(it)).collect(),
            is_good: are_exact(every()),
            ..Section::default()
        })
    }

    fn pictures(&self, flat_out: &[Played], timed: &[Played]) -> Result<Vec<Picture>, PerfError> {
        let y = Axis {
            label: "messages a second",
            scale: Scale::Count,
        };
        let names: Vec<String> = flat_out.iter().map(|it| it.name.clone()).collect();
        let rates = flat_out.iter().map(|it| it.spread(|it| it.rate).median);
        let series = [("engine, flat out".to_owned(), rates.collect())];
        let curve = |it: &Played| (it.name.clone(), it.middle(p99).received.latency());
        let curves: Vec<_> = timed.iter().map(curve).collect();
        let title = format!("Latency at {} msg/s, by durability", self.rate);
        Ok(vec![
            bars("rate", "Throughput by durability", y, &names, &series)?,
            percentiles("latency", &title, &curves)?,
        ])
    }
}

fn contestants(plan: &Plan) -> Vec<Contestant> {
    let contestant = |durability| Contestant {
        name: name_of(durability),
        ..Contestant::new(Subject::Engine, plan, &Settings::new(durability))
    };
    ALL.map(contestant).to_vec()
}
