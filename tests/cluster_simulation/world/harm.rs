//! What the world does to members and servers while there is trouble.

use flipped_lb::cluster::core::{Event, Role};

use super::{Next, Verdict, World};
use crate::journal::Journal;
use crate::node::Cut;
use crate::plan::SECOND;

impl World {
    pub(super) fn harm(&mut self) -> Verdict {
        if self.now_us > self.plan.trouble_us {
            return Ok(());
        }
        let late = self.dice.long(SECOND / 2..=4 * SECOND);
        self.after(late, Next::Harm);
        let node = self.dice.pick(0..=self.nodes.len() - 1);
        if self.dice.chance(self.faults.cut) {
            let cut = Cut {
                requests: self.dice.chance(300),
                answers: self.dice.chance(300),
                reading: self.dice.chance(300),
            };
            self.note(format!("node {node}: {cut:?}"));
            self.nodes[node].cut = cut;
        }
        if self.dice.chance(self.faults.outage) {
            self.met("servers down");
            self.servers.down_until_us = self.now_us + self.dice.long(SECOND / 2..=15 * SECOND);
        }
        if self.dice.chance(self.faults.loss) && self.servers.last() > 5 {
            let count = self.dice.pick(1..=4);
            self.note(format!(
                "the servers lose {count} messages of {}",
                self.servers.last()
            ));
            self.met("servers lost the end");
            self.servers.lose(count);
            self.checkers.on_loss(self.now_us);
        }
        if self.dice.chance(self.faults.void_only) {
            self.leave_void_only();
        }
        if self.dice.chance(self.faults.absence) {
            self.begin_absence(node);
        }
        let is_over = self.now_us > self.servers.blank_until_us + 12 * SECOND;
        if is_over && self.dice.chance(self.faults.blank) {
            self.servers.blank_until_us = self.now_us + self.dice.long(SECOND / 2..=6 * SECOND);
        }
        self.harm_process(node)
    }

    /// Cuts a member off, if none is, and the others have had time to put back what was lost last: some time later
    /// the servers go down.
    fn begin_absence(&mut self, node: usize) {
        let is_early = self.servers.down_until_us > 0
            && self.now_us < self.servers.down_until_us + 10 * SECOND;
        if is_early || self.nodes.iter().any(|it| it.cut.reading) {
            return;
        }
        self.note(format!("node {node} is cut off"));
        self.nodes[node].cut = Cut {
            requests: true,
            answers: true,
            reading: true,
        };
        let late = self.dice.long(SECOND..=20 * SECOND);
        self.after(late, Next::Outage(node));
    }

    /// The servers go down, and lose what another member has; the active may die with them.
    pub(super) fn outage_without(&mut self, away: usize) {
        let us = self.dice.long(SECOND..=20 * SECOND);
        self.servers.down_until_us = self.now_us + us;
        let late = self.dice.long(us - SECOND..=us + 2 * SECOND);
        self.after(late, Next::Return(away));
        let last = self.servers.last();
        let active = (0..self.nodes.len()).find(|it| self.nodes[*it].role() == Role::Active);
        if let Some(active) = active.filter(|_| self.dice.flip()) {
            self.kill(active);
        }
        let has_all = |it: usize| {
            it != away
                && self.nodes[it]
                    .core()
                    .is_some_and(|it| it.sequence() >= last)
        };
        if last > 5 && (0..self.nodes.len()).any(has_all) {
            let count = self.count_to_lose(away);
            self.note(format!(
                "the servers go down, and lose {count} messages of {last}"
            ));
            self.met("a member and the servers come back");
            self.servers.lose(count);
        }
    }

    /// Some messages; or all behind a foreign one that stands where the member that is away would publish. A record
    /// stays that each member has: servers without any have lost the group.
    fn count_to_lose(&mut self, away: usize) -> usize {
        let last = self.servers.last();
        let firsts = self.nodes.iter().map(|it| it.journal.first_of(0));
        let most = last - firsts.max().flatten().unwrap_or(last).min(last);
        let place = self.nodes[away].core().map_or(0, |it| it.sequence() + 1);
        let behind = last.saturating_sub(place);
        if (1..=most).contains(&behind) && self.servers.is_foreign(place) && self.dice.flip() {
            self.met("lost behind a foreign message");
            return behind as usize;
        }
        self.dice.pick(1..=3).min(most as usize)
    }

    pub(super) fn harm_process(&mut self, node: usize) -> Verdict {
        if self.dice.chance(self.faults.freeze) {
            let us = self.dice.long(SECOND / 2..=40 * SECOND);
            if us > 15 * SECOND && self.nodes[node].role() == Role::Active {
                self.met("frozen beyond the lease");
            }
            self.note(format!("node {node} is frozen for {} ms", us / 1_000));
            let until_us = self.nodes[node].frozen_until_us.max(self.now_us + us);
            self.nodes[node].frozen_until_us = until_us;
        } else if self.dice.chance(self.faults.kill) && self.nodes[node].core().is_some() {
            self.kill(node);
        } else if self.dice.chance(self.faults.finish) && self.nodes[node].core().is_some() {
            self.note(format!("node {node} is told to stop"));
            self.nodes[node].engine.closings += 1;
            let run = self.nodes[node].run;
            return self.on_event(node, run, Event::Finish);
        }
        Ok(())
    }

    /// `kill -9`, and another start some time later.
    pub(super) fn kill(&mut self, node: usize) {
        self.note(format!("node {node} is killed"));
        if self.nodes[node].role() == Role::Active {
            self.met("active killed");
            if self.nodes[node].engine.is_carrying() {
                self.met("killed while it carries");
            }
        }
        if !self.nodes[node].journal.is_idle() {
            self.met("journal torn");
        }
        let whole = self.dice.pick(0..=1);
        self.sync_some(node, whole);
        self.nodes[node].journal.tear();
        if self.dice.chance(self.faults.disk_lost) {
            self.note(format!("node {node} has lost its disk"));
            self.met("disk lost");
            self.nodes[node].journal = Journal::default();
        }
        self.nodes[node].end_run();
        self.nodes[node].engine.end(false);
        self.nodes[node].frozen_until_us = 0;
        let late = self.dice.long(SECOND / 10..=20 * SECOND);
        self.after(late, Next::Start(node));
    }
}
