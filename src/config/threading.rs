//! What the settings mean for threads, by the cores that there are.

use super::{Config, ThreadingMode};

impl Config {
    /// How agents share threads on a machine that allows this many cores: what `auto` picks, or
    /// the mode that is set. Never [`ThreadingMode::Auto`].
    ///
    /// `dedicated` is right where ingest, scheduler, journal and each delivery agent get a core
    /// of their own and one more is left for the store, the admin and the rest of the machine.
    #[must_use]
    pub fn threading(&self, cores: usize) -> ThreadingMode {
        match self.threads.mode {
            ThreadingMode::Auto if cores >= self.dedicated_cores() => ThreadingMode::Dedicated,
            ThreadingMode::Auto => ThreadingMode::Shared,
            set => set,
        }
    }

    /// Whether a thread that shares the path's agents, because `auto` chose so, has a second one to
    /// lend ingest to.
    #[must_use]
    pub fn has_relief(&self, cores: usize) -> bool {
        self.threads.mode == ThreadingMode::Auto
            && self.threading(cores) == ThreadingMode::Shared
            && cores > 1
    }

    /// How many cores `dedicated` needs to be worth it.
    #[must_use]
    pub fn dedicated_cores(&self) -> usize {
        3 + self.delivery.agents + 1
    }
}
