//! Flat out: how many messages a second pass from the sources to the customers, exactly delivered.
//!
//! Cases differ in one thing from the base: 390-byte frames, four sources, four subscribers.

use super::prelude::*;
use crate::engine::store_name;
use crate::frames::frame_len;
use crate::tls::Certificate;

const SOURCES: usize = 4;
const ROUNDS: u32 = 5;
const MESSAGES: [u64; 2] = [2_000_000, 200_000];
/// Of the relay's rate, by the budget of the design.
const RATIO_MIN: f64 = 0.5;

const TEXT: &str = "Every source writes as fast as the peer takes it, from the moment all are \
connected and subscribed; the time runs to the arrival of the last frame. Every subscriber checks \
that it got exactly its frames, each once, in the order of source and level, unchanged. The relay \
in the engine's place only searches each line for its destination and copies it. The ratio is \
taken within each pair of rounds played one after the other. Fast path: lines whose shape the \
engine's parser knew; simd-json parsed the others. CPU is the processor time for a message, of \
the engine or the relay, and of the sources and subscribers in its rounds; all processes share \
the machine.";

/// Several values: a case each.
#[derive(Debug, Clone, Args)]
pub(crate) struct ThroughputArgs {
    /// Messages a round [default: 2000000, fewer of long frames].
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Bytes of a frame; 0, or too few for an order: as short as possible [default: 390, and with
    /// 4 sources also the shortest, 1024 and 8192].
    #[arg(long, value_name = "BYTES", value_delimiter = ',')]
    size: Vec<usize>,
    /// How many sources [default: 4, and with 390 bytes also 1, 16 and 256].
    #[arg(long, value_name = "N", value_delimiter = ',')]
    sources: Vec<usize>,
    /// How many destinations, with a subscriber each.
    #[arg(long, value_name = "N", default_value = "4")]
    destinations: usize,
    /// The engine's store: none, sqlite, or a MySQL URL; of several the first is the base.
    #[arg(long, value_name = "URL", value_delimiter = ',', default_values = ["none", "sqlite"])]
    store: Vec<String>,
    /// Each case also with TLS at both ends.
    #[arg(long)]
    tls: bool,
}

/// What sets a case apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    size: usize,
    sources: usize,
    store: String,
}

impl ThroughputArgs {
    /// The base with every store, then everything that was asked for, or else the usual.
    fn cases(&self) -> Vec<Case> {
        let is_usual = self.size.is_empty() && self.sources.is_empty();
        let or = |values: &[usize], default| match values {
            [] => vec![default],
            values => values.to_vec(),
        };
        let case = |size, sources, store: &String| Case {
            size,
            sources,
            store: store.clone(),
        };
        let mut cases = Vec::new();
        for store in &self.store {
            for size in or(&self.size, FRAME_LEN) {
                let sources = or(&self.sources, SOURCES).into_iter();
                cases.extend(sources.map(|sources| case(size, sources, store)));
            }
        }
        if let Some(store) = self.store.first().filter(|_| is_usual) {
            cases.extend([0, 1024, 8192].map(|size| case(size, SOURCES, store)));
            cases.extend([1, 16, 256].map(|sources| case(FRAME_LEN, sources, store)));
        }
        cases
    }

    fn messages(&self, stage: &Stage<'_>, size: usize) -> u64 {
        stage.pick(self.messages, MESSAGES.map(|it| it.min(messages_max(size))))
    }
}

impl Bench for ThroughputArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let rounds = stage.rounds(ROUNDS);
        let certificate = self.tls.then(Certificate::make).transpose()?;
        let folder = certificate.as_ref().map(Certificate::folder);
        let mut played = Vec::new();
        let cases = self.cases();
        stage.progress.expect_cases(cases.len());
        for case in cases {
            let store = store_name(&case.store);
            let Case { size, sources, .. } = case;
            say(format!(
                "throughput: {size} B, {sources} sources, store {store}"
            ));
            let plan = Plan {
                sources,
                destinations: self.destinations,
                ..Plan::flat_out(self.messages(stage, size), size)
            };
            let settings = Settings {
                store: case.store,
                ..stage.settings()
            };
            let frame_len = frame_len(&plan)?;
            let cells = [format!("{frame_len} B"), sources.to_string(), store];
            let modes = &stage.choice.threads;
            let sides = Contestant::engines_and_relay(&plan, &settings, modes, folder.as_deref());
            let sides = sides.into_iter().map(|it| it.of_case(cells.clone()));
            played.extend(stage.play(&sides.collect::<Vec<_>>(), ROUNDS)?);
        }
        section(&played, rounds)
    }
}

fn section(played: &[Played], rounds: u32) -> Result<Section> {
    let engine = &played[0];
    let relay = base_of(played, engine, "relay").expect("the relay plays each case");
    let found = engine.ratio(relay, &RATE);
    let part = Unit::Ratio.show(found.mid);
    let reached = Unit::Count.show(engine.spread(&RATE).mid);
    let (labels, figures) = (["frame", "sources", "store"], [RATE, BANDWIDTH, FAST_PATH]);
    let mut section = Section::of_rounds(&labels, played, &figures, ("relay", &[RATE]));
    let over_plain = played.iter().filter_map(|it| over_plain(it, played));
    section.notes.extend(over_plain);
    let aim = "engine's msg/s over the relay's, first case";
    Ok(Section {
        title: format!("Throughput, flat out; pairs of rounds: {rounds}"),
        summary: format!(
            "Flat out it delivers {reached} msg/s, {part} of a relay that only copies."
        ),
        text: TEXT.into(),
        aims: vec![Aim::at_least(aim, RATIO_MIN, Unit::Ratio, found)],
        pictures: vec![picture(played, relay.spread(&RATE).mid * RATIO_MIN)?],
        ..section
    })
}

/// What TLS leaves of the rate.
fn over_plain(it: &Played, all: &[Played]) -> Option<String> {
    let ratio = it.ratio(it.plain(all)?, &RATE).show(Unit::Ratio);
    let (case, name) = (it.case.join(", "), &it.name);
    Some(format!(
        "{case}: {name}, over plain: {ratio} of the messages a second."
    ))
}

/// A group of bars for each case.
fn picture(played: &[Played], aim: f64) -> Result<Picture> {
    let mut cases: Vec<String> = Vec::new();
    let mut series: Vec<Series<Spread>> = Vec::new();
    for it in played {
        let case = it.case.join(", ");
        if cases.last() != Some(&case) {
            cases.push(case);
        }
        let rate = it.spread(&RATE);
        match series.iter_mut().find(|(name, _)| *name == it.name) {
            Some((_, rates)) => rates.push(rate),
            None => series.push((it.name.clone(), vec![rate])),
        }
    }
    let aims = [("aim of the first: half of the relay".to_owned(), aim)];
    let y = Axis::linear("messages a second", Unit::Count);
    Sheet::new("rate", "Throughput by frame length, sources and store")
        .with_aims(&aims)
        .bars(y, &cases, &series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ThroughputArgs,
    }

    fn cases(line: &str) -> Vec<Case> {
        let line = Line::try_parse_from(line.split(' ')).expect("a good line");
        line.args.cases()
    }

    #[test]
    fn every_value_is_a_case_and_long_frames_are_fewer() {
        let usual = cases("throughput");
        assert_eq!((usual.len(), usual[0].size), (2 + 6, 390));
        assert_eq!(
            cases("throughput --size 0,390 --sources 1,16").len(),
            2 * 2 * 2
        );
        assert!(messages_max(390) > MESSAGES[0]);
        assert_eq!(messages_max(8192), 131_072);
    }
}
