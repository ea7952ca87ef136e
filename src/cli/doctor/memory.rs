//! Huge pages that the kernel makes unasked.

use super::finding::Finding;
use super::machine::Context;

const SUBJECT: &str = "huge pages";
const PATH: &str = "sys/kernel/mm/transparent_hugepage/enabled";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    let enabled = context.machine.read(PATH);
    let chosen = enabled
        .as_deref()
        .and_then(|it| it.split_once('[')?.1.split_once(']'))
        .map(|(chosen, _)| chosen);
    vec![match chosen {
        None => Finding::unknown(SUBJECT, "/sys/kernel/mm/transparent_hugepage/enabled"),
        Some("always") => Finding::warn(
            SUBJECT,
            "transparent_hugepage is always: the kernel moves memory to make them, and agents wait",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        Some(chosen) => Finding::ok(SUBJECT, format!("transparent_hugepage is {chosen}")),
    }]
}
