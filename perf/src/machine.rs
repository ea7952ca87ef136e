//! What a report must say of where and with what it was measured.

use std::fs;
use std::path::Path;

use procfs::{CpuInfo, Current as _, CurrentSI as _, KernelStats, LoadAverage, Meminfo};

use crate::engine::without_password;

/// A fact for a report's header: its name and what it is.
pub(crate) type Fact = (String, String);

/// Machine, engine and command of this run, as they are before it.
pub(crate) fn facts(data: &Path, engine: &Path) -> Vec<Fact> {
    let date = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S %z");
    let kernel = line_of("/proc/sys/kernel/osrelease");
    let before = [
        ("date", date.to_string()),
        ("host", line_of("/proc/sys/kernel/hostname")),
        ("machine", processor()),
        ("cores", cores()),
        ("memory", memory()),
        ("kernel", format!("Linux {kernel}")),
        ("governor", governor()),
        ("engine's data on", file_system(data)),
    ];
    let behind = [
        ("benchmark", crate::build_info::lines().replace('\n', "; ")),
        ("command", command(std::env::args().skip(1))),
        ("load before", load()),
    ];
    let named = |(name, value): (&str, String)| (name.to_owned(), value);
    let mut facts = Vec::from(before.map(named));
    facts.extend(crate::engine::identity(engine));
    facts.extend(behind.map(named));
    facts
}

fn line_of(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    or_unknown(Some(text.trim().to_owned()).filter(|it| !it.is_empty()))
}

fn or_unknown(value: Option<String>) -> String {
    value.unwrap_or_else(|| "unknown".into())
}

/// The mean of runnable threads over 1, 5 and 15 minutes.
fn load() -> String {
    let load = LoadAverage::current().ok();
    or_unknown(load.map(|it| format!("{} {} {}", it.one, it.five, it.fifteen)))
}

fn processor() -> String {
    let info = CpuInfo::current().ok();
    let model = info
        .as_ref()
        .and_then(|it| it.model_name(0))
        .unwrap_or(std::env::consts::ARCH);
    let flags = info.as_ref().and_then(|it| it.flags(0)).unwrap_or_default();
    match flags.contains(&"hypervisor") {
        true => format!("{model}, virtual"),
        false => model.to_owned(),
    }
}

fn cores() -> String {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let installed = CpuInfo::current().map_or(allowed, |it| it.num_cores());
    format!("{allowed} allowed of {installed}")
}

fn memory() -> String {
    let total = Meminfo::current().ok().map(|it| it.mem_total);
    or_unknown(total.map(|bytes| format!("{} MiB", bytes / 1_048_576)))
}

fn governor() -> String {
    match line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") {
        unknown if unknown == "unknown" => "none that can be seen".into(),
        governor => governor,
    }
}

/// What is known only afterwards: the load, and what other machines on the same hardware took.
#[derive(Debug)]
pub(crate) struct Afterwards {
    before: [u64; 2],
}

impl Afterwards {
    pub(crate) fn begin() -> Self {
        Self { before: stolen() }
    }

    pub(crate) fn facts(&self) -> [Fact; 2] {
        let [stolen, all] = stolen();
        let [stolen, all] = [stolen - self.before[0], all - self.before[1]];
        let percent = stolen as f64 / all.max(1) as f64 * 100.0;
        let stolen = format!("{percent:.1} % of its processor time, by other virtual machines");
        [
            ("load after".into(), load()),
            ("stolen while it ran".into(), stolen),
        ]
    }
}

/// Ticks stolen, and ticks in all.
fn stolen() -> [u64; 2] {
    let Ok(stats) = KernelStats::current() else {
        return [0, 0];
    };
    let it = stats.total;
    let steal = it.steal.unwrap_or_default();
    let waiting = [it.iowait, it.irq, it.softirq]
        .into_iter()
        .flatten()
        .sum::<u64>();
    [
        steal,
        it.user + it.nice + it.system + it.idle + waiting + steal,
    ]
}

/// The type of the file system that a directory is on: the longest mount point above it.
fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = procfs::mounts().unwrap_or_default();
    let above = mounts
        .into_iter()
        .filter(|it| path.starts_with(&it.fs_file));
    let nearest = above.max_by_key(|it| it.fs_file.len());
    or_unknown(nearest.map(|it| match it.fs_vfstype.as_str() {
        "tmpfs" => "tmpfs: memory, not a disk".into(),
        kind => kind.to_owned(),
    }))
}

/// A command line with these arguments, without their passwords.
pub(crate) fn command(arguments: impl IntoIterator<Item = String>) -> String {
    let arguments = arguments.into_iter();
    let arguments: Vec<String> = arguments.map(|it| quoted(without_password(&it))).collect();
    let arguments = arguments.join(" ");
    format!("cargo run --release -p flipped-lb-perf -- {arguments}")
}

fn quoted(word: String) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./,:=".contains(it);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_there() {
        let facts = facts(&std::env::temp_dir(), Path::new("/bin/false"));
        assert!(
            facts.iter().all(|(_, value)| !value.is_empty()),
            "{facts:?}"
        );
        for name in "date,host,machine,kernel,engine,command,load before".split(',') {
            assert!(facts.iter().any(|(it, _)| it == name), "{name}");
        }
        let [(_, load), (_, stolen)] = Afterwards::begin().facts();
        assert!(
            load.contains('.') && stolen.contains('%'),
            "{load} {stolen}"
        );
    }

    #[test]
    fn words_are_quoted_for_the_shell_where_they_must_be() {
        assert_eq!(quoted("--size=390,8192".into()), "--size=390,8192");
        assert_eq!(quoted("it's".into()), "'it'\\''s'");
        assert_eq!(quoted(String::new()), "''");
    }
}
