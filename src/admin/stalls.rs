//! Threads whose duty cycle stands still.
//!
//! Each agent's thread stores the time of its last cycle in a [`Heartbeat`]; it parks for a second at
//! most. HTTP's thread looks at all of them twice a second, and counts for how long it has seen a
//! heartbeat unchanged. It counts by its own looks, a second at most for each: a machine that slept, or a
//! process that was stopped, has all threads stand still alike, and that is no stall. A recovery that
//! takes long is none either: the threads begin after it.
//!
//! | the thread | after `STALL_MAX` | after `STALL_DISK_MAX` |
//! | --- | --- | --- |
//! | turns agents of the path | not well, not ready | |
//! | journal, in a write or a sync | not ready | not well |
//! | replay, retention, in a read or a write | degraded | not well |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info};

use crate::agent::heartbeat::Heartbeat;
use crate::limits::{STALL_DISK_MAX, STALL_LOOK_MAX, STALL_MAX};

/// What a thread may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Nothing: messages stand still with it.
    Never,
    /// The disk, and sources wait with it.
    SourcesToo,
    /// The disk, and few wait with it.
    Alone,
}

/// The threads that are looked at.
#[derive(Debug, Default)]
pub(super) struct Stalls(Mutex<Vec<Thread>>);

#[derive(Debug)]
struct Thread {
    name: &'static str,
    waits: Waits,
    heartbeat: Arc<Heartbeat>,
    /// What the heartbeat said last.
    seen_ns: Option<u64>,
    /// For how long it has been seen to say the same.
    still: Duration,
    is_told: bool,
}

/// What the looks have found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Messages do not flow, and will not by themselves.
    pub(super) unwell: Vec<String>,
    pub(super) unready: Vec<String>,
    pub(super) degraded: Vec<String>,
}

impl Stalls {
    fn threads(&self) -> MutexGuard<'_, Vec<Thread>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread that is about to start; it has the heartbeat.
    pub(super) fn watch(&self, name: &'static str, waits: Waits) -> Arc<Heartbeat> {
        let heartbeat = Arc::new(Heartbeat::default());
        self.threads().push(Thread {
            name,
            waits,
            heartbeat: Arc::clone(&heartbeat),
            seen_ns: None,
            still: Duration::ZERO,
            is_told: false,
        });
        heartbeat
    }

    /// Looks at all of them, so long after the last look.
    pub(super) fn look(&self, elapsed: Duration) {
        let step = elapsed.min(STALL_LOOK_MAX);
        self.threads().iter_mut().for_each(|it| it.look(step));
    }

    pub(super) fn found(&self) -> Found {
        let mut found = Found::default();
        for thread in self.threads().iter().filter(|it| it.still >= STALL_MAX) {
            let list = match thread.waits {
                Waits::Never => &mut found.unwell,
                _ if thread.still >= STALL_DISK_MAX => &mut found.unwell,
                Waits::SourcesToo => &mut found.unready,
                Waits::Alone => &mut found.degraded,
            };
            list.push(thread.words());
        }
        found
    }
}

impl Thread {
    fn look(&mut self, step: Duration) {
        let last_ns = self.heartbeat.last();
        let is_still = last_ns.is_some() && last_ns == self.seen_ns;
        self.seen_ns = last_ns;
        self.still = if is_still {
            self.still + step
        } else {
            Duration::ZERO
        };
        let is_stalled = self.still >= STALL_MAX;
        if is_stalled && !self.is_told {
            error!("{}", self.words());
        } else if self.is_told && !is_stalled {
            info!("the {} thread goes on", self.name);
        }
        self.is_told = is_stalled;
    }

    fn words(&self) -> String {
        let (name, seconds) = (self.name, self.still.as_secs());
        match self.waits {
            Waits::Never => {
                format!("the {name} thread stands still: no duty cycle for {seconds} s")
            }
            _ => format!("the {name} thread waits for the disk: no duty cycle for {seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(stalls: &Stalls, time: Duration) {
        let steps = time.as_millis() / STALL_LOOK_MAX.as_millis();
        (0..steps).for_each(|_| stalls.look(STALL_LOOK_MAX));
    }

    #[test]
    fn a_path_that_stands_still_is_unwell_until_it_goes_on() {
        let stalls = Stalls::default();
        let heartbeat = stalls.watch("path", Waits::Never);
        heartbeat.beat(1);
        looks(&stalls, STALL_MAX);
        assert_eq!(
            stalls.found(),
            Found::default(),
            "the first look found news"
        );
        looks(&stalls, STALL_LOOK_MAX);
        let words = "the path thread stands still: no duty cycle for 5 s";
        assert_eq!(stalls.found().unwell, [words]);
        heartbeat.beat(2);
        looks(&stalls, STALL_LOOK_MAX);
        assert_eq!(stalls.found(), Found::default());
    }

    #[test]
    fn a_disk_that_takes_long_is_told_before_it_is_given_up() {
        let stalls = Stalls::default();
        let journal = stalls.watch("journal", Waits::SourcesToo);
        let replay = stalls.watch("replay", Waits::Alone);
        looks(&stalls, STALL_MAX + STALL_LOOK_MAX);
        let found = stalls.found();
        assert!(found.unwell.is_empty());
        assert!(found.unready[0].starts_with("the journal thread waits for the disk"));
        assert!(found.degraded[0].starts_with("the replay thread waits for the disk"));
        looks(&stalls, STALL_DISK_MAX);
        assert_eq!(stalls.found().unwell.len(), 2);
        journal.end();
        replay.beat(7);
        looks(&stalls, STALL_LOOK_MAX);
        assert_eq!(stalls.found(), Found::default());
        looks(&stalls, STALL_LOOK_MAX);
        assert_eq!(stalls.found(), Found::default());
    }

    #[test]
    fn a_machine_that_slept_has_no_stall() {
        let stalls = Stalls::default();
        let heartbeat = stalls.watch("path", Waits::Never);
        heartbeat.beat(1);
        stalls.look(STALL_LOOK_MAX);
        stalls.look(Duration::from_secs(3600));
        assert_eq!(stalls.found(), Found::default());
    }

    #[test]
    fn a_thread_that_has_ended_owes_no_sign() {
        let stalls = Stalls::default();
        stalls.watch("path", Waits::Never).end();
        looks(&stalls, 2 * STALL_DISK_MAX);
        assert_eq!(stalls.found(), Found::default());
    }
}
