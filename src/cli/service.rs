//! The service manager, where one started the process: systemd, by its notification socket.
//!
//! Fed by `run`: ready, how it goes, reloading, stopping. A watchdog gets its sign of life only while every
//! thread of the path goes on, so that an engine that hangs is started anew. Without a manager
//! nothing is sent.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::debug;

use crate::cluster::status::Status;
use crate::counters::{Counter, Counters};
use crate::plural::several;

/// Between two status lines at least.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// What it is told, and when next.
#[derive(Debug)]
pub(super) struct Service {
    interval: Duration,
    has_watchdog: bool,
    last: Option<Instant>,
}

impl Service {
    /// As the environment says.
    pub(super) fn new() -> Self {
        Self::with_watchdog(sd_notify::watchdog_enabled())
    }

    /// `limit`: what it may be silent for before it is killed.
    fn with_watchdog(limit: Option<Duration>) -> Self {
        // Half of the limit, as systemd advises, and once more for a late look.
        let interval = limit.map_or(STATUS_INTERVAL, |it| STATUS_INTERVAL.min(it / 3));
        Self {
            interval,
            has_watchdog: limit.is_some(),
            last: None,
        }
    }

    /// It serves.
    pub(super) fn tell_ready(&self) {
        notify(&[NotifyState::Ready]);
    }

    /// How it goes, when it is time to say so; `unwell` says what is wrong for good.
    pub(super) fn tell_health(
        &mut self,
        now: Instant,
        counters: &Counters,
        unwell: impl FnOnce() -> Vec<String>,
    ) {
        if self.is_due(now) {
            let unwell = unwell();
            let status = match unwell.is_empty() {
                true => status(counters),
                false => unwell.join("; "),
            };
            self.tell_signs(&status, unwell.is_empty());
        }
    }

    /// It stands by in its group, when it is time to say so.
    pub(super) fn tell_standby(&mut self, now: Instant, status: &Status) {
        if self.is_due(now) {
            let status = status.snapshot();
            let trouble = status.trouble.as_deref().unwrap_or("well");
            self.tell(&format!("{}; {trouble}", status.standby_words()));
        }
    }

    /// It reads its settings anew, or has done so: then it is ready.
    pub(super) fn tell_reloading(&self, is_under_way: bool) {
        if is_under_way {
            let now = NotifyState::monotonic_usec_now();
            let states = [Some(NotifyState::Reloading), now.ok()];
            let states: Vec<_> = states.into_iter().flatten().collect();
            notify(&states);
        } else {
            notify(&[NotifyState::Ready]);
        }
    }

    /// It stops, or is about to.
    pub(super) fn tell_stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }

    /// It goes on with this.
    pub(super) fn tell(&self, status: &str) {
        self.tell_signs(status, true);
    }

    /// Does what may take long, such as reading a journal, and gives signs of life meanwhile.
    pub(super) fn tell_while<T>(&self, status: &str, work: impl FnOnce() -> T) -> T {
        self.tell(status);
        if !self.has_watchdog {
            return work();
        }
        let (ends, has_ended) = channel::<()>();
        std::thread::scope(move |scope| {
            scope.spawn(move || {
                while has_ended.recv_timeout(self.interval) == Err(RecvTimeoutError::Timeout) {
                    self.tell(status);
                }
            });
            let done = work();
            drop(ends);
            done
        })
    }

    fn tell_signs(&self, status: &str, is_well: bool) {
        notify(&self.signs(status, is_well));
    }

    /// Without a sign of life the manager starts it anew where it was told to watch it.
    fn signs<'a>(&self, status: &'a str, is_well: bool) -> Vec<NotifyState<'a>> {
        let alive = (is_well && self.has_watchdog).then_some(NotifyState::Watchdog);
        [NotifyState::Status(status)]
            .into_iter()
            .chain(alive)
            .collect()
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.last.is_none_or(|last| now - last >= self.interval);
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

fn status(counters: &Counters) -> String {
    let [sources, subscribers, queued, delivered] = [
        Counter::SourcesConnected,
        Counter::SubscribersConnected,
        Counter::Queued,
        Counter::Delivered,
    ]
    .map(|it| counters.get(it));
    let [sources, subscribers] = [(sources, "source"), (subscribers, "subscriber")]
        .map(|(count, what)| several(count, what));
    format!("{sources}, {subscribers}, {queued} queued, {delivered} delivered")
}

fn notify(signs: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(signs) {
        debug!("the service manager was not told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_hears_of_it_three_times_within_its_limit() {
        let (begin, limit) = (Instant::now(), Duration::from_secs(3));
        let mut service = Service::with_watchdog(Some(limit));
        let looks = (0..60).map(|it| begin + Duration::from_millis(50) * it);
        assert_eq!(looks.filter(|now| service.is_due(*now)).count(), 3);
        let mut unwatched = Service::with_watchdog(None);
        assert!(unwatched.is_due(begin) && !unwatched.is_due(begin + limit));
    }

    #[test]
    fn an_engine_that_is_unwell_gives_no_sign_of_life() {
        let texts = |limit, is_well| {
            let service = Service::with_watchdog(limit);
            let signs = service.signs("so", is_well);
            signs.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let limit = Some(Duration::from_secs(30));
        assert_eq!(texts(limit, true), ["STATUS=so", "WATCHDOG=1"]);
        assert_eq!(texts(limit, false), ["STATUS=so"]);
        assert_eq!(texts(None, true), ["STATUS=so"]);
    }
}
