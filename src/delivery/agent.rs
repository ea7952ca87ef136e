//! A delivery agent: polls the scheduler and its subscribers' sockets, and has its core decide.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::DeliveryParts;
use super::protocol::{FromDelivery, ToDelivery};
use super::sockets::Sockets;
use super::subscribers::Subscribers;
use crate::agent::{Agent, Fatal};
use crate::clock::{Clock, Now};
use crate::limits::DISPATCHES_PER_CYCLE;
use crate::net::Network;
use crate::net::acceptor::Acceptor;
use crate::ring::{Receiver, Sender};

pub(crate) struct DeliveryAgent<N, C> {
    from_scheduler: Receiver<ToDelivery>,
    to_scheduler: Sender<FromDelivery>,
    sockets: Sockets<N, C>,
    core: Subscribers,
}

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    pub(crate) fn new(parts: DeliveryParts<N, C>) -> Self {
        let (view, destinations) = (parts.view, parts.destinations);
        let counters = Arc::clone(&parts.counters);
        let acceptor = Acceptor::new("a subscriber", parts.admission);
        Self {
            from_scheduler: parts.from_scheduler,
            to_scheduler: parts.to_scheduler,
            sockets: Sockets::new(parts.net, parts.clock, acceptor, parts.counters),
            core: Subscribers::new(parts.timeouts, parts.ports, view, destinations, counters)
                .with_users(parts.users),
        }
    }

    fn poll_scheduler(&mut self) -> usize {
        let mut work_count = 0;
        while work_count < DISPATCHES_PER_CYCLE
            && let Some(command) = self.from_scheduler.poll()
        {
            work_count += 1;
            self.core.on_command(command);
        }
        work_count
    }

    /// As far as the ring takes them; the rest in a later cycle.
    fn send_events(&mut self) {
        while self.core.has_events()
            && let Some(mut permit) = self.to_scheduler.claim(1)
            && let Some(event) = self.core.next_event()
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
        self.core.begin_cycle(now);
        // What is to be delivered does not wait for a poll of the sockets.
        let mut work_count = self.poll_scheduler();
        self.sockets.write(&mut self.core);
        self.send_events();
        work_count += self.sockets.poll(&mut self.core)?;
        work_count += self.sockets.accept(&mut self.core, now);
        work_count += self.sockets.read(&mut self.core, now);
        work_count += self.core.look_up(now);
        self.core.tick(now);
        self.sockets.write(&mut self.core);
        self.send_events();
        self.to_scheduler.flush();
        Ok(work_count)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.sockets.readiness()
    }
}
