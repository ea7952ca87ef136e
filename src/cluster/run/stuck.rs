//! How long the journal has had no room for messages. An active keeps its lease by beats meanwhile, and its group stands
//! still: after a lease it gives its term up to a member that is ready.

/// Since when there is no room.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    since_us: Option<u64>,
}

impl Stuck {
    /// A record found no room. What is set aside for it lets beats in, and no messages.
    pub(super) fn note_no_room(&mut self, now_us: u64) {
        self.since_us.get_or_insert(now_us);
    }

    /// There is room again.
    pub(super) fn note_room(&mut self) {
        self.since_us = None;
    }

    /// Whether there is no room.
    pub(super) fn has_begun(&self) -> bool {
        self.since_us.is_some()
    }

    /// Whether that has lasted for a lease.
    pub(super) fn is_beyond(&self, lease_us: u64, now_us: u64) -> bool {
        self.since_us.is_some_and(|it| now_us >= it + lease_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_stuck_from_the_first_record_that_found_no_room_until_there_is_room() {
        let mut stuck = Stuck::default();
        assert!(
            !stuck.has_begun() && !stuck.is_beyond(10, 1_000),
            "it had room"
        );
        stuck.note_no_room(100);
        stuck.note_no_room(105);
        assert!(stuck.has_begun() && !stuck.is_beyond(10, 109));
        assert!(stuck.is_beyond(10, 110));
        stuck.note_room();
        assert!(!stuck.has_begun() && !stuck.is_beyond(10, 1_000));
        stuck.note_no_room(200);
        assert!(!stuck.is_beyond(10, 209));
    }
}
