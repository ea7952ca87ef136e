//! What a report must say of where and with what it was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::engine::without_password;

/// A fact for a report's header: its name and what it is.
pub(crate) type Fact = (String, String);

/// Machine, commit and command of this run.
pub(crate) fn facts(data: &Path) -> Vec<Fact> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    vec![
        fact("machine", processor()),
        fact("cores", cores()),
        fact("memory", memory()),
        fact("kernel", kernel()),
        fact("governor", governor()),
        fact("load before", first_words("/proc/loadavg", 3)),
        fact("engine's data on", file_system(data)),
        fact("commit", commit()),
        fact("build", build().into()),
        fact("command", command("all")),
    ]
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn first_words(path: &str, words: usize) -> String {
    let text = read(path);
    let words: Vec<&str> = text.split_whitespace().take(words).collect();
    words.join(" ")
}

fn processor() -> String {
    let info = read("/proc/cpuinfo");
    let after_colon = |line: &str| line.split_once(": ").map(|(_, it)| it.to_owned());
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(after_colon);
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let is_virtual = info.lines().any(|line| {
        line.starts_with("flags") && line.split_whitespace().any(|flag| flag == "hypervisor")
    });
    match is_virtual {
        true => format!("{model}, virtual"),
        false => model,
    }
}

fn cores() -> String {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let info = read("/proc/cpuinfo");
    let is_core = |line: &&str| line.starts_with("processor");
    let installed = info.lines().filter(is_core).count();
    format!("{allowed} allowed of {installed}")
}

fn memory() -> String {
    let info = read("/proc/meminfo");
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or_else(unknown, |kib| format!("{} MiB", kib / 1024))
}

fn governor() -> String {
    let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    match governor.trim() {
        "" => "none that can be seen".into(),
        governor => governor.to_owned(),
    }
}

/// What other machines on the same hardware took from this one since it began.
#[derive(Debug)]
pub(crate) struct Steal {
    before: [u64; 2],
}

impl Steal {
    pub(crate) fn begin() -> Self {
        Self {
            before: stolen(&read("/proc/stat")),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "ticks fit 52 bits")]
    pub(crate) fn fact(&self) -> Fact {
        let [stolen, all] = stolen(&read("/proc/stat"));
        let [stolen, all] = [stolen - self.before[0], all - self.before[1]];
        let percent = stolen as f64 / all.max(1) as f64 * 100.0;
        let fact = format!("{percent:.1} % of its processor time, by other virtual machines");
        ("stolen while it ran".into(), fact)
    }
}

/// Ticks stolen, and ticks in all: user, nice, system, idle, iowait, irq, softirq, steal.
fn stolen(stat: &str) -> [u64; 2] {
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8);
    let ticks: Vec<u64> = ticks.filter_map(|it| it.parse().ok()).collect();
    [ticks.get(7).copied().unwrap_or(0), ticks.iter().sum()]
}

fn kernel() -> String {
    format!("Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

/// The type of the file system that a directory is on: the longest mount point above it.
fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = read("/proc/mounts");
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = mounts.filter(|(point, _)| path.starts_with(point));
    let nearest = above.max_by_key(|(point, _)| point.len());
    nearest.map_or_else(unknown, |(_, kind)| match kind {
        "tmpfs" => "tmpfs: memory, not a disk".into(),
        kind => kind.to_owned(),
    })
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let is_good = output.status.success();
        is_good.then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "HEAD"]) else {
        return unknown();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}, with changes that are not committed"),
    }
}

/// Which build this is, and hence the engine beside it.
pub(crate) fn build() -> &'static str {
    match cfg!(debug_assertions) {
        true => "debug: its figures mean nothing, add --release",
        false => "release",
    }
}

/// This run's command line, for this benchmark alone.
pub(crate) fn command(benchmark: &str) -> String {
    let alone = |word: String| match word.as_str() {
        "all" => benchmark.to_owned(),
        _ => quoted(without_password(&word)),
    };
    let arguments: Vec<String> = std::env::args().skip(1).map(alone).collect();
    format!(
        "cargo run --release -p flipped-lb-perf -- {}",
        arguments.join(" ")
    )
}

fn quoted(word: String) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./,:=".contains(it);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn unknown() -> String {
    "unknown".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_there() {
        let facts = facts(&std::env::temp_dir());
        assert!(
            facts.iter().all(|(_, value)| !value.is_empty()),
            "{facts:?}"
        );
        let has = |name: &str| facts.iter().any(|(it, _)| it == name);
        assert!(has("machine") && has("kernel") && has("commit") && has("command"));
    }

    #[test]
    fn stolen_time_is_the_eighth_figure() {
        let stat = "cpu  1 2 3 4 5 6 7 8 100 0\ncpu0 9 9 9 9 9 9 9 9 9 9\n";
        assert_eq!(stolen(stat), [8, 36]);
        assert_eq!(stolen(""), [0, 0]);
        assert!(Steal::begin().fact().1.contains('%'));
    }

    #[test]
    fn words_are_quoted_for_the_shell_where_they_must_be() {
        assert_eq!(quoted("--size=390,8192".into()), "--size=390,8192");
        assert_eq!(quoted("it's".into()), "'it'\\''s'");
        assert_eq!(quoted(String::new()), "''");
    }
}
