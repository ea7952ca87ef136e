//! Delivery on schedule beside a store that works, is down, or hangs: does it notice?

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::super::latency::FIGURES;
use super::bystander::{self, Bystander};
use super::follow::STORING;
use super::journals::DOWN;
use super::target::{AtServer, Target as _};
use crate::bench::prelude::*;
use crate::database::stall;
use crate::process::watched;
use crate::testbed::counters_at;

/// Between two looks at the lag: each takes the engine a millisecond, on cores that messages wait for. A server that
/// is to hang does so from the first on: the store is at work by then, and the warm-up not over.
const LOOK: Duration = Duration::from_millis(500);

const LAG: Figure = extra("lag at most", "lag_messages", Unit::Count);
const CATCH_UP: Figure = extra("catch-up", "catch_up_seconds", Unit::Seconds);

const TEXT: &str = "Delivery on schedule beside the store, from due time to arrival; a second of \
warm-up is not measured. `server down` refuses connections; `server stalled` is stopped half a second \
after the first message, and goes on after the last. Beside `disk writer` there is no store, but a \
program of the lowest priority that writes as many bytes as SQLite did, and syncs them ten times a \
second: what the machine's disk takes from delivery, whoever writes. Lag is the most that was seen of \
messages without a row, catch-up the time from the last delivery until all had one.";

/// What the store does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// There is none.
    Nothing,
    /// SQLite, which works.
    Sqlite,
    /// There is none, but a program that writes and syncs as much as SQLite.
    Bystander,
    /// A server that refuses connections.
    Down,
    /// A server that works.
    Server,
    /// A server that stops in the middle and says nothing more.
    Stalled,
}

impl Beside {
    const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Sqlite,
        Self::Bystander,
        Self::Down,
        Self::Server,
        Self::Stalled,
    ];

    /// Whether the engine follows into one.
    fn is_store(self) -> bool {
        !matches!(self, Self::Nothing | Self::Bystander)
    }

    /// Whether all messages have a row in the end.
    fn takes_rows(self) -> bool {
        self.is_store() && self != Self::Down
    }

    fn words(self) -> &'static str {
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

/// Bytes a second that the engine wrote in its latest round, without a store and with SQLite: the
/// bystander writes the difference.
#[derive(Debug, Default)]
pub(super) struct Latest {
    nothing: Cell<f64>,
    sqlite: Cell<f64>,
}

/// All kinds of store that there are here.
pub(super) fn sides<'a>(
    testbed: &'a Testbed,
    plan: &Plan,
    settings: &Settings,
    server: Option<&'a AtServer<'a>>,
    latest: &'a Latest,
) -> Vec<Contestant<'a>> {
    let is_here = |it: &Beside| match it {
        Beside::Server => server.is_some(),
        Beside::Stalled => server.is_some_and(|it| it.server.pid().is_some()),
        _ => true,
    };
    let side = |beside: Beside| {
        Contestant::new(Subject::Engine, plan, settings)
            .named(beside.words())
            .playing(move |it| round(testbed, it, server, beside, latest))
    };
    Beside::ALL.into_iter().filter(is_here).map(side).collect()
}

fn round(
    testbed: &Testbed,
    it: &Contestant<'_>,
    server: Option<&AtServer<'_>>,
    beside: Beside,
    latest: &Latest,
) -> Result<Outcome> {
    let url = match (beside, server) {
        (Beside::Sqlite, _) => "sqlite".into(),
        (Beside::Server | Beside::Stalled, Some(target)) => {
            target.renew(testbed)?;
            target.url()
        }
        (Beside::Down, _) => DOWN.into(),
        _ => "none".into(),
    };
    let settings = Settings {
        store: url,
        ..it.settings.clone()
    };
    let (running, lane) = testbed.connect(Subject::Engine, &it.plan, &settings)?;
    let disk_bytes = bystander::bytes(latest.sqlite.get() - latest.nothing.get());
    let stalled = server.filter(|_| beside == Beside::Stalled);
    let stalled = stalled.and_then(|it| it.server.pid());
    let admin = running.admin()?;
    // Without a store, too: each look takes the engine's time, so all sides are looked at alike.
    let playing = || beside_lag(admin, stalled, || finish(&running, lane));
    let (outcome, lags) = match (beside, running.folder()) {
        (Beside::Bystander, Some(folder)) => {
            let mut writer = Bystander::new(folder, disk_bytes)?;
            watched(bystander::PERIOD, || writer.write_and_sync(), playing)?.0
        }
        _ => playing()?,
    };
    let lag_messages = lags.iter().map(|(_, lag)| *lag).max().unwrap_or_default();
    let begun = Instant::now();
    if beside.takes_rows() {
        running.expect("stored_settled", it.plan.messages, STORING)?;
    }
    let written = outcome.usage.written_bytes as f64 / outcome.seconds;
    match beside {
        Beside::Nothing => latest.nothing.set(written),
        Beside::Sqlite => latest.sqlite.set(written),
        _ => {}
    }
    let catch_up = begun.elapsed().as_secs_f64();
    let outcome = match beside.is_store() {
        true => outcome.with(&LAG, lag_messages as f64),
        false => outcome,
    };
    Ok(match beside.takes_rows() {
        true => outcome.with(&CATCH_UP, catch_up),
        false => outcome,
    })
}

/// Watches the lag until the round is over, and has the server hang meanwhile if it is to.
fn beside_lag(
    admin: SocketAddr,
    stalled: Option<Pid>,
    playing: impl FnOnce() -> Result<Outcome>,
) -> Result<(Outcome, Vec<(f64, u64)>)> {
    let mut to_stall = stalled;
    let look = || {
        if let Some(server) = to_stall.take() {
            stall(server, true)?;
        }
        // Counted from rows and messages: not what the store says of itself.
        let [stored, recorded] = counters_at(admin, ["stored", "journal_recorded"])?;
        Ok(recorded.saturating_sub(stored))
    };
    let seen = watched(LOOK, look, playing);
    if let Some(server) = stalled {
        stall(server, false)?;
    }
    seen
}

/// What the report says of delivery beside the store.
pub(super) fn section(played: &[Played], rate: u64, seconds: u64) -> Result<Section> {
    let none = Beside::Nothing.words();
    let [p99s, lag] = [&FIGURES[..], &[LAG, CATCH_UP]];
    let find = |beside: Beside| played.iter().find(|it| it.name == beside.words());
    let stores = || {
        Beside::ALL
            .into_iter()
            .filter(|it| it.is_store())
            .filter_map(find)
    };
    let mut aims = Vec::new();
    if let Some(none) = find(Beside::Nothing) {
        aims.extend(stores().map(|it| aim(none, it)));
    }
    let written = find(Beside::Bystander).zip(find(Beside::Sqlite));
    aims.extend(written.map(|(writer, sqlite)| aim(writer, sqlite)));
    let worst = stores().map(|it| it.spread(&P99).mid).fold(0.0, f64::max);
    let alone = played.first().map_or(0.0, |it| it.spread(&P99).mid);
    let rounds = played.first().map_or(0, |it| it.outcomes.len());
    let rounds = together(rounds);
    let title = format!("Latency at {rate} msg/s beside the store, {rounds}");
    let [alone, worst] = [alone, worst].map(time);
    Ok(Section {
        summary: format!(
            "At {rate} msg/s for {seconds} s p99 is {alone} without a store, and {worst} at most beside \
             one that works, is down or hangs."
        ),
        text: TEXT.into(),
        aims,
        pictures: vec![Sheet::new("latency", &title).percentiles(&curves(played))?],
        ..Section::of_rounds(&[], played, &[p99s, lag].concat(), (none, &[P99]))
    })
}

/// No difference beyond noise: its p99 lies where that of the reference's rounds lies.
fn aim(reference: &Played, it: &Played) -> Aim {
    let (name, other) = (&it.name, &reference.name);
    let what = format!("p99 beside: {name}; the most of the rounds beside: {other}");
    it.aim_at_most(&what, &P99, reference.spread(&P99).max)
}
