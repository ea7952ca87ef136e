//! The scheduler agent: polls each ring with a limit and calls the cores.

use super::cores::Cores;
use super::intake::PREFETCH_STRIDE;
use super::parts::SchedulerParts;
use super::protocol::{FromIngest, ToJournal};
use super::rings::{Inputs, Outputs};
use crate::agent::feedback::Feedback;
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::limits::{
    ARRIVALS_PER_CYCLE, DELIVERY_EVENTS_PER_CYCLE, JOURNAL_EVENTS_PER_CYCLE,
    REPLAY_EVENTS_PER_CYCLE, RETENTION_RING,
};
use crate::ring::{Permit, Receiver};

/// Arrivals that are polled after one look at whether there is room for them.
const BATCH: usize = 16;

pub(crate) struct SchedulerAgent {
    inputs: Inputs,
    cores: Cores,
    out: Outputs,
}

impl SchedulerAgent {
    pub(crate) fn new(parts: SchedulerParts) -> Self {
        let (inputs, out, cores) = parts.assemble();
        Self { inputs, cores, out }
    }

    /// One permit is for the whole cycle: a run may go on from batch to batch.
    fn poll_ingest(&mut self, now: Now) -> usize {
        let Self { inputs, cores, out } = self;
        let mut permit = out.journal.claim_up_to(ARRIVALS_PER_CYCLE + 1);
        let mut work_count = 0;
        while work_count < ARRIVALS_PER_CYCLE && cores.may_accept(BATCH, now, &permit) {
            let count = poll_batch(&mut inputs.ingest, cores, now, &mut permit);
            work_count += count;
            if count < BATCH {
                break;
            }
        }
        cores.intake.end_run(&mut permit);
        work_count
    }

    fn poll_journal(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while work_count < JOURNAL_EVENTS_PER_CYCLE
            && let Some(event) = self.inputs.journal.poll()
        {
            self.cores.on_journal(event, now);
            work_count += 1;
        }
        work_count
    }

    fn poll_replay(&mut self, now: Now) -> usize {
        if self.inputs.replay.is_empty() || !self.cores.lease.may_serve() {
            return 0;
        }
        let mut out = self.out.dispatch();
        let mut work_count = 0;
        while work_count < REPLAY_EVENTS_PER_CYCLE
            && let Some(event) = self.inputs.replay.poll()
        {
            self.cores.on_replay(event, now, &mut out);
            work_count += 1;
        }
        work_count
    }

    fn poll_delivery(&mut self, agent: usize, now: Now) -> usize {
        let Self { inputs, cores, out } = self;
        let (input, journal) = (&mut inputs.deliveries[agent], &mut out.journal);
        let mut answers = out.deliveries[agent].claim_up_to(DELIVERY_EVENTS_PER_CYCLE);
        let mut work_count = 0;
        // Each event is answered by one entry at most.
        while work_count < DELIVERY_EVENTS_PER_CYCLE
            && answers.left() > 0
            && let Some(event) = input.poll()
        {
            cores.on_delivery(agent as u16, event, now, &mut answers, journal);
            work_count += 1;
        }
        work_count
    }

    fn poll_control(&mut self) -> usize {
        let Some(mut change) = self.inputs.control.poll() else {
            return 0;
        };
        self.cores.change(&mut change);
        self.inputs.control.finish(change);
        1
    }

    fn poll_retention(&mut self) -> usize {
        let mut work_count = 0;
        while work_count < RETENTION_RING
            && let Some(mut permit) = self.out.journal.claim(1)
            && let Some(event) = self.inputs.retention.poll()
        {
            self.cores.on_retention(event, &mut permit);
            work_count += 1;
        }
        work_count
    }

    fn end_cycle(&mut self, work_count: usize) {
        let has_arrivals = !self.inputs.ingest.is_empty();
        (self.cores).end_cycle(work_count > 0, has_arrivals, &mut self.out);
    }

    fn dispatch(&mut self, now: Now) -> usize {
        self.cores.dispatch(now, &mut self.out.dispatch())
    }
}

fn poll_batch(
    ingest: &mut Receiver<FromIngest>,
    cores: &mut Cores,
    now: Now,
    journal: &mut Permit<'_, ToJournal>,
) -> usize {
    for count in 0..BATCH {
        if count % PREFETCH_STRIDE == 0 {
            cores.intake.look_ahead(ingest, &cores.messages);
        }
        let Some(event) = ingest.poll() else {
            return count;
        };
        cores.on_ingest(event, now, journal);
    }
    BATCH
}

impl Agent for SchedulerAgent {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    /// Loads what the last run left unsettled.
    fn on_start(&mut self, now: Now) -> Result<(), Fatal> {
        self.cores.load_recovered(now);
        Ok(())
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        self.cores.walls.note(now);
        self.cores.lease.note_path();
        let mut work_count = self.poll_control();
        work_count += self.poll_journal(now) + self.poll_replay(now);
        work_count += (self.cores).retry_settlements(now, &mut self.out.journal);
        for agent in 0..self.inputs.deliveries.len() {
            work_count += self.poll_delivery(agent, now);
        }
        work_count += self.cores.end_subscriptions(&mut self.out.deliveries);
        work_count += self.poll_retention() + self.poll_ingest(now);
        work_count += self.cores.age_and_evict(now) + self.dispatch(now);
        work_count += self.cores.report(now);
        work_count += self.cores.retire_names(now, &mut self.out);
        self.end_cycle(work_count);
        Ok(work_count)
    }

    /// The last statistics say what waits at the end.
    fn on_close(&mut self, now: Now) -> Result<(), Fatal> {
        self.cores.report_last(now);
        self.cores.keep_unconfirmed(&mut self.inputs.ingest);
        Ok(())
    }
}

impl Feedback for SchedulerAgent {
    /// Dispatches what the journal has recorded. Arrivals are left for the next cycle: accepted
    /// more often than they are written to subscribers, messages would pile up here.
    fn poll_feedback(&mut self, now: Now) -> usize {
        let work_count = self.poll_journal(now) + self.dispatch(now);
        self.end_cycle(work_count);
        work_count
    }
}
