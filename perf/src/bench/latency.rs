//! On schedule: how long a message takes from when it was due to its customer, at several rates.
//!
//! The loop is open, so there is no coordinated omission: a frame that could not be sent in time
//! has waited since it was due.

use super::prelude::*;
use crate::tls::Certificate;

const RATES: [u64; 5] = [1_000, 10_000, 40_000, 100_000, 500_000];
const ROUNDS: u32 = 3;
const SECONDS: [u64; 2] = [10, 2];
const WARMUP_SECONDS: u64 = 1;
/// The rate that the summary speaks of.
const USUAL_RATE: u64 = 10_000;
/// The budget of the design: at a rate, p50 and p99 as a part of the relay's.
pub(super) const BUDGET: [(u64, f64, f64); 3] = [
    (10_000, 1.25, 1.25),
    (40_000, 1.5, 2.0),
    (100_000, 1.5, 2.0),
];
/// No threading mode is worse than another by more than this: the noise of such rounds.
const MODES_RATIO_MAX: f64 = 1.25;
/// The columns of every table of latencies, and of how late the sources were.
pub(super) const FIGURES: [Figure; 9] = [P50, P90, P99, P999, P9999, MAX, LATE_P50, LATE_P99, RATE];

const TEXT: &str = "Four sources send on a fixed schedule, whatever happens; every frame carries \
the time at which it was due, and its latency runs from then to the subscriber's read that \
completed it, on one clock. What the source itself was late is in it, for all alike, and shown. \
A second of warm-up is verified but not measured: sockets, caches and the journal's first pages \
are new in it. nats-server, where it is on PATH, gets the same frames as messages over its own \
protocol: it keeps no journal, filters no duplicates and drops what a subscriber does not take. \
Ratios are taken within each round. A rate that is not reached has no latency to speak of: it \
measures how far behind it fell.";

#[derive(Debug, Clone, Args)]
pub(crate) struct LatencyArgs {
    /// Messages a second, of all sources together; several: a case each.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_values_t = RATES,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000)
    )]
    rate: Vec<u64>,
    /// How long each round is [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Bytes of a frame.
    #[arg(long, value_name = "BYTES", default_value_t = FRAME_LEN)]
    size: usize,
    /// Each rate also with TLS at both ends.
    #[arg(long)]
    tls: bool,
}

impl Bench for LatencyArgs {
    fn plays_nats(&self) -> bool {
        true
    }

    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let rounds = stage.rounds(ROUNDS);
        let seconds = stage.pick(self.seconds, SECONDS);
        let settings = stage.settings();
        let certificate = self.tls.then(Certificate::make).transpose()?;
        let folder = certificate.as_ref().map(Certificate::folder);
        let mut all = Vec::new();
        stage.progress.expect_cases(self.rate.len());
        for &rate in &self.rate {
            say(format!("latency: {rate} msg/s for {seconds} s"));
            let plan = Plan::at_rate(rate, seconds, WARMUP_SECONDS, self.size);
            let (modes, folder) = (&stage.choice.threads, folder.as_deref());
            let mut sides = Contestant::engines_and_relay(&plan, &settings, modes, folder);
            if testbed.nats.is_some() {
                sides.push(Contestant::new(Subject::Nats, &plan, &settings));
            }
            let sides: Vec<_> = (sides.into_iter())
                .map(|it| it.of_case([rate.to_string()]))
                .collect();
            all.push((rate, stage.play(&sides, ROUNDS)?));
        }
        section(&all, rounds, seconds)
    }
}

/// A rate, and who played it.
type Case = (u64, Vec<Played>);

fn section(all: &[Case], rounds: u32, seconds: u64) -> Result<Section> {
    let rounds = several_rounds(rounds as usize);
    let played: Vec<Played> = all.iter().flat_map(|(_, it)| it.clone()).collect();
    let mut section = Section::of_rounds(&["planned"], &played, &FIGURES, ("relay", &[P50, P99]));
    section.notes.extend(all.iter().flat_map(notes));
    if played.iter().all(|it| it.subject != Subject::Nats) {
        let what = "nats-server is not on PATH: not measured (`--nats-server FILE` names one).";
        section.notes.push(what.into());
    }
    Ok(Section {
        title: format!("Latency on schedule, {rounds} of {seconds} s, no store"),
        summary: summary(all),
        text: TEXT.into(),
        aims: all.iter().flat_map(aims).collect(),
        pictures: pictures(all)?,
        ..section
    })
}

fn summary(all: &[Case]) -> String {
    let near = |(rate, _): &&Case| rate.abs_diff(USUAL_RATE);
    let Some((rate, played)) = all.iter().min_by_key(near) else {
        return String::new();
    };
    let [p50, p99] = [P50, P99].map(|it| time(played[0].spread(&it).mid));
    format!("At {rate} msg/s half of the messages arrive within {p50}, 99 % within {p99}.")
}

/// Each engine beside nats-server, and by TLS beside itself without.
fn notes((rate, played): &Case) -> Vec<String> {
    let nats = played.iter().find(|it| it.subject == Subject::Nats);
    let note = |it: &Played, other: Option<&Played>, over: &str| {
        let other = other?;
        let [p50, p99] = [P50, P99].map(|figure| it.ratio(other, &figure).show(Unit::Ratio));
        let name = &it.name;
        Some(format!(
            "At {rate} msg/s, {name}{over}: p50 {p50}, p99 {p99}."
        ))
    };
    let over_nats = engines(played).filter_map(|it| note(it, nats, " over nats-server"));
    let over_plain = engines(played).filter_map(|it| note(it, it.plain(played), ", over plain"));
    over_nats.chain(over_plain).collect()
}

/// The engine, once for each threading mode, and once more for each by TLS.
fn engines(played: &[Played]) -> impl Iterator<Item = &Played> {
    played.iter().filter(|it| it.subject == Subject::Engine)
}

/// The design's parts of the relay at a rate, and the relay.
fn budget(rate: u64, played: &[Played]) -> Option<(&'static (u64, f64, f64), &Played)> {
    let budget = BUDGET.iter().find(|it| it.0 == rate);
    budget.zip(base_of(played, &played[0], "relay"))
}

/// Of the first mode beside the relay, and of the first mode beside each other one.
fn aims((rate, played): &Case) -> Vec<Aim> {
    let engine = &played[0];
    let aim = |figure: &Figure, other: &Played, limit: f64| {
        let (mine, name, theirs) = (&engine.name, figure.name, &other.name);
        let what = format!("{mine}'s {name} at {rate} msg/s over {theirs}'s");
        Aim::at_most(what, limit, Unit::Ratio, engine.ratio(other, figure))
    };
    let mut aims = Vec::new();
    if let Some(((_, p50_max, p99_max), relay)) = budget(*rate, played) {
        aims.extend([aim(&P50, relay, *p50_max), aim(&P99, relay, *p99_max)]);
    }
    for other in engines(played).skip(1).filter(|it| !it.is_by_tls()) {
        aims.extend([P50, P99].map(|it| aim(&it, other, MODES_RATIO_MAX)));
    }
    aims
}

fn pictures(all: &[Case]) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for (rate, played) in all {
        let (name, rounds) = (rate.to_string(), played[0].outcomes.len());
        let title = format!("Latency at {rate} msg/s, {}", together(rounds));
        let aim = budget(*rate, played).map(|((_, _, p99_max), relay)| {
            let limit = relay.spread(&P99).mid * p99_max;
            (format!("aim for p99: {}", time(limit)), limit)
        });
        let aims: Vec<_> = aim.into_iter().collect();
        pictures.push(
            Sheet::new(&name, &title)
                .with_aims(&aims)
                .percentiles(&curves(played))?,
        );
    }
    if all.len() > 1 {
        pictures.push(by_rate(all)?);
    }
    Ok(pictures)
}

/// p50 and p99 over the rate.
fn by_rate(all: &[Case]) -> Result<Picture> {
    let mut series = Vec::new();
    for (index, it) in all[0].1.iter().enumerate() {
        for figure in [P50, P99] {
            let point = |(rate, played): &Case| (*rate as f64, played[index].spread(&figure));
            series.push((
                format!("{} {}", it.name, figure.name),
                all.iter().map(point).collect(),
            ));
        }
    }
    let x = Axis::logarithm("messages a second", Unit::Count);
    Sheet::new("rates", "Latency by rate").lines([x, LATENCY], &series)
}
