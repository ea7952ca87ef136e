//! One member of a group, without IO: it takes events from the stream, the journal and the clock, and decides
//! what is published, written and served.
//!
//! ```text
//!               silence, goodbye                 confirmed
//!  Standby ----------------------> Claiming ----------------> Active <--> Paused
//!     ^  ^____ another's claim _______|                          |          |
//!     |                                                          v          v
//!     +------------------- a new run of the engine <---------- Ended <------+
//! ```
//!
//! `event` lists its events and decisions, `tip` has the rule by which a record counts, `flight` what is
//! sent. The rest handles the events: `checking`, `hearing`, `loss`, `comparing` and `remaining` the stream's end
//! against the own files, `reading`, `claiming`, `publishing`, `serving`. The shell carries out each decision, in their order, and
//! brings events in the order in which they happen. All times are microseconds of a clock that counts
//! suspend and never goes back.

mod checking;
mod claiming;
mod comparing;
mod event;
mod flight;
mod hearing;
mod loss;
mod publishing;
mod reading;
mod remaining;
mod serving;
#[cfg(test)]
mod tests;
mod tip;

use std::collections::VecDeque;
use std::sync::Arc;

use self::checking::Checks;
use self::comparing::{Comparison, Republish};
use self::flight::Flight;
use self::reading::Gap;
use self::tip::Tip;
use super::record::{Announcement, Term};
use crate::journal::format::Position;

pub(crate) use self::tip::{filler, subject_of};

pub use self::event::{
    Answer, Check, Decision, Event, Message, Notice, Offer, Publish, Refusal, Unknown, Why,
};

/// What a member is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The group's name.
    pub group: Arc<str>,
    /// What this member tells of itself.
    pub announcement: Announcement,
    /// `take_over_after`, in ms.
    pub lease_ms: u32,
    /// A random number of this process and run.
    pub random: u64,
    /// A random number: the group's id, should this member make its first claim.
    pub group_id: u128,
    /// The engine's own time of that claim.
    pub first_time_us: u64,
}

/// What a member does in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Its files are compared with the stream.
    Starting,
    /// It follows.
    Standby,
    /// Its claim is on its way.
    Claiming,
    /// It serves.
    Active,
    /// Its term goes on, and it hands out nothing: its lease has run out.
    Paused,
    /// The run is over.
    Ended,
}

/// One member.
#[derive(Debug)]
pub struct Member {
    settings: Settings,
    role: Role,
    tip: Tip,
    /// Silence counts from here: a record's arrival, or the own start.
    heard_us: u64,
    /// First sending of what was confirmed of the own term.
    lease_from_us: u64,
    /// When a connection was given up because nothing was heard.
    reconnected_us: u64,
    flight: Option<Flight>,
    flights: u64,
    /// The own record in flight while lost records are published again.
    parked: Option<Flight>,
    comparison: Option<Comparison>,
    republish: Option<Republish>,
    gap: Option<Gap>,
    /// When the stream was last read from a place on.
    read_us: u64,
    /// Up to this message nothing has taken the place of the last record that counts.
    proven: u64,
    /// When a void message made the own files suspect, and which.
    suspected: (u64, u64),
    /// Ends of confirmed records that are not written yet, with their sequences.
    unwritten: VecDeque<(u64, u64)>,
    offer: Option<Offer>,
    checks: Checks,
    can_write: bool,
    /// When the path last turned; `None`: there is none yet, or none any more.
    path_us: Option<u64>,
    /// The segment below which nobody needs anything, and the message of the stream.
    low: u64,
    unneeded_before: u64,
    is_finishing: bool,
    /// The standby that the goodbye names.
    successor: Option<Arc<str>>,
    said_goodbye: bool,
    trouble: Option<String>,
    decisions: VecDeque<Decision>,
}

impl Member {
    /// A member whose journal ends with this record, or is empty.
    #[must_use]
    pub fn new(settings: Settings, last: Option<Arc<[u8]>>, now_us: u64) -> Self {
        let empty = Tip::new(
            Arc::clone(&settings.group),
            settings.announcement.segment_len,
        );
        let tip = match &last {
            Some(bytes) => empty.behind(bytes),
            None => Some(empty.clone()),
        };
        let mut member = Self {
            settings,
            role: Role::Starting,
            heard_us: now_us,
            lease_from_us: 0,
            reconnected_us: 0,
            flight: None,
            flights: 0,
            parked: None,
            comparison: None,
            republish: None,
            gap: None,
            read_us: 0,
            proven: 0,
            suspected: (0, 0),
            unwritten: VecDeque::new(),
            offer: None,
            checks: Checks::default(),
            can_write: true,
            path_us: None,
            low: 0,
            unneeded_before: 0,
            is_finishing: false,
            successor: None,
            said_goodbye: false,
            trouble: None,
            decisions: VecDeque::new(),
            tip: tip.clone().unwrap_or(empty),
        };
        if tip.is_none() {
            member.refuse("the own journal ends with something that is no record".into());
        }
        member.tick(now_us);
        member
    }

    /// Takes an event.
    pub fn on_event(&mut self, event: Event, now_us: u64) {
        if self.role == Role::Ended {
            return;
        }
        match event {
            Event::Message(message) => self.on_message(&message, now_us),
            Event::Acked { flight, sequence } => self.on_acked(flight, sequence, now_us),
            Event::Refused { flight, refusal } => self.on_refused(flight, refusal, now_us),
            Event::Unknown { flight, why } => self.on_unknown(flight, why, now_us),
            Event::Answer { asked, answer } => self.on_answer(asked, &answer, now_us),
            Event::Checked(check) => self.on_checked(check, now_us),
            Event::Fetched { asked, record } => self.on_fetched(asked, record, now_us),
            Event::Written { sequence } => self.on_written(sequence),
            Event::Offer(offer) => self.on_offer(offer),
            Event::CanWrite(it) => self.can_write = it,
            Event::Path(at_us) => self.path_us = Some(at_us),
            Event::Unneeded { low, before } => {
                self.low = self.low.max(low);
                self.unneeded_before = self.unneeded_before.max(before);
            }
            Event::Finish => self.on_finish(),
            Event::HandOver(to) => self.successor = Some(to),
            Event::Tick => {}
        }
        self.tick(now_us);
    }

    /// What is to be done next.
    pub fn decision(&mut self) -> Option<Decision> {
        self.decisions.pop_front()
    }

    /// What it does in its group.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The term that is in force, as far as this member knows.
    #[must_use]
    pub fn term(&self) -> Term {
        self.tip.term()
    }

    /// The sequence of the last message that this member knows.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.tip.sequence
    }

    /// Where the journal ends, once all that is confirmed is written: the next record stands there, or at
    /// the beginning of the next segment.
    #[must_use]
    pub fn end(&self) -> Position {
        self.tip.end()
    }

    /// Who serves, as far as this member knows.
    #[must_use]
    pub fn active(&self) -> Option<&Announcement> {
        self.tip.last.as_ref().and_then(|it| it.said.as_ref())
    }

    /// What is wrong now, for `/readyz`.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The group's id, once a claim is known.
    #[must_use]
    pub fn group_id(&self) -> Option<u128> {
        self.tip.group()
    }

    /// Whose the last record is: the segment below which no member needs anything.
    #[must_use]
    pub fn low(&self) -> u64 {
        self.tip.last.as_ref().map_or(0, |it| it.place.low)
    }

    /// The stream's last message, when it was last looked at.
    #[must_use]
    pub fn stream_last(&self) -> u64 {
        self.checks.last.max(self.tip.sequence)
    }

    /// Until when frames may be handed out; zero: none may.
    #[must_use]
    pub fn serves_until_us(&self) -> u64 {
        match self.role {
            Role::Active if !self.said_goodbye => self.lease_end_us(),
            _ => 0,
        }
    }

    /// When what was confirmed last of the own term was first sent.
    #[must_use]
    pub fn lease_from_us(&self) -> u64 {
        self.lease_from_us
    }

    /// Whether frames may be handed out at this time; asked in each duty cycle, before any is.
    #[must_use]
    pub fn may_serve(&self, now_us: u64) -> bool {
        now_us < self.serves_until_us()
    }

    /// Whether it was told to end.
    pub(crate) fn is_finishing(&self) -> bool {
        self.is_finishing
    }

    fn tick(&mut self, now_us: u64) {
        if self.role == Role::Ended {
            return;
        }
        self.check_lease(now_us);
        self.tick_flight(now_us);
        self.tick_questions(now_us);
        self.tick_checks(now_us);
        self.leave_silent_server(now_us);
        self.tick_claim(now_us);
        self.publish_next(now_us);
    }

    fn decide(&mut self, decision: Decision) {
        self.decisions.push_back(decision);
    }

    fn tell(&mut self, notice: Notice) {
        self.decide(Decision::Tell(notice));
    }

    /// Something is wrong; told when it changes.
    fn note_trouble(&mut self, words: Option<String>) {
        if self.trouble == words {
            return;
        }
        self.tell(match &words {
            Some(words) => Notice::Trouble(words.clone()),
            None => Notice::Well,
        });
        self.trouble = words;
    }

    fn end_run(&mut self, last: Decision) {
        self.role = Role::Ended;
        self.flight = None;
        self.decide(last);
    }

    fn step_down(&mut self, why: Why) {
        self.end_run(Decision::StepDown(why));
    }

    fn refuse(&mut self, words: String) {
        self.end_run(Decision::Refuse(words));
    }
}
