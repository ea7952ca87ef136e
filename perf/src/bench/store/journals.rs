//! The journals that the store is set on: written once, copied for each round.

use std::fs;
use std::path::Path;

use crate::cleanup::Home;
use crate::disk::sync;
use crate::engine::Settings;
use crate::error::{Context, PerfError};
use crate::plan::Plan;
use crate::round::finish;
use crate::testbed::{Running, Subject, Testbed};

use super::super::waiting::wait_until_taken;

/// Nobody listens there: the journal keeps all that the store has not followed.
pub(super) const DOWN: &str = "mysql://nobody@127.0.0.1:1/nothing";

/// Two journals with the same messages, and no row of them anywhere.
#[derive(Debug)]
pub(super) struct Journals {
    /// All are delivered.
    pub(super) settled: Home,
    /// None is: their subscribers come later.
    pub(super) waiting: Home,
}

impl Journals {
    /// Plays both lives, with a store that is down.
    pub(super) fn write(
        testbed: &Testbed,
        plan: &Plan,
        settings: &Settings,
    ) -> Result<Self, PerfError> {
        let settings = Settings {
            store: DOWN.into(),
            ..settings.clone()
        };
        Ok(Self {
            settled: settled(testbed, plan, &settings)?,
            waiting: waiting(testbed, plan, &settings)?,
        })
    }
}

fn settled(testbed: &Testbed, plan: &Plan, settings: &Settings) -> Result<Home, PerfError> {
    let (mut engine, lane) = testbed.connect(Subject::Engine, plan, settings)?;
    let outcome = finish(Subject::Engine, &engine, lane, settings)?;
    if !outcome.is_exact() {
        return Err(engine.child.failed(&outcome.verdict()));
    }
    // In order, so that the last settlements are in the journal.
    engine.child.interrupt()?;
    Ok(home_of(engine))
}

fn waiting(testbed: &Testbed, plan: &Plan, settings: &Settings) -> Result<Home, PerfError> {
    let (engine, [mut lane]) = testbed.open(settings, [plan.clone()])?;
    lane.expect_connected()?;
    lane.go()?;
    let taken = wait_until_taken(&engine, plan.messages)?;
    match taken < plan.messages {
        true => Err(engine.child.failed("stopped reading")),
        false => Ok(home_of(engine)),
    }
}

fn home_of(engine: Running) -> Home {
    engine.kill().expect("an engine has a home")
}

/// A journal of its own for a round, which the disk has wholly: else it is busy with it meanwhile.
pub(super) fn copied(from: &Home, folder: &Path) -> Result<Home, PerfError> {
    let home = Home::new(folder)?;
    copy(&from.path().join("data"), &home.path().join("data"))?;
    sync(home.path())?;
    Ok(home)
}

fn copy(from: &Path, to: &Path) -> Result<(), PerfError> {
    let what = || format!("copying {}", from.display());
    fs::create_dir_all(to).context(what())?;
    for entry in fs::read_dir(from).context(what())? {
        let entry = entry.context(what())?;
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target)?,
            false => _ = fs::copy(entry.path(), target).context(what())?,
        }
    }
    Ok(())
}
