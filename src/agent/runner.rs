//! The thread that turns its agents' cranks, and rests when they find nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::{Timespec, epoll};

use super::affinity::{self, PinError};
use super::idle::{Idle, Rest};
use super::{Agent, Fatal};
use crate::clock::Clock;
use crate::config::IdleKind;
use crate::ring::Wake;

/// Fruitless cycles after which a thread that was told to stop believes that nothing is left.
const LAST_CYCLES: u32 = 3;
/// Cycles that it takes at most to finish, however much still comes.
const LAST_CYCLES_MAX: u32 = 100_000;

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
                    let name = self.name;
                    on_end(name, self.run());
                }
            })?;
        answer.recv()??;
        Ok(handle)
    }

    fn run(mut self) -> Result<(), Fatal> {
        let bed = self.make_bed()?;
        let mut idle = Idle::new(self.idle);
        while !self.stop.load(Ordering::Relaxed) {
            if self.cycle()? > 0 {
                idle.reset();
                continue;
            }
            match idle.rest() {
                Rest::Spin => std::hint::spin_loop(),
                Rest::Yield => thread::yield_now(),
                Rest::Park { timeout_ms } => {
                    if self.park(&bed, timeout_ms)? {
                        idle.reset();
                    }
                }
            }
        }
        self.finish()
    }

    /// One duty cycle of every agent, on one reading of the clock.
    fn cycle(&mut self) -> Result<usize, Fatal> {
        let now = self.clock.now();
        let mut work_count = 0;
        for agent in &mut self.agents {
            work_count += agent.do_work(now)?;
        }
        Ok(work_count)
    }

    /// What the thread sleeps on: its wake-up, and whatever its agents wait for.
    fn make_bed(&self) -> Result<std::os::fd::OwnedFd, Fatal> {
        let bed = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(0);
        // Level-triggered, so that what was already there keeps the thread from sleeping.
        epoll::add(&bed, &*self.wake, data, epoll::EventFlags::IN)?;
        for fd in self.agents.iter().filter_map(|agent| agent.readiness()) {
            epoll::add(&bed, fd, data, epoll::EventFlags::IN)?;
        }
        Ok(bed)
    }

    /// Sleeps unless a last look finds work; says whether there was a reason to wake up.
    fn park(&mut self, bed: &std::os::fd::OwnedFd, timeout_ms: u32) -> Result<bool, Fatal> {
        self.wake.prepare_park();
        let work_count = self.cycle()?;
        if work_count > 0 || self.stop.load(Ordering::Relaxed) {
            self.wake.unpark();
            return Ok(true);
        }
        let nanoseconds = i64::from(timeout_ms) * 1_000_000;
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: nanoseconds,
        };
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 1];
        let woken = match epoll::wait(bed, &mut events, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => 0,
            result => result?,
        };
        self.wake.unpark();
        Ok(woken > 0)
    }

    fn finish(&mut self) -> Result<(), Fatal> {
        let mut fruitless = 0;
        for _ in 0..LAST_CYCLES_MAX {
            if fruitless == LAST_CYCLES {
                break;
            }
            fruitless = if self.cycle()? > 0 { 0 } else { fruitless + 1 };
        }
        Ok(())
    }
}
