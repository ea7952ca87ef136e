//! A promise that was broken, as it is reported.

use std::fmt;

/// Which seed, which checker, and what it saw.
#[derive(Debug)]
pub struct Failure {
    pub seed: u64,
    pub checker: &'static str,
    pub what: String,
    /// What the seed drew.
    pub plan: String,
    /// The last events.
    pub trace: String,
    /// How it is seen again: settings and test.
    pub again: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            checker,
            what,
            plan,
            trace,
            again,
        } = self;
        write!(
            f,
            "{plan}\n{trace}\nseed {seed}: the checker `{checker}` says: {what}\n\n\
             To see it again:\n\
             FLIPPED_LB_SIMULATION_SEED={seed} {again}\n\
             (with FLIPPED_LB_SIMULATION_EVENTS=100000 for all that happened)\n"
        )
    }
}
