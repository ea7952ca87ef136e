//! What goes to the servers and comes from them: late, lost, twice, or from the past.

use std::sync::Arc;

use flipped_lb::cluster::core::{Answer, Check, Event, Publish, Refusal, Unknown};
use flipped_lb::cluster::record::{Kind, Record};

use super::{Next, Verdict, World};
use crate::plan::SECOND;

impl World {
    pub(super) fn send(&mut self, node: usize, run: u64, publish: &Publish) {
        let sent = self.nodes[node].sends(publish);
        let (flight, last) = (sent.flight, sent.expected_last);
        self.note(format!(
            "node {node} publishes {flight} behind {last}, {} bytes",
            sent.bytes.len()
        ));
        if self.nodes[node].cut.requests || self.dice.chance(self.faults.publish_lost) {
            self.met("publish lost");
            if self.dice.flip() {
                let why = Unknown::ConnectionLost;
                self.after(1_000, Next::Hear(node, run, Event::Unknown { flight, why }));
            }
            return;
        }
        let late = self.dice.long(200..=3_000);
        if self.dice.chance(self.faults.publish_twice) {
            self.met("publish arrived twice");
            let much = self.dice.long(1_000..=self.faults.publish_late_us);
            self.after(much, Next::Arrive(node, run, sent.clone()));
            if self.dice.flip() {
                return;
            }
        }
        self.after(late, Next::Arrive(node, run, sent));
    }

    pub(super) fn arrive(&mut self, node: usize, run: u64, publish: Publish) -> Verdict {
        let flight = publish.flight;
        if self.servers.down_until_us > self.now_us {
            let late = self.servers.down_until_us - self.now_us;
            if self.dice.flip() {
                self.after(late, Next::Arrive(node, run, publish));
            } else {
                let why = Unknown::NoResponders;
                self.reply(node, run, Event::Unknown { flight, why });
            }
            return Ok(());
        }
        let foreign = match self.servers.has_all() {
            true => self.faults.foreign.max(self.faults.foreign_behind_all),
            false => self.faults.foreign,
        };
        if self.dice.chance(foreign) {
            self.met("foreign message");
            if !self.servers.has_all() {
                self.met("lost place taken");
            }
            let subject: Arc<str> = "flb_journal.east.stranger".into();
            self.servers.store(&subject, &Arc::from(&b"hello"[..]));
        }
        let refusal = if self.dice.chance(self.faults.refused) {
            self.met("refused");
            Some(Refusal::Other("no space left".into()))
        } else if self.dice.chance(self.faults.refused_without_reason)
            || !self.servers.expects_rightly(&publish)
        {
            Some(Refusal::WrongLast)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.reply(node, run, Event::Refused { flight, refusal });
        } else if self.dice.chance(self.faults.unfenced) {
            let late = self.dice.long(1_000..=3 * SECOND);
            self.after(late, Next::Store(node, run, publish));
        } else {
            self.store(node, run, &publish);
        }
        Ok(())
    }

    pub(super) fn store(&mut self, node: usize, run: u64, publish: &Publish) {
        let sequence = self.servers.store(&publish.subject, &publish.bytes);
        let flight = publish.flight;
        self.note(format!("stored as {sequence}: {flight} of node {node}"));
        if sequence > 5 && self.dice.chance(self.forgetfulness()) {
            self.note(format!("{sequence} is confirmed and forgotten"));
            self.met("confirmed and forgotten");
            self.servers.lose(1);
            self.checkers.on_loss(self.now_us);
        }
        if self.dice.chance(self.faults.ack_lost) {
            return self.met("PubAck lost");
        }
        let acked = Event::Acked { flight, sequence };
        if self.dice.chance(self.faults.ack_late) {
            self.met("PubAck late");
            let late = self.dice.long(1_000..=self.faults.ack_late_us);
            let is_claim =
                Record::decode(&publish.bytes).is_ok_and(|it| it.place.kind == Kind::Claim);
            if is_claim && late > SECOND {
                self.met("claim confirmed late");
            }
            self.after(late, Next::Hear(node, run, acked));
        } else {
            self.reply(node, run, acked);
        }
    }

    /// How often a leader confirms and forgets: mostly when servers come and go.
    pub(super) fn forgetfulness(&self) -> u32 {
        match self.now_us < self.servers.down_until_us + 2 * SECOND {
            true => self.faults.forgotten * 8,
            false => self.faults.forgotten,
        }
    }

    /// A question to the servers.
    pub(super) fn request(&mut self, node: usize, next: Next) {
        if !self.nodes[node].cut.requests && !self.dice.chance(self.faults.no_answer) {
            let late = self.dice.long(200..=3_000);
            self.after(late, next);
        }
    }

    pub(super) fn reply(&mut self, node: usize, run: u64, event: Event) {
        if !self.nodes[node].cut.answers {
            let late = self.dice.long(200..=3_000);
            self.after(late, Next::Hear(node, run, event));
        }
    }

    /// How many of the last messages whoever answers does not know.
    pub(super) fn unknown(&mut self) -> u64 {
        if self.servers.last() > 4 && self.dice.chance(self.faults.answer_from_the_past) {
            self.met("answer from the past");
            return self.dice.long(1..=3);
        }
        0
    }

    /// Whether the server that answers has nothing, though the others have all.
    fn is_blank(&mut self) -> bool {
        let is_blank = self.servers.blank_until_us > self.now_us && self.dice.flip();
        if is_blank {
            self.met("answer of a blank server");
        }
        is_blank
    }

    fn blank_check(&mut self) -> Check {
        let wrong = Vec::new();
        match self.dice.flip() {
            true => Check::Missing,
            false => Check::Found {
                first: 1,
                last: 0,
                wrong,
            },
        }
    }

    pub(super) fn answer(&mut self, node: usize, run: u64, asked: u64) {
        if self.servers.down_until_us <= self.now_us {
            let answer = match self.is_blank() {
                true => Answer {
                    bounds: Some((1, 0)),
                    ..Answer::default()
                },
                false => {
                    let unknown = self.unknown();
                    self.servers.answer(asked, unknown)
                }
            };
            self.reply(node, run, Event::Answer { asked, answer });
        }
    }

    pub(super) fn look(&mut self, node: usize, run: u64) {
        if self.servers.down_until_us <= self.now_us {
            if self.is_blank() {
                let check = self.blank_check();
                return self.reply(node, run, Event::Checked(check));
            }
            let unknown = self.unknown();
            let (first, last) = (self.servers.first(), self.servers.last() - unknown);
            let wrong = Vec::new();
            let check = Check::Found { first, last, wrong };
            self.reply(node, run, Event::Checked(check));
        }
    }

    /// What nobody needs goes, whoever asked for it and when.
    pub(super) fn purge(&mut self, before: u64) {
        if self.servers.down_until_us <= self.now_us && before > self.servers.first() {
            self.note(format!("messages before {before} are purged"));
            self.met("purged");
            self.servers.purge(before);
        }
    }

    pub(super) fn begin_reading(&mut self, node: usize, from: Option<u64>) {
        let it = &mut self.nodes[node];
        it.reading = from;
        it.readings += 1;
        let readings = it.readings;
        if from.is_some() {
            self.after(1_000, Next::Read(node, readings));
        }
    }

    /// The consumer brings the next message, if its copy of the stream has it.
    pub(super) fn read(&mut self, node: usize, readings: u64) -> Verdict {
        let it = &self.nodes[node];
        let Some(next) = it.reading.filter(|_| it.readings == readings) else {
            return Ok(());
        };
        // A consumer begins where the stream does.
        let next = next.max(self.servers.first());
        let message = self.servers.messages.get(next as usize - 1).cloned();
        let (run, is_cut) = (it.run, it.cut.reading);
        let mut late = self.dice.long(1_000..=self.faults.copy_late_us);
        if let Some(message) = message.filter(|_| !is_cut) {
            late = self.dice.long(100..=1_000);
            self.nodes[node].reading = Some(next + 1);
            if self.dice.chance(self.faults.copy_skipped) {
                self.met("copy skipped");
            } else {
                self.on_event(node, run, Event::Message(message))?;
            }
        }
        self.after(late, Next::Read(node, readings));
        Ok(())
    }
}
