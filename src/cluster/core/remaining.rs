//! Before all files of a member are set aside: whether the stream has a record of the group in their place.
//!
//! A stream that went on otherwise, or was purged, has one: its last record is never purged, and the one before is
//! there or was purged. A stream that has only void messages from the member's first record on, or ends before
//! that, went on nowhere: servers that lost everything and took a stranger's message look like this. Setting files
//! aside would lose what all members have, so the member waits as beside an empty stream, and says what makes it
//! again.

use super::Member;
use super::comparing::{Comparison, OTHER_GROUP};
use super::event::{Decision, Message, Why};
use super::tip::subject_of;
use crate::cluster::record::{Place, Record};

impl Member {
    /// Looks for a record of the group from the stream's end down. Who has no files has nothing to lose.
    pub(super) fn seek_record(&mut self, last: u64, why: Why, now_us: u64) {
        if self.tip.last.is_none() {
            return self.set_all_aside(why);
        }
        let is_under_way = self.comparison.as_ref().is_some_and(Comparison::seeks);
        if !is_under_way {
            self.comparison = Some(Comparison::seeking(last, why));
            self.ask_comparison(now_us);
        }
    }

    /// A message of the stream, and whether the own files have a record there or before.
    pub(super) fn on_sought(
        &mut self,
        at: &Message,
        has_own: bool,
        first: u64,
        why: Why,
        now_us: u64,
    ) {
        if self.is_of_other_group(at) {
            return self.refuse(OTHER_GROUP.into());
        }
        let Some(comparison) = &mut self.comparison else {
            return;
        };
        let is_predecessor = comparison.is_at_predecessor();
        let found = place_of(&self.settings.group, at);
        let found = found.filter(|_| has_own || is_predecessor);
        match found.map(|it| it.before.sequence) {
            // A record without the one before counts for nobody: who had that has not noticed yet.
            Some(before) if before >= first && !is_predecessor => comparison.look_at(before, true),
            Some(_) => return self.set_all_aside(why),
            None if at.sequence > first && (has_own || is_predecessor) => {
                comparison.look_at(at.sequence - 1, false);
            }
            None => {
                self.comparison = None;
                self.checks.is_without_record = true;
                return;
            }
        }
        self.ask_comparison(now_us);
    }

    fn set_all_aside(&mut self, why: Why) {
        self.decide(Decision::SetAside { behind: 0 });
        self.step_down(why);
    }
}

/// The place of a record that stands at it.
fn place_of(group: &str, message: &Message) -> Option<Place> {
    let place = Record::decode(&message.bytes).ok()?.place;
    let is_at_place = place.sequence == message.sequence;
    (is_at_place && subject_of(group, place.term) == message.subject).then_some(place)
}
