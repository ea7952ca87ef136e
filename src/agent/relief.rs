//! Relief: under load a thread lends one of its agents to a second thread, and has it back when that
//! one finds little to do.
//!
//! On a machine with few cores one thread turns all agents of the path: a message then never waits
//! for another thread to wake up. Flat out, though, that thread is the limit while a core may be
//! left. So two runners share a *lodger*: it begins at home; when the home thread has hardly rested
//! for a while, though it had its core, it moves to the relief thread, and it moves back when a
//! quarter of a thread would do. Where other programs take the cores, it stays: two threads would
//! wait for one each, one after the other.
//!
//! ```text
//!   little load:  [ home: lodger, agents... ]   [ relief: asleep ]
//!   flat out:     [ home: agents...         ]   [ relief: lodger ]
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::Agent;
use crate::ring::Wake;

/// How long the home thread's load is looked at, in ns.
const HOME_WINDOW_NS: u64 = 8_000_000;
/// Windows in a row that must be busy before it lends: one alone may be a thread that was preempted.
const BUSY_WINDOWS: u32 = 3;
/// Per cent of a window with work that make it busy.
const BUSY_PERCENT: u64 = 90;
/// Per cent of a window that it must have had its core for as well: a thread that finds no rest
/// because it waits for a core gains nothing from a second one that does the same.
const RUNNING_PERCENT: u64 = 60;
/// How long the relief thread's load is looked at, in ns.
const RELIEF_WINDOW_NS: u64 = 64_000_000;
/// Per cent of a window below which the lodger goes home.
const RESTING_PERCENT: u64 = 25;

/// An agent that moves between two threads.
pub struct Lodger {
    /// The agent.
    pub agent: Box<dyn Agent>,
    /// Wakes the thread that has it.
    pub wake: Arc<Wake>,
}

/// Which of the two threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Home,
    Relief,
}

/// One thread's side of the arrangement.
pub struct Shift {
    side: Side,
    /// The lodger, while it is here.
    pub lodger: Option<Lodger>,
    to_other: Sender<Lodger>,
    from_other: Receiver<Lodger>,
    /// Wakes the other thread.
    other: Arc<Wake>,
    /// What the thread that has the lodger sleeps on besides its own; made at the start, so that a
    /// move needs no descriptor when there may be none.
    doors: Vec<OwnedFd>,
    load: Load,
    busy_windows: u32,
}

/// Makes both sides; the lodger begins at home. `home` and `relief` wake the threads.
///
/// # Errors
/// The process has no file descriptor left.
pub fn shifts(lodger: Lodger, home: &Arc<Wake>, relief: &Arc<Wake>) -> io::Result<(Shift, Shift)> {
    let (to_relief, from_home) = channel();
    let (to_home, from_relief) = channel();
    let (at_home, helping) = (doors(&lodger)?, doors(&lodger)?);
    let shift = |side, lodger, to_other, from_other, other: &Arc<Wake>, doors| Shift {
        side,
        lodger,
        to_other,
        from_other,
        other: Arc::clone(other),
        doors,
        load: Load::default(),
        busy_windows: 0,
    };
    Ok((
        shift(
            Side::Home,
            Some(lodger),
            to_relief,
            from_relief,
            relief,
            at_home,
        ),
        shift(Side::Relief, None, to_home, from_home, home, helping),
    ))
}

/// What becomes readable when the lodger has work.
fn doors(lodger: &Lodger) -> io::Result<Vec<OwnedFd>> {
    let wake = Some(lodger.wake.as_fd());
    let readiness = lodger.agent.readiness();
    let all = wake.into_iter().chain(readiness);
    all.map(|it| it.try_clone_to_owned()).collect()
}

impl Shift {
    /// Whether nothing is to be done here until the lodger comes.
    #[must_use]
    pub fn is_off_duty(&self) -> bool {
        self.side == Side::Relief && self.lodger.is_none()
    }

    /// What the thread sleeps on while it has the lodger.
    #[must_use]
    pub fn doors(&self) -> &[OwnedFd] {
        &self.doors
    }

    /// Whether this is the thread that helps out.
    #[must_use]
    pub fn is_relief(&self) -> bool {
        self.side == Side::Relief
    }

    /// Takes note of a duty cycle that begins at `now_ns`, and of whether the one before it found
    /// work; lends or takes the lodger. `ran_ns`, which is asked once a window, says for how long
    /// the thread has had a core in its life, in ns. Returns whether the lodger moved.
    pub fn note(&mut self, now_ns: u64, worked: bool, ran_ns: impl FnOnce() -> u64) -> bool {
        if self.lodger.is_none() {
            self.lodger = self.from_other.try_recv().ok();
            let came = self.lodger.is_some();
            if came {
                self.load = Load::beginning(now_ns, ran_ns());
            }
            return came;
        }
        let window_ns = match self.side {
            Side::Home => HOME_WINDOW_NS,
            Side::Relief => RELIEF_WINDOW_NS,
        };
        let Some(shares) = self.load.note(now_ns, worked, window_ns, ran_ns) else {
            return false;
        };
        let goes = match self.side {
            Side::Home => {
                let is_busy = shares.working >= BUSY_PERCENT && shares.running >= RUNNING_PERCENT;
                self.busy_windows = if is_busy { self.busy_windows + 1 } else { 0 };
                self.busy_windows >= BUSY_WINDOWS
            }
            Side::Relief => shares.working.min(shares.running) < RESTING_PERCENT,
        };
        goes && self.hand_over()
    }

    /// Hands the lodger to the other thread; where that one has ended, it stays. Returns whether it
    /// moved.
    pub fn hand_over(&mut self) -> bool {
        self.busy_windows = 0;
        let Some(lodger) = self.lodger.take() else {
            return false;
        };
        if let Err(refused) = self.to_other.send(lodger) {
            self.lodger = Some(refused.0);
            return false;
        }
        self.other.notify();
        true
    }
}

/// How much of its time a thread finds work, and how much of it the system lets it run.
#[derive(Debug, Default)]
struct Load {
    begun_ns: u64,
    noted_ns: u64,
    busy_ns: u64,
    /// What the thread had run when the window began.
    ran_ns: u64,
}

/// Of a window, in per cent.
#[derive(Debug)]
struct Shares {
    /// From a cycle that found work to the next one, whether the thread ran or waited for a core.
    working: u64,
    /// On a core, whether it found work or not.
    running: u64,
}

impl Load {
    fn beginning(now_ns: u64, ran_ns: u64) -> Self {
        Self {
            begun_ns: now_ns,
            noted_ns: now_ns,
            busy_ns: 0,
            ran_ns,
        }
    }

    /// What passed since the last note was work or not; at the end of a window, how much of it was.
    fn note(
        &mut self,
        now_ns: u64,
        worked: bool,
        window_ns: u64,
        ran_ns: impl FnOnce() -> u64,
    ) -> Option<Shares> {
        if worked {
            self.busy_ns += now_ns - self.noted_ns;
        }
        self.noted_ns = now_ns;
        let passed_ns = now_ns - self.begun_ns;
        if passed_ns < window_ns {
            return None;
        }
        let ran_ns = ran_ns();
        let shares = Shares {
            working: self.busy_ns * 100 / passed_ns,
            running: ran_ns.saturating_sub(self.ran_ns) * 100 / passed_ns,
        };
        *self = Self::beginning(now_ns, ran_ns);
        Some(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Fatal;
    use crate::clock::Now;

    struct Nothing;

    impl Agent for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }
        fn do_work(&mut self, _: Now) -> Result<usize, Fatal> {
            Ok(0)
        }
    }

    fn wake() -> Arc<Wake> {
        Wake::new().expect("a descriptor")
    }

    fn both() -> (Shift, Shift) {
        let lodger = Lodger {
            agent: Box::new(Nothing),
            wake: wake(),
        };
        shifts(lodger, &wake(), &wake()).expect("descriptors")
    }

    /// Lets `windows` pass in steps of 1 ms: of ten, the thread finds work in `busy`, and has a core
    /// for `running`. Says whether the lodger moved.
    fn spend(
        shift: &mut Shift,
        from_ms: u64,
        window_ns: u64,
        windows: u64,
        (busy, running): (u64, u64),
    ) -> bool {
        let until_ms = from_ms + windows * window_ns / 1_000_000;
        (from_ms + 1..=until_ms).any(|ms| {
            let ran_ns = ms * 100_000 * running;
            shift.note(ms * 1_000_000, ms % 10 < busy, || ran_ns)
        })
    }

    /// The same for a thread that always has its core.
    fn pass(shift: &mut Shift, from_ms: u64, window_ns: u64, windows: u64, busy: u64) -> bool {
        spend(shift, from_ms, window_ns, windows, (busy, 10))
    }

    #[test]
    fn the_lodger_leaves_a_busy_home_and_comes_back_from_a_resting_relief() {
        let (mut home, mut relief) = both();
        assert!(relief.is_off_duty());
        assert!(!relief.note(0, false, || 0), "nobody came yet");
        assert!(!pass(&mut home, 0, HOME_WINDOW_NS, 50, 5), "half a load");
        assert!(pass(&mut home, 400, HOME_WINDOW_NS, 4, 10), "flat out");
        assert!(home.lodger.is_none() && !home.is_off_duty());
        assert!(relief.note(500_000_000, false, || 500_000_000), "it comes");
        assert!(!relief.is_off_duty());
        assert!(!pass(&mut relief, 500, RELIEF_WINDOW_NS, 10, 4), "it stays");
        assert!(pass(&mut relief, 1_140, RELIEF_WINDOW_NS, 1, 1), "it goes");
        assert!(home.note(1_300_000_000, true, || 0), "it is back");
    }

    #[test]
    fn a_thread_that_waits_for_its_core_has_no_use_for_another_thread() {
        let (mut home, mut relief) = both();
        assert!(!spend(&mut home, 0, HOME_WINDOW_NS, 50, (10, 5)));
        assert!(
            spend(&mut home, 400, HOME_WINDOW_NS, 5, (10, 8)),
            "it has it"
        );
        assert!(relief.note(500_000_000, false, || 100_000_000));
        assert!(
            !spend(&mut relief, 500, RELIEF_WINDOW_NS, 10, (10, 4)),
            "it stays"
        );
        assert!(
            spend(&mut relief, 1_140, RELIEF_WINDOW_NS, 2, (10, 2)),
            "it goes"
        );
    }

    #[test]
    fn one_busy_window_is_not_enough() {
        let (mut home, _relief) = both();
        for round in 0..10 {
            let from_ms = round * 24;
            assert!(!pass(&mut home, from_ms, HOME_WINDOW_NS, 2, 10));
            assert!(!pass(&mut home, from_ms + 16, HOME_WINDOW_NS, 1, 0));
        }
    }

    #[test]
    fn the_lodger_stays_where_nobody_takes_it() {
        let (mut home, relief) = both();
        drop(relief);
        assert!(!pass(&mut home, 0, HOME_WINDOW_NS, 100, 10));
        assert!(home.lodger.is_some());
    }
}
