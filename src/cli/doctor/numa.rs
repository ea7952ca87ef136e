//! Which cores share an execution unit, and which share memory.

use super::finding::Finding;
use super::machine::{Context, Machine};
use crate::agent::core_list::{parse_cores, show_cores};

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![siblings(context), memory_nodes(context)]
}

const SIBLINGS: &str =
    "two hardware threads share one core's units and cache: each runs at some two thirds";

fn siblings(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "smt siblings";
    let Some(allowed) = &context.allowed else {
        return Finding::unknown(SUBJECT, "the list of cores");
    };
    let groups: Vec<_> = allowed
        .iter()
        .filter_map(|core| {
            let path = format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
            context.machine.cores(&path)
        })
        .collect();
    if groups.is_empty() {
        return Finding::unknown(SUBJECT, "/sys/devices/system/cpu/cpu*/topology");
    }
    let mut paired: Vec<_> = groups.into_iter().filter(|it| it.len() > 1).collect();
    paired.sort_unstable();
    paired.dedup();
    if paired.is_empty() {
        return Finding::good(SUBJECT, "none: each core is a whole one");
    }
    let named = context.named_cores();
    let count = |it: &Vec<usize>| it.iter().filter(|core| named.contains(core)).count();
    if let Some(shared) = paired.iter().find(|it| count(it) > 1) {
        return Finding::fair(
            SUBJECT,
            format!(
                "two agents are on {}, which are one core",
                show_cores(shared)
            ),
            "name cores that are no siblings",
        )
        .because(SIBLINGS);
    }
    let beside: Vec<usize> = paired
        .iter()
        .filter(|it| count(it) == 1)
        .flatten()
        .copied()
        .filter(|core| !named.contains(core))
        .collect();
    match beside.is_empty() {
        true => Finding::good(
            SUBJECT,
            format!("{} pairs, no agent is pinned to one", paired.len()),
        ),
        false => Finding::fair(
            SUBJECT,
            format!("{} share their core with an agent", show_cores(&beside)),
            "keep them free: isolate them too, or switch them off \
             (echo 0 > /sys/devices/system/cpu/cpuN/online), or SMT as a whole",
        )
        .because(SIBLINGS),
    }
}

/// The nodes of memory, with their cores.
pub(super) fn nodes(machine: &Machine) -> Vec<(String, Vec<usize>)> {
    const FOLDER: &str = "sys/devices/system/node";
    let is_node = |name: &String| {
        let number = name.strip_prefix("node");
        number.is_some_and(|it| it.parse::<u32>().is_ok())
    };
    let names = machine.names(FOLDER).into_iter().filter(is_node);
    names
        .filter_map(|name| {
            let list = machine.read(&format!("{FOLDER}/{name}/cpulist"))?;
            Some((name, parse_cores(&list)?))
        })
        .collect()
}

fn memory_nodes(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "numa";
    let nodes = nodes(&context.machine);
    if nodes.is_empty() {
        return Finding::unknown(SUBJECT, "/sys/devices/system/node");
    }
    if nodes.len() == 1 {
        return Finding::good(SUBJECT, "one node: all memory is equally near");
    }
    let named = context.named_cores();
    let cores = match (named.is_empty(), &context.allowed) {
        (false, _) => named,
        (true, Some(allowed)) => allowed.clone(),
        (true, None) => return Finding::unknown(SUBJECT, "the list of cores"),
    };
    let used: Vec<_> = nodes
        .iter()
        .filter(|(_, list)| list.iter().any(|it| cores.contains(it)))
        .map(|(name, list)| format!("{name} ({})", show_cores(list)))
        .collect();
    match used.as_slice() {
        [one] => Finding::good(
            SUBJECT,
            format!("of {} nodes the agents use {one}", nodes.len()),
        ),
        many => Finding::fair(
            SUBJECT,
            format!("the agents may be on {}", many.join(" and ")),
            "name cores of one node, the network card's, or start it with `numactl -N NODE -m \
             NODE`",
        )
        .because("messages pass from cache to cache: between sockets each line takes some 100 ns"),
    }
}
