//! What the path may do, given what the group has confirmed. Asked in each duty cycle before frames are handed out;
//! costs nothing without a group.
//!
//! The member's thread writes it; scheduler and delivery ask. The clock counts suspend: a machine that
//! slept finds its lease over before it hands out anything.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::time::{ClockId, clock_gettime};

use crate::agent::heartbeat::Heartbeat;

/// Time since the machine's start, suspend included, in us.
#[must_use]
pub(crate) fn boot_us() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_nsec / 1_000).unwrap_or(0)
}

/// The lease of one term, and what else the path is told. Each value stands for itself, so `Relaxed` is
/// enough.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// Frames may be handed out before this moment.
    until_us: AtomicU64,
    /// The scheduler's duty cycles, by [`boot_us`].
    path: Heartbeat,
    /// Sources may be taken from.
    may_accept: AtomicBool,
    /// The run is over: nothing more is taken, handed out or written.
    is_over: AtomicBool,
    /// Lines of sources that resend nothing, which were accepted and not confirmed when it was over.
    unconfirmed: Mutex<Vec<Vec<u8>>>,
}

impl Lease {
    /// Frames may be handed out until then; zero: none may.
    pub(crate) fn set_until(&self, until_us: u64) {
        self.until_us.store(until_us, Ordering::Relaxed);
    }

    pub(crate) fn set_may_accept(&self, it: bool) {
        self.may_accept.store(it, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether the run is over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whether frames may be handed out now.
    pub(crate) fn may_serve(&self) -> bool {
        boot_us() < self.until_us.load(Ordering::Relaxed) && !self.is_over()
    }

    /// Whether lines may be taken from sources.
    pub(crate) fn may_accept(&self) -> bool {
        self.may_accept.load(Ordering::Relaxed) && !self.is_over()
    }

    /// A duty cycle of the scheduler begins.
    pub(crate) fn note_path(&self) {
        self.path.beat(boot_us());
    }

    /// When the scheduler's last duty cycle began, by [`boot_us`]; zero: none has.
    pub(crate) fn path_us(&self) -> u64 {
        self.path.last().unwrap_or(0)
    }

    /// A line that was accepted, is not confirmed, and will not come again by itself.
    pub(crate) fn keep_unconfirmed(&self, line: Vec<u8>) {
        self.lines().push(line);
    }

    /// These lines, once.
    pub(crate) fn take_unconfirmed(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.lines())
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.unconfirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path's side of a group; an engine in none has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathLease(Option<Arc<Lease>>);

impl PathLease {
    pub(crate) fn of(lease: &Arc<Lease>) -> Self {
        Self(Some(Arc::clone(lease)))
    }

    /// Whether frames may be handed out now.
    #[inline]
    pub(crate) fn may_serve(&self) -> bool {
        self.0.as_ref().is_none_or(|it| it.may_serve())
    }

    /// Whether lines may be taken from sources.
    #[inline]
    pub(crate) fn may_accept(&self) -> bool {
        self.0.as_ref().is_none_or(|it| it.may_accept())
    }

    /// Whether it is that of a member of a group.
    pub(crate) fn is_in_group(&self) -> bool {
        self.0.is_some()
    }

    /// A duty cycle of the scheduler begins.
    #[inline]
    pub(crate) fn note_path(&self) {
        if let Some(lease) = &self.0 {
            lease.note_path();
        }
    }

    /// See [`Lease::keep_unconfirmed`].
    pub(crate) fn keep_unconfirmed(&self, line: &[u8]) {
        if let Some(lease) = &self.0 {
            lease.keep_unconfirmed(line.to_vec());
        }
    }
}

/// The lease as an agent asks for it: once in each duty cycle, so that all of a cycle goes by one answer.
pub(crate) struct LeaseCheck {
    lease: PathLease,
    may_serve: bool,
}

impl LeaseCheck {
    pub(crate) fn new(lease: PathLease) -> Self {
        let may_serve = lease.may_serve();
        Self { lease, may_serve }
    }

    /// Asks; whether the lease was lost since it was asked last.
    #[inline]
    pub(crate) fn is_lost(&mut self) -> bool {
        let before = std::mem::replace(&mut self.may_serve, self.lease.may_serve());
        before && !self.may_serve
    }

    /// The last answer: whether frames may be handed out.
    #[inline]
    pub(crate) fn may_serve(&self) -> bool {
        self.may_serve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_lost_once_and_between_two_checks_the_answer_stays() {
        let lease = Arc::new(Lease::default());
        lease.set_until(u64::MAX);
        let mut check = LeaseCheck::new(PathLease::of(&lease));
        assert!(!check.is_lost() && check.may_serve());
        lease.set_until(0);
        assert!(check.may_serve(), "as it was found last");
        assert!(check.is_lost() && !check.may_serve());
        assert!(!check.is_lost(), "it was lost before");
        lease.set_until(u64::MAX);
        assert!(!check.is_lost() && check.may_serve());
    }

    #[test]
    fn without_a_group_everything_may_be_done() {
        let none = PathLease::default();
        assert!(none.may_serve() && none.may_accept() && !none.is_in_group());
    }

    #[test]
    fn frames_are_handed_out_until_the_lease_ends_and_never_once_the_run_is_over() {
        let lease = Arc::new(Lease::default());
        let path = PathLease::of(&lease);
        assert!(!path.may_serve() && !path.may_accept());
        lease.set_until(boot_us() + 60_000_000);
        lease.set_may_accept(true);
        assert!(path.may_serve() && path.may_accept());
        lease.set_until(boot_us());
        assert!(!path.may_serve(), "its end is no part of it");
        lease.set_until(u64::MAX);
        lease.end();
        assert!(!path.may_serve() && !path.may_accept() && path.is_in_group());
    }
}
