//! The members' turns: what their cores decide, and what their journals have done.

use flipped_lb::cluster::core::{Decision, Event, Notice, Why};

use super::{Next, Verdict, World};
use crate::plan::{Broken, SECOND};

impl World {
    pub(super) fn start(&mut self, node: usize) -> Verdict {
        if self.nodes[node].core().is_none() {
            let random = self.dice.seed();
            self.note(format!("node {node} starts"));
            self.nodes[node].start(self.now_us, random);
            return self.carry_out(node);
        }
        Ok(())
    }

    pub(super) fn tick(&mut self, node: usize) -> Verdict {
        let late = self.dice.long(20_000..=80_000);
        if self.nodes[node].frozen_until_us > self.now_us {
            let late = self.nodes[node].frozen_until_us - self.now_us + late;
            self.after(late, Next::Tick(node));
            return Ok(());
        }
        self.after(late, Next::Tick(node));
        // What a duty cycle hands out, it hands out before it hears anything new.
        if let Some(term) = self.nodes[node].serves(self.now_us) {
            self.checkers.on_handed_out(term, self.now_us)?;
        }
        let time_us = self.now_us;
        self.note_unneeded(node);
        let machine = &mut self.nodes[node];
        let is_settled = |it| self.checkers.is_settled(it);
        if let Some(offer) = machine.offer(is_settled, time_us) {
            machine.on_event(Event::Offer(offer), time_us);
        }
        machine.on_event(Event::Tick, time_us);
        self.carry_out(node)
    }

    pub(super) fn on_event(&mut self, node: usize, run: u64, event: Event) -> Verdict {
        let frozen_until_us = self.nodes[node].frozen_until_us;
        if frozen_until_us > self.now_us {
            let late = frozen_until_us - self.now_us;
            self.after(late, Next::Hear(node, run, event));
            return Ok(());
        }
        if self.nodes[node].run != run {
            return Ok(());
        }
        if let Event::Acked { flight, sequence } = event {
            self.note(format!("node {node} hears PubAck {sequence} of {flight}"));
        }
        self.nodes[node].on_event(event, self.now_us);
        self.carry_out(node)
    }

    pub(super) fn carry_out(&mut self, node: usize) -> Verdict {
        while let Some(decision) = self.nodes[node].decision() {
            self.decide(node, decision)?;
        }
        Ok(())
    }

    pub(super) fn decide(&mut self, node: usize, decision: Decision) -> Verdict {
        let run = self.nodes[node].run;
        match decision {
            Decision::Publish(publish) => self.send(node, run, &publish),
            Decision::Reconnect | Decision::Create => {}
            Decision::Ask(n) => self.request(node, Next::Ask(node, run, n)),
            Decision::Check => self.request(node, Next::Look(node, run)),
            Decision::Purge(before) => {
                let late = self.dice.long(200..=self.faults.publish_late_us.max(300));
                self.after(late, Next::Purge(before));
            }
            Decision::Read(from) => self.begin_reading(node, Some(from)),
            Decision::StopReading => self.begin_reading(node, None),
            Decision::Write { place, bytes } => {
                self.nodes[node].journal.write(place, &bytes);
                let late = self.dice.long(500..=20_000);
                let due = self.nodes[node].journal_us.max(self.now_us) + late;
                self.nodes[node].journal_us = due;
                self.after(due - self.now_us, Next::Journal(node, run));
                if self.dice.chance(self.faults.kill_writing) {
                    self.after((due - self.now_us) / 2, Next::Kill(node, run));
                }
            }
            Decision::Fetch(n) => {
                let late = self.nodes[node].journal_us.max(self.now_us) + 100 - self.now_us;
                self.after(late, Next::Fetch(node, run, n));
            }
            Decision::Open(position) => {
                if self.nodes[node].engine.open(position) {
                    self.met("carried");
                }
            }
            Decision::Activate { term, .. } => {
                self.met("take-over");
                self.note(format!("node {node} is active in term {term}"));
                let late = self.dice.long(1_000..=500_000);
                self.after(late, Next::Built(node, run));
            }
            Decision::Pause => {
                self.met("paused");
                self.note(format!("node {node} pauses"));
                self.nodes[node].engine.closings += 1;
            }
            Decision::Resume => self.met("resumed"),
            Decision::SetAside { behind } => {
                self.note(format!("node {node} sets aside what is behind {behind}"));
                self.check_set_aside(node, behind)?;
                let last = self.nodes[node].journal.last_sequence();
                if behind == 0 && self.servers.first() > last {
                    self.met("place purged");
                } else {
                    self.met("files diverged");
                    self.checkers.on_set_aside()?;
                }
                self.sync_some(node, usize::MAX);
                self.nodes[node].journal.set_aside(behind);
            }
            Decision::StepDown(why) => self.step_down(node, &why),
            Decision::Refuse(words) => return self.refuse(node, words),
            Decision::Tell(notice) => self.tell(node, &notice),
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, node: usize, notice: &Notice) {
        self.note(format!("node {node} tells: {notice:?}"));
        match notice {
            Notice::Void { .. } => self.met("void record"),
            Notice::Republishing { .. } => self.met("mended"),
            _ => {}
        }
    }

    pub(super) fn step_down(&mut self, node: usize, why: &Why) {
        self.note(format!("node {node} steps down: {why:?}"));
        match why {
            Why::Fenced => self.met("fenced"),
            Why::OtherSequence(_) => self.met("PubAck with another sequence"),
            Why::Finished => self.met("goodbye"),
            _ => {}
        }
        self.sync_some(node, usize::MAX);
        self.nodes[node].end_run();
        let late = self.dice.long(50_000..=2 * SECOND);
        self.after(late, Next::Start(node));
    }

    /// A run ends: so many of the writes under way are whole.
    pub(super) fn sync_some(&mut self, node: usize, count: usize) {
        for _ in 0..count {
            let Some((place, bytes)) = self.nodes[node].journal.sync_one() else {
                return;
            };
            self.checkers.note_written(place.position, &bytes);
        }
    }

    pub(super) fn sync(&mut self, node: usize, run: u64) -> Verdict {
        if self.nodes[node].run != run {
            return Ok(());
        }
        let Some((place, bytes)) = self.nodes[node].journal.sync_one() else {
            return Ok(());
        };
        self.checkers.on_written(place.position, &bytes)?;
        self.nodes[node].journal.drop_below(place.low);
        let sequence = place.sequence;
        self.on_event(node, run, Event::Written { sequence })
    }

    pub(super) fn fetch(&mut self, node: usize, run: u64, asked: u64) -> Verdict {
        let record = self.nodes[node].journal.at_or_before(asked);
        self.on_event(node, run, Event::Fetched { asked, record })
    }

    pub(super) fn build(&mut self, node: usize, run: u64) {
        if self.nodes[node].run == run {
            let journal = &self.nodes[node].journal;
            let orders = journal.orders().into_iter().chain(journal.carried());
            let orders = orders.collect();
            self.nodes[node].engine.build(orders);
        }
    }

    /// What of an active's journal nobody needs, and from where on the stream is needed: what is below the
    /// segment that a record has named. Where orders hold two segments or more, they are carried.
    fn note_unneeded(&mut self, node: usize) {
        let machine = &mut self.nodes[node];
        let is_early = self.now_us < machine.noted_us + 2 * SECOND;
        if is_early || machine.core().is_none_or(|it| it.own_term().is_none()) {
            return;
        }
        machine.noted_us = self.now_us;
        let is_settled = |it| self.checkers.is_settled(it);
        let is_early = self.plan.broken == Broken::LowBeforeCarried;
        let low = machine.journal.low(is_settled);
        let low = low.max(machine.engine.carried_low(is_early));
        let newest = machine.journal.newest();
        if self.plan.carries
            && machine.engine.is_built
            && !machine.engine.is_carrying()
            && low + 2 <= newest
        {
            let orders = machine.journal.unsettled_below(newest, is_settled);
            machine.engine.carry(newest, orders);
        }
        let confirmed = machine.journal.last_low();
        let before = match self.plan.broken {
            Broken::PurgePastLow => machine.journal.first_of(confirmed + 1),
            _ => machine.journal.first_of(confirmed),
        };
        let before = before.unwrap_or(0);
        self.nodes[node].on_event(Event::Unneeded { low, before }, self.now_us);
    }
}
