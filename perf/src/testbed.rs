//! What is measured, started: the engine, the relay or nats-server between sources and subscribers.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use crate::child::Child;
use crate::cleanup::Home;
use crate::engine::{Durability, Settings};
use crate::http;
use crate::progress::say;
use crate::replica;

/// What the engine's journal has: messages that it took, though nobody may take them from it.
pub(crate) const TAKEN: &str = "journal_recorded";
/// How that is waited for: each look takes the engine a millisecond, and without one more message for so long it has
/// stopped reading, as it does at its bound.
pub(crate) const TAKING: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(10));
/// Between two lines on the screen.
const TELL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    Engine,
    Relay,
    /// nats-server, where there is one.
    Nats,
}

/// What every round of a run shares.
#[derive(Debug)]
pub(crate) struct Testbed {
    pub(crate) engine: PathBuf,
    /// Where the engine's data lives during a round.
    pub(crate) data: PathBuf,
    /// nats-server, where it is named or on PATH.
    pub(crate) nats: Option<PathBuf>,
}

/// The engine, the relay or nats-server, running.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) subject: Subject,
    /// The engine's.
    pub(crate) settings: Option<Settings>,
    /// The process. Before its home, so that it is gone when that is removed.
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    /// When it began to work, its journal read; of others, when they were there.
    pub(crate) started: Instant,
    admin: Option<SocketAddr>,
    /// Its stream's server, with `replicated`: ends with this.
    _replica: Option<Child>,
    home: Option<Home>,
}

impl Testbed {
    /// Starts the engine between these sources and the subscribers to come.
    pub(crate) fn start_engine(
        &self,
        settings: &Settings,
        sources: &[SocketAddr],
        destinations: &[String],
    ) -> Result<Running> {
        let home = Home::new(&self.data)?;
        self.start_engine_with(home, settings, sources, destinations)
    }

    /// Starts the engine in a home that may have data of an earlier one.
    pub(crate) fn start_engine_with(
        &self,
        home: Home,
        settings: &Settings,
        sources: &[SocketAddr],
        destinations: &[String],
    ) -> Result<Running> {
        let mut text = settings.file(&home.path().join("data"), sources, destinations);
        if settings.durability == Durability::Replicated {
            text += &replica::section(home.path())?;
        }
        std::fs::write(settings_file(&home), text).context("writing the engine's settings")?;
        self.start_engine_in(home, settings)
    }

    /// Starts an engine again where another one left its data, with the same settings.
    pub(crate) fn start_engine_in(&self, home: Home, settings: &Settings) -> Result<Running> {
        let file = settings_file(&home);
        let replica = replica::start(self.nats.as_deref(), home.path())?;
        let command = [&*self.engine, "run".as_ref(), "--config".as_ref(), &*file];
        let child = Child::start_program("engine", command, home.path())?;
        home.note_writer(child.pid());
        // The store begins to follow just before this.
        child.logged_after("starting")?;
        let started = Instant::now();
        let line = child.logged_after("running: ")?;
        let running = Running::new(
            Subject::Engine,
            child,
            address_after(&line, "subscribers on "),
        )?;
        Ok(Running {
            settings: Some(settings.clone()),
            admin: address_after(&line, "http://"),
            started,
            _replica: replica,
            home: Some(home),
            ..running
        })
    }

    /// Starts nats-server.
    pub(crate) fn start_nats(&self) -> Result<Running> {
        let program = self.nats.as_ref();
        let program = program.context("nats-server is not on PATH: name one by --nats-server")?;
        let options = ["--addr", "127.0.0.1", "--port", "-1"].map(OsStr::new);
        let command = [program.as_os_str()].into_iter().chain(options);
        let child = Child::start_program("nats-server", command, &self.data)?;
        let line = child.logged_after("Listening for client connections on ")?;
        Running::new(Subject::Nats, child, address_after(&line, ""))
    }
}

impl Running {
    /// Starts the relay between these sources and the subscribers to come.
    pub(crate) fn relay(sources: &[SocketAddr], destinations: usize) -> Result<Self> {
        let mut arguments = vec!["relay".to_owned(), destinations.to_string()];
        arguments.extend(sources.iter().map(SocketAddr::to_string));
        let child = Child::start("relay", &arguments)?;
        let line = child.logged_after("running: ")?;
        Self::new(
            Subject::Relay,
            child,
            address_after(&line, "subscribers on "),
        )
    }

    fn new(subject: Subject, child: Child, address: Option<SocketAddr>) -> Result<Self> {
        Ok(Self {
            subject,
            settings: None,
            address: address.ok_or_else(|| child.failed("does not say where it listens"))?,
            child,
            started: Instant::now(),
            admin: None,
            _replica: None,
            home: None,
        })
    }

    /// A counter of the engine.
    pub(crate) fn counter(&self, name: &str) -> Result<u64> {
        counters_at(self.admin()?, [name]).map(|[it]| it)
    }

    /// Waits until a counter has come so far, and looks each `look`; returns how far it is: less where it has stood
    /// still for `patience`.
    pub(crate) fn wait_for(
        &self,
        name: &str,
        count: u64,
        (look, patience): (Duration, Duration),
    ) -> Result<u64> {
        let (mut last, mut since, mut told) = (0, Instant::now(), Instant::now());
        loop {
            let found = self.counter(name)?;
            if found > last {
                (last, since) = (found, Instant::now());
            }
            if found >= count || since.elapsed() > patience {
                return Ok(found);
            }
            if told.elapsed() > TELL {
                say(format!("  {found} of {count} {name}"));
                told = Instant::now();
            }
            thread::sleep(look);
        }
    }

    /// The same where less is an error.
    pub(crate) fn expect(&self, name: &str, count: u64, pace: (Duration, Duration)) -> Result<()> {
        let found = self.wait_for(name, count, pace)?;
        if found < count {
            let what = format!("stands still at {found} of {count} {name}");
            return Err(self.child.failed(&what));
        }
        Ok(())
    }

    /// The engine's HTTP, for who looks from another thread.
    pub(crate) fn admin(&self) -> Result<SocketAddr> {
        self.admin
            .ok_or_else(|| self.child.failed("has no HTTP address"))
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.home.as_ref().map(Home::path)
    }

    /// Where its settings are, for other commands of the engine.
    pub(crate) fn settings_file(&self) -> Option<PathBuf> {
        self.home.as_ref().map(settings_file)
    }

    /// Kills it, as a crash would; its data stays.
    pub(crate) fn kill(self) -> Option<Home> {
        drop(self.child);
        self.home
    }
}

/// Counters of the engine whose HTTP is there, of one moment.
pub(crate) fn counters_at<const N: usize>(admin: SocketAddr, names: [&str; N]) -> Result<[u64; N]> {
    let stats: Value = serde_json::from_str(&http::get(admin, "/stats")?)
        .context("reading the engine's statistics")?;
    let mut values = [0; N];
    for (value, name) in values.iter_mut().zip(names) {
        let found = stats.get(name).and_then(Value::as_u64);
        *value = found.with_context(|| format!("the engine has no counter {name}"))?;
    }
    Ok(values)
}

fn settings_file(home: &Home) -> PathBuf {
    home.path().join("flipped-lb.toml")
}

fn address_after(text: &str, mark: &str) -> Option<SocketAddr> {
    let (_, rest) = text.split_once(mark)?;
    let end = rest.find([',', '/', ' ']).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&folders).map(|it| it.join(name));
    candidates.into_iter().find(|it| it.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_program_that_runs_says_where_subscribers_connect() {
        let engine = "4 sources, subscribers on 127.0.0.1:901, data in x, http://127.0.0.1:7/stats";
        for line in [engine, "4 sources, subscribers on 127.0.0.1:901"] {
            let address = address_after(line, "subscribers on ");
            assert_eq!(address, Some(([127, 0, 0, 1], 901).into()));
        }
        let admin = address_after(engine, "http://");
        assert_eq!(admin, Some(([127, 0, 0, 1], 7).into()));
        assert_eq!(
            address_after("127.0.0.1:5", ""),
            Some(([127, 0, 0, 1], 5).into())
        );
    }

    #[test]
    fn programs_are_found_on_path() {
        assert!(on_path("sh").is_some() && on_path("no-such-program").is_none());
    }
}
