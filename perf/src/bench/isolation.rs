//! One bad source beside good ones: what the customers of the good ones notice.
//!
//! ```text
//!  good sources ==on schedule==> engine ==> subscribers, measured
//!  bad source ====flat out=======^
//! ```

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use clap::Args;

use crate::common::{Bench, FRAME_LEN, Stage};
use crate::error::{Context, PerfError};
use crate::figure::{Figure, MAX, P50, P99, extra};
use crate::lane::Lane;
use crate::picture::{Sheet, together};
use crate::plan::Plan;
use crate::progress::say;
use crate::report::{ALONE, Aim, Section};
use crate::round::{Outcome, finish};
use crate::rounds::{Contestant, Played};
use crate::spread::Unit;
use crate::testbed::{Subject, Testbed};

const ROUNDS: u32 = 3;
const RATE: u64 = 10_000;
const SECONDS: u64 = 10;
const SECONDS_QUICK: u64 = 2;
const WARMUP_SECONDS: u64 = 1;
/// By the budget of the design: the others' p99 beside any one bad source, over that without.
const RATIO_MAX: f64 = 2.0;
/// A configured customer who never comes.
const ABSENT: &str = "nobody";
/// Written at once by the bad source: large enough that a system call costs it nothing.
const BLOCK_LEN: usize = 256 * 1024;
/// Longer than `[ingest] max_line` by default.
const LONG_LINE_LEN: usize = 100 * 1024;
const BAD_LINES: Figure = extra("bad lines/s", "bad_lines", Unit::Count);

const TEXT: &str = "Good sources send on schedule; beside them one source sends as fast as the \
engine takes them: lines of one byte, lines longer than `[ingest] max_line`, messages for \
an unknown customer, one message again and again. It runs on this machine, at the \
lowest priority. Latency runs from the time a message was \
due to its arrival.";

#[derive(Debug, Clone, Args)]
pub(crate) struct IsolationArgs {
    /// Messages a second, of all good sources together.
    #[arg(long, value_name = "N", default_value_t = RATE)]
    rate: u64,
    /// How long the good sources send [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

/// What the bad source sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Malformed,
    Long,
    Unknown,
    Duplicates,
}

const KINDS: [Kind; 5] = [
    Kind::Nothing,
    Kind::Malformed,
    Kind::Long,
    Kind::Unknown,
    Kind::Duplicates,
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no bad source",
            Self::Malformed => "malformed lines",
            Self::Long => "lines too long",
            Self::Unknown => "an unknown customer",
            Self::Duplicates => "duplicates",
        }
    }

    /// A line of it; none where it sends nothing.
    fn line(self) -> Option<Vec<u8>> {
        match self {
            Self::Nothing => None,
            Self::Malformed => Some(b"x\n".to_vec()),
            Self::Long => Some([vec![b'x'; LONG_LINE_LEN], b"\n".to_vec()].concat()),
            Self::Unknown => Some(message("unknown")),
            Self::Duplicates => Some(message(ABSENT)),
        }
    }
}

/// A message for this customer, of the usual length.
fn message(destination: &str) -> Vec<u8> {
    let head = format!(
        "{{\"messageId\": \"bad-1\", \"sourceServerId\": \"bad\", \"destinationId\": \
         \"{destination}\", \"messageType\": \"order\", \"priority\": 1, \"payload\": {{\"fill\": \""
    );
    let fill = "x".repeat(FRAME_LEN.saturating_sub(head.len() + 3));
    format!("{head}{fill}\"}}}}\n").into_bytes()
}

/// A source that writes these lines to whoever connects, again and again.
fn start_bad(line: &[u8]) -> Result<SocketAddr, PerfError> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listening as the bad source")?;
    let address = listener.local_addr().context("the bad source's address")?;
    let block = line.repeat(BLOCK_LEN.div_ceil(line.len()));
    thread::spawn(move || {
        // Elsewhere it would be another machine: here it gets what time the others leave.
        let _ = rustix::process::nice(19);
        for mut stream in listener.incoming().map_while(Result::ok) {
            while stream.write_all(&block).is_ok() {}
        }
    });
    Ok(address)
}

impl Bench for IsolationArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section, PerfError> {
        let (testbed, common) = (stage.testbed, stage.common);
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        say(&format!("isolation: {} msg/s for {seconds} s", self.rate));
        let plan = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
        let sides = KINDS.map(|kind| {
            Contestant::new(Subject::Engine, &plan, &common.settings())
                .of_case([kind.name().to_owned()])
                .playing(move |it| beside(testbed, it, kind))
        });
        let played = stage.play(&sides, ROUNDS)?;
        self.section(&played, seconds)
    }
}

/// A round of the good sources beside a bad one.
fn beside(testbed: &Testbed, it: &Contestant<'_>, kind: Kind) -> Result<Outcome, PerfError> {
    it.plan.check()?;
    let (mut lane, mut sources) = Lane::listening(it.plan.clone())?;
    let bad = kind.line().map(|line| start_bad(&line)).transpose()?;
    sources.extend(bad);
    let destinations = [it.plan.destination_names(), vec![ABSENT.to_owned()]].concat();
    let engine = testbed.start_engine(&it.settings, &sources, &destinations)?;
    lane.subscribe(engine.address, &[])?;
    lane.expect_connected()?;
    let before = engine.counter("received")?;
    let outcome = finish(it.subject, &engine, lane, &it.settings)?;
    let received = engine.counter("received")? - before;
    let lines = received.saturating_sub(it.plan.messages) as f64;
    let rate = lines / outcome.seconds;
    Ok(outcome.with("bad_lines", rate))
}

impl IsolationArgs {
    fn section(&self, played: &[Played], seconds: u64) -> Result<Section, PerfError> {
        let (without, beside) = played.split_first().expect("all kinds were played");
        let rounds = without.outcomes.len();
        let ratios = beside.iter().map(|it| (it, it.ratio(without, &P99)));
        let ratios: Vec<_> = ratios.collect();
        let worst = ratios.iter().map(|(_, it)| it.mid).fold(0.0, f64::max);
        let aim = |(it, ratio): &(&Played, _)| {
            let what = format!("p99 beside {}, over that without", it.case[0]);
            Aim::at_most(&what, RATIO_MAX, Unit::Ratio, *ratio)
        };
        let aims = ratios.iter().map(aim).collect();
        let curve = |it: &Played| (it.case[0].clone(), it.latency());
        let curves: Vec<_> = played.iter().map(curve).collect();
        let title = format!("Latency beside a bad source, {}", together(rounds));
        Ok(Section {
            title: format!(
                "Isolation: {} msg/s for {seconds} s beside a bad source, {rounds} rounds of \
                 each, no store",
                self.rate
            ),
            summary: format!(
                "Beside the worst of the bad sources the others' p99 is {} times what it was \
                 without.",
                Unit::Ratio.show(worst)
            ),
            text: TEXT.into(),
            aims,
            pictures: vec![Sheet::new("latency", &title).percentiles(&curves)?],
            ..Section::of_rounds(&["beside"], played, &[P50, P99, MAX, BAD_LINES], ALONE)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_their_names_say() {
        let json = |kind: Kind| {
            let line = kind.line().expect("it sends");
            serde_json::from_slice::<serde_json::Value>(&line)
        };
        assert!(json(Kind::Malformed).is_err() && json(Kind::Long).is_err());
        for (kind, destination) in [(Kind::Unknown, "unknown"), (Kind::Duplicates, ABSENT)] {
            let message = json(kind).expect("JSON");
            assert_eq!(message["destinationId"], destination);
            assert_eq!(kind.line().expect("it sends").len(), FRAME_LEN + 1);
        }
    }
}
