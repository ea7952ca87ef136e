//! What is told of servers that are reached and do not do what they are asked.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::warn;

use super::State;
use super::requests::Outcome;
use crate::escape::Escaped;
use crate::limits::LOG_SILENCE_MAX;

/// What stands in the way though a server is reached. A connection that is made says nothing of it, so it is
/// told until an answer shows that it is over.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// JetStream has not answered since then.
    silent_since: Option<Instant>,
    /// Records that nobody answered for: since when, and the last one. A server may answer questions all the
    /// while: one that led a stream and has lost the others still tells what it holds.
    unanswered: Option<[Instant; 2]>,
    /// Why the stream cannot be made.
    cannot_make: Option<String>,
}

impl Troubles {
    pub(super) fn stands(&self) -> bool {
        self.cannot_make.is_some() || is_long(self.silent_since) || self.is_unanswered_for_long()
    }

    fn is_unanswered_for_long(&self) -> bool {
        self.unanswered
            .is_some_and(|[since, _]| is_long(Some(since)))
    }

    /// `complains`: the server has said what it does not like, which says more than that it is silent.
    pub(super) fn note(
        &mut self,
        state: &Mutex<State>,
        outcome: Outcome,
        server: &str,
        complains: bool,
    ) {
        let stood = self.stands();
        self.take(outcome);
        // Each is sent again all the time, unless the member is active no more.
        let is_old = |[_, last]: &mut [Instant; 2]| last.elapsed() >= 3 * LOG_SILENCE_MAX;
        self.unanswered.take_if(is_old);
        match self.words(server) {
            Some(_) if complains && self.cannot_make.is_none() => {}
            Some(words) => tell(state, |it| it.trouble = Some(words)),
            None if stood => tell(state, |it| it.trouble = None),
            None => {}
        }
    }

    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Silence => {
                self.silent_since.get_or_insert_with(Instant::now);
            }
            Outcome::Unanswered => {
                self.silent_since.get_or_insert_with(Instant::now);
                let now = Instant::now();
                self.unanswered.get_or_insert([now, now])[1] = now;
            }
            // The core tells of a stream that is not there.
            Outcome::Missing => (self.silent_since, self.unanswered) = (None, None),
            Outcome::There => (self.silent_since, self.cannot_make) = (None, None),
            Outcome::Recorded => *self = Self::default(),
            Outcome::NotMade(why) => {
                if self.cannot_make.as_ref() != Some(&why) {
                    warn!("{}", Escaped(&why));
                }
                (self.silent_since, self.cannot_make) = (None, Some(why));
            }
        }
    }

    fn words(&self, server: &str) -> Option<String> {
        if self.cannot_make.is_some() {
            self.cannot_make.clone()
        } else if is_long(self.silent_since) {
            Some(silence(server))
        } else if self.is_unanswered_for_long() {
            Some(format!(
                "{server} is reached, and JetStream does not answer records there: has the group's stream a leader, \
                 and does this server reach most of the others?"
            ))
        } else {
            None
        }
    }

    /// The server is given up, for it does not answer. Returns what is told of it.
    pub(super) fn give_up(&mut self, server: &str) -> String {
        self.silent_since.get_or_insert_with(Instant::now);
        silence(server)
    }
}

fn is_long(since: Option<Instant>) -> bool {
    since.is_some_and(|it| it.elapsed() >= LOG_SILENCE_MAX)
}

fn silence(server: &str) -> String {
    format!(
        "{server} is reached, and JetStream does not answer there: are most of the group's servers up, and does \
         it reach them?"
    )
}

/// What the server complains of, such as missing rights; over when a whole round of checks brings it no more.
#[derive(Debug, Default)]
pub(super) struct LastError {
    is_new: bool,
    is_told: bool,
    /// It stands as the trouble.
    is_shown: bool,
}

impl LastError {
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    pub(super) fn note(&mut self, state: &Mutex<State>, said: &str) {
        if !std::mem::replace(&mut self.is_told, true) {
            warn!("the server complains: {}", Escaped(said));
        }
        // Without words to the others all goes on, but for what a person asks for.
        if !said.contains("flb_members.") {
            (self.is_new, self.is_shown) = (true, true);
            let words =
                format!("the server complains: {said}: has the engine's user all rights there?");
            tell(state, |it| it.trouble = Some(words));
        }
    }

    pub(super) fn forget(&mut self, state: &Mutex<State>) {
        if !std::mem::take(&mut self.is_new) && std::mem::take(&mut self.is_shown) {
            tell(state, |it| it.trouble = None);
        }
    }
}

/// Changes what is known of the log, for whoever asks.
pub(super) fn tell(state: &Mutex<State>, change: impl FnOnce(&mut State)) {
    change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It began so long ago that it is told.
    fn long(outcome: Outcome) -> Troubles {
        let mut troubles = Troubles::default();
        troubles.take(outcome);
        let back = |it: Instant| it.checked_sub(LOG_SILENCE_MAX).expect("the machine is up");
        troubles.silent_since = troubles.silent_since.map(back);
        troubles.unanswered = troubles.unanswered.map(|it| it.map(back));
        troubles
    }

    fn told(troubles: &mut Troubles, outcome: Outcome) -> Option<String> {
        let state = Mutex::new(State::default());
        tell(&state, |it| {
            it.trouble = Some("what stood before".to_owned())
        });
        troubles.note(&state, outcome, "here", false);
        state.into_inner().expect("whole").trouble
    }

    #[test]
    fn records_without_answers_are_told_though_questions_are_answered() {
        let mut troubles = long(Outcome::Unanswered);
        let words = told(&mut troubles, Outcome::There).expect("it is told");
        assert!(words.contains("does not answer records"), "{words}");
        assert_eq!(told(&mut troubles, Outcome::Recorded), None);
        assert!(!troubles.stands());
    }

    #[test]
    fn records_without_answers_are_not_told_beside_a_stream_that_is_not_there() {
        let mut troubles = long(Outcome::Unanswered);
        assert_eq!(told(&mut troubles, Outcome::Missing), None);
    }

    #[test]
    fn records_that_are_not_sent_again_are_told_no_more() {
        let mut troubles = long(Outcome::Unanswered);
        let back = |it: Instant| {
            it.checked_sub(2 * LOG_SILENCE_MAX)
                .expect("the machine is up")
        };
        troubles.unanswered = troubles.unanswered.map(|it| it.map(back));
        assert_eq!(told(&mut troubles, Outcome::There), None);
    }

    #[test]
    fn silence_is_over_with_an_answer() {
        for outcome in [Outcome::Missing, Outcome::There, Outcome::Recorded] {
            let mut troubles = long(Outcome::Silence);
            let words = told(&mut troubles, Outcome::Silence).expect("it is told");
            assert!(words.contains("does not answer there"), "{words}");
            assert_eq!(told(&mut troubles, outcome), None);
        }
    }

    #[test]
    fn a_stream_that_cannot_be_made_is_told_until_it_is_there() {
        let mut troubles = long(Outcome::NotMade("no room".to_owned()));
        let no_room = Some("no room".to_owned());
        assert_eq!(told(&mut troubles, Outcome::Missing), no_room);
        assert_eq!(told(&mut troubles, Outcome::There), None);
    }
}
