//! A process of a round, as its parent sees it: what it says, line by line, and its end.
//!
//! Dropped, it is killed. Should the parent be killed instead, the kernel does the same (see
//! `parts`).

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Context, PerfError};
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
    said: Receiver<String>,
    /// Its standard error, as it comes.
    logged: Receiver<String>,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts a part: this program again, with these arguments.
    pub(crate) fn start(name: &str, arguments: &[String]) -> Result<Self, PerfError> {
        Self::start_with(name, arguments, |command| command)
    }

    /// The same, with something to be set first.
    pub(crate) fn start_with(
        name: &str,
        arguments: &[String],
        set: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self, PerfError> {
        let program = std::env::current_exe().context("finding our own program")?;
        let mut command = Command::new(program);
        command.arg("part").args(arguments);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = set(&mut command)
            .spawn()
            .context(format!("starting the {name}"))?;
        let log = Arc::default();
        let (say, said) = channel();
        let (note, logged) = channel();
        forward(process.stdout.take(), say, None);
        forward(process.stderr.take(), note, Some(Arc::clone(&log)));
        Ok(Self {
            name: name.to_owned(),
            process,
            said,
            logged,
            log,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the kernel knows of it now.
    pub(crate) fn usage(&self) -> Result<Usage, PerfError> {
        usage(self.pid())
    }

    /// Its next event, within the time that any step of a round may take.
    pub(crate) fn event(&self) -> Result<Event, PerfError> {
        self.event_within(PATIENCE)
    }

    /// Its next event.
    pub(crate) fn event_within(&self, time: Duration) -> Result<Event, PerfError> {
        let line = (self.said.recv_timeout(time)).map_err(|error| self.failed(silence(error)))?;
        serde_json::from_str(&line).map_err(|error| self.failed(&format!("said {line}: {error}")))
    }

    /// The rest of the first line of its log that has this mark.
    pub(crate) fn logged_after(&self, mark: &str) -> Result<String, PerfError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let time = until.saturating_duration_since(Instant::now());
            let line = self.logged.recv_timeout(time);
            let line = line.map_err(|error| self.failed(silence(error)))?;
            if let Some((_, rest)) = line.split_once(mark) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// Says go.
    pub(crate) fn go(&mut self) -> Result<(), PerfError> {
        let stdin = self.process.stdin.as_mut();
        let stdin = stdin.expect("it was given a pipe, which stays until the end");
        stdin
            .write_all(b"go\n")
            .context(format!("telling the {} to go", self.name))
    }

    /// Interrupts it, as Ctrl-C does, and waits until it has ended.
    pub(crate) fn interrupt(&mut self) -> Result<(), PerfError> {
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
    pub(crate) fn failed(&self, what: &str) -> PerfError {
        // What it said last may still be on its way.
        thread::sleep(Duration::from_millis(50));
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        PerfError::Part {
            part: format!("the {}", self.name),
            what: what.to_owned(),
            said: log
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn silence(error: RecvTimeoutError) -> &'static str {
    match error {
        RecvTimeoutError::Timeout => "says nothing",
        RecvTimeoutError::Disconnected => "ended",
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

/// Starts another program so that it ends with us.
pub(crate) fn become_program(
    name: &str,
    command: &[&Path],
    folder: &Path,
) -> Result<Child, PerfError> {
    let mut arguments = vec!["become".to_owned()];
    let words = command.iter().map(|it| it.to_string_lossy().into_owned());
    arguments.extend(words);
    Child::start_with(name, &arguments, |it| it.current_dir(folder))
}
