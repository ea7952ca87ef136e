//! The target: 10,000 msg/s for a minute, nothing lost, a row for each message. PASS or FAIL.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::latency::{BUDGET, FIGURES};
use super::prelude::*;
use crate::curve::{Curve, interval};
use crate::engine::store_name;
use crate::report::Verdict;

const RATE_PLANNED: u64 = 10_000;
const SECONDS: [u64; 2] = [60, 5];
const WARMUP_SECONDS: u64 = 1;
/// The relay plays a sixth of the time before, and as much after.
const RELAY_PART: u64 = 6;
/// Of the rate asked for, over a time that may end as late as the p99 allows for its last frame.
const RATE_PART_MIN: f64 = 0.998;
/// The budget of the design.
const RESIDENT_MAX_BYTES: f64 = 64.0 * 1_048_576.0;
/// Of the relay's p99, by the budget of the design, where it has none for the rate.
const P99_TIMES_MAX: f64 = 1.25;
/// A store that keeps pace is behind by what comes in a second, or by a batch: `[store] batch_rows`.
const LAG_SECONDS_MAX: f64 = 1.0;
const BATCH_ROWS: f64 = 5_000.0;
/// A store that writes no row for so long writes none any more.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

const ACCEPTED: Figure = extra("accepted", "accepted", Unit::Count);
const ROWS: Figure = extra("rows", "rows_settled", Unit::Count);
const LAG: Figure = extra("lag at the end", "lag_messages", Unit::Count);
const CATCH_UP: Figure = extra("catch-up", "catch_up_seconds", Unit::Seconds);

const TEXT: &str = "The engine takes four sources' frames on a fixed schedule and hands them to \
four subscribers, who check that every frame comes exactly once, in order, unchanged. Latency runs \
from the time a frame was due to its arrival; what the sources were late is in it, and shown. The \
first second is verified but not measured: sockets, caches and the journal's first pages are new in \
it. The relay, which only copies, plays before and after where no --p99 is given: the limit is the \
design's part of its p99. The interval of the p99 is a bootstrap over pieces of five seconds. Lag is \
what had no row when the last message arrived, catch-up the time until all had one.";

#[derive(Debug, Clone, Args)]
pub(crate) struct TargetArgs {
    /// Messages a second.
    #[arg(
        long, value_name = "N", default_value_t = RATE_PLANNED,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000)
    )]
    rate: u64,
    /// For how long [default: 60].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// The p99 that is still good: 800us, 2ms, 0.1s; a bare number is ms [default: the design's
    /// part of the relay's, which is measured beside it].
    #[arg(long, value_name = "TIME", value_parser = time_ns)]
    p99: Option<f64>,
    /// The engine's store: none, sqlite, or a MySQL URL.
    #[arg(long, value_name = "URL", default_value = "sqlite")]
    store: String,
}

/// A time with its unit, in ns.
fn time_ns(text: &str) -> Result<f64, String> {
    let digits = text
        .trim_end_matches(|it: char| it.is_ascii_alphabetic())
        .len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "" | "ms" => 1e6,
        "s" => 1e9,
        _ => return Err(format!("{unit}: ns, us, ms or s")),
    };
    let number = number.trim().parse::<f64>().map_err(|it| it.to_string())?;
    match number.is_finite() && number >= 0.0 {
        true => Ok(number * factor),
        false => Err("a time is 0 or more".into()),
    }
}

impl Bench for TargetArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let seconds = stage.pick(self.seconds, SECONDS);
        let plan = |seconds| Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
        let settings = Settings {
            store: self.store.clone(),
            ..stage.settings()
        };
        say(format!("target: {} msg/s for {seconds} s", self.rate));
        let engine = Contestant::new(Subject::Engine, &plan(seconds), &settings);
        let mut sides = vec![engine.playing(|it| with_store(testbed, it))];
        if self.p99.is_none() {
            let plan = plan((seconds / RELAY_PART).max(1));
            let relay = || Contestant::new(Subject::Relay, &plan, &settings);
            sides.insert(0, relay());
            sides.push(relay());
        }
        let played = stage.play(&sides, 1)?;
        self.section(&played, seconds)
    }
}

/// A round, and then until the store has all of it.
fn with_store(testbed: &Testbed, it: &Contestant<'_>) -> Result<Outcome> {
    let (engine, lane) = testbed.connect(it.subject, &it.plan, &it.settings)?;
    let outcome = finish(&engine, lane)?;
    let accepted = engine.counter("accepted")?;
    let outcome = outcome.with(&ACCEPTED, accepted as f64);
    if it.settings.store == "none" {
        return Ok(outcome);
    }
    let lag = accepted.saturating_sub(engine.counter("stored")?);
    let begun = Instant::now();
    engine.wait_for("stored_settled", accepted, (LOOK, PATIENCE))?;
    let catch_up = begun.elapsed().as_secs_f64();
    Ok(outcome
        .with(&ROWS, rows(&engine, &it.settings)? as f64)
        .with(&LAG, lag as f64)
        .with(&CATCH_UP, catch_up))
}

/// Rows that say DELIVERED: of SQLite as the file has them, else as the engine counts them.
fn rows(engine: &Running, settings: &Settings) -> Result<u64> {
    let file = engine.folder().map(|it| it.join("data/messages.db"));
    match file.filter(|it| settings.store == "sqlite" && it.is_file()) {
        None => engine.counter("stored_settled"),
        Some(file) => {
            let query = "SELECT COUNT(*) FROM messages WHERE status = 'DELIVERED'";
            let count = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
                .and_then(|it| it.query_row(query, [], |row| row.get::<_, i64>(0)));
            Ok(count.context("counting the store's rows")?.cast_unsigned())
        }
    }
}

impl TargetArgs {
    fn section(&self, played: &[Played], seconds: u64) -> Result<Section> {
        let engine = played.iter().find(|it| it.subject == Subject::Engine);
        let engine = engine.expect("the engine was played");
        let relay = played.iter().find(|it| it.subject == Subject::Relay);
        let (limit, why) = self.p99_max(relay);
        let aims = self.aims(engine, limit, why);
        let mut section = Section::of_rounds(&[], played, &FIGURES, ("relay", &[P50, P99]));
        let figures = [BUSY, RESIDENT_MAX, LAG, CATCH_UP];
        section.add_rounds(&[], std::slice::from_ref(engine), &figures, ALONE);
        let verdict = match aims.iter().map(|it| it.verdict).max() {
            Some(Verdict::NotMet) => "FAIL",
            Some(Verdict::Inconclusive) => "INCONCLUSIVE",
            _ => "PASS",
        };
        let (rate, store) = (self.rate, store_name(&self.store));
        let goal = format!("{rate} msg/s for {seconds} s, store {store}");
        let title = format!("Target: {goal}: {verdict}");
        let line = [(format!("p99 at most: {}", time(limit)), limit)];
        let [p50, p99] = [P50, P99].map(|it| time(engine.spread(&it).mid));
        section.notes.push(format!("**{verdict}**: {goal}"));
        Ok(Section {
            summary: format!("{goal}: {verdict}, p50 {p50}, p99 {p99}."),
            text: TEXT.into(),
            pictures: vec![
                Sheet::new("latency", &title)
                    .with_aims(&line)
                    .percentiles(&curves(played))?,
            ],
            is_good: section.is_good && verdict == "PASS",
            title,
            aims,
            ..section
        })
    }

    /// The p99 that is still good, in ns, and why it is that.
    fn p99_max(&self, relay: Option<&Played>) -> (f64, String) {
        let Some(relay) = relay else {
            return (self.p99.unwrap_or_default(), "p99".into());
        };
        let budget = BUDGET.iter().find(|it| it.0 == self.rate);
        let times = budget.map_or(P99_TIMES_MAX, |it| it.2);
        let theirs = relay.spread(&P99).mid;
        let why = format!("p99 ({times} of the relay's {})", time(theirs));
        (theirs * times, why)
    }

    fn aims(&self, engine: &Played, limit: f64, p99: String) -> Vec<Aim> {
        let all = |holds: fn(&Outcome) -> bool| engine.outcomes.iter().all(holds);
        let least = |it: &Outcome| it.plan.messages as f64 / (self.rate as f64 * RATE_PART_MIN);
        let in_time = |it: &Outcome| it.seconds <= least(it) + limit / 1e9;
        let first = &engine.outcomes[0];
        let [messages, frames] =
            [first.plan.messages, first.received.frames].map(|it| it.to_string());
        let rates = [self.rate as f64, engine.spread(&RATE).mid];
        let [wanted, reached] = rates.map(|it| Unit::Count.show(it));
        let mut aims = vec![
            Aim::holds(
                "rate reached, msg/s",
                wanted,
                reached,
                engine.outcomes.iter().all(in_time),
            ),
            Aim::holds(
                "exactly once, in order",
                messages,
                frames,
                all(Outcome::is_exact),
            ),
            Aim::at_most(p99, limit, Unit::Time, p99_interval(engine)),
            engine.aim_at_most("memory", &RESIDENT_MAX, RESIDENT_MAX_BYTES),
        ];
        if self.store != "none" {
            let [accepted, rows] = [ACCEPTED, ROWS].map(|it| it.of(first).to_string());
            let has_all = |it: &Outcome| {
                let counts = [ACCEPTED, ROWS].map(|figure| figure.find(it));
                counts == [Some(it.plan.messages as f64); 2]
            };
            let what = "rows stored, of messages accepted";
            aims.push(Aim::holds(what, accepted, rows, all(has_all)));
            let lag_max = (self.rate as f64 * LAG_SECONDS_MAX).max(BATCH_ROWS);
            aims.push(engine.aim_at_most("messages without a row at the end", &LAG, lag_max));
        }
        aims
    }
}

/// The p99 of all, with an interval over the pieces of the rounds.
fn p99_interval(engine: &Played) -> Spread {
    let pieces = engine
        .outcomes
        .iter()
        .flat_map(|it| &it.received.arrivals.pieces);
    let pieces: Vec<_> = pieces.map(Curve::histogram).collect();
    let [low, high] = interval(&pieces, 0.99);
    let spread = engine.spread(&P99);
    Spread {
        low: low.min(spread.mid),
        high: high.max(spread.mid),
        ..spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_any_unit_and_a_bare_number_is_ms() {
        let times = ["2ms", "800us", "0.1s", "10", "5ns"].map(time_ns);
        assert_eq!(times, [2e6, 8e5, 1e8, 1e7, 5.0].map(Ok));
        for wrong in ["", "ms", "1h", "-1ms", "1 2ms"] {
            assert!(time_ns(wrong).is_err(), "{wrong}");
        }
    }
}
