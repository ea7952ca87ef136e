//! Who decides how fast the cores run.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::fix::Fix;
use super::machine::Context;
use crate::agent::core_list::show_cores;

const SUBJECT: &str = "governor";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![governor(context)]
}

fn governor(context: &Context<'_>) -> Finding {
    let mut fixes = Vec::new();
    let mut governors: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for core in context.agent_cores() {
        let path = format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        if let Some(governor) = context.machine.read(&path) {
            if governor != "performance" {
                fixes.push(Fix::value(&path, "performance", &governor));
            }
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
        true => Finding::good(SUBJECT, found),
        false => Finding::fair(SUBJECT, found, "cpupower frequency-set -g performance")
            .because("cores slow down while agents wait, and the next message pays")
            .fixed_by(fixes),
    }
}
