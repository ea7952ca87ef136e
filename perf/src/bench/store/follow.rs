//! Rounds in which the engine follows a journal into a database, beside a bare load: rows a second.
//!
//! An outcome's frames are here the rows that say DELIVERED: it is exact when every message has one.

use std::time::{Duration, Instant};

use super::journals::{Journals, copied};
use super::target::Target;
use crate::bench::prelude::*;
use crate::cleanup::Home;
use crate::lane::Lane;
use crate::parts::{SinkReport, SourceReport};

/// Between two looks at a store's rows; without one more for so long it has given up.
pub(super) const STORING: (Duration, Duration) =
    (Duration::from_millis(20), Duration::from_secs(60));
/// Of the bare load, by the design: rows that are written once, and rows that are updated later.
const OVER_BARE_MIN: [(&str, f64); 2] = [(ONCE, 0.9), (TWICE, 0.5)];
const ONCE: &str = "written once, settled";
const TWICE: &str = "written, updated later";
const BARE: &str = "bare load";

const ROWS_RATE: Figure = Figure {
    better: Better::More,
    ..extra("rows/s", "rows_a_second", Unit::Count)
};
const ROWS: Figure = extra("rows", "rows", Unit::Count);
const DELIVERED: Figure = extra("rows delivered", "rows_delivered", Unit::Count);
const UPDATES: Figure = extra("updates alone/s", "updates_a_second", Unit::Count);
const TRANSACTIONS: Figure = extra("transactions", "transactions", Unit::Count);

const TEXT: &str = "A journal of messages that are delivered (settled rows: one write each), and one \
of messages whose subscribers come when all rows are written (each row is written, and updated \
later). An engine is started on a copy of it with an empty table; the time runs until every row \
says DELIVERED, in the second case less the time in between. The bare load has the same rows and \
the same table, without the engine: at the server one client's LOAD DATA LOCAL INFILE, of SQLite a \
prepared insert, 5,000 rows a transaction. Ratios are taken within each round; CPU a message is the \
engine's for a row.";

/// What the rounds of a database share.
#[derive(Clone, Copy)]
struct World<'a> {
    testbed: &'a Testbed,
    journals: &'a Journals,
    target: &'a dyn Target,
}

/// The three ways of a database to its rows.
pub(super) fn sides<'a>(
    testbed: &'a Testbed,
    plan: &Plan,
    settings: &Settings,
    journals: &'a Journals,
    target: &'a dyn Target,
) -> Result<Vec<Contestant<'a>>> {
    let world = World {
        testbed,
        journals,
        target,
    };
    let settings = Settings {
        store: target.url(),
        ..settings.clone()
    };
    let sides = [ONCE, TWICE, BARE].map(|name| {
        Contestant::new(Subject::Engine, plan, &settings)
            .of_case([target.name().to_owned()])
            .named(name)
            .playing(move |it| world.round(it))
    });
    // Its rows are those of the bare loads, and the server is warm.
    world.round(&sides[0])?;
    target.keep()?;
    Ok(sides.into_iter().collect())
}

impl World<'_> {
    /// A round into an empty table.
    fn round(&self, it: &Contestant<'_>) -> Result<Outcome> {
        self.target.renew(self.testbed)?;
        let outcome = match it.name.as_str() {
            ONCE => self.once(it),
            TWICE => self.twice(it),
            _ => Ok(written(it, self.target.load()?)),
        };
        let [rows, delivered] = self.target.totals()?;
        let (messages, exact) = (it.plan.messages, rows.min(delivered));
        let received = SinkReport {
            frames: exact,
            missing: messages.saturating_sub(exact),
            wrong: rows.max(delivered).saturating_sub(messages),
            ..SinkReport::default()
        };
        let outcome = Outcome {
            received,
            ..outcome?
        };
        Ok(outcome
            .with(&ROWS, rows as f64)
            .with(&DELIVERED, delivered as f64))
    }

    fn once(&self, it: &Contestant<'_>) -> Result<Outcome> {
        let engine = self.start(it, &self.journals.settled, &[])?;
        engine.expect("stored_settled", it.plan.messages, STORING)?;
        let took = engine.started.elapsed();
        ended(engine, written(it, took))
    }

    fn twice(&self, it: &Contestant<'_>) -> Result<Outcome> {
        let (mut lane, addresses) = Lane::listening(it.plan.clone())?;
        let engine = self.start(it, &self.journals.waiting, &addresses)?;
        lane.expect_connected()?;
        engine.expect("stored", it.plan.messages, STORING)?;
        let took = engine.started.elapsed();
        let begun = Instant::now();
        lane.subscribe(engine.address, &[])?;
        engine.expect("stored_settled", it.plan.messages, STORING)?;
        let updating = begun.elapsed();
        let received = lane.received()?;
        if received.missing + received.wrong > 0 {
            return Err(engine.child.failed("did not deliver exactly"));
        }
        let updates = it.plan.messages as f64 / updating.as_secs_f64();
        let outcome = written(it, took + updating).with(&UPDATES, updates);
        ended(engine, outcome)
    }

    fn start(
        &self,
        it: &Contestant<'_>,
        journal: &Home,
        sources: &[std::net::SocketAddr],
    ) -> Result<Running> {
        let home = copied(journal, &self.testbed.data)?;
        let destinations = it.plan.destination_names();
        self.testbed
            .start_engine_with(home, &it.settings, sources, &destinations)
    }
}

/// All rows in this time.
fn written(it: &Contestant<'_>, took: Duration) -> Outcome {
    let sent = SourceReport {
        sent: it.plan.messages,
        ..SourceReport::default()
    };
    let seconds = took.as_secs_f64().max(f64::MIN_POSITIVE);
    let rate = it.plan.messages as f64 / seconds;
    let outcome = Outcome {
        seconds,
        rate,
        sent,
        settings: Some(it.settings.clone()),
        ..Outcome::nothing(it.subject, &it.plan)
    };
    outcome.with(&ROWS_RATE, rate)
}

/// Adds what the engine says of it, and ends it in order: the database is closed then.
fn ended(mut engine: Running, outcome: Outcome) -> Result<Outcome> {
    let batches = engine.counter("store_batches")?;
    let usage = engine.child.usage()?;
    engine.child.interrupt()?;
    Ok(Outcome { usage, ..outcome }.with(&TRANSACTIONS, batches as f64))
}

/// What the report says of the rows.
pub(super) fn section(played: &[Played]) -> Result<Section> {
    let bare = |it: &Played| base_of(played, it, BARE);
    let once = played.iter().filter(|it| it.name == ONCE);
    let words = once.clone().filter_map(|it| {
        let rate = Unit::Count.show(it.spread(&ROWS_RATE).mid);
        let part = it.ratio(bare(it)?, &ROWS_RATE).show(Unit::Ratio);
        Some(format!(
            "Into {} it writes {rate} rows/s, {part} of a bare load.",
            it.case[0]
        ))
    });
    let words: Vec<String> = words.collect();
    let aim = |it: &Played| {
        let (name, least) = OVER_BARE_MIN
            .into_iter()
            .find(|(name, _)| *name == it.name)?;
        let what = format!("{}: {name}, over the bare load", it.case[0]);
        let over = it.ratio(bare(it)?, &ROWS_RATE);
        Some(Aim::at_least(what, least, Unit::Ratio, over))
    };
    let databases: Vec<String> = once.map(|it| it.case[0].clone()).collect();
    let series = [ONCE, TWICE, BARE].map(|name| -> Series<Spread> {
        let rates = played
            .iter()
            .filter(|it| it.name == name)
            .map(|it| it.spread(&ROWS_RATE));
        (name.to_owned(), rates.collect())
    });
    let y = Axis::linear("rows a second", Unit::Count);
    let figures = [ROWS_RATE, UPDATES, TRANSACTIONS];
    Ok(Section {
        summary: words.join(" "),
        text: TEXT.into(),
        aims: played.iter().filter_map(aim).collect(),
        pictures: vec![Sheet::new("rows", "Rows a second").bars(y, &databases, &series)?],
        ..Section::of_rounds(&["database"], played, &figures, (BARE, &[ROWS_RATE]))
    })
}
