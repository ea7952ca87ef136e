//! `flipped-lb run` in a group: runs of a member, one after the other, until a signal.
//!
//! ```text
//!  standby ---- the stream confirms its claim ----> active ---- SIGTERM ----> drain, goodbye, exit 0
//!     ^                                               |  hand-over: drain, goodbye
//!     '------- a new run, from the files <------------'  stepping down: at once
//! ```
//!
//! The member's thread says what is to be done; here the engine of a term is built and ended.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::Failure;
use super::running::{LOOK, Reloading, listening, stop};
use super::service::Service;
use super::settings::RunSettings;
use super::signals::Signals;
use crate::cluster::aside;
use crate::cluster::core::Why;
use crate::cluster::run::member::{Activation, End, MemberEvent};
use crate::cluster::run::unconfirmed;
use crate::cluster::status::{HandOver, Handle, Status};
use crate::config::Config;
use crate::engine::member::MemberRun;
use crate::engine::standby::StandbyListeners;
use crate::engine::{self, Engine};
use crate::limits::{GOODBYE_MAX, RUNS_INTERVAL};
use crate::log::say;

/// What follows a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Run,
    Exit,
}

/// Runs until a signal, or until a person has to decide.
///
/// # Errors
/// An engine cannot start or go on, or the group refuses this member.
pub(super) fn run(
    config: Config,
    settings: &RunSettings,
    signals: &Signals,
) -> Result<(), Failure> {
    let handle = Handle {
        status: Status::new(&config.cluster.node, &config.cluster.group),
        hand_over: HandOver::default(),
    };
    let mut group = Group {
        config,
        settings,
        signals,
        handle,
        service: Service::new(),
    };
    signals.has_started();
    while group.run_once()? == Next::Run {
        std::thread::sleep(RUNS_INTERVAL);
        group.read_settings();
    }
    Ok(())
}

struct Group<'a> {
    config: Config,
    settings: &'a RunSettings,
    signals: &'a Signals,
    handle: Handle,
    service: Service,
}

fn successor_is_ready(status: &Status, node: &str) -> bool {
    let it = status.snapshot();
    it.present().any(|it| it.node == node && it.is_ready)
}

impl Group<'_> {
    /// A new run goes by the settings as they are now, where they are right.
    fn read_settings(&mut self) {
        match self.settings.read_again() {
            Ok(config) => self.config = config,
            Err(error) => warn!("the settings stay as they were: {error}"),
        }
    }

    /// One run, from a standby's start to its end.
    fn run_once(&mut self) -> Result<Next, Failure> {
        let start = || MemberRun::start(&self.config, &self.handle);
        let member = self.service.tell_while("reading the journal", start);
        let mut member = member.map_err(Failure::because)?;
        let listeners =
            StandbyListeners::open(&self.config, &self.handle).map_err(Failure::because)?;
        let cluster = &self.config.cluster;
        say(format!(
            "standby: node {} of group {}, answering on {}, data in {}",
            cluster.node,
            cluster.group,
            listeners.addresses().delivery,
            self.config.data_dir.display()
        ));
        self.service.tell_ready();
        let told = self.stand_by(&member);
        // The engine of a term binds the same addresses.
        drop(listeners);
        let end = match told {
            Some(MemberEvent::Activate(activation)) => return self.serve(&mut member, activation),
            Some(MemberEvent::Ended(end)) => Some(end),
            None => None,
        };
        // Before the files behind it may be set aside.
        let is_last = self.signals.stop.load(Ordering::Relaxed);
        let store_timeout = match is_last {
            true => self.config.store.stop_timeout,
            false => Duration::ZERO,
        };
        member.end(store_timeout, &self.signals.hurry);
        end.map_or(Ok(Next::Exit), |it| self.after(it))
    }

    /// Waits until this member is to serve, or its run is over; `None`: nobody waits any more.
    fn stand_by(&mut self, member: &MemberRun) -> Option<MemberEvent> {
        let mut is_stopping = false;
        loop {
            if !is_stopping && self.signals.stop.load(Ordering::Relaxed) {
                is_stopping = true;
                self.service.tell_stopping();
                member.thread.handle.finish();
            }
            match member.thread.told_within(LOOK) {
                // A claim that was confirmed meanwhile is given up by the goodbye.
                Some(MemberEvent::Activate(_)) if is_stopping => {}
                Some(told) => return Some(told),
                None if is_stopping && self.signals.hurry.load(Ordering::Relaxed) => return None,
                None => {}
            }
            self.service
                .tell_standby(Instant::now(), &self.handle.status);
        }
    }

    /// Serves until the term is over, by a signal, a hand-over or the group.
    fn serve(&mut self, member: &mut MemberRun, activation: Activation) -> Result<Next, Failure> {
        // Whoever asked for it asked an earlier term.
        self.handle.hand_over.take();
        let term = member.term(activation);
        let source = Box::new(self.settings.clone());
        let start = || engine::start_term(&self.config, Some(source), term);
        let engine = self.service.tell_while("taking over", start);
        let engine = engine.map_err(Failure::because)?;
        say(listening(&engine, &self.config));
        let mut reloading = Reloading::default();
        loop {
            if self.signals.stop.load(Ordering::Relaxed) {
                return self.end_term(engine, member, Next::Exit, None);
            }
            if let Some(asked) = self.handle.hand_over.take() {
                let to = asked.to.as_deref().unwrap_or("another member");
                info!("handing over: sources stop, deliveries drain, {to} takes over");
                return self.end_term(engine, member, Next::Run, asked.to);
            }
            if let Some(failed) = engine.failed() {
                let why = format!("{} failed: {}", failed.agent, failed.error);
                self.service.tell_stopping();
                self.end_engine(engine, member);
                return Err(Failure::because(why));
            }
            reloading.look(self.signals, &engine, &self.service);
            let unwell = || engine.health().unwell();
            self.service
                .tell_health(Instant::now(), engine.counters(), unwell);
            if let Some(MemberEvent::Ended(end)) = member.thread.told_within(LOOK) {
                return self.step_down(engine, member, end);
            }
        }
    }

    /// The term is over by the group: the engine ends at once.
    fn step_down(&mut self, engine: Engine, member: &MemberRun, end: End) -> Result<Next, Failure> {
        warn!("this member does not serve any more: all connections are closed");
        let abort = || engine.abort(&member.thread.lease);
        let lines = self.service.tell_while("stepping down", abort);
        self.keep_unconfirmed(&lines);
        self.after(end)
    }

    /// An orderly end: sources stop, deliveries drain, all is confirmed, then the goodbye.
    fn end_term(
        &mut self,
        engine: Engine,
        member: &MemberRun,
        next: Next,
        successor: Option<String>,
    ) -> Result<Next, Failure> {
        if next == Next::Exit {
            self.service.tell_stopping();
        }
        let problems = self.end_engine(engine, member);
        // Deliveries may have drained for long: one that is gone meanwhile is not waited for.
        let is_there = |it: &String| successor_is_ready(&self.handle.status, it);
        match successor.filter(is_there) {
            Some(to) => member.thread.handle.hand_over(to.into()),
            None => member.thread.handle.finish(),
        }
        let await_goodbye = || self.await_goodbye(member);
        let has_ended = self.service.tell_while("saying goodbye", await_goodbye);
        let problem = problems.or_else(|| {
            let words =
                "the group did not confirm the goodbye in time: a standby waits for the lease";
            (!has_ended).then(|| words.to_owned())
        });
        match (problem, next) {
            (Some(problem), Next::Exit) => Err(Failure::because(problem)),
            (Some(problem), Next::Run) => {
                warn!("{problem}");
                Ok(Next::Run)
            }
            (None, next) => Ok(next),
        }
    }

    /// Stops an engine in good order; returns what went wrong.
    fn end_engine(&mut self, engine: Engine, member: &MemberRun) -> Option<String> {
        let problems = stop(engine, self.signals, &self.service);
        self.keep_unconfirmed(&member.thread.lease.take_unconfirmed());
        problems
    }

    fn await_goodbye(&self, member: &MemberRun) -> bool {
        let until = Instant::now() + GOODBYE_MAX;
        while Instant::now() < until && !self.signals.hurry.load(Ordering::Relaxed) {
            if let Some(MemberEvent::Ended(_)) = member.thread.told_within(LOOK) {
                return true;
            }
        }
        false
    }

    /// What follows the end of a run.
    fn after(&self, end: End) -> Result<Next, Failure> {
        match end {
            End::Refused(words) | End::Failed(words) => Err(Failure::because(words)),
            End::StepDown { why, set_aside } => {
                info!(?why, "the run of this member is over");
                if let Some(behind) = set_aside {
                    self.set_aside(behind, why != Why::Purged)?;
                }
                let is_last = self.signals.stop.load(Ordering::Relaxed);
                Ok(if is_last { Next::Exit } else { Next::Run })
            }
        }
    }

    /// Keeps what the group does not have, or had before its stream was purged, out of the next run's way.
    fn set_aside(&self, behind: u64, is_lost: bool) -> Result<(), Failure> {
        let done = aside::set_aside(&self.config, behind, is_lost).map_err(Failure::because)?;
        if let Some(done) = done {
            warn!("{done}");
            self.handle.status.update(|it| it.lost += done.lost);
        }
        Ok(())
    }

    fn keep_unconfirmed(&self, lines: &[Vec<u8>]) {
        if lines.is_empty() {
            return;
        }
        let count = lines.len() as u64;
        self.handle.status.update(|it| it.unconfirmed += count);
        match unconfirmed::keep(&self.config.data_dir, &self.config.ingest, lines) {
            Ok(()) => warn!(
                lines = count,
                "lines that the group did not confirm, and that their sources do not send again, are kept in \
                 unconfirmed.ndjson"
            ),
            Err(error) => {
                error!(
                    lines = count,
                    "unconfirmed lines could not be kept: {error}"
                );
            }
        }
    }
}
