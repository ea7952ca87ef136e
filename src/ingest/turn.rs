//! A connection's turn: its lines, one after the other, go on as messages or as rejected lines,
//! until they end, or one finds no room, or others must have a turn.
//!
//! The agent feeds it bytes, through the framer, and `now`; it writes into an [`TurnOutput`]. A
//! line that finds no room is not consumed: the next turn begins with it. No socket, no clock.
//!
//! ```text
//! framer --line--> intake --accepted--> chunk, scheduler's ring
//!                    |----rejected----> ring to the rejects agent
//!                    '----no room-----> the line stays
//! ```

use super::budget::Budget;
use super::duplicates::Duplicates;
use super::greeting::{self, Greeting, WrongGreeting};
use super::intake::{Accepted, Intake, Refusal};
use super::lines::Lines;
use super::output::{Output, TurnOutput};
use super::pace::{Share, TurnLimits};
use super::protocol::Arrival;
use super::waits::Wait;
use crate::access::{Proof, Refused, SenderIndex, Unidentified};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::{READ_LEN_WRONG, TURN_LINES_MAX};
use crate::message::timestamp::clamp_timestamp;
use crate::message::{ForbiddenField, Reason};
use crate::net::framer::{self, Line};
use crate::rejects::protocol::Rejected;

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnEnd {
    /// All lines were consumed.
    Exhausted,
    /// Others must have a turn, or so many destinations were created: it goes on in the next one.
    Limit,
    /// The connection must wait.
    Wait(Wait),
    /// Its greeting was wrong, it may not send, or it is at the wrong port: it ends.
    WrongGreeting(WrongGreeting),
}

/// What became of a line.
enum Outcome {
    Consumed,
    /// It was consumed, and the turn ends all the same.
    Last(TurnEnd),
    /// It stays the next one.
    Stays(TurnEnd),
}

/// Who the connection is, for rejected lines, and how much of the time its wrong lines may take.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) name: String,
    /// Its user; `None`: nobody asks, or it has not said yet.
    pub(super) user: Option<SenderIndex>,
    /// Whose its certificate is; `None`: it has none, or has not shaken hands.
    pub(super) certificate: Option<Result<SenderIndex, Refused>>,
    pub(super) budget: Budget,
    /// And its duplicates.
    pub(super) duplicates: Duplicates,
}

impl Sender {
    /// Whose connection it is, as far as its certificate tells.
    fn certified(&self) -> Result<SenderIndex, Refused> {
        let unknown = Refused::Unidentified(Unidentified::NoToken);
        self.certificate.unwrap_or(Err(unknown))
    }
}

/// What the turns of all connections work with.
pub(super) struct Turns {
    pub(super) intake: Intake,
    pub(super) output: Output,
    /// How much of the time wrong lines may take, of all connections together.
    pub(super) rejects_budget: Budget,
    /// And duplicates.
    pub(super) duplicates_budget: Budget,
}

impl Turns {
    pub(super) fn new(intake: Intake, output: Output) -> Self {
        Self {
            intake,
            output,
            rejects_budget: Budget::for_wrong_lines(0),
            duplicates_budget: Budget::for_duplicates(0),
        }
    }

    /// Begins a turn, with room for all that it may bring; `None`: the pipeline is full.
    #[inline]
    pub(super) fn begin<'a>(
        &'a mut self,
        counters: &'a Counters,
        now: Now,
    ) -> Option<TurnCore<'a>> {
        Some(TurnCore {
            output: self.output.claim()?,
            intake: &mut self.intake,
            budget: &mut self.rejects_budget,
            duplicates_budget: &mut self.duplicates_budget,
            counters,
            now,
        })
    }
}

/// One turn at work.
pub(super) struct TurnCore<'a> {
    intake: &'a mut Intake,
    pub(super) output: TurnOutput<'a>,
    budget: &'a mut Budget,
    duplicates_budget: &'a mut Budget,
    counters: &'a Counters,
    now: Now,
}

impl TurnCore<'_> {
    /// What the turn of a connection may take whose lines were wrong, or duplicates, a moment ago.
    ///
    /// # Errors
    /// Its duplicates have taken more than their share of the time: it waits first.
    #[inline]
    pub(super) fn shares(&self, sender: &mut Sender) -> Result<[Option<Share>; 2], Wait> {
        let now_ns = self.now.ns;
        let of_duplicates = sender.duplicates.share(*self.duplicates_budget, now_ns);
        let has_wrong_lines = sender.budget.left_ns(now_ns).is_some();
        let of_wrong_lines = has_wrong_lines.then_some(Share {
            lines: TURN_LINES_MAX,
            bytes: READ_LEN_WRONG,
        });
        Ok([of_duplicates.map_err(Wait::Duplicates)?, of_wrong_lines])
    }

    /// Takes the lines of a turn.
    pub(super) fn take_lines(
        &mut self,
        turn: &mut framer::Turn<'_>,
        lines: &mut Lines,
        sender: &mut Sender,
        limits: TurnLimits,
    ) -> TurnEnd {
        let before = self.intake.parser.counts();
        let end = self.take_each(turn, lines, sender, limits);
        let paths = self.intake.parser.counts().since(before);
        sender.duplicates.note_paths(paths);
        end
    }

    fn take_each(
        &mut self,
        turn: &mut framer::Turn<'_>,
        lines: &mut Lines,
        sender: &mut Sender,
        limits: TurnLimits,
    ) -> TurnEnd {
        self.intake.begin_turn();
        let mut count = 0;
        while let Some(line) = turn.next_line() {
            match self.take_line(line, lines, sender) {
                Outcome::Consumed => turn.consume(),
                Outcome::Last(end) => {
                    turn.consume();
                    return end;
                }
                Outcome::Stays(end) => return end,
            }
            count += 1;
            if count >= limits.lines || turn.consumed_len() > limits.bytes {
                return TurnEnd::Limit;
            }
        }
        TurnEnd::Exhausted
    }

    /// Rejects the line that a reset has cut off: nobody knows what it would have been. `false`:
    /// there is no room for it.
    pub(super) fn reject_cut_off(
        &mut self,
        turn: &mut framer::Turn<'_>,
        lines: &mut Lines,
        sender: &mut Sender,
    ) -> bool {
        turn.finish();
        if self.wants_token(lines, sender) {
            // What nobody has sent is not kept.
            return true;
        }
        while let Some(line) = turn.next_line() {
            if let Line::Unterminated(line) = line
                && let Outcome::Stays(_) = self.reject(line, Why::CUT_OFF, lines, sender)
            {
                return false;
            }
            turn.consume();
        }
        true
    }

    #[inline]
    fn take_line(&mut self, line: Line<'_>, lines: &mut Lines, sender: &mut Sender) -> Outcome {
        let (line, is_terminated) = match line {
            Line::Whole(line) => (line, true),
            Line::Unterminated(line) => (line, false),
            Line::Blank => return Outcome::Consumed,
            Line::Oversize(_) if self.wants_token(lines, sender) => return refuse_unknown(sender),
            Line::Oversize(line) => {
                sender.user = sender.user.or(sender.certified().ok());
                (lines.is_new, lines.may_greet) = (false, false);
                return self.reject(line, Reason::Oversize.into(), lines, sender);
            }
        };
        lines.is_new = false;
        if lines.may_greet
            && let Some(outcome) = self.take_greeting(line, lines, sender)
        {
            return outcome;
        }
        let (counters, now) = (self.counters, self.now);
        match self.intake.accept(line, sender.user, counters, now) {
            Ok(accepted) => {
                forward(&mut self.output, line, accepted, lines, self.now);
                Outcome::Consumed
            }
            Err(Refusal::Rejected(reason)) => {
                let is_cut_off = !is_terminated && is_part_of_object(line);
                let why = if is_cut_off {
                    Why::CUT_OFF
                } else {
                    reason.into()
                };
                self.reject(line, why, lines, sender)
            }
            Err(Refusal::Forbidden(field)) => self.reject(line, field.into(), lines, sender),
            Err(Refusal::NoRoom(at)) => Outcome::Stays(TurnEnd::Wait(Wait::Destination(at))),
            Err(Refusal::NextTurn) => Outcome::Stays(TurnEnd::Limit),
        }
    }

    /// Takes the first line of a producer; `None`: it is an ordinary one.
    #[cold]
    fn take_greeting(
        &mut self,
        line: &[u8],
        lines: &mut Lines,
        sender: &mut Sender,
    ) -> Option<Outcome> {
        let wrong = |why| Some(Outcome::Last(TurnEnd::WrongGreeting(why)));
        let wants_token = self.wants_token(lines, sender);
        lines.may_greet = false;
        sender.user = sender.certified().ok();
        let wishes = match greeting::parse(line) {
            None if wants_token => return Some(refuse_unknown(sender)),
            None => return None,
            Some(Greeting::Wrong) => return wrong(WrongGreeting::NotUnderstood),
            Some(Greeting::Twice(key)) => return wrong(WrongGreeting::Twice(key)),
            Some(Greeting::Misdirected(peer)) => return wrong(WrongGreeting::Misdirected(peer)),
            Some(Greeting::Wishes(wishes)) => wishes,
        };
        lines.ack = wishes.ack;
        let identified = match (&wishes.token, sender.certificate) {
            (None, Some(certified)) => certified.map(Some),
            (token, _) => self.intake.senders.identify(Proof {
                token: token.as_ref(),
                certificate: None,
            }),
        };
        match identified {
            Ok(user) => sender.user = user,
            Err(why) => return wrong(WrongGreeting::Refused(why)),
        }
        if wishes.outcomes {
            lines.tell_outcomes();
        }
        Some(Outcome::Consumed)
    }

    /// Before the first line of a producer: finds out whose its certificate is, of which `names` gives the names;
    /// `None`: it has none, or has not shaken hands.
    #[inline]
    pub(super) fn look_at_certificate(
        &self,
        lines: &Lines,
        sender: &mut Sender,
        names: impl FnOnce() -> Option<Vec<String>>,
    ) {
        if lines.may_greet && sender.certificate.is_none() {
            sender.certificate = names().and_then(|it| self.certified(&it));
        }
    }

    /// Whose a certificate with these names is; `None`: nobody is asked.
    fn certified(&self, names: &[String]) -> Option<Result<SenderIndex, Refused>> {
        let proof = Proof {
            token: None,
            certificate: Some(names),
        };
        self.intake.senders.identify(proof).transpose()
    }

    /// Whether a connection has not said yet who it is, and must.
    fn wants_token(&self, lines: &Lines, sender: &Sender) -> bool {
        let wants_token = lines.may_greet && self.intake.senders.want_token();
        wants_token && sender.certified().is_err()
    }

    /// Hands a line to the rejects agent; it takes its time from the budgets.
    #[cold]
    fn reject(&mut self, line: &[u8], why: Why, lines: &mut Lines, sender: &mut Sender) -> Outcome {
        let Why { reason, .. } = why;
        let rejected = Rejected {
            reason,
            forbidden: why.forbidden,
            source: sender.name.as_bytes(),
            epoch_us: self.now.epoch_us,
            is_awaited: lines.ack,
            line,
        };
        let Ok(end) = self.output.reject(&rejected) else {
            return Outcome::Stays(TurnEnd::Wait(Wait::Rejects));
        };
        self.counters.add(Counter::RejectedWaiting, 1);
        if why.is_cut_off {
            self.counters.add(Counter::PartialLines, 1);
            lines.cut_off();
        } else {
            lines.reject(reason, end);
        }
        self.budget.charge_line(line.len(), self.now.ns);
        sender.budget.charge_line(line.len(), self.now.ns);
        match sender.budget.is_spent() {
            true => Outcome::Last(TurnEnd::Wait(Wait::Budget)),
            false => Outcome::Consumed,
        }
    }
}

/// Why a line is rejected.
struct Why {
    reason: Reason,
    forbidden: Option<ForbiddenField>,
    /// The connection's end has cut it off: it is kept, and its source is not told that it may forget it.
    is_cut_off: bool,
}

impl Why {
    const CUT_OFF: Self = Self {
        reason: Reason::BadJson,
        forbidden: None,
        is_cut_off: true,
    };
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            forbidden: None,
            is_cut_off: false,
        }
    }
}

impl From<ForbiddenField> for Why {
    fn from(field: ForbiddenField) -> Self {
        Self {
            reason: Reason::Forbidden,
            forbidden: Some(field),
            is_cut_off: false,
        }
    }
}

/// Whether a rejected line would go on, had its stream not ended.
fn is_part_of_object(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err_and(|it| it.is_eof())
}

/// Its first line shows no token, and its certificate does not say who it is.
fn refuse_unknown(sender: &Sender) -> Outcome {
    let unknown = Refused::Unidentified(Unidentified::NoToken);
    let why = sender.certified().err().unwrap_or(unknown);
    Outcome::Last(TurnEnd::WrongGreeting(WrongGreeting::Refused(why)))
}

#[inline]
fn forward(
    output: &mut TurnOutput<'_>,
    line: &[u8],
    accepted: Accepted<'_>,
    lines: &mut Lines,
    now: Now,
) {
    let parsed = &accepted.parsed;
    // By the engine's own time: within the window around the arrival, and never before that of the
    // message before it from the same source.
    let own_ms = parsed.timestamp_ms.and_then(|ms| u64::try_from(ms).ok());
    let own_ms = own_ms.map_or(now.steady_ms(), |ms| now.steady_ms_of(ms));
    lines.floor_ms = clamp_timestamp(own_ms, lines.floor_ms, now.steady_ms());
    output.accept(line, &parsed.header(now.epoch_us), |frame| Arrival {
        frame,
        id: accepted.id,
        destination: accepted.destination,
        source: lines.source,
        connection: lines.connection,
        line: lines.forward(),
        wants_outcome: lines.wants_outcomes(),
        message_type: accepted.message_type,
        priority: parsed.priority,
        bucket_ms: lines.floor_ms,
        read_ns: now.ns,
    });
}

#[cfg(test)]
mod tests;
