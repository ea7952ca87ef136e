//! Flat out: how many messages a second pass from the sources to the customers, exactly delivered.
//!
//! Cases differ in one thing from the base: 390-byte frames, four sources, four subscribers.

use clap::Args;
use serde_json::json;

use super::{Pair, faults, outcomes, pairs, say};
use crate::cli::Common;
use crate::engine::Settings;
use crate::error::PerfError;
use crate::plan::Plan;
use crate::report::{Section, Table};
use crate::round::{Lab, Outcome};
use crate::spread::{Spread, rate, ratio};

const FRAME_LEN: usize = 390;
const SOURCES: usize = 4;
const ROUNDS: u32 = 5;
const MESSAGES: u64 = 2_000_000;
const MESSAGES_QUICK: u64 = 200_000;
/// A round of long frames sends fewer: what it sends is the journal's size on disk, too.
const BYTES_MAX: u64 = 1 << 30;

const TEXT: &str = "Every source writes as fast as the peer takes it, from the moment all are \
connected and subscribed; the time runs to the arrival of the last frame. Every subscriber checks \
that it got exactly its frames, each once, in the order of source and level, unchanged. The relay \
in the engine's place only searches each line for its destination and copies it. Medians, with \
the least and the most; the ratio is taken within each pair of rounds played one after the other. \
CPU is the engine's or relay's processor time for a message; all processes share the machine.";

/// What `throughput` takes. Several values: a case each.
#[derive(Debug, Clone, Args)]
pub(crate) struct ThroughputArgs {
    /// Messages a round [default: 2000000, fewer of long frames].
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Bytes of a frame; 0, or too few for an order: as short as possible.
    #[arg(
        long,
        value_name = "BYTES",
        value_delimiter = ',',
        default_value = "390"
    )]
    size: Vec<usize>,
    /// How many sources.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "4")]
    sources: Vec<usize>,
    /// How many destinations, with a subscriber each.
    #[arg(long, value_name = "N", default_value = "4")]
    destinations: usize,
    /// The engine's store: none, sqlite, or a MySQL URL.
    #[arg(long, value_name = "URL", value_delimiter = ',', default_values = ["none", "sqlite"])]
    store: Vec<String>,
    /// Also the shortest frames, 1 KiB and 8 KiB, and 1, 16 and 256 sources.
    #[arg(long)]
    full: bool,
}

impl ThroughputArgs {
    /// Every case.
    pub(crate) fn full() -> Self {
        Self {
            messages: None,
            size: vec![FRAME_LEN],
            sources: vec![SOURCES],
            destinations: 4,
            store: vec!["none".into(), "sqlite".into()],
            full: true,
        }
    }

    /// Size, sources and store of each case.
    fn cases(&self) -> Vec<(usize, usize, String)> {
        let mut cases = Vec::new();
        for store in &self.store {
            for &size in &self.size {
                let case = |&sources: &usize| (size, sources, store.clone());
                cases.extend(self.sources.iter().map(case));
            }
        }
        if self.full {
            let store = self.store.first().cloned().unwrap_or_default();
            let size = |size| (size, SOURCES, store.clone());
            let sources = |sources| (FRAME_LEN, sources, store.clone());
            cases.extend([0, 1024, 8192].map(size));
            cases.extend([1, 16, 256].map(sources));
        }
        cases
    }

    fn messages(&self, size: usize, is_quick: bool) -> u64 {
        let wanted = match is_quick {
            true => MESSAGES_QUICK,
            false => MESSAGES,
        };
        let most = BYTES_MAX / size.max(1) as u64;
        self.messages.unwrap_or_else(|| wanted.min(most))
    }
}

/// Plays all cases.
///
/// # Errors
/// A process failed.
pub(crate) fn run(lab: &Lab, common: &Common, args: &ThroughputArgs) -> Result<Section, PerfError> {
    let rounds = common
        .rounds
        .unwrap_or(if common.quick { 1 } else { ROUNDS });
    let mut table = Table::new(&[
        "frame",
        "sources",
        "messages",
        "store",
        "engine msg/s",
        "relay msg/s",
        "ratio",
        "engine MB/s",
        "engine CPU",
        "relay CPU",
    ]);
    let (mut notes, mut raw, mut is_good) = (Vec::new(), Vec::new(), true);
    for (size, sources, store) in args.cases() {
        let plan = Plan {
            sources,
            destinations: args.destinations,
            ..Plan::flat_out(args.messages(size, common.quick), size)
        };
        plan.check()?;
        say(&format!(
            "throughput: {size} B, {sources} sources, store {store}"
        ));
        let settings = Settings {
            store,
            ..Settings::new(common.durability)
        };
        let show = |it: &Outcome| format!("{} msg/s", rate(it.rate));
        let pairs = pairs(lab, &plan, &settings, rounds, show)?;
        table.push(row(&settings, &pairs));
        notes.extend(faults(outcomes(&pairs)));
        is_good &= outcomes(&pairs).all(Outcome::is_exact);
        raw.extend(outcomes(&pairs).map(|it| json!(it)));
    }
    Ok(Section {
        title: format!("Throughput, flat out, {rounds} pairs of rounds"),
        text: TEXT.into(),
        table,
        notes,
        raw: raw.into(),
        is_good,
    })
}

fn row(settings: &Settings, pairs: &[Pair]) -> [String; 10] {
    let first = &pairs[0].engine;
    let of = |outcome: fn(&Pair) -> &Outcome, figure: fn(&Outcome) -> f64| {
        Spread::of(pairs.iter().map(|it| figure(outcome(it))))
    };
    let cpu = |outcome: fn(&Pair) -> &Outcome| {
        let spread = of(outcome, cpu_ns);
        format!("{:.0} ns", spread.median)
    };
    [
        format!("{} B", first.frame_len),
        first.plan.sources.to_string(),
        first.plan.messages.to_string(),
        store_name(&settings.store),
        of(|it| &it.engine, |it| it.rate).show(rate),
        of(|it| &it.relay, |it| it.rate).show(rate),
        Spread::of(pairs.iter().map(|it| it.ratio(|it| it.rate))).show(ratio),
        of(|it| &it.engine, megabytes).show(|it| format!("{it:.0}")),
        cpu(|it| &it.engine),
        cpu(|it| &it.relay),
    ]
}

/// Without what may be a password.
fn store_name(url: &str) -> String {
    url.split_once("://")
        .map_or(url, |(kind, _)| kind)
        .to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "frame lengths fit 52 bits")]
fn megabytes(outcome: &Outcome) -> f64 {
    outcome.rate * outcome.frame_len as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "frames of a round fit 52 bits")]
fn cpu_ns(outcome: &Outcome) -> f64 {
    outcome.usage.cpu_seconds * 1e9 / outcome.plan.messages.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_a_case_and_long_frames_are_fewer() {
        let mut args = ThroughputArgs::full();
        assert_eq!(args.cases().len(), 2 + 6);
        args.full = false;
        args.size = vec![0, 390];
        args.sources = vec![1, 16];
        assert_eq!(args.cases().len(), 2 * 2 * 2);
        assert_eq!(args.messages(390, false), 2_000_000);
        assert_eq!(args.messages(8192, false), 131_072);
    }

    #[test]
    fn a_store_is_named_without_its_password() {
        assert_eq!(store_name("mysql://me:secret@host/db"), "mysql");
        assert_eq!(store_name("none"), "none");
    }
}
