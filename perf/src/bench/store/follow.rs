//! A round in which the engine follows a journal into a database: how long it takes.

use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::journals::{Journals, copied};
use super::target::Target;
use crate::cleanup::Home;
use crate::engine::Settings;
use crate::error::PerfError;
use crate::lane::Lane;
use crate::plan::Plan;
use crate::testbed::{Running, Testbed};

const LOOK: Duration = Duration::from_millis(20);
/// Without one more row for so long it has given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Case {
    /// Rows of messages that are settled already.
    Once,
    /// Rows of messages that wait, and each is updated when its subscriber comes.
    Twice,
    /// The bare load.
    Bare,
}

/// A round.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Followed {
    /// Which database.
    pub(super) database: &'static str,
    /// What was written.
    pub(super) case: Case,
    /// Messages, a row each.
    pub(super) rows: u64,
    /// Until every row was there, and where it is updated later, until it said DELIVERED.
    pub(super) seconds: f64,
    /// ... of them for the updates.
    pub(super) update_seconds: f64,
    /// Transactions.
    pub(super) batches: u64,
    /// Processor time of the engine.
    pub(super) cpu_seconds: f64,
    /// Rows in the database, and those that say DELIVERED.
    pub(super) totals: [u64; 2],
}

impl Followed {
    /// Rows a second.
    #[expect(clippy::cast_precision_loss, reason = "rows fit 52 bits")]
    pub(super) fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Every message has its row, and all are delivered.
    pub(super) fn is_exact(&self) -> bool {
        self.totals == [self.rows; 2]
    }
}

/// What the rounds of a database share.
pub(super) struct World<'a> {
    pub(super) testbed: &'a Testbed,
    pub(super) plan: &'a Plan,
    pub(super) settings: &'a Settings,
    pub(super) journals: &'a Journals,
    pub(super) target: &'a dyn Target,
}

impl World<'_> {
    /// Plays a round into an empty table.
    pub(super) fn play(&self, case: Case) -> Result<Followed, PerfError> {
        self.target.renew(self.testbed)?;
        let mut followed = match case {
            Case::Once => self.once()?,
            Case::Twice => self.twice()?,
            Case::Bare => self.followed(case, self.target.load()?, Duration::ZERO),
        };
        followed.totals = self.target.totals()?;
        Ok(followed)
    }

    fn once(&self) -> Result<Followed, PerfError> {
        let mut engine = self.start(&self.journals.settled, &[])?;
        wait_for(&engine, "stored_settled", self.plan.messages)?;
        let took = engine.started.elapsed();
        let followed = self.followed(Case::Once, took, Duration::ZERO);
        ended(&mut engine, followed)
    }

    fn twice(&self) -> Result<Followed, PerfError> {
        let (mut lane, addresses) = Lane::listening(self.plan.clone())?;
        let mut engine = self.start(&self.journals.waiting, &addresses)?;
        lane.expect_connected()?;
        wait_for(&engine, "stored", self.plan.messages)?;
        let written = engine.started.elapsed();
        let begun = Instant::now();
        lane.subscribe(engine.address, &[])?;
        wait_for(&engine, "stored_settled", self.plan.messages)?;
        let updated = begun.elapsed();
        let received = lane.received()?;
        if received.missing + received.wrong > 0 {
            return Err(engine.child.failed("did not deliver exactly"));
        }
        let followed = self.followed(Case::Twice, written + updated, updated);
        ended(&mut engine, followed)
    }

    fn start(
        &self,
        journal: &Home,
        sources: &[std::net::SocketAddr],
    ) -> Result<Running, PerfError> {
        let home = copied(journal, &self.testbed.data)?;
        let settings = Settings {
            store: self.target.url(),
            ..self.settings.clone()
        };
        let destinations = self.plan.destination_names();
        self.testbed
            .start_engine_with(home, &settings, sources, &destinations)
    }

    fn followed(&self, case: Case, took: Duration, updating: Duration) -> Followed {
        Followed {
            database: self.target.name(),
            case,
            rows: self.plan.messages,
            seconds: took.as_secs_f64(),
            update_seconds: updating.as_secs_f64(),
            batches: 0,
            cpu_seconds: 0.0,
            totals: [0; 2],
        }
    }
}

/// Adds what the engine says of it, and ends it in order: the database is closed then.
fn ended(engine: &mut Running, followed: Followed) -> Result<Followed, PerfError> {
    let batches = engine.counter("store_batches")?;
    let cpu_seconds = engine.child.usage()?.cpu_seconds;
    engine.child.interrupt()?;
    Ok(Followed {
        batches,
        cpu_seconds,
        ..followed
    })
}

/// Waits until a counter has come so far.
pub(super) fn wait_for(engine: &Running, name: &str, count: u64) -> Result<(), PerfError> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let found = engine.counter(name)?;
        if found >= count {
            return Ok(());
        }
        if found > last {
            (last, since) = (found, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            let what = format!("has a store that stands still at {name} {found} of {count}");
            return Err(engine.child.failed(&what));
        }
        thread::sleep(LOOK);
    }
}
