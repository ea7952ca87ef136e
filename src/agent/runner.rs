//! An agent's thread: starts its agents, turns their duty cycles, parks when they find no work, and
//! closes them.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::{Timespec, epoll};

use super::affinity::{self, PinError};
use super::background;
use super::heartbeat::Heartbeat;
use super::idle::{Idle, Rest};
use super::relief::{Handover, MovableAgent};
use super::{Agent, Fatal};
use crate::clock::{Clock, Now};
use crate::config::IdleKind;
use crate::ring::Wake;

/// Cycles without work after which a thread that is to stop assumes that none is left.
const LAST_CYCLES: u32 = 3;
/// Cycles that it takes at most to finish, however much still comes.
const LAST_CYCLES_MAX: u32 = 100_000;

/// What a vacant relief thread does, whatever the idle strategy: it takes no core from those that work.
const VACANT: Rest = Rest::Park { timeout_ms: 1_000 };

/// What a thread consists of.
pub(crate) struct Runner<C> {
    pub(crate) name: &'static str,
    /// Its agents, turned in this order.
    pub(crate) agents: Vec<Box<dyn Agent>>,
    /// The core to pin it to.
    pub(crate) core: Option<usize>,
    /// What it does without work.
    pub(crate) idle: IdleKind,
    pub(crate) wake: Arc<Wake>,
    pub(crate) clock: C,
    /// Set when it shall finish what is there, and end.
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) heartbeat: Arc<Heartbeat>,
    /// An agent that it shares with another thread; turned before `agents`.
    pub(crate) handover: Option<Handover>,
    /// Whether it keeps a core for a short slice only where other threads wait for it.
    pub(crate) is_background: bool,
}

impl<C: Clock + 'static> Runner<C> {
    /// Starts the thread; when it ends, `on_end` is called with the reason.
    ///
    /// # Errors
    /// The thread could not be started or pinned.
    pub(crate) fn start(
        self,
        on_end: impl FnOnce(&'static str, Result<(), Fatal>) + Send + 'static,
    ) -> Result<JoinHandle<()>, Fatal> {
        let (pinned, answer) = std::sync::mpsc::sync_channel::<Result<(), PinError>>(1);
        let handle = thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || {
                let result = self
                    .core
                    .map_or(Ok(()), |core| affinity::pin(self.name, core));
                let failed = result.is_err();
                // The starter waits for this answer, so it is there to take it.
                let _ = pinned.send(result);
                if !failed {
                    let (name, heartbeat) = (self.name, Arc::clone(&self.heartbeat));
                    let result = self.run();
                    heartbeat.end();
                    on_end(name, result);
                }
            })?;
        answer.recv()??;
        Ok(handle)
    }

    fn run(mut self) -> Result<(), Fatal> {
        if self.is_background
            && let Err(error) = background::shorten_slice()
        {
            tracing::debug!("{} keeps its slice: {error}", self.name);
        }
        let epoll = self.make_epoll()?;
        let now = self.clock.now();
        for agent in self.all_agents() {
            agent.on_start(now)?;
        }
        self.turn_until_stopped(&epoll)?;
        if let Some(handover) = self.handover.as_mut().filter(|it| it.is_relief()) {
            // Home finishes it and closes it.
            handover.hand_over();
            return Ok(());
        }
        self.finish(&epoll)?;
        let now = self.clock.now();
        self.all_agents().try_for_each(|it| it.on_close(now))
    }

    fn turn_until_stopped(&mut self, epoll: &OwnedFd) -> Result<(), Fatal> {
        let mut idle = Idle::new(self.idle);
        while !self.stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            self.poll_handover(now, epoll)?;
            if self.cycle(now)? > 0 {
                idle.reset();
                continue;
            }
            let rest = match &self.handover {
                Some(handover) if handover.is_vacant() => VACANT,
                _ => idle.rest(),
            };
            match rest {
                Rest::Spin => std::hint::spin_loop(),
                Rest::Yield => thread::yield_now(),
                Rest::Park { timeout_ms } => {
                    if self.park(epoll, timeout_ms)? {
                        idle.reset();
                    }
                }
            }
        }
        Ok(())
    }

    /// Turns until no work is left.
    fn finish(&mut self, epoll: &OwnedFd) -> Result<(), Fatal> {
        let mut cycles_without_work = 0;
        for _ in 0..LAST_CYCLES_MAX {
            if cycles_without_work == LAST_CYCLES {
                break;
            }
            // The relief thread ends first, and hands back what it has.
            let now = self.clock.now();
            let moved = self.poll_handover(now, epoll)?;
            let is_idle = self.cycle(now)? == 0 && !moved;
            cycles_without_work = if is_idle { cycles_without_work + 1 } else { 0 };
        }
        Ok(())
    }

    /// Its agents, in the order of their turns, the movable one too while it is here.
    fn all_agents(&mut self) -> impl Iterator<Item = &mut Box<dyn Agent>> {
        let movable = self.handover.as_mut().and_then(|it| it.here.as_mut());
        movable
            .map(|it| &mut it.agent)
            .into_iter()
            .chain(&mut self.agents)
    }

    /// Hands the movable agent over or takes it, if it is time; says whether it moved.
    fn poll_handover(&mut self, now: Now, epoll: &OwnedFd) -> Result<bool, Fatal> {
        let Some(handover) = &mut self.handover else {
            return Ok(false);
        };
        let moved = handover.poll(now.ns);
        if moved {
            for fd in handover.wake_fds() {
                match handover.here {
                    Some(_) => add(epoll, fd)?,
                    None => epoll::delete(epoll, fd)?,
                }
            }
        }
        Ok(moved)
    }

    /// One duty cycle of every agent, on one reading of the clock.
    fn cycle(&mut self, now: Now) -> Result<usize, Fatal> {
        self.heartbeat.beat(now.ns);
        let mut work_count = 0;
        for agent in self.all_agents() {
            work_count += agent.do_work(now)?;
        }
        Ok(work_count)
    }

    fn movable(&self) -> Option<&MovableAgent> {
        self.handover.as_ref()?.here.as_ref()
    }

    /// What wakes the thread: its own wake-up, and that of the movable agent while it is here.
    fn wakes(&self) -> impl Iterator<Item = &Arc<Wake>> {
        let movable = self.movable().map(|it| &it.wake);
        std::iter::once(&self.wake).chain(movable)
    }

    /// What the thread sleeps on: its wake-ups, and whatever its agents wait for.
    fn make_epoll(&self) -> Result<OwnedFd, Fatal> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        add(&epoll, &*self.wake)?;
        for fd in self.agents.iter().filter_map(|agent| agent.readiness()) {
            add(&epoll, fd)?;
        }
        if let Some(handover) = self.handover.as_ref().filter(|it| it.here.is_some()) {
            let mut fds = handover.wake_fds().iter();
            fds.try_for_each(|fd| add(&epoll, fd))?;
        }
        Ok(epoll)
    }

    /// Sleeps unless a last duty cycle finds work; says whether there was a reason to wake up.
    fn park(&mut self, epoll: &OwnedFd, timeout_ms: u32) -> Result<bool, Fatal> {
        self.wakes().for_each(|wake| wake.prepare_park());
        let now = self.clock.now();
        let moved = self.poll_handover(now, epoll)?;
        if moved || self.cycle(now)? > 0 || self.stop.load(Ordering::Relaxed) {
            self.wakes().for_each(|wake| wake.unpark());
            return Ok(true);
        }
        let timeout = Timespec {
            tv_sec: i64::from(timeout_ms) / 1_000,
            tv_nsec: i64::from(timeout_ms) % 1_000 * 1_000_000,
        };
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 1];
        let woken = match epoll::wait(epoll, &mut events, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => 0,
            result => result?,
        };
        self.wakes().for_each(|wake| wake.unpark());
        Ok(woken > 0)
    }
}

/// Has the thread wake up when `fd` becomes readable.
fn add(epoll: &OwnedFd, fd: impl AsFd) -> rustix::io::Result<()> {
    let data = epoll::EventData::new_u64(0);
    // Level-triggered, so that what was already there keeps the thread from sleeping.
    epoll::add(epoll, fd, data, epoll::EventFlags::IN)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::clock::SystemClock;

    /// Says what it is called for; fails where it shall.
    struct Fake {
        calls: Sender<&'static str>,
        fails: bool,
    }

    impl Agent for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }
        fn on_start(&mut self, _: Now) -> Result<(), Fatal> {
            self.calls.send("start")?;
            Ok(())
        }
        fn do_work(&mut self, _: Now) -> Result<usize, Fatal> {
            self.calls.send("work")?;
            if self.fails {
                return Err("it fails".into());
            }
            Ok(0)
        }
        fn on_close(&mut self, _: Now) -> Result<(), Fatal> {
            self.calls.send("close")?;
            Ok(())
        }
    }

    /// A thread that ends as soon as it has finished; what its agent was called for, and how it ended.
    fn run(fails: bool) -> (Vec<&'static str>, Result<(), String>) {
        let (calls, called) = channel();
        let (ended, end): (_, Receiver<Result<(), Fatal>>) = channel();
        let runner = Runner {
            name: "test",
            agents: vec![Box::new(Fake { calls, fails })],
            core: None,
            idle: IdleKind::Backoff,
            wake: Wake::new().expect("a descriptor"),
            clock: SystemClock::start(),
            stop: Arc::new(AtomicBool::new(true)),
            heartbeat: Arc::default(),
            handover: None,
            is_background: false,
        };
        let on_end = move |_, result| ended.send(result).expect("it is awaited");
        let handle = runner.start(on_end).expect("a thread");
        let end = end.recv().expect("it ends");
        handle.join().expect("no panic");
        (called.iter().collect(), end.map_err(|it| it.to_string()))
    }

    #[test]
    fn an_agent_is_started_before_its_first_cycle_and_closed_after_its_last() {
        let (calls, end) = run(false);
        assert_eq!(end, Ok(()));
        assert_eq!(calls, ["start", "work", "work", "work", "close"]);
    }

    #[test]
    fn an_agent_that_fails_is_not_closed() {
        let (calls, end) = run(true);
        assert_eq!(end, Err("it fails".to_owned()));
        assert_eq!(calls, ["start", "work"]);
    }
}
