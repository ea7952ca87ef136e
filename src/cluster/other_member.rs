//! Other members, as their last reports describe them.

use std::time::{Duration, Instant};

use super::record::Announcement;

/// A member that was heard is there for so long.
pub(super) const PRESENT: Duration = Duration::from_secs(5);

/// Words of a run of the same name behind which it is another member: the last ones of this member's own
/// earlier run may come late.
pub(super) const NAMESAKE_WORDS: u32 = 3;

/// Another member, as it was heard last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherMember {
    /// Its name.
    pub node: String,
    /// Whether it is the active.
    pub is_active: bool,
    /// Whether it is, and serves nobody until its lease is confirmed again.
    pub is_paused: bool,
    /// Where it serves, as it says itself; `None`: it does not.
    pub serves: Option<Announcement>,
    /// Whether it could take over.
    pub is_ready: bool,
    /// The last record that it has: its place in the stream.
    pub sequence: u64,
    /// Where its store stands, a position in the journal; `None`: it has none, or does not tell.
    pub stored: Option<u64>,
    /// Its admin address.
    pub admin: Option<String>,
    /// When.
    pub at: Instant,
}

/// A run that has this member's name and is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namesake {
    /// Its admin address.
    pub admin: Option<String>,
    /// So often it was heard, one time soon behind the other.
    pub(super) words: u32,
    pub(super) at: Instant,
}

impl Namesake {
    /// Whether it is there now, and no earlier run of this member, whose last words may come late.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.words >= NAMESAKE_WORDS && self.at.elapsed() <= PRESENT
    }
}

impl OtherMember {
    /// Whether it was heard within the last seconds.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.at.elapsed() <= PRESENT
    }
}
