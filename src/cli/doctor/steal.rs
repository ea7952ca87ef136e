//! Time that a host took away from this machine's cores.

use super::finding::Finding;

const SUBJECT: &str = "steal time";

/// Per cent of the time that cores wanted.
const WARN_ABOVE: f64 = 0.5;
const BAD_ABOVE: f64 = 10.0;

/// By the first lines of `/proc/stat`, before and after some seconds of work: an idle machine loses
/// nothing.
pub(super) fn assess(before: &str, after: &str) -> Finding {
    let times = |text: &str| -> Option<(u64, u64)> {
        let line = text.lines().find_map(|it| it.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .map_while(|it| it.parse().ok())
            .collect();
        // user nice system idle iowait irq softirq steal; the guests' time is in user already.
        let (all, steal) = (ticks.get(..8)?, ticks[7]);
        let busy = all.iter().sum::<u64>().checked_sub(all[3] + all[4])?;
        Some((busy, steal))
    };
    let (Some(before), Some(after)) = (times(before), times(after)) else {
        return Finding::unknown(SUBJECT, "/proc/stat");
    };
    let busy = after.0.saturating_sub(before.0);
    let stolen = after.1.saturating_sub(before.1);
    if busy == 0 {
        return Finding::unknown(SUBJECT, "any work in /proc/stat");
    }
    let percent = stolen as f64 * 100.0 / busy as f64;
    let found = format!("{percent:.1} % of the time that cores wanted");
    let advice = "the host gives the cores to others: ask for dedicated ones, or move";
    let finding = match percent {
        it if it > BAD_ABOVE => Finding::bad(SUBJECT, found, advice),
        it if it > WARN_ABOVE => Finding::fair(SUBJECT, found, advice),
        _ => Finding::good(SUBJECT, found),
    };
    finding.because("the thread that has the core does not notice: it only sees that time passed")
}
