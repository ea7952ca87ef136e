//! `docs/dedicated-hardware.md` shows what the doctor says of a machine of 16 cores, before and
//! after.

use super::finding::{self, Finding, Verdict};
use super::testing::{but, examine};

/// Read when the tests run, so that a change of the page compiles nothing.
fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dedicated-hardware.md");
    std::fs::read_to_string(path).expect("the page is there")
}

type Change = (&'static str, Option<&'static str>);

/// Paths of each core of the example.
fn of_cores(path: &str, text: &'static str) -> Vec<Change> {
    let path = |core| format!("sys/devices/system/cpu/cpu{core}/{path}");
    let paths = (0..16).map(path);
    paths
        .map(|path| (&*Box::leak(path.into_boxed_str()), Some(text)))
        .collect()
}

/// As the page's example is made ready.
fn ready() -> Vec<Change> {
    let mut changes = vec![
        ("sys/devices/system/cpu/isolated", Some("12-15\n")),
        ("sys/devices/system/cpu/nohz_full", Some("(null)\n")),
        (
            "proc/cmdline",
            Some("isolcpus=managed_irq,domain,12-15 rcu_nocbs=12-15 irqaffinity=0-11\n"),
        ),
        ("sys/class/net/eth0/operstate", Some("up\n")),
        ("sys/class/net/eth0/device/numa_node", Some("0\n")),
        (
            "commands/ethtool -c eth0",
            Some("Adaptive RX: off  TX: off\nrx-usecs: 8\n"),
        ),
        ("proc/sys/net/core/busy_poll", Some("50\n")),
    ];
    for queue in ["0", "1", "2", "3"] {
        let path = format!("sys/class/net/eth0/queues/rx-{queue}/rps_cpus");
        changes.push((Box::leak(path.into_boxed_str()), Some("0\n")));
    }
    changes.extend(of_cores("cpuidle/state3/name", "C6\n"));
    changes.extend(of_cores("cpuidle/state3/latency", "133\n"));
    changes.extend(of_cores("cpuidle/state3/disable", "0\n"));
    changes
}

/// As such a machine is installed.
fn installed() -> Vec<Change> {
    let mut changes = ready();
    changes.extend(of_cores("cpufreq/scaling_governor", "powersave\n"));
    changes.extend([
        ("sys/devices/system/cpu/isolated", Some("\n")),
        ("proc/cmdline", Some("quiet\n")),
        ("proc/77/comm", Some("irqbalance\n")),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            Some("[always] madvise never\n"),
        ),
        ("proc/swaps", Some("Filename\n/dev/nvme0n1p3 partition\n")),
        ("proc/sys/vm/swappiness", Some("60\n")),
        ("proc/sys/vm/dirty_background_bytes", Some("0\n")),
        ("proc/sys/vm/dirty_background_ratio", Some("10\n")),
        ("proc/sys/vm/dirty_bytes", Some("0\n")),
        ("proc/sys/vm/dirty_ratio", Some("20\n")),
        ("proc/sys/net/core/wmem_max", Some("212992\n")),
        (
            "commands/ethtool -c eth0",
            Some("Adaptive RX: on  TX: off\nrx-usecs: 50\n"),
        ),
        ("proc/sys/net/core/busy_poll", Some("0\n")),
    ]);
    changes
}

/// The settings of the page's example.
fn settings() -> String {
    let page = page();
    let blocks = page.split("```toml\n").skip(1);
    let mut blocks = blocks.filter_map(|it| it.split("```").next());
    let found = blocks.find(|it| it.contains("ingest_core = 12"));
    found.expect("the page has them").to_owned()
}

#[track_caller]
fn page_shows(findings: &[Finding]) {
    let text = finding::text(findings);
    assert!(page().contains(&text), "the page does not show:\n{text}");
}

#[test]
fn the_page_shows_what_is_said_of_the_machine_as_it_was_installed() {
    let mut findings = examine(&but(&installed()), "");
    findings.retain(|it| it.verdict != Verdict::Good);
    page_shows(&findings);
}

#[test]
fn the_page_shows_what_is_said_of_the_machine_made_ready() {
    let findings = examine(&but(&ready()), &settings());
    assert!(findings.iter().all(|it| it.verdict == Verdict::Good));
    page_shows(&findings);
}

#[test]
fn the_page_shows_what_is_said_without_the_isolated_cores() {
    let mut changes = ready();
    changes.push(("proc/self/status", Some("Cpus_allowed_list:\t0-11\n")));
    let mut findings = examine(&but(&changes), &settings());
    findings.retain(|it| it.verdict == Verdict::Bad);
    page_shows(&findings);
}
