//! How much of the time the store's thread would go on and has no core: it has the lowest priority, so
//! other programs of a busy machine may keep it from going on at all.
//!
//! The monitor looks each second; the system counts (`/proc/self/task/ID/schedstat`). Where it does not,
//! nothing is known, and zero is told.

use std::collections::VecDeque;
use std::time::Duration;

/// Over so long it is told: shorter waits are everyday life.
const WINDOW: Duration = Duration::from_secs(10);

/// The waits of one thread.
#[derive(Debug, Default)]
pub(crate) struct CoreWait {
    /// When it was looked at, since some beginning, and how long it had waited in all then; the oldest
    /// first.
    looks: VecDeque<(Duration, Duration)>,
}

impl CoreWait {
    /// Looks at a thread of this process at some time since a beginning of the caller's. Returns how
    /// much of the last [`WINDOW`] it waited for a core, in percent.
    pub(crate) fn look(&mut self, thread_id: i32, since_start: Duration) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/self/task/{thread_id}/schedstat"));
        match text.ok().as_deref().and_then(waited) {
            Some(waited) => self.add(since_start, waited),
            None => {
                self.looks.clear();
                0
            }
        }
    }

    fn add(&mut self, at: Duration, waited: Duration) -> u64 {
        // One look that is older than the window stays: the window begins there.
        while let Some(&(second, _)) = self.looks.get(1)
            && at.saturating_sub(second) >= WINDOW
        {
            self.looks.pop_front();
        }
        self.looks.push_back((at, waited));
        let Some(&(then, waited_then)) = self.looks.front() else {
            return 0;
        };
        let window = at.saturating_sub(then);
        if window < WINDOW {
            return 0;
        }
        let waited = waited.saturating_sub(waited_then);
        let percent = 100 * waited.as_micros() / window.as_micros();
        u64::try_from(percent.min(100)).unwrap_or(100)
    }
}

/// The second of three numbers: ns that the thread has waited for a core.
fn waited(schedstat: &str) -> Option<Duration> {
    let waited_ns = schedstat.split_ascii_whitespace().nth(1)?;
    Some(Duration::from_nanos(waited_ns.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn it_tells_the_share_of_the_last_ten_seconds() {
        let mut wait = CoreWait::default();
        let mut add = |at, waited| wait.add(seconds(at), seconds(waited));
        assert_eq!([add(0.0, 3.0), add(5.0, 8.0)], [0, 0], "too early to say");
        assert_eq!(add(10.0, 12.0), 90);
        assert_eq!(add(15.0, 12.0), 40, "since the fifth second");
        assert_eq!(add(25.0, 12.0), 0);
        assert_eq!(add(36.0, 99.0), 100, "it is no more than all of it");
    }

    #[test]
    fn it_reads_what_the_system_counts_of_a_thread() {
        assert_eq!(
            waited("1000 2500000 7\n"),
            Some(Duration::from_micros(2_500))
        );
        assert_eq!(waited("1000"), None);
        let mut wait = CoreWait::default();
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        wait.look(own, seconds(0.0));
        assert_eq!(wait.looks.len(), 1, "this thread has one");
        assert_eq!(wait.look(0, seconds(20.0)), 0, "there is none");
        assert!(wait.looks.is_empty());
    }
}
