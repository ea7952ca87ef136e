//! Whether a standby is ready, as it is told to people and to the active: steady under load, where there is always
//! a record that is read and not written yet. A claim goes by the core's own rule.

use crate::limits::MEMBER_READY_US;

/// When a standby last had all that there was.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    had_all_us: Option<u64>,
}

impl Readiness {
    /// Looks once more; returns whether it is ready.
    pub(super) fn look(&mut self, is_fit: bool, has_all: bool, now_us: u64) -> bool {
        if has_all {
            self.had_all_us = Some(now_us);
        }
        is_fit && (self.had_all_us).is_some_and(|it| now_us < it + MEMBER_READY_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_ready_once_it_had_all_and_while_it_is_not_behind_for_long() {
        let mut readiness = Readiness::default();
        assert!(!readiness.look(true, false, 0), "it has not had all yet");
        assert!(readiness.look(true, true, 5));
        assert!(readiness.look(true, false, 4 + MEMBER_READY_US));
        assert!(!readiness.look(true, false, 5 + MEMBER_READY_US));
        assert!(readiness.look(true, true, 6 + MEMBER_READY_US));
    }

    #[test]
    fn what_keeps_it_from_serving_counts_at_once() {
        let mut readiness = Readiness::default();
        assert!(readiness.look(true, true, 5));
        assert!(!readiness.look(false, false, 6));
        assert!(readiness.look(true, false, 7));
    }
}
