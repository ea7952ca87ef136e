//! Nothing stays behind: the engine's data goes at the end of its round, and when a signal ends
//! the benchmark, too.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

/// What a signal has to clean up: directories, and the processes that write there.
static OPEN: Mutex<Vec<(PathBuf, Option<u32>)>> = Mutex::new(Vec::new());

/// A round's own directory, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Home(TempDir);

impl Home {
    /// A new one in this folder.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let made = tempfile::Builder::new()
            .prefix("flipped-lb-perf-")
            .tempdir_in(folder);
        let home = made.context(format!("making a directory in {}", folder.display()))?;
        with_open(|open| open.push((home.path().to_owned(), None)));
        Ok(Self(home))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn note_writer(&self, pid: u32) {
        with_open(|open| {
            let mine = open.iter_mut().filter(|it| it.0 == self.path());
            mine.for_each(|it| it.1 = Some(pid));
        });
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        with_open(|open| open.retain(|it| it.0 != self.path()));
    }
}

fn with_open<T>(act: impl FnOnce(&mut Vec<(PathBuf, Option<u32>)>) -> T) -> T {
    act(&mut OPEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// On a signal: ends the writers, removes the directories, and exits as signals do.
pub(crate) fn on_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("watching signals")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            with_open(|open| open.drain(..).for_each(|it| remove(&it)));
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

fn remove((path, writer): &(PathBuf, Option<u32>)) {
    let pid = writer.and_then(|it| i32::try_from(it).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may be gone already.
        let _ = kill_process(pid, Signal::KILL);
    }
    // A second try for what a dying writer made between listing and removing.
    let _ = std::fs::remove_dir_all(path).or_else(|_| std::fs::remove_dir_all(path));
}
