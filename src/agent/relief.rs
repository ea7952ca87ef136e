//! Relief: while input piles up a thread hands the agent that reads it over to a second thread, and
//! gets it back as soon as that one keeps up.
//!
//! On a machine with few cores one thread turns all agents of the path: a message then never waits
//! for another thread to wake up. Flat out, though, that thread is the limit while a core may be
//! left. So two threads share a *movable agent*: it starts on the home thread, moves to the relief
//! thread when its input has piled up at every source for a while, and back when it has not. A thread
//! that merely looks busy hands nothing over: where other programs take the cores, two threads would
//! wait for one each, one after the other.
//!
//! ```text
//!   little load:  [ home: ingest, agents... ]   [ relief: asleep ]
//!   flat out:     [ home: agents...         ]   [ relief: ingest ]
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::Agent;
use super::pressure::{InputPressure, Reads};
use crate::ring::Wake;

/// How long input is observed before it is decided who runs the agent, in ns.
const WINDOW_NS: u64 = 8_000_000;
/// Windows in a row in which input piled up before home hands over: one alone may be a burst, or a
/// thread that was preempted.
const PILED_WINDOWS: u32 = 3;

/// An agent that moves between two threads.
pub(crate) struct MovableAgent {
    pub(crate) agent: Box<dyn Agent>,
    /// Wakes the thread that runs it.
    pub(crate) wake: Arc<Wake>,
    /// What its reads find.
    pub(crate) pressure: Arc<InputPressure>,
}

/// Which of the two threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Home,
    Relief,
}

/// One thread's side of the handover.
pub(crate) struct Handover {
    side: Side,
    /// The movable agent, while it is here.
    pub(crate) here: Option<MovableAgent>,
    to_other: Sender<MovableAgent>,
    from_other: Receiver<MovableAgent>,
    /// Wakes the other thread.
    other: Arc<Wake>,
    /// What the thread that runs the agent sleeps on besides its own; made at the start, so that a
    /// move needs no descriptor when there may be none.
    wake_fds: Vec<OwnedFd>,
    /// When the window began, in ns, and what had been read by then.
    window: (u64, Reads),
    piled_windows: u32,
}

/// Makes both sides; the agent starts at home. `home` and `relief` wake the threads.
///
/// # Errors
/// The process has no file descriptor left.
pub(crate) fn handovers(
    agent: MovableAgent,
    home: &Arc<Wake>,
    relief: &Arc<Wake>,
) -> io::Result<(Handover, Handover)> {
    let (to_relief, from_home) = channel();
    let (to_home, from_relief) = channel();
    let home_side = Handover {
        side: Side::Home,
        wake_fds: wake_fds(&agent)?,
        to_other: to_relief,
        from_other: from_relief,
        other: Arc::clone(relief),
        here: None,
        window: Default::default(),
        piled_windows: 0,
    };
    let relief_side = Handover {
        side: Side::Relief,
        wake_fds: wake_fds(&agent)?,
        to_other: to_home,
        from_other: from_home,
        other: Arc::clone(home),
        here: None,
        window: Default::default(),
        piled_windows: 0,
    };
    let here = Some(agent);
    Ok((Handover { here, ..home_side }, relief_side))
}

/// What becomes readable when the agent has work.
fn wake_fds(movable: &MovableAgent) -> io::Result<Vec<OwnedFd>> {
    let wake = Some(movable.wake.as_fd());
    let all = wake.into_iter().chain(movable.agent.readiness());
    all.map(|it| it.try_clone_to_owned()).collect()
}

impl Handover {
    /// Whether this thread has nothing to run until the agent comes.
    pub(crate) fn is_vacant(&self) -> bool {
        self.is_relief() && self.here.is_none()
    }

    /// What the thread sleeps on while it runs the agent.
    pub(crate) fn wake_fds(&self) -> &[OwnedFd] {
        &self.wake_fds
    }

    /// Whether this is the thread that helps out.
    pub(crate) fn is_relief(&self) -> bool {
        self.side == Side::Relief
    }

    /// A duty cycle begins at `now_ns`: takes the agent or hands it over, if it is time. Returns
    /// whether it moved.
    pub(crate) fn poll(&mut self, now_ns: u64) -> bool {
        let Some(movable) = &self.here else {
            self.here = self.from_other.try_recv().ok();
            let come = self.here.as_ref();
            come.inspect(|it| self.window = (now_ns, it.pressure.reads()));
            return self.here.is_some();
        };
        let (started_ns, before) = self.window;
        if now_ns - started_ns < WINDOW_NS {
            return false;
        }
        let reads = movable.pressure.reads();
        let is_piling = reads.piled_up_since(before);
        self.window = (now_ns, reads);
        self.piled_windows = if is_piling { self.piled_windows + 1 } else { 0 };
        let goes = match self.side {
            Side::Home => self.piled_windows >= PILED_WINDOWS,
            Side::Relief => !is_piling,
        };
        goes && self.hand_over()
    }

    /// Hands the agent to the other thread; where that one has ended, it stays. Returns whether it
    /// moved.
    pub(crate) fn hand_over(&mut self) -> bool {
        self.piled_windows = 0;
        let Some(movable) = self.here.take() else {
            return false;
        };
        if let Err(refused) = self.to_other.send(movable) {
            self.here = Some(refused.0);
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

    fn both() -> (Handover, Handover, Arc<InputPressure>) {
        let pressure = Arc::new(InputPressure::default());
        let movable = MovableAgent {
            agent: Box::new(Nothing),
            wake: wake(),
            pressure: Arc::clone(&pressure),
        };
        let (home, relief) = handovers(movable, &wake(), &wake()).expect("descriptors");
        (home, relief, pressure)
    }

    const WINDOW_MS: u64 = WINDOW_NS / 1_000_000;

    /// Lets `windows` pass in steps of 1 ms, with a read of each length in each step. Says whether the
    /// agent moved.
    fn pass(
        handover: &mut Handover,
        pressure: &InputPressure,
        from_ms: u64,
        windows: u64,
        read_lens: &[usize],
    ) -> bool {
        (from_ms + 1..=from_ms + windows * WINDOW_MS).any(|ms| {
            read_lens.iter().for_each(|&it| pressure.note(it));
            handover.poll(ms * 1_000_000)
        })
    }

    #[test]
    fn the_agent_moves_while_input_piles_up_and_comes_back_at_once() {
        let (mut home, mut relief, pressure) = both();
        assert!(relief.is_vacant());
        assert!(!relief.poll(0), "nobody came yet");
        assert!(!pass(&mut home, &pressure, 0, 50, &[400]), "it keeps up");
        assert!(
            pass(&mut home, &pressure, 400, 4, &[PILE_LEN]),
            "it does not"
        );
        assert!(home.here.is_none() && !home.is_vacant());
        assert!(relief.poll(500_000_000), "it comes");
        assert!(!relief.is_vacant());
        assert!(
            !pass(&mut relief, &pressure, 500, 10, &[PILE_LEN]),
            "it stays"
        );
        assert!(pass(&mut relief, &pressure, 580, 1, &[400]), "it goes");
        assert!(home.poll(600_000_000), "it is back");
    }

    #[test]
    fn a_busy_thread_that_keeps_up_with_one_of_its_sources_hands_nothing_over() {
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
    fn the_agent_stays_where_nobody_takes_it() {
        let (mut home, relief, pressure) = both();
        drop(relief);
        assert!(!pass(&mut home, &pressure, 0, 100, &[PILE_LEN]));
        assert!(home.here.is_some());
    }
}
