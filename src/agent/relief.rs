//! Relief: while input piles up a thread lends the agent that reads it to a second thread, and has it
//! back as soon as that one keeps up.
//!
//! On a machine with few cores one thread turns all agents of the path: a message then never waits
//! for another thread to wake up. Flat out, though, that thread is the limit while a core may be
//! left. So two runners share a *lodger*: it begins at home; when what it reads has piled up at every
//! source for a while, it moves to the relief thread, and back when it does not. A thread that merely
//! looks busy lends nothing: where other programs take the cores, two threads would wait for one each,
//! one after the other.
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
use super::pressure::{InputPressure, Reads};
use crate::ring::Wake;

/// How long the lodger's input is looked at before it is judged, in ns.
const WINDOW_NS: u64 = 8_000_000;
/// Windows in a row in which input piled up before home lends: one alone may be a burst, or a thread
/// that was preempted.
const PILED_WINDOWS: u32 = 3;

/// An agent that moves between two threads.
pub struct Lodger {
    /// The agent.
    pub agent: Box<dyn Agent>,
    /// Wakes the thread that has it.
    pub wake: Arc<Wake>,
    /// What it says of its input.
    pub pressure: Arc<InputPressure>,
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
    /// When the window began, in ns, and what had been read by then.
    window: (u64, Reads),
    piled_windows: u32,
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
        window: Default::default(),
        piled_windows: 0,
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

    /// Takes note of a duty cycle that begins at `now_ns`; lends or takes the lodger. Returns whether it
    /// moved.
    pub fn note(&mut self, now_ns: u64) -> bool {
        let Some(lodger) = &self.lodger else {
            self.lodger = self.from_other.try_recv().ok();
            let come = self.lodger.as_ref();
            come.inspect(|it| self.window = (now_ns, it.pressure.reads()));
            return self.lodger.is_some();
        };
        let (begun_ns, before) = self.window;
        if now_ns - begun_ns < WINDOW_NS {
            return false;
        }
        let reads = lodger.pressure.reads();
        let is_piling = reads.piled_up_since(before);
        self.window = (now_ns, reads);
        self.piled_windows = if is_piling { self.piled_windows + 1 } else { 0 };
        let goes = match self.side {
            Side::Home => self.piled_windows >= PILED_WINDOWS,
            Side::Relief => !is_piling,
        };
        goes && self.hand_over()
    }

    /// Hands the lodger to the other thread; where that one has ended, it stays. Returns whether it
    /// moved.
    pub fn hand_over(&mut self) -> bool {
        self.piled_windows = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Fatal;
    use crate::agent::pressure::PILE_LEN;
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

    fn both() -> (Shift, Shift, Arc<InputPressure>) {
        let pressure = Arc::new(InputPressure::default());
        let lodger = Lodger {
            agent: Box::new(Nothing),
            wake: wake(),
            pressure: Arc::clone(&pressure),
        };
        let (home, relief) = shifts(lodger, &wake(), &wake()).expect("descriptors");
        (home, relief, pressure)
    }

    const WINDOW_MS: u64 = WINDOW_NS / 1_000_000;

    /// Lets `windows` pass in steps of 1 ms, with a read of each length in each step. Says whether the
    /// lodger moved.
    fn pass(
        shift: &mut Shift,
        pressure: &InputPressure,
        from_ms: u64,
        windows: u64,
        read_lens: &[usize],
    ) -> bool {
        (from_ms + 1..=from_ms + windows * WINDOW_MS).any(|ms| {
            read_lens.iter().for_each(|&it| pressure.note(it));
            shift.note(ms * 1_000_000)
        })
    }

    #[test]
    fn the_lodger_leaves_while_input_piles_up_and_comes_back_at_once() {
        let (mut home, mut relief, pressure) = both();
        assert!(relief.is_off_duty());
        assert!(!relief.note(0), "nobody came yet");
        assert!(!pass(&mut home, &pressure, 0, 50, &[400]), "it keeps up");
        assert!(
            pass(&mut home, &pressure, 400, 4, &[PILE_LEN]),
            "it does not"
        );
        assert!(home.lodger.is_none() && !home.is_off_duty());
        assert!(relief.note(500_000_000), "it comes");
        assert!(!relief.is_off_duty());
        assert!(
            !pass(&mut relief, &pressure, 500, 10, &[PILE_LEN]),
            "it stays"
        );
        assert!(pass(&mut relief, &pressure, 580, 1, &[400]), "it goes");
        assert!(home.note(600_000_000), "it is back");
    }

    #[test]
    fn a_busy_thread_that_keeps_up_with_one_of_its_sources_lends_nothing() {
        let (mut home, _relief, pressure) = both();
        let lens = [PILE_LEN, 4 * PILE_LEN, 400];
        assert!(!pass(&mut home, &pressure, 0, 100, &lens));
    }

    #[test]
    fn a_burst_is_not_enough() {
        let (mut home, _relief, pressure) = both();
        for round in 0..10 {
            let from_ms = round * 3 * WINDOW_MS;
            assert!(!pass(&mut home, &pressure, from_ms, 2, &[PILE_LEN]));
            let behind_ms = from_ms + 2 * WINDOW_MS;
            assert!(!pass(&mut home, &pressure, behind_ms, 1, &[]));
        }
    }

    #[test]
    fn the_lodger_stays_where_nobody_takes_it() {
        let (mut home, relief, pressure) = both();
        drop(relief);
        assert!(!pass(&mut home, &pressure, 0, 100, &[PILE_LEN]));
        assert!(home.lodger.is_some());
    }
}
