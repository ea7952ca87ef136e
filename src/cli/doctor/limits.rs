//! How many files this process may open, against the connections that the settings let in.

use super::finding::Finding;
use super::machine::Context;
use crate::descriptors::Budget;

const SUBJECT: &str = "open files";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![open_files(context)]
}

fn open_files(context: &Context<'_>) -> Finding {
    let Some(limits) = context.machine.read("proc/self/limits") else {
        return Finding::unknown(SUBJECT, "/proc/self/limits");
    };
    let Some(limit) = hard_limit(&limits) else {
        return Finding::unknown(SUBJECT, "\"Max open files\" in /proc/self/limits");
    };
    let budget = Budget::new(context.config, limit);
    let Budget { own, wanted, .. } = budget;
    let expected = own + 2 * context.config.destinations.len() as u64;
    let [producers, subscribers, clients, _] = budget.shares;
    let customers = budget.customers();
    let found = format!(
        "{limit} allowed; {own} are set aside for the engine and its sources, and {producers} \
         producers, {subscribers} subscribers, {clients} HTTP clients and {customers} HTTP customers \
         find room; the settings ask for {wanted}"
    );
    match budget.is_short() {
        _ if limit < expected => Finding::bad(SUBJECT, found, budget.advice()),
        true => Finding::fair(SUBJECT, found, budget.advice()),
        false => Finding::good(SUBJECT, found),
    }
}

/// The hard one, to which the engine raises the soft one; an unlimited one is the largest number.
fn hard_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}
