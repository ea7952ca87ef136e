//! A process of a round, as its parent sees it: what it says, line by line, and its end.
//!
//! Dropped, it is killed. Should the parent be killed instead, the kernel does the same (see
//! `parts`).

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::parts::Event;
use crate::process::{Usage, usage};

/// How long a part may take to start, connect or subscribe.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of its log that are kept for the error message.
const LOG_LINES_MAX: usize = 30;

#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    said: Mutex<Receiver<String>>,
    /// Its standard error, as it comes.
    logged: Mutex<Receiver<String>>,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts a part: this program again, with these arguments.
    pub(crate) fn start(name: &str, arguments: &[String]) -> Result<Self> {
        Self::start_in(Path::new("."), name, arguments)
    }

    /// Starts another program in this folder, so that it ends with us.
    pub(crate) fn start_program<S: AsRef<OsStr>>(
        name: &str,
        command: impl IntoIterator<Item = S>,
        folder: &Path,
    ) -> Result<Self> {
        let words = command.into_iter().map(|it| it.as_ref().to_owned());
        let words = ["become".into()].into_iter().chain(words);
        Self::start_in(folder, name, &words.collect::<Vec<OsString>>())
    }

    fn start_in(folder: &Path, name: &str, arguments: &[impl AsRef<OsStr>]) -> Result<Self> {
        let program = std::env::current_exe().context("finding our own program")?;
        let mut command = Command::new(program);
        command.arg("part").args(arguments).current_dir(folder);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().context(format!("starting the {name}"))?;
        let log = Arc::default();
        let (say, said) = channel();
        let (note, logged) = channel();
        forward(process.stdout.take(), say, None);
        forward(process.stderr.take(), note, Some(Arc::clone(&log)));
        Ok(Self {
            name: name.to_owned(),
            process,
            said: said.into(),
            logged: logged.into(),
            log,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the kernel knows of it now.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(self.pid())
    }

    /// Its next event, within the time that any step of a round may take.
    pub(crate) fn event(&self) -> Result<Event> {
        self.event_within(PATIENCE)
    }

    /// Its next event.
    pub(crate) fn event_within(&self, time: Duration) -> Result<Event> {
        let line = self.next_line(&self.said, time)?;
        serde_json::from_str(&line).map_err(|error| self.failed(&format!("said {line}: {error}")))
    }

    /// The rest of the first line of its log that has this mark.
    pub(crate) fn logged_after(&self, mark: &str) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let time = until.saturating_duration_since(Instant::now());
            let line = self.next_line(&self.logged, time)?;
            if let Some((_, rest)) = line.split_once(mark) {
                return Ok(rest.to_owned());
            }
        }
    }

    fn next_line(&self, from: &Mutex<Receiver<String>>, time: Duration) -> Result<String> {
        let from = from.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = |error| match error {
            RecvTimeoutError::Timeout => "says nothing",
            RecvTimeoutError::Disconnected => "ended",
        };
        (from.recv_timeout(time)).map_err(|error| self.failed(silence(error)))
    }

    /// Says go.
    pub(crate) fn go(&mut self) -> Result<()> {
        let stdin = self.process.stdin.as_mut();
        let stdin = stdin.expect("it was given a pipe, which stays until the end");
        stdin
            .write_all(b"go\n")
            .context(format!("telling the {} to go", self.name))
    }

    /// Interrupts it, as Ctrl-C does, and waits until it has ended.
    pub(crate) fn interrupt(&mut self) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a process has a number");
        kill_process(pid, Signal::INT).context(format!("interrupting the {}", self.name))?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let end = self.process.try_wait();
            if end
                .context(format!("waiting for the {}", self.name))?
                .is_some()
            {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(self.failed("was interrupted and does not end"))
    }

    /// An error about it, with the last it said.
    pub(crate) fn failed(&self, what: &str) -> Error {
        // What it said last may still be on its way.
        thread::sleep(Duration::from_millis(50));
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<&str> = log.iter().map(String::as_str).collect();
        anyhow!("the {} {what}\n{}", self.name, said.join("\n"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Hands its lines on, and keeps the last ones, until it ends.
fn forward(
    from: Option<impl Read + Send + 'static>,
    to: Sender<String>,
    keep: Option<Arc<Mutex<VecDeque<String>>>>,
) {
    let Some(from) = from else { return };
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if let Some(keep) = &keep {
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == LOG_LINES_MAX {
                    kept.pop_front();
                }
                kept.push_back(line.clone());
            }
            // Nobody may be listening any more; the pipe is emptied all the same.
            let _ = to.send(line);
        }
    });
}

/// Refuses the output of a program that failed; `what` says which one, and at what.
pub(crate) fn checked(output: &Output, what: impl FnOnce() -> String) -> Result<()> {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(output.status.success(), "{}\n{said}", what());
    Ok(())
}
