//! Made-up machines for tests: files below a root, and what is said of them.

use super::finding::{Finding, Verdict};
use super::machine::{Context, Machine};
use super::read;
use crate::config::{Config, parse};

pub(super) const DEDICATED: &str = "[threads]\nmode = 'dedicated'\ningest_core = \
                                    2\nscheduler_core = 3\n\
                         journal_core = 4\ndelivery_cores = [5]";

/// Writes a machine's files.
pub(super) fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
    let root = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it is in one")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }
    let machine = Machine::at(root.path());
    (root, machine)
}

pub(super) fn config(text: &str) -> Config {
    parse("flipped-lb.toml", text, &[]).expect("right")
}

/// All that is read of such a machine.
pub(super) fn examine(files: &[(&str, &str)], settings: &str) -> Vec<Finding> {
    let (_root, machine) = machine(files);
    let config = config(settings);
    read(&Context::new(machine, &config).with_device(Some((8, 1))))
}

#[track_caller]
pub(super) fn says(findings: &[Finding], subject: &str, verdict: Verdict, words: &str) {
    let found = findings
        .iter()
        .find(|it| it.subject == subject)
        .unwrap_or_else(|| panic!("nothing about {subject}"));
    let said = format!("{} -> {:?}", found.found, found.advice);
    assert_eq!(found.verdict, verdict, "{said}");
    assert!(said.contains(words), "{subject}: {said}");
}

/// A machine of 16 cores made ready for agents on cores 2 to 5.
pub(super) fn isolated() -> Vec<(&'static str, &'static str)> {
    let mut files = vec![
        ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-15\n"),
        ("sys/devices/system/cpu/present", "0-15\n"),
        ("sys/devices/system/cpu/online", "0-15\n"),
        ("sys/devices/system/cpu/isolated", "2-5\n"),
        ("sys/devices/system/cpu/nohz_full", "2-5\n"),
        (
            "proc/cmdline",
            "quiet isolcpus=managed_irq,domain,2-5 nohz_full=2-5 rcu_nocbs=2-5\n",
        ),
        ("sys/devices/system/node/node0/cpulist", "0-15\n"),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never\n",
        ),
        (
            "proc/self/limits",
            "Limit  Soft Limit\nMax open files   1048576   1048576  files\n",
        ),
        ("proc/sys/net/core/wmem_max", "4194304\n"),
        ("proc/sys/net/core/rmem_max", "4194304\n"),
        ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
        (
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            "tsc\n",
        ),
        ("proc/self/timerslack_ns", "50000\n"),
        ("proc/cpuinfo", "flags\t: fpu vme sse4_2\n"),
        ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ("proc/self/cgroup", "0::/\n"),
        ("proc/1/comm", "systemd\n"),
        ("proc/swaps", "Filename Type Size Used Priority\n"),
        (
            "proc/meminfo",
            "MemTotal: 65536000 kB\nMemAvailable:   32768000 kB\n",
        ),
        ("proc/sys/vm/dirty_background_bytes", "67108864\n"),
        ("proc/sys/vm/dirty_bytes", "1073741824\n"),
        ("proc/sys/net/core/busy_poll", "0\n"),
        ("sys/class/net/lo/operstate", "unknown\n"),
        ("sys/dev/block/8:1/queue/scheduler", "[none] mq-deadline\n"),
        ("sys/dev/block/8:1/queue/rotational", "0\n"),
        ("sys/dev/block/8:1/queue/write_cache", "write through\n"),
        (
            "sys/devices/system/cpu/vulnerabilities/spectre_v2",
            "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional\n",
        ),
    ];
    for core in 0..16 {
        let folder = format!("sys/devices/system/cpu/cpu{core}");
        let put = |path: &str, text: String| -> (&'static str, &'static str) {
            let path: &'static str = Box::leak(format!("{folder}/{path}").into_boxed_str());
            (path, Box::leak(text.into_boxed_str()))
        };
        files.push(put("topology/thread_siblings_list", core.to_string()));
        files.push(put("cpufreq/scaling_governor", "performance\n".to_owned()));
        files.push(put("cpuidle/state1/name", "C1\n".to_owned()));
        files.push(put("cpuidle/state1/latency", "2\n".to_owned()));
        files.push(put("cpuidle/state1/disable", "0\n".to_owned()));
    }
    files
}

/// The same machine with some files of other content, or gone where there is none.
pub(super) fn but(
    changes: &[(&'static str, Option<&'static str>)],
) -> Vec<(&'static str, &'static str)> {
    let mut files = isolated();
    for (path, text) in changes {
        files.retain(|(known, _)| known != path);
        files.extend(text.map(|text| (*path, text)));
    }
    files
}
