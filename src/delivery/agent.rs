//! A delivery agent: polls the scheduler and its subscribers' sockets, and has its core decide.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::DeliveryParts;
use super::protocol::{FromDelivery, ToDelivery};
use super::reload::DeliveryChange;
use super::sockets::Sockets;
use super::subscribers::Subscribers;
use crate::agent::control::Control;
use crate::agent::{Agent, Fatal};
use crate::clock::{Clock, Now};
use crate::cluster::run::lease::LeaseCheck;
use crate::limits::DISPATCHES_PER_CYCLE;
use crate::net::Network;
use crate::net::acceptor::Acceptor;
use crate::ring::{Receiver, Sender};

pub(crate) struct DeliveryAgent<N, C> {
    from_scheduler: Receiver<ToDelivery>,
    to_scheduler: Sender<FromDelivery>,
    control: Control<DeliveryChange>,
    sockets: Sockets<N, C>,
    core: Subscribers,
    lease: LeaseCheck,
}

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    pub(crate) fn new(parts: DeliveryParts<N, C>) -> Self {
        let (view, destinations) = (parts.view, parts.destinations);
        let counters = Arc::clone(&parts.counters);
        let acceptor = Acceptor::new("a subscriber", parts.admission);
        Self {
            from_scheduler: parts.from_scheduler,
            to_scheduler: parts.to_scheduler,
            control: parts.control,
            sockets: Sockets::new(parts.net, parts.clock, acceptor, parts.counters),
            core: Subscribers::new(parts.timeouts, parts.ports, view, destinations, counters)
                .with_users(parts.users),
            lease: LeaseCheck::new(parts.lease),
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

    fn poll_control(&mut self, now: Now) -> usize {
        let Some(mut change) = self.control.poll() else {
            return 0;
        };
        self.core.change(&mut change, now);
        self.control.finish(change);
        1
    }

    /// Without a lease nothing is written: whoever is connected goes, and what was in flight is `again`.
    fn check_lease(&mut self) {
        if self.lease.is_lost() {
            self.core.end_all(&"this engine does not serve for now");
        }
    }

    fn write(&mut self) {
        if self.lease.may_serve() {
            self.sockets.write(&mut self.core);
        } else {
            self.sockets.act(&mut self.core);
        }
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
        self.check_lease();
        // What is to be delivered does not wait for a poll of the sockets.
        let mut work_count = self.poll_scheduler() + self.poll_control(now);
        self.write();
        self.send_events();
        work_count += self.sockets.poll(&mut self.core)?;
        work_count += self
            .sockets
            .accept(&mut self.core, !self.lease.may_serve(), now);
        work_count += self.sockets.read(&mut self.core, now);
        work_count += self.core.look_up(now);
        self.core.tick(now);
        self.write();
        self.send_events();
        self.to_scheduler.flush();
        Ok(work_count)
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.sockets.readiness()
    }
}
