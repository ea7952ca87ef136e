//! Recorded and made-up machines, and what is said of them.

use std::path::Path;
use std::time::Duration;

use super::finding::{Finding, Verdict};
use super::machine::{Context, Machine};
use super::testing::{DEDICATED, but, config, examine, isolated, says};
use super::*;

#[test]
fn a_machine_made_ready_has_nothing_to_mend() {
    let findings = examine(&isolated(), DEDICATED);
    for it in &findings {
        assert_eq!(it.verdict, Verdict::Good, "{it:?}");
    }
    says(&findings, "cores", Verdict::Good, "16 of the 16 installed");
    says(
        &findings,
        "named cores",
        Verdict::Good,
        "ingest 2, scheduler 3, journal 4, delivery 5",
    );
    says(&findings, "isolcpus", Verdict::Good, "cores 2-5");
}

#[test]
fn where_nothing_can_be_read_nothing_is_guessed() {
    for settings in ["", DEDICATED] {
        let findings = examine(&[], settings);
        assert!(findings.len() >= 14);
        for it in &findings {
            // The settings say all of these.
            let needless =
                it.subject == "named cores" && settings.is_empty() || it.subject == "who gets in";
            let verdict = if needless {
                Verdict::Good
            } else {
                Verdict::Unknown
            };
            assert_eq!(it.verdict, verdict, "{it:?}");
        }
    }
}

#[test]
fn nonsense_is_unknown_and_never_a_panic() {
    for noise in [
        "",
        "\0\u{fffd}",
        "999999999999999999999999",
        "- - -",
        "[",
        "a\nb\nc",
        ",",
    ] {
        let files = isolated();
        let files: Vec<_> = files.iter().map(|(path, _)| (*path, noise)).collect();
        for settings in ["", DEDICATED] {
            let findings = examine(&files, settings);
            assert!(findings.iter().all(|it| !it.found.is_empty()), "{noise}");
        }
        assert_eq!(steal::assess(noise, noise).verdict, Verdict::Unknown);
    }
}

#[test]
fn the_machine_that_this_runs_on_can_be_read() {
    let config = config("");
    let findings = read(&Context::new(Machine::here(), &config));
    let cores = findings.iter().find(|it| it.subject == "cores");
    assert!(
        cores.is_some_and(|it| it.found.contains("may be used")),
        "{findings:?}"
    );
}

#[test]
fn agents_on_cores_that_are_not_isolated_are_named() {
    let files = but(&[
        ("sys/devices/system/cpu/isolated", Some("2-4\n")),
        ("sys/devices/system/cpu/nohz_full", Some("(null)\n")),
        (
            "proc/cmdline",
            Some("quiet isolcpus=managed_irq,domain,2-4\n"),
        ),
    ]);
    let findings = examine(&files, DEDICATED);
    says(
        &findings,
        "isolcpus",
        Verdict::Fair,
        "cores 2-4: other processes may be put on the agents' 5",
    );
    says(
        &findings,
        "isolcpus",
        Verdict::Fair,
        "isolcpus=managed_irq,domain,2-5",
    );
    says(
        &findings,
        "managed irqs",
        Verdict::Fair,
        "the agents' 5 take them",
    );
    says(
        &findings,
        "nohz_full",
        Verdict::Good,
        "no core: the tick stays",
    );
    says(&findings, "rcu_nocbs", Verdict::Fair, "rcu_nocbs=2-5");
    // In shared mode they are nobody's.
    let findings = examine(&files, "[threads]\nmode = 'shared'");
    says(
        &findings,
        "isolcpus",
        Verdict::Good,
        "shared mode asks for none",
    );
}

#[test]
fn isolated_cores_that_the_process_was_not_given_are_bad() {
    let status = "Cpus_allowed_list:\t0-1,6-15\n";
    let findings = examine(&but(&[("proc/self/status", Some(status))]), DEDICATED);
    says(
        &findings,
        "named cores",
        Verdict::Bad,
        "cores 2-5 are not available to this process",
    );
    says(&findings, "named cores", Verdict::Bad, "taskset -c");
}

#[test]
fn a_core_named_twice_is_said() {
    let twice = DEDICATED.replace("[5]", "[3]");
    let findings = examine(&isolated(), &twice);
    says(
        &findings,
        "named cores",
        Verdict::Fair,
        "two agents share a core",
    );
}

#[test]
fn spinners_on_all_cores_are_bad_and_nobody_is_told_to_isolate_all_of_them() {
    let files = but(&[
        ("proc/self/status", Some("Cpus_allowed_list:\t0-1\n")),
        ("sys/devices/system/cpu/present", Some("0-1\n")),
        ("sys/devices/system/cpu/isolated", Some("\n")),
        ("proc/cmdline", Some("quiet\n")),
    ]);
    let settings = "[threads]\nmode = 'dedicated'\nidle = 'spin'\ningest_core = 0\n\
                    scheduler_core = 1\njournal_core = 1\ndelivery_cores = [1]";
    let findings = examine(&files, settings);
    says(
        &findings,
        "named cores",
        Verdict::Bad,
        "threads that spin: 2",
    );
    let advice = "core 0 at least is left to the kernel";
    says(&findings, "isolcpus", Verdict::Fair, advice);
    let all = |it: &Finding| it.advice.as_deref().is_some_and(|it| it.contains("=0-1"));
    assert!(!findings.iter().any(all), "{findings:?}");
}

#[test]
fn without_named_cores_dedicated_is_told_to_name_them() {
    let findings = examine(&isolated(), "");
    says(
        &findings,
        "cores",
        Verdict::Good,
        "the engine runs dedicated",
    );
    says(&findings, "named cores", Verdict::Fair, "ingest_core");
    says(
        &findings,
        "isolcpus",
        Verdict::Fair,
        "name the agents' cores",
    );
}

#[test]
fn a_big_machine_has_nodes_and_siblings() {
    let files = but(&[
        ("proc/self/status", Some("Cpus_allowed_list:\t0-255\n")),
        ("sys/devices/system/cpu/present", Some("0-255\n")),
        (
            "sys/devices/system/node/node0/cpulist",
            Some("0-3,128-191\n"),
        ),
        (
            "sys/devices/system/node/node1/cpulist",
            Some("4-127,192-255\n"),
        ),
        ("sys/devices/system/node/possible", Some("0-1\n")),
        (
            "sys/devices/system/cpu/cpu2/topology/thread_siblings_list",
            Some("2,130\n"),
        ),
        (
            "sys/devices/system/cpu/cpu130/topology/thread_siblings_list",
            Some("2,130\n"),
        ),
    ]);
    let findings = examine(&files, DEDICATED);
    says(
        &findings,
        "numa",
        Verdict::Fair,
        "node0 (0-3,128-191) and node1 (4-127,192-255)",
    );
    says(
        &findings,
        "smt siblings",
        Verdict::Fair,
        "130 share their core with an agent",
    );
    let one_node = DEDICATED.replace("= 4", "= 131").replace("[5]", "[130]");
    let findings = examine(&files, &one_node);
    says(
        &findings,
        "numa",
        Verdict::Good,
        "of 2 nodes the agents use node0",
    );
    says(
        &findings,
        "smt siblings",
        Verdict::Fair,
        "two agents are on 2,130",
    );
}

#[test]
fn a_container_has_a_quota_of_either_version() {
    for (path, files) in [
        (
            "0::/pod/box\n",
            [("sys/fs/cgroup/pod/cpu.max", "250000 100000\n"), ("a", "")],
        ),
        (
            "4:memory:/x\n3:cpu,cpuacct:/pod\n",
            [
                ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n"),
                ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ],
        ),
    ] {
        let group = ("proc/self/cgroup", path);
        let mut machine = but(&[("proc/self/cgroup", None), ("sys/fs/cgroup/cpu.max", None)]);
        machine.push(group);
        machine.extend(files);
        let findings = examine(&machine, "");
        says(&findings, "cpu quota", Verdict::Fair, "2.50 cores' time");
    }
    let half = but(&[("sys/fs/cgroup/cpu.max", Some("50000 100000\n"))]);
    says(&examine(&half, ""), "cpu quota", Verdict::Bad, "0.50 cores");
    let nothing = but(&[("sys/fs/cgroup/cpu.max", Some("100000 0\n"))]);
    says(&examine(&nothing, ""), "cpu quota", Verdict::Good, "none");
    let docker = but(&[(".dockerenv", Some(""))]);
    says(
        &examine(&docker, ""),
        "virtualisation",
        Verdict::Good,
        "a container",
    );
}

#[test]
fn governor_huge_pages_clock_and_slack_are_told_with_the_command_that_mends_them() {
    let files = but(&[
        (
            "sys/devices/system/cpu/cpu4/cpufreq/scaling_governor",
            Some("powersave\n"),
        ),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            Some("[always] madvise never\n"),
        ),
        (
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            Some("hpet\n"),
        ),
        (
            "sys/devices/system/clocksource/clocksource0/available_clocksource",
            Some("hpet tsc acpi_pm\n"),
        ),
        ("proc/self/timerslack_ns", Some("5000000\n")),
        ("proc/cpuinfo", Some("flags\t: fpu hypervisor lm\n")),
    ]);
    let findings = examine(&files, DEDICATED);
    says(
        &findings,
        "governor",
        Verdict::Fair,
        "performance on 2-3,5, powersave on 4",
    );
    says(&findings, "huge pages", Verdict::Fair, "echo madvise");
    says(&findings, "clock source", Verdict::Fair, "echo tsc > /sys");
    says(&findings, "timer slack", Verdict::Fair, "5000 us late");
    says(
        &findings,
        "virtualisation",
        Verdict::Fair,
        "a virtual machine",
    );
}

#[test]
fn limits_are_held_against_the_settings() {
    let files = but(&[
        (
            "proc/self/limits",
            Some("Max open files            1024                 65536 files\n"),
        ),
        ("proc/sys/net/core/wmem_max", Some("65536\n")),
        ("proc/sys/net/ipv4/tcp_rmem", Some("4096 16384 65536\n")),
    ]);
    let findings = examine(&files, "");
    says(&findings, "open files", Verdict::Good, "65536 allowed");
    says(
        &findings,
        "send buffer",
        Verdict::Fair,
        "net.core.wmem_max=262144",
    );
    says(&findings, "receive buffer", Verdict::Fair, "tcp_rmem");
    let few = |limits| examine(&but(&[("proc/self/limits", Some(limits))]), "");
    let (bad, warn) = (
        "Max open files 32 64 files\n",
        "Max open files 32 4096 files\n",
    );
    let advice = "LimitNOFILE=11264";
    says(&few(bad), "open files", Verdict::Bad, advice);
    says(&few(warn), "open files", Verdict::Fair, advice);
    let credit = "[delivery]\ncredit = '16KiB'";
    says(
        &examine(&files, credit),
        "send buffer",
        Verdict::Good,
        "takes 16KiB",
    );
}

#[test]
fn stolen_time_is_a_part_of_what_was_wanted() {
    let stat = |busy: u64, idle: u64, steal: u64| {
        format!("cpu  {busy} 0 0 {idle} 7 0 0 {steal} 0 0\ncpu0 1 2 3\nintr 5\n")
    };
    let assess = |busy, idle, steal| steal::assess(&stat(100, 100, 10), &stat(busy, idle, steal));
    assert_eq!(assess(200, 200, 10).verdict, Verdict::Good);
    let some = assess(198, 900, 12);
    assert_eq!(some.verdict, Verdict::Fair);
    assert!(some.found.starts_with("2.0 %"), "{}", some.found);
    assert_eq!(assess(150, 200, 60).verdict, Verdict::Bad);
    assert_eq!(assess(100, 200, 10).verdict, Verdict::Unknown);
    assert_eq!(
        steal::assess("cpu 1 2 3", "cpu 2 3 4").verdict,
        Verdict::Unknown
    );
}

#[test]
fn the_disk_is_assessed_by_what_messages_need() {
    let synced = config("durability = 'synced'");
    let times = |ms| vec![Duration::from_millis(ms); 100];
    for (ms, verdict) in [(1, Verdict::Good), (50, Verdict::Fair), (900, Verdict::Bad)] {
        assert_eq!(disk::sync(&times(ms), &synced).verdict, verdict, "{ms}");
        assert_eq!(disk::sync(&times(ms), &config("")).verdict, Verdict::Good);
    }
    let mut mixed = times(1);
    mixed[7] = Duration::from_millis(80);
    mixed[8] = Duration::from_millis(90);
    let found = disk::sync(&mixed, &synced).found;
    assert!(found.contains("p50 1000 us, p99 80000 us"), "{found}");
    for (rate, verdict) in [
        (400e6, Verdict::Good),
        (20e6, Verdict::Fair),
        (4e6, Verdict::Bad),
    ] {
        assert_eq!(disk::rate_finding(rate).verdict, verdict);
    }
    let (mib, segment) = (1024 * 1024, 64 * 1024 * 1024);
    for (free, verdict) in [
        (100_000 * mib, Verdict::Good),
        (10_000 * mib, Verdict::Fair),
        (200 * mib, Verdict::Bad),
        (0, Verdict::Bad),
    ] {
        assert_eq!(
            disk::space_finding(free, segment).verdict,
            verdict,
            "{free}"
        );
    }
}

#[test]
fn measuring_the_disk_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config("");
    // A directory that is yet to be made is measured where it would be.
    config.data_dir = folder.path().join("data/of/mine");
    let subjects: Vec<_> = disk::measure(&config).iter().map(|it| it.subject).collect();
    assert_eq!(subjects, ["disk space", "disk sync", "disk rate"]);
    let left = std::fs::read_dir(folder.path())
        .expect("it is there")
        .count();
    assert_eq!(left, 0);
    config.data_dir = Path::new("/proc/self").to_owned();
    let findings = disk::measure(&config);
    says(
        &findings,
        "disk sync",
        Verdict::Bad,
        "/proc/self cannot be written",
    );
}

#[test]
fn text_has_columns_and_json_has_fields() {
    let findings = [
        Finding::good("cores", "16"),
        Finding::fair("governor", "powersave", "cpupower").because("cores slow down"),
    ];
    let text = finding::text(&findings);
    let expected = "\
good     cores          16
fair     governor       powersave
                        why: cores slow down
                        -> cpupower
";
    assert_eq!(text, expected);
    let json = finding::json(&findings, serde_json::Value::Null);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["findings"][0]["verdict"], "good");
    assert!(json["findings"][0]["advice"].is_null());
    assert_eq!(json["findings"][1]["advice"], "cpupower");
}
