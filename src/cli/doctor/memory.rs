//! What the kernel does with memory unasked: huge pages, swapping, moving between nodes.

use super::finding::Finding;
use super::fix::Fix;
use super::machine::Context;

const THP: &str = "sys/kernel/mm/transparent_hugepage/enabled";
const SWAPPINESS: &str = "proc/sys/vm/swappiness";
const NUMA_BALANCING: &str = "proc/sys/kernel/numa_balancing";
/// Above it the kernel swaps processes out rather than drop the cache of files read once.
const SWAPPINESS_GOOD: u64 = 10;

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![huge_pages(context), swap(context), numa_balancing(context)]
}

fn huge_pages(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "huge pages";
    let enabled = context.machine.read(THP);
    let chosen = enabled
        .as_deref()
        .and_then(|it| it.split_once('[')?.1.split_once(']'))
        .map(|(chosen, _)| chosen);
    match chosen {
        None => Finding::unknown(SUBJECT, "/sys/kernel/mm/transparent_hugepage/enabled"),
        Some("always") => Finding::fair(
            SUBJECT,
            "transparent_hugepage is always",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )
        .because("the kernel moves memory to make huge pages, and agents wait")
        .fixed_by([Fix::value(THP, "madvise", "always")]),
        Some(chosen) => Finding::good(SUBJECT, format!("transparent_hugepage is {chosen}")),
    }
}

fn swap(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "swap";
    let machine = &context.machine;
    let Some(swaps) = machine.read("proc/swaps") else {
        return Finding::unknown(SUBJECT, "/proc/swaps");
    };
    let places = swaps
        .lines()
        .skip(1)
        .filter_map(|it| it.split_whitespace().next());
    let places: Vec<&str> = places.collect();
    if places.is_empty() {
        return Finding::good(SUBJECT, "none");
    }
    let found = format!("on {}", places.join(", "));
    let why = "a message whose memory is on the disk waits for the disk; so does the whole agent";
    match machine.number(SWAPPINESS) {
        Some(swappiness) if swappiness > SWAPPINESS_GOOD => Finding::fair(
            SUBJECT,
            format!("{found}, vm.swappiness {swappiness}"),
            "vm.swappiness=1, MemorySwapMax=0 in the unit, or no swap at all (swapoff -a)",
        )
        .because(why)
        .fixed_by([Fix::value(SWAPPINESS, "1", &swappiness.to_string())]),
        Some(swappiness) => {
            Finding::good(SUBJECT, format!("{found}, vm.swappiness {swappiness}")).because(why)
        }
        None => Finding::unknown(SUBJECT, "/proc/sys/vm/swappiness"),
    }
}

fn numa_balancing(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "numa balancing";
    let nodes = super::numa::nodes(&context.machine).len();
    match context.machine.number(NUMA_BALANCING) {
        _ if nodes == 1 => Finding::good(SUBJECT, "one node: nothing to balance"),
        None => Finding::unknown(SUBJECT, "/proc/sys/kernel/numa_balancing"),
        Some(0) => Finding::good(SUBJECT, "off"),
        Some(on) => Finding::fair(
            SUBJECT,
            "on",
            "kernel.numa_balancing=0: the agents' cores and memory are placed by the settings",
        )
        .because(
            "the kernel takes pages away to see who uses them: each is a fault of some us \
                  in an agent",
        )
        .fixed_by([Fix::value(NUMA_BALANCING, "0", &on.to_string())]),
    }
}
