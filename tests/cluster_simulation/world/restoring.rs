//! Servers that have lost every record that a member has, and took strangers' messages in their place; and whoever
//! reads what the members say, stops them all, and makes the stream from the longest journal.

use std::sync::Arc;

use super::{Next, Verdict, World};
use crate::plan::SECOND;

impl World {
    /// Where the first record stands that any member has; `None`: one has none, and would begin a new group.
    fn first_record(&self) -> Option<u64> {
        let mut first = u64::MAX;
        for node in &self.nodes {
            first = first.min(node.journal.first_of(0)?);
        }
        Some(first)
    }

    pub(super) fn leave_void_only(&mut self) {
        let Some(first) = self.first_record().filter(|it| *it <= self.servers.last()) else {
            return;
        };
        let count = self.dice.pick(1..=4);
        self.note(format!(
            "the servers lose all from {first} on; {count} are strangers'"
        ));
        self.met("void messages alone");
        self.servers.lose_from(first);
        self.checkers.on_loss(self.now_us);
        let subject: Arc<str> = "flb_journal.east.stranger".into();
        for _ in 0..count {
            self.servers.store(&subject, &Arc::from(&b"hello"[..]));
        }
        let late = self.dice.long(20 * SECOND..=60 * SECOND);
        self.after(late, Next::MakeAnew);
    }

    pub(super) fn make_anew(&mut self) {
        let first = self.first_record();
        let Some(first) = first.filter(|it| !self.servers.has_record_from(*it)) else {
            return;
        };
        self.met("made anew");
        for node in 0..self.nodes.len() {
            self.stop(node);
        }
        let longest = self
            .nodes
            .iter()
            .max_by_key(|it| it.journal.last_sequence());
        let records: Vec<_> = longest
            .expect("there are some")
            .journal
            .by_sequence()
            .collect();
        let begin = records.first().map_or(first, |it| it.0.sequence);
        let mut messages: Vec<(Arc<str>, Arc<[u8]>)> = Vec::new();
        for (place, bytes) in records {
            while begin + (messages.len() as u64) < place.sequence {
                messages.push(("flb_journal.east.void".into(), Arc::from(&b"void"[..])));
            }
            let subject = format!("flb_journal.east.{}", place.term);
            messages.push((subject.into(), bytes));
        }
        self.note(format!(
            "the stream is made anew: {} from {begin} on",
            messages.len()
        ));
        self.servers.make_anew(begin, messages.into_iter());
        self.checkers.on_loss(self.now_us);
    }

    /// The process ends, and starts again once the stream is made.
    fn stop(&mut self, node: usize) {
        self.sync_some(node, usize::MAX);
        let machine = &mut self.nodes[node];
        machine.end_run();
        machine.engine.end(false);
        machine.frozen_until_us = 0;
        let late = self.dice.long(SECOND..=5 * SECOND);
        self.after(late, Next::Start(node));
    }

    /// A start that says how the stream is made anew is made again and again, until somebody has.
    pub(super) fn refuse(&mut self, node: usize, words: String) -> Verdict {
        let is_of_group = words.contains("cluster restore") && !words.contains("another group");
        if self.plan.faults.void_only == 0 || !is_of_group {
            return Err(("refused", words));
        }
        self.note(format!("node {node} refuses: {words}"));
        self.met("refused until it is made anew");
        self.stop(node);
        Ok(())
    }

    pub(super) fn check_set_aside(&mut self, node: usize, behind: u64) -> Verdict {
        let first = self.nodes[node].journal.first_of(0);
        match first.filter(|_| behind == 0) {
            Some(first) => {
                let has_record = self.servers.has_record_from(first);
                self.checkers.on_all_set_aside(has_record, self.now_us)
            }
            None => Ok(()),
        }
    }
}
