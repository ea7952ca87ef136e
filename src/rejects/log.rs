//! Log lines for rejected lines: who sent them and why they were rejected, at a limited rate for each
//! source, so that one that sends nonsense does not hide another.
//!
//! The agent feeds it each line that it takes. Values and log lines only.

use tracing::warn;

use super::protocol::Rejected;
use crate::clock::Now;
use crate::limits::{LOG_TICK_NS, REJECT_SOURCES_LOGGED_MAX};
use crate::log_limit::{LeftOut, LogLimit};

/// The sources that had a line rejected lately.
#[derive(Debug, Default)]
pub(super) struct RejectLog {
    sources: Vec<Source>,
    /// All for which `sources` has no room.
    others: LogLimit,
    look_at_ns: u64,
}

#[derive(Debug)]
struct Source {
    name: Vec<u8>,
    limit: LogLimit,
}

impl RejectLog {
    /// Logs a rejected line, or counts it among those left out.
    pub(super) fn note(&mut self, rejected: &Rejected<'_>, now: Now) {
        if let Some(more) = self.admit(rejected.source, now) {
            let source = String::from_utf8_lossy(rejected.source);
            let reason = rejected.reason.label();
            warn!(%source, reason, "a line is rejected, and kept in rejected.ndjson{more}");
        }
    }

    fn admit(&mut self, source: &[u8], now: Now) -> Option<LeftOut> {
        if let Some(known) = self.sources.iter_mut().find(|known| known.name == source) {
            return known.limit.admit(now);
        }
        self.sources.retain(|known| !known.limit.is_at_rest(now));
        if self.sources.len() == REJECT_SOURCES_LOGGED_MAX {
            return self.others.admit(now);
        }
        let mut limit = LogLimit::default();
        let more = limit.admit(now);
        let name = source.to_owned();
        self.sources.push(Source { name, limit });
        more
    }

    /// Now and then, logs how many lines were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, now: Now) {
        if now.ns < self.look_at_ns {
            return;
        }
        self.look_at_ns = now.ns + LOG_TICK_NS;
        for source in &mut self.sources {
            if let Some(more) = source.limit.overdue(now) {
                let source = String::from_utf8_lossy(&source.name);
                warn!(%source, count = more.count, "more lines were rejected");
            }
        }
        if let Some(more) = self.others.overdue(now) {
            warn!(
                count = more.count,
                "more lines of other sources were rejected"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::at;
    use crate::limits::{LOG_LINES_PER_WINDOW, LOG_WINDOW_NS};

    fn admitted(log: &mut RejectLog, source: &str, count: u32, now: Now) -> u32 {
        let admitted = (0..count).filter(|_| log.admit(source.as_bytes(), now).is_some());
        admitted.count() as u32
    }

    #[test]
    fn each_source_has_its_own_limit() {
        let mut log = RejectLog::default();
        assert_eq!(admitted(&mut log, "a", 100, at(0)), LOG_LINES_PER_WINDOW);
        assert_eq!(admitted(&mut log, "b", 1, at(1)), 1);
        let next = log.admit(b"a", at(LOG_WINDOW_NS)).expect("a new window");
        assert_eq!(next.count, u64::from(100 - LOG_LINES_PER_WINDOW));
    }

    #[test]
    fn sources_without_number_share_one_limit_until_others_are_quiet() {
        let mut log = RejectLog::default();
        let all = REJECT_SOURCES_LOGGED_MAX as u32 + 1_000;
        let count = |log: &mut RejectLog, now: Now| -> u32 {
            let each = (0..all).map(|it| admitted(log, &it.to_string(), 1, now));
            each.sum()
        };
        let expected = REJECT_SOURCES_LOGGED_MAX as u32 + LOG_LINES_PER_WINDOW;
        assert_eq!(count(&mut log, at(0)), expected);
        assert_eq!(log.sources.len(), REJECT_SOURCES_LOGGED_MAX);
        assert_eq!(admitted(&mut log, "new", 1, at(LOG_WINDOW_NS)), 1);
        assert_eq!(log.sources.len(), 1, "the others have nothing to tell");
    }
}
