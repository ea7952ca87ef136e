//! The thread that turns its agents' cranks, and rests when they find nothing.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::{Timespec, epoll};

use super::affinity::{self, PinError};
use super::background;
use super::idle::{Idle, Rest};
use super::pulse::Pulse;
use super::relief::{Lodger, Shift};
use super::{Agent, Fatal};
use crate::clock::{Clock, Now};
use crate::config::IdleKind;
use crate::ring::Wake;

/// Fruitless cycles after which a thread that was told to stop believes that nothing is left.
const LAST_CYCLES: u32 = 3;
/// Cycles that it takes at most to finish, however much still comes.
const LAST_CYCLES_MAX: u32 = 100_000;

/// What a relief thread does until the lodger comes, whatever the idle strategy: it is not to take
/// a core from those that work.
const OFF_DUTY: Rest = Rest::Park { timeout_ms: 1_000 };

/// What a thread consists of.
pub struct Runner<C> {
    /// The thread's name.
    pub name: &'static str,
    /// Its agents, turned in this order.
    pub agents: Vec<Box<dyn Agent>>,
    /// The core to pin it to.
    pub core: Option<usize>,
    /// What it does without work.
    pub idle: IdleKind,
    /// How it is woken.
    pub wake: Arc<Wake>,
    /// Where it gets its time.
    pub clock: C,
    /// Set when it shall finish what is there, and end.
    pub stop: Arc<AtomicBool>,
    /// Shows that its duty cycle goes on.
    pub pulse: Arc<Pulse>,
    /// An agent that it shares with another thread; turned before `agents`.
    pub shift: Option<Shift>,
    /// Whether it goes on for a moment only where other threads wait for its core.
    pub is_background: bool,
}

impl<C: Clock + 'static> Runner<C> {
    /// Starts the thread; when it ends, `on_end` is told how.
    ///
    /// # Errors
    /// The thread could not be started or pinned.
    pub fn start(
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
                    let (name, pulse) = (self.name, Arc::clone(&self.pulse));
                    let result = self.run();
                    pulse.end();
                    on_end(name, result);
                }
            })?;
        answer.recv()??;
        Ok(handle)
    }

    fn run(mut self) -> Result<(), Fatal> {
        if self.is_background
            && let Err(error) = background::take_turns()
        {
            tracing::debug!("{} keeps its slice: {error}", self.name);
        }
        let bed = self.make_bed()?;
        let mut idle = Idle::new(self.idle);
        while !self.stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            self.change_shift(now, &bed)?;
            if self.cycle(now)? > 0 {
                idle.reset();
                continue;
            }
            let rest = match &self.shift {
                Some(shift) if shift.is_off_duty() => OFF_DUTY,
                _ => idle.rest(),
            };
            match rest {
                Rest::Spin => std::hint::spin_loop(),
                Rest::Yield => thread::yield_now(),
                Rest::Park { timeout_ms } => {
                    if self.park(&bed, timeout_ms)? {
                        idle.reset();
                    }
                }
            }
        }
        self.finish(&bed)
    }

    /// Lends or takes the lodger, if it is time; says whether it moved.
    fn change_shift(&mut self, now: Now, bed: &OwnedFd) -> Result<bool, Fatal> {
        let Some(shift) = &mut self.shift else {
            return Ok(false);
        };
        let moved = shift.note(now.ns);
        if moved {
            for door in shift.doors() {
                match shift.lodger {
                    Some(_) => add(bed, door)?,
                    None => epoll::delete(bed, door)?,
                }
            }
        }
        Ok(moved)
    }

    /// One duty cycle of every agent, on one reading of the clock.
    fn cycle(&mut self, now: Now) -> Result<usize, Fatal> {
        self.pulse.beat(now.ns);
        let mut work_count = 0;
        if let Some(lodger) = self.shift.as_mut().and_then(|it| it.lodger.as_mut()) {
            work_count += lodger.agent.do_work(now)?;
        }
        for agent in &mut self.agents {
            work_count += agent.do_work(now)?;
        }
        Ok(work_count)
    }

    fn lodger(&self) -> Option<&Lodger> {
        self.shift.as_ref()?.lodger.as_ref()
    }

    /// What wakes the thread: its own wake-up, and its lodger's.
    fn wakes(&self) -> impl Iterator<Item = &Arc<Wake>> {
        let lodger = self.lodger().map(|it| &it.wake);
        std::iter::once(&self.wake).chain(lodger)
    }

    /// What the thread sleeps on: its wake-ups, and whatever its agents wait for.
    fn make_bed(&self) -> Result<OwnedFd, Fatal> {
        let bed = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        add(&bed, &*self.wake)?;
        for fd in self.agents.iter().filter_map(|agent| agent.readiness()) {
            add(&bed, fd)?;
        }
        if let Some(shift) = self.shift.as_ref().filter(|it| it.lodger.is_some()) {
            shift.doors().iter().try_for_each(|door| add(&bed, door))?;
        }
        Ok(bed)
    }

    /// Sleeps unless a last look finds work; says whether there was a reason to wake up.
    fn park(&mut self, bed: &OwnedFd, timeout_ms: u32) -> Result<bool, Fatal> {
        self.wakes().for_each(|wake| wake.prepare_park());
        let now = self.clock.now();
        let moved = self.change_shift(now, bed)?;
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
        let woken = match epoll::wait(bed, &mut events, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => 0,
            result => result?,
        };
        self.wakes().for_each(|wake| wake.unpark());
        Ok(woken > 0)
    }

    fn finish(&mut self, bed: &OwnedFd) -> Result<(), Fatal> {
        if let Some(shift) = self.shift.as_mut().filter(|it| it.is_relief()) {
            shift.hand_over();
            return Ok(());
        }
        let mut fruitless = 0;
        for _ in 0..LAST_CYCLES_MAX {
            if fruitless == LAST_CYCLES {
                break;
            }
            // The relief thread ends first, and what it was lent comes home.
            let now = self.clock.now();
            let moved = self.change_shift(now, bed)?;
            let is_fruitless = self.cycle(now)? == 0 && !moved;
            fruitless = if is_fruitless { fruitless + 1 } else { 0 };
        }
        Ok(())
    }
}

/// Has the thread wake up when `fd` becomes readable.
fn add(bed: &OwnedFd, fd: impl AsFd) -> rustix::io::Result<()> {
    let data = epoll::EventData::new_u64(0);
    // Level-triggered, so that what was already there keeps the thread from sleeping.
    epoll::add(bed, fd, data, epoll::EventFlags::IN)
}
