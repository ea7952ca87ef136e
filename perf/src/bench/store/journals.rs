//! The journals that the store is set on: written once, copied for each round.

use std::fs;
use std::path::Path;

use crate::bench::prelude::*;
use crate::cleanup::Home;
use crate::disk::sync;

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
    pub(super) fn write(testbed: &Testbed, plan: &Plan, settings: &Settings) -> Result<Self> {
        let settings = Settings {
            store: DOWN.into(),
            ..settings.clone()
        };
        Ok(Self {
            settled: settled(testbed, plan, &settings)?,
            waiting: home_of(testbed.filled(&settings, plan)?.0),
        })
    }
}

fn settled(testbed: &Testbed, plan: &Plan, settings: &Settings) -> Result<Home> {
    let (mut engine, lane) = testbed.connect(Subject::Engine, plan, settings)?;
    let outcome = finish(&engine, lane)?;
    if !outcome.is_exact() {
        return Err(engine.child.failed(&outcome.verdict()));
    }
    // In order, so that the last settlements are in the journal.
    engine.child.interrupt()?;
    Ok(home_of(engine))
}

fn home_of(engine: Running) -> Home {
    engine.kill().expect("an engine has a home")
}

/// A journal of its own for a round, which the disk has wholly: else it is busy with it meanwhile.
pub(super) fn copied(from: &Home, folder: &Path) -> Result<Home> {
    let home = Home::new(folder)?;
    copy(&from.path().join("data"), &home.path().join("data"))?;
    sync(home.path())?;
    Ok(home)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
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
