//! A delivery agent: the event loop of its subscribers' sockets, over the core in `subscribers`.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::DeliveryParts;
use super::protocol::{FromDelivery, ToDelivery};
use super::staging::Staging;
use super::subscribers::{SocketAction, Subscribers};
use crate::agent::{Agent, Fatal};
use crate::clock::{Clock, Now};
use crate::counters::Counters;
use crate::limits::{ACCEPTS_PER_CYCLE, DISPATCHES_PER_CYCLE, FRAMES_PER_WRITE, READS_PER_CYCLE};
use crate::net::acceptor::Acceptor;
use crate::net::{Key, Network, Ready};
use crate::ring::{Receiver, Sender};

/// The agent.
pub(crate) struct DeliveryAgent<N, C> {
    net: N,
    clock: C,
    from_scheduler: Receiver<ToDelivery>,
    to_scheduler: Sender<FromDelivery>,
    subscribers: Subscribers,
    acceptor: Acceptor,
    counters: Arc<Counters>,
    ready: Vec<Ready>,
    staging: Staging,
}

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    pub(crate) fn new(parts: DeliveryParts<N, C>) -> Self {
        let (view, destinations) = (parts.view, parts.destinations);
        let counters = Arc::clone(&parts.counters);
        Self {
            net: parts.net,
            clock: parts.clock,
            from_scheduler: parts.from_scheduler,
            to_scheduler: parts.to_scheduler,
            subscribers: Subscribers::new(parts.timeouts, view, destinations, counters),
            acceptor: Acceptor::new("a subscriber", parts.admission),
            counters: parts.counters,
            ready: Vec::with_capacity(1024),
            staging: Staging::new(),
        }
    }

    fn poll_scheduler(&mut self) -> usize {
        let mut work_count = 0;
        while work_count < DISPATCHES_PER_CYCLE
            && let Some(command) = self.from_scheduler.poll()
        {
            work_count += 1;
            self.subscribers.on_command(command);
        }
        work_count
    }

    fn poll_net(&mut self) -> Result<usize, Fatal> {
        self.net.poll(&mut self.ready)?;
        let work_count = self.ready.len();
        for event in self.ready.drain(..) {
            match event {
                Ready::Listener => self.acceptor.note_ready(),
                Ready::Stream {
                    key,
                    readable,
                    writable,
                } => self.subscribers.on_ready(key, readable, writable),
            }
        }
        Ok(work_count)
    }

    fn accept(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < ACCEPTS_PER_CYCLE
            && let Some((key, peer)) = self.acceptor.next(&mut self.net, &self.counters, now)
        {
            work_count += 1;
            self.subscribers.on_accept(key, peer, now);
        }
        work_count
    }

    fn read(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        for _ in 0..READS_PER_CYCLE.min(self.subscribers.readable_count()) {
            let Some((key, room)) = self.subscribers.next_read() else {
                break;
            };
            let read = self.net.read(key, room);
            work_count += self.subscribers.on_read(key, read, now);
        }
        work_count
    }

    fn write(&mut self) {
        while let Some(key) = self.subscribers.next_write() {
            let result = self.write_one(key);
            let clock = &self.clock;
            self.subscribers.end_write(key, result, || clock.now().ns);
        }
        self.act();
        self.send_events();
    }

    /// Writes until nothing is left or the socket takes no more.
    fn write_one(&mut self, key: Key) -> io::Result<()> {
        loop {
            let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
            let count = self.subscribers.gather(key, &mut slices);
            if count == 0 {
                return Ok(());
            }
            let pieces = &slices[..count];
            let taken = match self.staging.join(pieces) {
                Some(joined) => self.net.write(key, &[joined])?,
                None => self.net.write(key, pieces)?,
            };
            self.subscribers.on_written(key, taken);
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.subscribers.next_action() {
            match action {
                SocketAction::ShutDown(key) => self.net.shut_down(key),
                SocketAction::Close(key, peer) => {
                    peer.inspect(|&it| self.acceptor.closed(it));
                    self.net.close(key);
                }
            }
        }
    }

    /// As far as the ring takes them; the rest in a later cycle.
    fn send_events(&mut self) {
        while self.subscribers.has_events()
            && let Some(mut permit) = self.to_scheduler.claim(1)
            && let Some(event) = self.subscribers.next_event()
        {
            permit.send(event);
        }
    }
}

impl<N: Network, C: Clock> Agent for DeliveryAgent<N, C> {
    fn name(&self) -> &'static str {
        "delivery"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        // What is to be delivered does not wait for a poll of the sockets.
        let mut work_count = self.poll_scheduler();
        self.write();
        work_count += self.poll_net()?;
        work_count += self.accept(now);
        work_count += self.read(now) + self.subscribers.look_up(now);
        self.subscribers.tick(now);
        self.write();
        self.to_scheduler.flush();
        Ok(work_count)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.net.readiness()
    }
}
