//! What becomes of a line: the parser's fields, its destination, and a place in the destination's
//! window.
//!
//! A turn feeds it one line at a time. Values only: it holds no socket and no ring, and what it
//! answers changes nothing but the windows and the names that there are.

use super::names::{Addressee, NewNames};
use super::parser::{Parsed, Parser};
use crate::access::{SenderIndex, Senders};
use crate::clock::Now;
use crate::config::WhenFull;
use crate::counters::Counters;
use crate::message::allowance::Windows;
use crate::message::when_full::WhenFullOf;
use crate::message::{DestinationIndex, Directory, ForbiddenField, IdHash, IdHasher};
use crate::message::{OTHER_TYPES, Reason, TypeIndex};

/// All that a line is compared with.
pub(super) struct Intake {
    pub(super) parser: Parser,
    pub(super) destinations: Directory,
    pub(super) message_types: Directory,
    pub(super) hasher: IdHasher,
    pub(super) allowances: Windows,
    pub(super) senders: Senders,
    pub(super) when_full: WhenFullOf,
    new_names: NewNames,
}

/// A line that is accepted.
#[derive(Debug)]
pub(super) struct Accepted<'a> {
    pub(super) parsed: Parsed<'a>,
    pub(super) id: IdHash,
    pub(super) destination: DestinationIndex,
    pub(super) message_type: TypeIndex,
}

/// Why a line does not become a message now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It breaks a rule.
    Rejected(Reason),
    /// Its user may not send it.
    Forbidden(ForbiddenField),
    /// Its destination has no room.
    NoRoom(DestinationIndex),
    /// Its destination is new, and enough were created in this turn; or it may be about to go.
    NextTurn,
}

impl Intake {
    pub(super) fn new(
        parser: Parser,
        [destinations, message_types]: [Directory; 2],
        hasher: IdHasher,
        allowances: Windows,
        when_full: WhenFullOf,
    ) -> Self {
        Self {
            parser,
            destinations,
            message_types,
            hasher,
            allowances,
            senders: Senders::default(),
            when_full,
            new_names: NewNames::default(),
        }
    }

    /// Producers are among these.
    pub(super) fn with_senders(self, senders: Senders) -> Self {
        Self { senders, ..self }
    }

    /// The name of a destination may be about to go: a line that names it asks for its index again.
    pub(super) fn forget_destination(&mut self, destination: DestinationIndex) {
        self.destinations.forget(destination);
        self.senders.forget(destination);
    }

    /// Logs how many log lines were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, now: Now) {
        self.new_names.log_left_out(now);
    }

    /// A turn of a connection begins.
    pub(super) fn begin_turn(&mut self) {
        self.new_names.begin_turn();
    }

    /// Accepts a line of a user, or of one whom nobody asks, and takes a place in its destination's
    /// window.
    ///
    /// # Errors
    /// Why it is not accepted. It may be asked for again.
    #[inline]
    pub(super) fn accept<'a>(
        &'a mut self,
        line: &'a [u8],
        user: Option<SenderIndex>,
        counters: &Counters,
        now: Now,
    ) -> Result<Accepted<'a>, Refusal> {
        let parsed = match self.parser.parse(line) {
            Ok(parsed) => parsed,
            Err(reason) => return Err(Refusal::Rejected(reason)),
        };
        let (names, directory) = (&mut self.new_names, &mut self.destinations);
        if let Some(user) = user {
            let (source, destination) = (parsed.source, parsed.destination);
            (self.senders.let_send(user, source, destination, directory))
                .map_err(Refusal::Forbidden)?;
        }
        let destination = match names.find(directory, parsed.destination, counters, now) {
            Addressee::Known(destination) => destination,
            Addressee::Unknown => return Err(Refusal::Rejected(Reason::UnknownDestination)),
            Addressee::NextTurn => return Err(Refusal::NextTurn),
        };
        if !self.allowances.claim(destination) {
            return Err(match self.when_full.of(destination) {
                WhenFull::Wait => Refusal::NoRoom(destination),
                WhenFull::Reject => Refusal::Rejected(Reason::QueueFull),
            });
        }
        let types = &mut self.message_types;
        let message_type = types
            .find_or_create(parsed.message_type)
            .unwrap_or(u32::from(OTHER_TYPES));
        Ok(Accepted {
            id: self.hasher.hash(parsed.id.as_bytes()),
            destination,
            message_type: message_type as TypeIndex,
            parsed,
        })
    }
}

#[cfg(test)]
mod tests;
