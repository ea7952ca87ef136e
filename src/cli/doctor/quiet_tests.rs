//! What disturbs the agents' cores, on made-up machines.

use super::finding::{Finding, Verdict};
use super::machine::{Context, Machine};
use super::testing::{DEDICATED, but, config, examine, isolated, machine, says};
use super::{fix, fixing, interrupts};

const SPIN: &str = "[threads]\nmode = 'dedicated'\nidle = 'spin'\ningest_core = 2\n\
                    scheduler_core = 3\njournal_core = 4\ndelivery_cores = [5]";

fn commands(findings: &[Finding], subject: &str) -> Vec<String> {
    let of = findings.iter().filter(|it| it.subject == subject);
    of.flat_map(|it| it.fixes.iter().map(fix::Fix::command))
        .collect()
}

/// Of two readings of `/proc/interrupts` two seconds apart.
fn interrupted(files: &[(&str, &str)], settings: &str, after: &str) -> Finding {
    const BEFORE: &str = "CPU0 CPU1 CPU2 CPU3 CPU4 CPU5\n 31: 0 0 0 0 0 0 PCI-MSI 1-edge \
                          eth0-rx-1\n\
                          LOC: 0 0 0 0 0 0 Local timer interrupts\n";
    let (_root, machine) = machine(files);
    let config = config(settings);
    interrupts::assess(&Context::new(machine, &config), BEFORE, after, 2.0)
}

#[test]
fn a_device_that_interrupts_an_agent_is_named_with_the_value_that_moves_it() {
    let after = "CPU0 CPU1 CPU2 CPU3 CPU4 CPU5\n 31: 0 0 0 0 0 9000 PCI-MSI 1-edge eth0-rx-1\n\
                 LOC: 500 500 2 2 2 502 Local timer interrupts\n";
    let files = but(&[("proc/irq/31/smp_affinity_list", Some("5\n"))]);
    let finding = interrupted(&files, DEDICATED, after);
    assert_eq!(finding.verdict, Verdict::Fair);
    let expected = "core 5: 4751/s (eth0-rx-1 4500, the timer 251)";
    assert!(finding.found.contains(expected), "{finding:?}");
    assert!(finding.found.contains("core 2: 1/s (the timer 1)"));
    let commands: Vec<_> = finding.fixes.iter().map(fix::Fix::command).collect();
    let expected = ["echo '0-1,6-15' > /proc/irq/31/smp_affinity_list"];
    assert_eq!(commands, expected);
    // One that may go elsewhere as well stays where it may, but for the agents' cores.
    let files = but(&[("proc/irq/31/smp_affinity_list", Some("4-8\n"))]);
    let finding = interrupted(&files, DEDICATED, after);
    assert!(finding.fixes[0].command().contains("'6-8'"));
    let finding = interrupted(&isolated(), DEDICATED, after);
    assert!(finding.fixes.is_empty() && finding.verdict == Verdict::Fair);
    let advice = finding.advice.expect("there is something to do");
    assert!(advice.contains("managed_irq"), "{advice}");
}

#[test]
fn the_timer_alone_and_agents_without_cores_are_good() {
    let after = "CPU0 CPU1 CPU2 CPU3 CPU4 CPU5\n\
                 LOC: 500 500 500 500 500 500 Local timer interrupts\n";
    let verdict = |settings, after| interrupted(&isolated(), settings, after).verdict;
    assert_eq!(verdict(DEDICATED, after), Verdict::Good);
    assert_eq!(verdict(DEDICATED, "x"), Verdict::Unknown);
    let shared = interrupted(&isolated(), "[threads]\nmode = 'shared'", after);
    assert_eq!(shared.verdict, Verdict::Good);
    assert!(shared.found.contains("no cores of their own"));
}

#[test]
fn irqbalance_leaves_isolated_cores_alone_and_those_that_are_banned() {
    let running = ("proc/77/comm", Some("irqbalance\n"));
    let not_isolated = [
        ("sys/devices/system/cpu/isolated", Some("\n")),
        ("sys/devices/system/cpu/nohz_full", Some("(null)\n")),
    ];
    let says = |files: &[_], verdict, words| {
        let findings = examine(&but(files), DEDICATED);
        says(&findings, "irqbalance", verdict, words);
    };
    says(&[], Verdict::Good, "does not run");
    says(&[running], Verdict::Good, "alone");
    let loud = [&[running][..], &not_isolated].concat();
    says(&loud, Verdict::Fair, "IRQBALANCE_BANNED_CPULIST=2-5");
    let environment = "A=1\0IRQBALANCE_BANNED_CPULIST=2-5\0B=2";
    let banned = [&loud[..], &[("proc/77/environ", Some(environment))]].concat();
    says(&banned, Verdict::Good, "alone");
}

#[test]
fn isolation_says_its_flags_and_what_a_missing_tick_costs() {
    let plain = but(&[("proc/cmdline", Some("isolcpus=2-5 rcu_nocbs=2-5\n"))]);
    let findings = examine(&plain, DEDICATED);
    let advice = "isolcpus=managed_irq,domain,2-5";
    says(&findings, "managed irqs", Verdict::Fair, advice);
    says(&findings, "nohz_full", Verdict::Good, "300 ns");
    // nohz_full implies rcu_nocbs.
    let tickless = but(&[
        ("proc/cmdline", Some("quiet\n")),
        ("sys/devices/system/cpu/nohz_full", Some("2-5\n")),
    ]);
    let findings = examine(&tickless, DEDICATED);
    says(&findings, "rcu_nocbs", Verdict::Good, "2-5");
}

#[test]
fn a_partition_of_a_cpuset_isolates_too() {
    const PARTITION: &str = "sys/fs/cgroup/engine/cpuset.cpus.partition";
    let group = [
        ("sys/devices/system/cpu/isolated", Some("\n")),
        ("sys/fs/cgroup/cpuset.cpus.isolated", Some("2-5\n")),
        ("proc/self/cgroup", Some("0::/engine\n")),
        (PARTITION, Some("isolated\n")),
        ("sys/fs/cgroup/engine/cpuset.cpus.effective", Some("2-5\n")),
    ];
    let findings = examine(&but(&group), DEDICATED);
    says(&findings, "isolcpus", Verdict::Good, "cores 2-5");
    says(&findings, "cpuset", Verdict::Good, "isolated, cores 2-5");
    let invalid = "isolated invalid (Cpu list in cpuset.cpus not exclusive)\n";
    let invalid = [&group[..], &[(PARTITION, Some(invalid))]].concat();
    let findings = examine(&but(&invalid), DEDICATED);
    says(&findings, "cpuset", Verdict::Bad, "not exclusive");
}

#[test]
fn deep_sleep_is_switched_off_unless_threads_spin() {
    const STATE: &str = "/sys/devices/system/cpu/cpu4/cpuidle/state3";
    let deep = but(&[
        (
            "sys/devices/system/cpu/cpu4/cpuidle/state3/name",
            Some("C6\n"),
        ),
        (
            "sys/devices/system/cpu/cpu4/cpuidle/state3/latency",
            Some("133\n"),
        ),
        (
            "sys/devices/system/cpu/cpu4/cpuidle/state3/disable",
            Some("0\n"),
        ),
    ]);
    let findings = examine(&deep, DEDICATED);
    says(&findings, "sleep states", Verdict::Fair, "C6, 133 us");
    let expected = [format!("echo '1' > {STATE}/disable")];
    assert_eq!(commands(&findings, "sleep states"), expected);
    let findings = examine(&deep, SPIN);
    says(&findings, "sleep states", Verdict::Good, "never sleep");
}

#[test]
fn a_guest_polls_before_it_halts() {
    const NS: &str = "sys/module/haltpoll/parameters/guest_halt_poll_ns";
    const DRIVER: &str = "sys/devices/system/cpu/cpuidle/current_driver";
    let guest = [
        ("proc/cpuinfo", Some("flags\t: fpu hypervisor lm\n")),
        (DRIVER, Some("haltpoll\n")),
        (
            "sys/devices/system/cpu/cpuidle/current_governor",
            Some("haltpoll\n"),
        ),
    ];
    let with = |more| examine(&but(&[&guest[..], &[more]].concat()), DEDICATED);
    let polls = with((NS, Some("200000\n")));
    says(&polls, "guest polling", Verdict::Good, "200 us");
    let halts = with((NS, Some("0\n")));
    says(&halts, "guest polling", Verdict::Fair, "halts at once");
    let expected = [format!("echo '200000' > /{NS}")];
    assert_eq!(commands(&halts, "guest polling"), expected);
    let none = with((DRIVER, Some("none\n")));
    says(&none, "guest polling", Verdict::Fair, "cpuidle-haltpoll");
    let of_guests = |it: &Finding| it.subject == "guest polling";
    assert!(!examine(&isolated(), "").iter().any(of_guests));
}

#[test]
fn swap_and_balancing_between_nodes_are_told_with_their_values() {
    let swaps = "Filename Type Size\n/dev/sda2 partition 8388604 0 -2\n";
    let files = but(&[
        ("proc/swaps", Some(swaps)),
        ("proc/sys/vm/swappiness", Some("60\n")),
        ("sys/devices/system/node/node0/cpulist", Some("0-7\n")),
        ("sys/devices/system/node/node1/cpulist", Some("8-15\n")),
        ("proc/sys/kernel/numa_balancing", Some("1\n")),
    ]);
    let findings = examine(&files, DEDICATED);
    says(
        &findings,
        "swap",
        Verdict::Fair,
        "/dev/sda2, vm.swappiness 60",
    );
    let expected = ["echo '1' > /proc/sys/vm/swappiness"];
    assert_eq!(commands(&findings, "swap"), expected);
    let advice = "kernel.numa_balancing=0";
    says(&findings, "numa balancing", Verdict::Fair, advice);
}

#[test]
fn the_disks_queue_and_write_back_are_held_against_one_writer_in_sequence() {
    let scheduler = |text| {
        let files = but(&[("sys/dev/block/8:1/queue/scheduler", Some(text))]);
        examine(&files, "")
    };
    let findings = scheduler("none mq-deadline [bfq]\n");
    let words = "scheduler bfq, cache write through";
    says(&findings, "disk queue", Verdict::Fair, words);
    let expected = ["echo 'none' > /sys/dev/block/8:1/queue/scheduler"];
    assert_eq!(commands(&findings, "disk queue"), expected);
    let findings = scheduler("none [mq-deadline]\n");
    says(&findings, "disk queue", Verdict::Good, "mq-deadline");
    let ratios = but(&[
        ("proc/sys/vm/dirty_background_bytes", Some("0\n")),
        ("proc/sys/vm/dirty_background_ratio", Some("10\n")),
        ("proc/sys/vm/dirty_bytes", Some("0\n")),
        ("proc/sys/vm/dirty_ratio", Some("20\n")),
    ]);
    let findings = examine(&ratios, "");
    let words = "begins at 3200 MiB of dirty pages, writers wait at 6400 MiB";
    says(&findings, "write-back", Verdict::Fair, words);
    let undo = fixing::undo_script(&findings);
    let ratio = "echo '10' > /proc/sys/vm/dirty_background_ratio";
    assert!(undo.contains(ratio), "{undo}");
}

#[test]
fn a_card_has_its_queues_its_node_and_its_patience() {
    const ETHTOOL: &str = "commands/ethtool -c eth0";
    let card = [
        ("sys/class/net/eth0/operstate", Some("up\n")),
        ("sys/class/net/eth0/device/numa_node", Some("0\n")),
        ("sys/class/net/eth0/queues/rx-0/rps_cpus", Some("0\n")),
        ("sys/class/net/eth0/queues/rx-1/rps_cpus", Some("0\n")),
        (ETHTOOL, Some("Adaptive RX: on  TX: off\nrx-usecs: 50\n")),
    ];
    let findings = examine(&but(&card), SPIN);
    let words = "eth0: receive queues 2, node 0";
    says(&findings, "network card", Verdict::Good, words);
    says(
        &findings,
        "coalescing",
        Verdict::Fair,
        "eth0: 50 us, adaptive",
    );
    let expected = ["ethtool -C eth0 adaptive-rx off rx-usecs 8"];
    assert_eq!(commands(&findings, "coalescing"), expected);
    let advice = "net.core.busy_poll=50";
    says(&findings, "busy polling", Verdict::Fair, advice);
    let far = [
        ("sys/devices/system/node/node0/cpulist", Some("8-15\n")),
        ("sys/devices/system/node/node1/cpulist", Some("0-7\n")),
        (ETHTOOL, Some("Adaptive RX: off  TX: off\nrx-usecs: 3\n")),
    ];
    let findings = examine(&but(&[&card[..], &far].concat()), DEDICATED);
    let words = "agents are on another node";
    says(&findings, "network card", Verdict::Fair, words);
    says(&findings, "coalescing", Verdict::Good, "3 us at most");
    let words = "only threads that spin";
    says(&findings, "busy polling", Verdict::Good, words);
}

#[test]
fn mitigations_that_each_system_call_pays_for_are_named() {
    let files = but(&[(
        "sys/devices/system/cpu/vulnerabilities/meltdown",
        Some("Mitigation: PTI\n"),
    )]);
    let findings = examine(&files, "");
    says(&findings, "mitigations", Verdict::Fair, "meltdown (PTI)");
    let fixes = commands(&findings, "mitigations");
    assert!(fixes.is_empty(), "a decision of the owner");
}

#[test]
fn what_is_applied_is_undone_by_the_script() {
    const THP: &str = "sys/kernel/mm/transparent_hugepage/enabled";
    const SWAPPINESS: &str = "proc/sys/vm/swappiness";
    let files = but(&[
        (THP, Some("[always] madvise never\n")),
        ("proc/swaps", Some("Filename\n/dev/sda2 partition\n")),
        (SWAPPINESS, Some("60\n")),
        ("sys/devices/system/cpu/isolated", Some("\n")),
    ]);
    let (root, machine) = machine(&files);
    let config = config(DEDICATED);
    let context = Context::new(machine, &config).with_device(Some((8, 1)));
    let findings = super::read(&context);
    let script = fixing::script(&findings);
    assert!(script.contains("\necho 'madvise' > /sys/kernel/mm"));
    let by_hand = "\n# by hand: add isolcpus=managed_irq,domain,2-5";
    assert!(script.contains(by_hand), "{script}");

    let undo = root.path().join("undo.sh");
    fixing::write_undo(&undo, &findings).expect("it is new");
    let again = fixing::write_undo(&undo, &findings);
    assert!(again.is_err(), "never over another one");
    let (lines, failures) = fixing::apply(&context.machine, &findings);
    assert_eq!(failures, 0, "{lines}");
    assert!(lines.contains("left to you: add isolcpus="), "{lines}");
    assert_eq!(context.machine.read(THP).as_deref(), Some("madvise"));
    assert_eq!(context.machine.read(SWAPPINESS).as_deref(), Some("1"));

    let undo = std::fs::read_to_string(undo).expect("it is there");
    let expected = [
        format!("echo '60' > /{SWAPPINESS}"),
        format!("echo 'always' > /{THP}"),
    ];
    let lines = undo.lines().filter(|it| it.starts_with("echo"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines, expected, "the last change first");
}

#[test]
fn a_value_that_is_not_there_is_a_failure() {
    const WMEM: &str = "proc/sys/net/core/wmem_max";
    let (root, machine) = machine(&but(&[(WMEM, Some("65536\n"))]));
    let config = config("");
    let findings = super::read(&Context::new(machine.clone(), &config));
    std::fs::remove_file(root.path().join(WMEM)).expect("it is there");
    let (lines, failures) = fixing::apply(&machine, &findings);
    assert_eq!(failures, 1);
    let expected = format!("failed: echo '262144' > /{WMEM}");
    assert!(lines.contains(&expected), "{lines}");
}

#[test]
fn quotes_in_a_value_end_nothing() {
    let fix = fix::Fix::value("proc/x", "a'; rm -rf /", "b");
    let expected = r"echo 'a'\''; rm -rf /' > /proc/x";
    assert_eq!(fix.command(), expected);
}

#[test]
fn a_value_of_the_kernel_can_be_written() {
    const PATH: &str = "proc/self/oom_score_adj";
    let here = Machine::here();
    let value = here.read(PATH).expect("Linux has it");
    here.write(PATH, &value).expect("it stays what it is");
    assert_eq!(here.read(PATH), Some(value));
    assert!(here.write("proc/self/none", "1").is_err());
}
