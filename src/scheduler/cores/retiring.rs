//! Names that messages and subscribers created go again when nothing is left of them.
//!
//! The part of [`Cores`] that does what the [`Retirement`](super::Retirement) decides. The scheduler
//! owns the counts of messages and the subscriptions, so it alone can know that a name is not needed:
//!
//! ```text
//! scheduler --Retire--> ingest, delivery: forget the name; whoever looks it up waits
//!           <--Forgotten, Released-------  behind all arrivals and subscriptions with its index
//! scheduler: still nothing there? the name goes; its pattern's subscribers --Retired--> <--Released--
//! scheduler --report--> monitor: shows it no more --next request--> the index is another name's
//! ```

use super::Cores;
use crate::clock::Now;
use crate::counters::Counter;
use crate::limits::{RETIRING_LOOKS, RETIRING_MAX};
use crate::message::DestinationIndex;
use crate::scheduler::messages::Messages;
use crate::scheduler::protocol::{Consent, ToDelivery, ToIngest};
use crate::scheduler::retirement::{Decision, Use};
use crate::scheduler::rings::Outputs;
use crate::scheduler::subscriptions::Subscriptions;

impl Cores {
    /// Goes on with names that may go; returns the work count.
    #[inline]
    pub(in crate::scheduler) fn retire_names(&mut self, now: Now, out: &mut Outputs) -> usize {
        if !self.may_retire {
            return 0;
        }
        let mut work_count = self.release_shown();
        if !self.retirement.is_empty() {
            work_count += self.decide(now, out);
        }
        work_count + self.ask_agents(now, out)
    }

    /// A delivery agent has forgotten a name.
    pub(super) fn on_released(&mut self, destination: DestinationIndex, consent: Consent) {
        if consent == Consent::Refused {
            self.subscriptions.note_named(destination);
        }
        let may_go = consent == Consent::Given;
        self.retirement.answer(destination, may_go);
    }

    /// Asks the agents about names that were not used for long.
    fn ask_agents(&mut self, now: Now, out: &mut Outputs) -> usize {
        self.learn_names();
        for count in 0..RETIRING_MAX {
            let retiring = self.retirement.len();
            if !has_room(out) || !self.names.may_retire(retiring) {
                return count;
            }
            let is_over_half_full = self.names.is_over_half_full(retiring);
            let (intake, messages, names) = (&self.intake, &self.messages, &self.names);
            let subscriptions = &self.subscriptions;
            let configured = &self.configured;
            let look = |destination| {
                let is_named = || intake.knows(destination) || names.is_live(destination);
                let is_there = !configured.has(destination) && is_named();
                is_there.then(|| use_of(destination, messages, subscriptions))
            };
            let known = self.known_destinations;
            let found = (self.retirement).next(known, is_over_half_full, now, look);
            let Some(destination) = found else {
                return count;
            };
            if !self.names.begin_retiring(destination) {
                // The settings that come name it.
                continue;
            }
            self.ensure_destination(destination);
            self.retirement.ask(destination, now);
            if let Some(mut permit) = out.ingest.claim(1) {
                permit.send(ToIngest::Retire { destination });
            }
            for (agent, ring) in (0..).zip(&mut out.deliveries) {
                let subscribers = self.subscriptions.keys_at(agent, destination);
                if let Some(mut permit) = ring.claim(1) {
                    permit.send(ToDelivery::Retire {
                        destination,
                        subscribers,
                    });
                }
            }
        }
        RETIRING_MAX
    }

    /// Makes room for names, some at a time, that nothing has come for: a subscription may have been refused
    /// after it created them.
    fn learn_names(&mut self) {
        let named = self.names.len() as DestinationIndex;
        let known = self.known_destinations;
        if known < named {
            self.ensure_destination(named.min(known + RETIRING_LOOKS as DestinationIndex) - 1);
        }
    }

    /// Does what is decided of names that the agents were asked about.
    fn decide(&mut self, now: Now, out: &mut Outputs) -> usize {
        let mut count = 0;
        while has_room(out)
            && let Some(decision) = self.retirement.decide(now)
        {
            count += 1;
            match decision {
                Decision::MayGo(destination) => {
                    let it = use_of(destination, &self.messages, &self.subscriptions);
                    if it.is_idle {
                        self.retire(destination, out);
                    } else {
                        self.retirement.refuse(destination);
                    }
                }
                Decision::Stays(destination) => self.names.keep(destination),
                Decision::Free(destination) => {
                    if !self.reporter.retire(destination) {
                        self.names.release(destination);
                    }
                }
            }
        }
        count
    }

    /// The name is gone.
    fn retire(&mut self, destination: DestinationIndex, out: &mut Outputs) {
        self.names.retire(destination);
        let mut agents = 0;
        for (agent, ring) in (0..).zip(&mut out.deliveries) {
            let subscribers = self.subscriptions.keys_at(agent, destination);
            if !subscribers.is_empty()
                && let Some(mut permit) = ring.claim(1)
            {
                agents += 1;
                permit.send(ToDelivery::Retired {
                    destination,
                    subscribers,
                });
            }
        }
        self.retirement.end(destination, agents);
        self.intake.remove_destination(destination);
        self.messages.remove_destination(destination);
        self.dispatcher.remove_destination(destination);
        self.subscriptions.remove_destination(destination);
        self.counters.add(Counter::DestinationsRetired, 1);
    }

    /// Other names may have the indices of those that are shown no more.
    fn release_shown(&mut self) -> usize {
        for count in 0..RETIRING_MAX {
            let Some(destination) = self.reporter.next_released() else {
                return count;
            };
            self.names.release(destination);
        }
        RETIRING_MAX
    }
}

/// Whether each agent's ring takes an entry: room does not go before it is used.
fn has_room(out: &mut Outputs) -> bool {
    let mut deliveries = out.deliveries.iter_mut();
    out.ingest.has_room(1) && deliveries.all(|it| it.has_room(1))
}

fn use_of(
    destination: DestinationIndex,
    messages: &Messages,
    subscriptions: &Subscriptions,
) -> Use {
    let counts = messages.counts_of(destination);
    Use {
        accepted: counts.accepted,
        is_idle: counts.accepted == counts.settled && subscriptions.may_go(destination),
    }
}
