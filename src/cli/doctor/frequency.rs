//! Who decides how fast the cores run.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::machine::Context;
use crate::agent::core_list::show_cores;

const SUBJECT: &str = "governor";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![governor(context)]
}

fn governor(context: &Context<'_>) -> Finding {
    let named = context.named_cores();
    let cores = match named.is_empty() {
        true => context.allowed.clone().unwrap_or_default(),
        false => named,
    };
    let mut governors: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for core in cores {
        let path = format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        if let Some(governor) = context.machine.read(&path) {
            governors.entry(governor).or_default().push(core);
        }
    }
    if governors.is_empty() {
        let what = "cpufreq/scaling_governor (the firmware or a host decides)";
        return Finding::unknown(SUBJECT, what);
    }
    let words: Vec<_> = governors
        .iter()
        .map(|(governor, cores)| format!("{governor} on {}", show_cores(cores)))
        .collect();
    let found = words.join(", ");
    match governors.keys().all(|it| it == "performance") {
        true => Finding::ok(SUBJECT, found),
        false => Finding::warn(
            SUBJECT,
            found,
            "cores slow down while agents wait, and the next message pays: \
             cpupower frequency-set -g performance",
        ),
    }
}
