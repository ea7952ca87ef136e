//! System calls of a running process, counted by strace.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::child::Child;
use crate::cleanup::Home;

/// strace attaches within milliseconds, or is not allowed to.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// A kind of system call, and how often it was made.
pub(crate) type Calls = (String, u64);

/// strace, attached to a process.
#[derive(Debug)]
pub(crate) struct Strace {
    child: Child,
    home: Home,
}

impl Strace {
    /// Attaches to all threads of a process, and waits until that is so.
    pub(crate) fn attach(program: &Path, pid: u32, data: &Path) -> Result<Self> {
        let home = Home::new(data)?;
        let (watched, summary) = (pid.to_string(), summary_file(&home));
        let words = ["-c", "-f", "-p", &watched, "-o"].map(Path::new);
        let command = [&[program], &words[..], &[&*summary]].concat();
        let child = Child::start_program("strace", command, home.path())?;
        let begun = Instant::now();
        while !is_traced(pid) {
            if begun.elapsed() > PATIENCE {
                return Err(child.failed("did not attach: may this user trace processes?"));
            }
            thread::sleep(LOOK);
        }
        Ok(Self { child, home })
    }

    /// Detaches, and tells what it counted.
    pub(crate) fn detach(mut self) -> Result<Vec<Calls>> {
        self.child.interrupt()?;
        let file = summary_file(&self.home);
        let summary = fs::read_to_string(&file).context(format!("reading {}", file.display()))?;
        Ok(parsed(&summary))
    }
}

fn summary_file(home: &Home) -> PathBuf {
    home.path().join("strace.txt")
}

/// Whether every thread of a process has a tracer.
fn is_traced(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads: Vec<PathBuf> = threads
        .into_iter()
        .flatten()
        .flatten()
        .map(|it| it.path())
        .collect();
    let has_tracer = |thread: &PathBuf| {
        let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
        let tracer = status.lines().find_map(|it| it.strip_prefix("TracerPid:"));
        tracer.is_some_and(|it| it.trim() != "0")
    };
    !threads.is_empty() && threads.iter().all(has_tracer)
}

/// The lines between the two rules: `% time, seconds, usecs/call, calls, errors, name`, of which
/// the errors may be missing.
fn parsed(summary: &str) -> Vec<Calls> {
    let is_rule = |line: &&str| line.starts_with("------");
    let lines = summary.lines().skip_while(|it| !is_rule(it)).skip(1);
    let lines = lines.take_while(|it| !is_rule(it));
    let calls = lines.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(((*words.last()?).to_owned(), words.get(3)?.parse().ok()?))
    });
    calls.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read_with_and_without_errors() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.17    0.012360          12      1030           writev
 38.83    0.007846           6      1200        40 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.020206           9      2230        40 total
";
        let calls = [("writev", 1030), ("recvfrom", 1200)];
        assert_eq!(
            parsed(summary),
            calls.map(|(name, count)| (name.to_owned(), count))
        );
        assert!(parsed("").is_empty());
    }
}
