//! The sockets of a delivery agent's subscribers: does what the core asks for, and gives it what they
//! gave and took.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::staging::Staging;
use super::subscribers::{SocketAction, Subscribers};
use crate::clock::{Clock, Now};
use crate::counters::Counters;
use crate::limits::{ACCEPTS_PER_CYCLE, FRAMES_PER_WRITE, READS_PER_CYCLE};
use crate::net::acceptor::Acceptor;
use crate::net::{Key, Network, Ready, paused_line};

pub(super) struct Sockets<N, C> {
    net: N,
    /// Read after a write, for the time at which it was complete.
    clock: C,
    acceptor: Acceptor,
    counters: Arc<Counters>,
    ready: Vec<Ready>,
    staging: Staging,
}

impl<N: Network, C: Clock> Sockets<N, C> {
    pub(super) fn new(net: N, clock: C, acceptor: Acceptor, counters: Arc<Counters>) -> Self {
        Self {
            net,
            clock,
            acceptor,
            counters,
            ready: Vec::with_capacity(1024),
            staging: Staging::new(),
        }
    }

    /// Says which sockets are ready; returns how many.
    pub(super) fn poll(&mut self, core: &mut Subscribers) -> io::Result<usize> {
        self.net.poll(&mut self.ready)?;
        let work_count = self.ready.len();
        for event in self.ready.drain(..) {
            match event {
                Ready::Listener => self.acceptor.note_ready(),
                Ready::Stream {
                    key,
                    readable,
                    writable,
                } => core.on_ready(key, readable, writable),
            }
        }
        Ok(work_count)
    }

    /// Takes those who wait; while `is_paused`, answers those of other processes and ends them.
    pub(super) fn accept(&mut self, core: &mut Subscribers, is_paused: bool, now: Now) -> usize {
        self.acceptor.log_left_out(now);
        let mut work_count = 0;
        while work_count < ACCEPTS_PER_CYCLE
            && let Some((key, peer)) = self.acceptor.next(&mut self.net, &self.counters, now)
        {
            work_count += 1;
            if is_paused && !self.net.is_local(key) {
                (self.acceptor).turn_away(&mut self.net, (key, peer), &paused_line());
            } else {
                core.on_accept(key, peer, now);
            }
        }
        work_count + self.acceptor.take_refused()
    }

    /// Reads from some, each once.
    pub(super) fn read(&mut self, core: &mut Subscribers, now: Now) -> usize {
        let mut work_count = 0;
        for _ in 0..READS_PER_CYCLE.min(core.readable_count()) {
            let read = core.read_next(now, |key, room, certificate| {
                let read = self.net.read(key, room);
                if certificate.is_none() {
                    *certificate = self.net.certificate(key);
                }
                read
            });
            match read {
                Some(count) => work_count += count,
                None => break,
            }
        }
        work_count
    }

    /// Writes what waits, as far as the sockets take it.
    pub(super) fn write(&mut self, core: &mut Subscribers) {
        while let Some(key) = core.next_write() {
            let result = self.write_one(core, key);
            let uncounted = self.net.uncounted(key);
            core.end_write(key, (result, uncounted), || self.clock.now().ns);
        }
        self.act(core);
    }

    fn write_one(&mut self, core: &mut Subscribers, key: Key) -> io::Result<()> {
        loop {
            let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
            let count = core.gather(key, &mut slices);
            if count == 0 {
                return Ok(());
            }
            let pieces = &slices[..count];
            let taken = match self.staging.join(pieces) {
                Some(joined) => self.net.write(key, &[joined])?,
                None => self.net.write(key, pieces)?,
            };
            core.on_written(key, taken);
        }
    }

    /// Ends and closes what the core asks for.
    pub(super) fn act(&mut self, core: &mut Subscribers) {
        while let Some(action) = core.next_action() {
            match action {
                SocketAction::ShutDown(key) => self.net.shut_down(key),
                SocketAction::Close(key, peer) => {
                    peer.inspect(|&it| self.acceptor.closed(&self.net, key, it));
                    self.net.close(key);
                }
            }
        }
    }

    pub(super) fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.net.readiness()
    }
}
