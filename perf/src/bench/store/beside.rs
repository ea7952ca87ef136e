//! Delivery on schedule beside a store that works, is down, or hangs: does it notice?

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde::Serialize;

use super::super::latency::show;
use super::bystander;
use super::follow::wait_for;
use super::journals::DOWN;
use super::target::Target;
use crate::database::{Server, stall};
use crate::engine::Settings;
use crate::error::PerfError;
use crate::plan::Plan;
use crate::round::{Outcome, finish};
use crate::rounds::Played;
use crate::screen::say;
use crate::testbed::{Subject, Testbed, counters_at};

/// Between two looks at the lag: each takes the engine a millisecond, on cores that messages wait for.
const LOOK: Duration = Duration::from_millis(500);
/// The server hangs from here on: the store is at work by then, and the warm-up not over.
const STALL_AFTER: Duration = Duration::from_millis(500);

/// What the store does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Beside {
    /// There is none.
    Nothing,
    /// SQLite, which works.
    Sqlite,
    /// There is none, but a program that writes and syncs as much as SQLite.
    Bystander,
    /// A server that works.
    Server,
    /// A server that refuses connections.
    Down,
    /// A server that stops in the middle and says nothing more.
    Stalled,
}

impl Beside {
    /// Whether the engine follows into one.
    pub(super) fn is_store(self) -> bool {
        !matches!(self, Self::Nothing | Self::Bystander)
    }

    /// Whether all messages have a row in the end.
    pub(super) fn takes_rows(self) -> bool {
        self.is_store() && self != Self::Down
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "no store",
            Self::Sqlite => "SQLite",
            Self::Bystander => "disk writer",
            Self::Server => "server",
            Self::Down => "server down",
            Self::Stalled => "server stalled",
        }
    }
}

/// What is seen of a store's lag in a round.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Seen {
    /// Messages without a row, at most.
    pub(super) lag_messages: u64,
    /// Until all had one, from the last delivery on (or from when the server went on).
    pub(super) catch_up_seconds: f64,
}

/// A kind of store, and its rounds.
pub(super) struct Timed {
    pub(super) beside: Beside,
    pub(super) played: Played,
    pub(super) seen: Vec<Seen>,
}

/// Plays them in turn, every other round in the opposite order.
///
/// # Errors
/// A process failed.
pub(super) fn play(
    testbed: &Testbed,
    plan: &Plan,
    settings: &Settings,
    server: Option<(&Server, &dyn Target)>,
    rounds: u32,
) -> Result<Vec<Timed>, PerfError> {
    let kinds = kinds(server.map(|it| it.0));
    let timed = |beside: Beside| Timed {
        beside,
        played: Played {
            name: beside.words().to_owned(),
            subject: Subject::Engine,
            outcomes: Vec::new(),
        },
        seen: Vec::new(),
    };
    let mut all: Vec<Timed> = kinds.into_iter().map(timed).collect();
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..all.len()).collect();
        if !round.is_multiple_of(2) {
            order.reverse();
        }
        for index in order {
            let disk_bytes = disk_bytes(&all);
            let it = &mut all[index];
            let (outcome, seen) = play_one(testbed, plan, settings, server, it.beside, disk_bytes)?;
            let (number, name) = (round + 1, it.beside.words());
            let (shown, verdict) = (show(&outcome), outcome.verdict());
            say(&format!(
                "  {number} of {rounds} {name:14} {shown}, {verdict}"
            ));
            it.played.outcomes.push(outcome);
            it.seen.push(seen);
        }
    }
    Ok(all)
}

fn kinds(server: Option<&Server>) -> Vec<Beside> {
    use Beside::{Bystander, Down, Nothing, Sqlite};
    // The bystander has to know what SQLite wrote.
    let mut kinds = vec![Nothing, Sqlite, Bystander, Down];
    if let Some(server) = server {
        kinds.push(Beside::Server);
        if server.pid().is_some() {
            kinds.push(Beside::Stalled);
        }
    }
    kinds
}

/// What the bystander writes: as much as SQLite did in the latest round; nothing before that.
fn disk_bytes(all: &[Timed]) -> usize {
    let latest = |beside| {
        let it = all.iter().find(|it| it.beside == beside);
        it.and_then(|it| it.played.outcomes.last())
    };
    let both = latest(Beside::Sqlite).zip(latest(Beside::Nothing));
    both.map_or(0, |(sqlite, nothing)| bystander::bytes(sqlite, nothing))
}

fn play_one(
    testbed: &Testbed,
    plan: &Plan,
    settings: &Settings,
    server: Option<(&Server, &dyn Target)>,
    beside: Beside,
    disk_bytes: usize,
) -> Result<(Outcome, Seen), PerfError> {
    let url = match (beside, server) {
        (Beside::Sqlite, _) => "sqlite".into(),
        (Beside::Server | Beside::Stalled, Some((_, target))) => {
            target.renew(testbed)?;
            target.url()
        }
        (Beside::Down, _) => DOWN.into(),
        _ => "none".into(),
    };
    let settings = Settings {
        store: url,
        ..settings.clone()
    };
    let (running, lane) = testbed.connect(Subject::Engine, plan, &settings)?;
    let stalled = server.filter(|_| beside == Beside::Stalled);
    let stalled = stalled.and_then(|it| it.0.pid());
    let is_over = AtomicBool::new(false);
    let admin = running.admin();
    let (outcome, lag_messages) = thread::scope(|scope| {
        let looker = scope.spawn(|| look(admin, stalled, &is_over));
        let folder = running.folder().filter(|_| beside == Beside::Bystander);
        let writer = folder
            .map(|folder| scope.spawn(|| bystander::write_and_sync(folder, disk_bytes, &is_over)));
        let outcome = finish(Subject::Engine, &running, lane, &settings);
        is_over.store(true, Ordering::Relaxed);
        let lag = looker.join().expect("it does not panic");
        if let Some(writer) = writer {
            writer.join().expect("it does not panic")?;
        }
        Ok::<_, PerfError>((outcome?, lag?))
    })?;
    let begun = Instant::now();
    if beside.takes_rows() {
        wait_for(&running, "stored_settled", plan.messages)?;
    }
    let seen = Seen {
        lag_messages,
        catch_up_seconds: begun.elapsed().as_secs_f64(),
    };
    Ok((outcome, seen))
}

/// Watches the lag until the round is over, and has the server hang meanwhile if it is to.
fn look(
    admin: Option<SocketAddr>,
    stalled: Option<Pid>,
    is_over: &AtomicBool,
) -> Result<u64, PerfError> {
    let begun = Instant::now();
    let (mut lag_max, mut stalls) = (0, false);
    while !is_over.load(Ordering::Relaxed) {
        if let Some(server) = stalled.filter(|_| !stalls && begun.elapsed() > STALL_AFTER) {
            stall(server, true)?;
            stalls = true;
        }
        if let Some(admin) = admin {
            // Counted from rows and messages: not what the store says of itself.
            let [stored, recorded] = counters_at(admin, ["stored", "journal_recorded"])?;
            lag_max = lag_max.max(recorded.saturating_sub(stored));
        }
        thread::sleep(LOOK);
    }
    if let Some(server) = stalled {
        stall(server, false)?;
    }
    Ok(lag_max)
}
