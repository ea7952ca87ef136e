//! `durability`: what has happened before a message is delivered.

/// What has happened before a message is delivered (promise 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing; the journal follows. Survives a clean stop.
    Memory,
    /// Its journal batch was handed to the operating system. Survives `kill -9`.
    Written,
    /// ... and `fdatasync` returned. Survives power loss.
    Synced,
    /// ... on this machine, behind the group's stream, which has it on most of its servers. Survives the
    /// machine.
    Replicated,
}

impl Durability {
    /// As it is written in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Written => "written",
            Self::Synced => "synced",
            Self::Replicated => "replicated",
        }
    }

    /// Whether the journal is synced before anything follows.
    #[must_use]
    pub fn syncs(self) -> bool {
        matches!(self, Self::Synced | Self::Replicated)
    }
}
