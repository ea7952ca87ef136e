//! Checks of the stream's settings and bounds: at start, every 10 s, each second without a record, and before a
//! claim.

use super::comparing::Comparison;
use super::event::{Check, Decision, Why};
use super::hearing::Hearing;
use super::loss::ReportedLoss;
use super::{Member, Role};
use crate::limits::{CHECK_US, RESEND_US};

/// What is known of the stream's settings.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// When the last question was sent, and how far this member had read by then.
    asked: Option<(u64, u64)>,
    /// When the last answer was asked for; `None`: there was none yet.
    pub(super) known_us: Option<u64>,
    /// What is wrong.
    pub(super) wrong: Option<String>,
    /// The stream's end then.
    pub(super) last: u64,
    /// Answers that would take everything away; `None`: the last one did not.
    pub(super) reported_loss: Option<ReportedLoss>,
    /// The stream was found to have no record where the own files have some.
    pub(super) is_without_record: bool,
    /// Since when the servers are heard; `None`: they are not.
    pub(super) hearing: Option<Hearing>,
}

impl Member {
    /// Asks when it is time, and again where nobody answers.
    pub(super) fn tick_checks(&mut self, now_us: u64) {
        let is_well = self.checks.wrong.is_none() && self.checks.reported_loss.is_none();
        let is_well = is_well && self.role != Role::Starting && !self.is_quiet(now_us);
        let due = match self.checks.known_us {
            Some(known) if is_well => now_us >= known + CHECK_US,
            Some(known) => now_us >= known + RESEND_US,
            None => true,
        };
        if due {
            self.look(now_us);
        }
    }

    /// Asks now, if no question is under way.
    pub(super) fn look(&mut self, now_us: u64) {
        if self
            .checks
            .asked
            .is_none_or(|(at, _)| now_us >= at + RESEND_US)
        {
            self.checks.asked = Some((now_us, self.tip.sequence));
            self.decide(Decision::Check);
        }
    }

    pub(super) fn on_checked(&mut self, check: Check, now_us: u64) {
        let Some((asked_us, known)) = self.checks.asked.take() else {
            return;
        };
        self.checks.known_us = Some(asked_us);
        if self.is_reported_loss(&check, known, now_us) {
            self.checks.hearing = None;
            return;
        }
        match check {
            // The own files are empty, or were when it was asked.
            Check::Missing => self.decide(Decision::Create),
            Check::Found { first, last, wrong } => {
                self.hear_answer(asked_us, last, now_us);
                self.checks.last = last;
                let wrong = (!wrong.is_empty()).then(|| wrong.join("; "));
                if wrong.is_some() || self.checks.wrong.is_some() {
                    self.note_trouble(wrong.clone());
                }
                self.checks.wrong = wrong;
                if self.checks.wrong.is_none() {
                    self.purge(first, last);
                    self.on_bounds(first, last, known, now_us);
                }
            }
        }
    }

    /// Has the stream lose what nobody needs, but not its last record: what is published next expects it.
    fn purge(&mut self, first: u64, last: u64) {
        let last_record = self.tip.before().sequence;
        let before = self.unneeded_before.min(last_record);
        let is_calm = self.comparison.is_none() && self.republish.is_none();
        if self.role == Role::Active && is_calm && before > first && last >= last_record {
            self.decide(Decision::Purge(before));
        }
    }

    /// The stream has the messages from `first` to `last`; this member had read up to `known`.
    fn on_bounds(&mut self, first: u64, last: u64, known: u64, now_us: u64) {
        let serves = matches!(self.role, Role::Active | Role::Paused | Role::Claiming);
        // What was read since it was asked is not missing.
        if first > known.max(self.tip.sequence) + 1 && known > 0 && !serves {
            self.begin_anew(last, now_us);
        } else if self.role == Role::Starting {
            self.start(first, last, now_us);
        } else if last < known && self.comparison.is_none() && self.republish.is_none() {
            self.compare(last, last, now_us);
        } else if last > known && self.tip.sequence == known && self.role == Role::Standby {
            self.read_again(now_us);
        }
    }

    /// The stream no longer has the record behind the own last one.
    pub(super) fn begin_anew(&mut self, last: u64, now_us: u64) {
        self.seek_record(last, Why::Purged, now_us);
    }

    fn start(&mut self, first: u64, last: u64, now_us: u64) {
        if self.comparison.is_some() || self.republish.is_some() {
            return;
        }
        let known = self.tip.sequence;
        if known == 0 {
            // A member without files begins where the stream does.
            self.tip.begins_inside = first > 1 && last > 0;
            self.tip.sequence = if last > 0 { first - 1 } else { 0 };
            self.follow(now_us);
        } else if first == known + 1 {
            self.follow(now_us);
        } else {
            self.compare(known.min(last), last, now_us);
        }
    }

    /// The files are those of the stream, as far as they go: a standby from here on.
    pub(super) fn follow(&mut self, now_us: u64) {
        self.role = Role::Standby;
        self.read_on(now_us);
    }

    pub(super) fn compare(&mut self, at: u64, last: u64, now_us: u64) {
        self.comparison = Some(Comparison::new(at, last));
        self.ask_comparison(now_us);
    }
}
