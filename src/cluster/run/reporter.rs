//! Publishes what the member's thread does: status, log lines and counters.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::readiness::Readiness;
use crate::cluster::core::{Member, Notice, Role};
use crate::cluster::jetstream::JetStream;
use crate::cluster::log::Driver;
use crate::cluster::record::PLACE_LEN;
use crate::cluster::status::Status;
use crate::counters::{Counter, Counters};
use crate::escape::Escaped;
use crate::journal::error::JournalError;
use crate::journal::format::Position;
use crate::limits::MEMBER_FORGOTTEN_AFTER;

/// Between two looks at what has changed, in us; a role that changes is told at once.
const LOOK_US: u64 = 100_000;

/// That no server is reached is logged again after this long, in us.
const UNREACHED_AGAIN_US: u64 = 30_000_000;

/// Who knows where this member's store stands.
pub(super) struct Stored {
    /// Of the database of this member alone.
    pub(super) own: Option<Arc<Counters>>,
    /// Of one that the group shares, which is followed into by who serves.
    pub(super) shared: Option<Arc<Counters>>,
}

impl Stored {
    /// A position in the journal; `None`: it has no store, or nothing is in it.
    fn position(&self, serves: bool) -> Option<Position> {
        let counters = self.own.as_ref();
        let counters = counters.or(self.shared.as_ref().filter(|_| serves))?;
        Some(counters.get(Counter::StorePosition)).filter(|it| *it > 0)
    }
}

pub(super) struct Reporter {
    status: Status,
    stored: Stored,
    role: Role,
    looked_us: u64,
    /// Bytes of a record that the server takes; zero while none was reached.
    pub(super) record_len_max: usize,
    /// When it was logged that no server is reached; `None`: one is.
    told_unreached_us: Option<u64>,
    /// Whether each message fits into a record of the servers; `None`: no server was reached.
    fits: Option<bool>,
    readiness: Readiness,
    /// A write has found no room.
    has_no_room: Option<String>,
    trouble: Option<String>,
    /// Why segments that nobody needs stay.
    cannot_drop: Option<String>,
}

impl Reporter {
    pub(super) fn new(status: Status, stored: Stored) -> Self {
        status.update(|it| {
            it.role = Role::Starting;
            it.is_ready = false;
            it.lease_left = Duration::ZERO;
        });
        Self {
            status,
            stored,
            role: Role::Starting,
            looked_us: 0,
            record_len_max: 0,
            told_unreached_us: None,
            fits: None,
            readiness: Readiness::default(),
            has_no_room: None,
            trouble: None,
            cannot_drop: None,
        }
    }

    /// Whether messages fit into the records of a server, as far as one was reached.
    pub(super) fn fits(&self) -> bool {
        self.fits == Some(true)
    }

    /// Now and then, and when the role changes, writes the snapshot.
    pub(super) fn look(&mut self, driver: &Driver<JetStream>, now_us: u64) {
        let member = &driver.member;
        let has_all = member.is_ready() && member.stream_last() == member.sequence();
        let is_ready = self.readiness.look(member.is_fit(), has_all, now_us);
        if member.role() == self.role && now_us < self.looked_us + LOOK_US {
            return;
        }
        self.looked_us = now_us;
        let state = driver.log.state();
        if state.record_len_max > 0 {
            self.record_len_max = state.record_len_max;
        }
        if member.role() != self.role {
            self.role = member.role();
            info!(
                role = self.role.name(),
                epoch = member.term().epoch,
                sequence = member.sequence(),
                "group"
            );
        }
        let trouble = (self.has_no_room.clone())
            .or_else(|| of_stream(member.trouble(), state.trouble.as_deref()))
            .or_else(|| self.trouble.clone())
            .or(state.trouble);
        self.tell_unreached(state.server.is_none(), trouble.as_deref(), now_us);
        let stored = self.stored.position(member.own_term().is_some());
        let left = member.serves_until_us().saturating_sub(now_us);
        self.status.update(|it| {
            it.role = self.role;
            it.group_id = member.group_id().unwrap_or_default();
            it.epoch = member.term().epoch;
            it.term_random = member.term().random;
            it.sequence = member.sequence();
            it.stream_last = member.stream_last();
            it.is_ready = is_ready;
            let known = member.active().or_else(|| it.heard_active());
            it.active = known.cloned();
            it.server = state.server;
            it.trouble = trouble;
            it.stored = stored;
            it.lease_left = Duration::from_micros(left);
        });
    }

    /// Says why no server is reached, when that changes and now and then.
    fn tell_unreached(&mut self, is_unreached: bool, trouble: Option<&str>, now_us: u64) {
        let is_told = self.told_unreached_us.is_some();
        match trouble.filter(|_| is_unreached) {
            Some(why) => {
                let is_due = |told_us| now_us >= told_us + UNREACHED_AGAIN_US;
                if self.told_unreached_us.is_none_or(is_due) {
                    self.told_unreached_us = Some(now_us);
                    warn!(
                        "no server of the group's stream is reached: {}",
                        Escaped(why)
                    );
                }
            }
            None if is_told && !is_unreached => {
                self.told_unreached_us = None;
                info!("a server of the group's stream is reached again");
            }
            None => {}
        }
    }

    /// The run is over.
    pub(super) fn ended(&mut self, driver: &Driver<JetStream>) {
        self.looked_us = 0;
        self.look(driver, u64::MAX / 2);
    }

    /// A record is confirmed: one of this process, or of another.
    pub(super) fn note_record(&mut self, member: &Member, bytes: &[u8], now_us: u64) {
        if member.own_term().is_none() {
            return;
        }
        let round_trip = Duration::from_micros(now_us.saturating_sub(member.lease_from_us()));
        self.status.update(|it| {
            it.records += 1;
            it.batch_bytes += (bytes.len() - PLACE_LEN) as u64;
            it.round_trip = round_trip;
            it.round_trips += round_trip;
        });
    }

    pub(super) fn note_take_over(&mut self) {
        self.status.update(|it| it.take_overs += 1);
    }

    /// A write found no room, or there is room again.
    pub(super) fn note_no_room(&mut self, error: Option<&io::Error>) {
        match error {
            Some(error) => {
                let words = format!("the journal takes no records: {error}: make room");
                if self.has_no_room.as_ref() != Some(&words) {
                    warn!("{words}");
                }
                self.has_no_room = Some(words);
            }
            None => {
                if self.has_no_room.take().is_some() {
                    info!("the journal takes records again");
                }
            }
        }
    }

    /// The last record of the member that is least far, of those that were heard.
    pub(super) fn least_heard(&self) -> Option<u64> {
        let members = self.status.snapshot().members;
        let heard = (members.iter()).filter(|it| it.at.elapsed() < MEMBER_FORGOTTEN_AFTER);
        heard.map(|it| it.sequence).min()
    }

    /// Whether a member was just heard that is ready to take over.
    pub(super) fn has_successor(&self) -> bool {
        let it = self.status.snapshot();
        it.present().any(|it| it.is_ready && !it.is_active)
    }

    /// Segments that nobody needs were removed, or cannot be.
    pub(super) fn note_dropped(&mut self, dropped: Result<(), JournalError>) {
        let words = dropped.err().map(|it| it.to_string());
        if let Some(words) = words
            .as_ref()
            .filter(|it| self.cannot_drop.as_ref() != Some(it))
        {
            warn!("journal files that the group does not need stay: {words}");
        }
        self.cannot_drop = words;
    }

    /// Looks whether each message, of so many bytes, fits into a record of the server; returns whether that has
    /// changed.
    pub(super) fn note_room(&mut self, wanted: usize) -> bool {
        let len_max = self.record_len_max;
        let fits = len_max >= wanted;
        if len_max == 0 || self.fits.replace(fits) == Some(fits) {
            return false;
        }
        self.trouble = (!fits).then(|| {
            format!(
                "the servers take records of {len_max} bytes, and one message may need {wanted}: raise their \
                 max_payload, or lower [ingest] max_line"
            )
        });
        if let Some(trouble) = &self.trouble {
            warn!("{trouble}");
        }
        true
    }

    pub(super) fn tell(&mut self, notice: &Notice) {
        match notice {
            Notice::Void { sequence, why } => {
                self.status.update(|it| it.void_records += 1);
                warn!(
                    sequence,
                    why = %Escaped(why),
                    "a message of the group's stream counts for nobody"
                );
            }
            Notice::Trouble(words) => warn!("{}", Escaped(words)),
            Notice::Well => info!("the group's stream is well again"),
            Notice::Republishing { from, to } => {
                warn!(
                    from,
                    to, "the group's stream has lost records: they are published again"
                );
            }
        }
    }
}

/// What is wrong with the stream, by the last answer. Where none comes now, that is told first: the answer may be old.
fn of_stream(known: Option<&str>, unheard: Option<&str>) -> Option<String> {
    let known = known?;
    Some(match unheard {
        Some(unheard) => format!("{unheard}; before that: {known}"),
        None => known.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_not_reached_are_told_though_the_last_answer_was_of_a_lost_stream() {
        let (known, unheard) = (Some("the stream is gone"), Some("s1 is not reached"));
        assert_eq!(of_stream(known, None).as_deref(), known);
        assert_eq!(of_stream(None, unheard), None, "it is told for itself");
        let both = of_stream(known, unheard).expect("both");
        assert_eq!(both, "s1 is not reached; before that: the stream is gone");
    }
}
