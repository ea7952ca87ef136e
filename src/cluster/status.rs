//! The state of a member: a snapshot that its thread writes, and that HTTP, metrics and a standby's listeners read.
//!
//! Written a few times a second and when something changes, never per message.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::core::Role;
use super::other_member::{Namesake, OtherMember};
use super::record::Announcement;
use crate::clock::wall_us;

/// A member at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it does in its group.
    pub role: Role,
    /// Its name.
    pub node: String,
    /// The group's name.
    pub group: String,
    /// The group's id; zero before its first claim is known.
    pub group_id: u128,
    /// The epoch of the term that is in force; zero before the first.
    pub epoch: u64,
    /// The random number of the term that is in force.
    pub term_random: u64,
    /// The sequence of the last message of the stream that this member knows.
    pub sequence: u64,
    /// The stream's last one, when it was last looked at.
    pub stream_last: u64,
    /// Whether it could take over: it has read and written all, and nothing is wrong.
    pub is_ready: bool,
    /// Who serves, as far as this member knows.
    pub active: Option<Announcement>,
    /// The server that is connected, and its version.
    pub server: Option<(String, String)>,
    /// What is wrong now.
    pub trouble: Option<String>,
    /// Since when something is, in ms since the epoch.
    pub trouble_since_ms: u64,
    /// Since when the term is in force, as far as this process knows; in ms since the epoch.
    pub term_since_ms: u64,
    /// What this member announces, or would.
    pub announced: Option<Announcement>,
    /// The other members, as they were heard last.
    pub members: Vec<OtherMember>,
    /// Another one that has this member's name, as it was heard last.
    pub namesake: Option<Namesake>,
    /// Where this member's store stands, a position in the journal; `None`: it has none, or does not tell.
    pub stored: Option<u64>,
    /// How long frames may still be handed out without a further confirmation; zero: none are.
    pub lease_left: Duration,
    /// How often this process has become the active.
    pub take_overs: u64,
    /// Messages of the stream that count for nobody, as this process has met them.
    pub void_records: u64,
    /// Messages of this member's files that the stream lost, and that were set aside.
    pub lost: u64,
    /// Lines whose confirmation was not known when a term ended, kept in `unconfirmed.ndjson`.
    pub unconfirmed: u64,
    /// Records of this process that were confirmed.
    pub records: u64,
    /// Bytes of their batches.
    pub batch_bytes: u64,
    /// From the first sending of the last confirmed record to its confirmation.
    pub round_trip: Duration,
    /// The same, of all of them together.
    pub round_trips: Duration,
}

impl Snapshot {
    /// Whether this member serves, or will when its lease is confirmed again.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.role, Role::Active | Role::Paused)
    }

    /// Whether it serves, or could take over.
    #[must_use]
    pub fn could_serve(&self) -> bool {
        self.is_ready || self.is_active()
    }

    /// Who says itself that it serves, of the members that are heard.
    #[must_use]
    pub fn heard_active(&self) -> Option<&Announcement> {
        self.present().find_map(|it| it.serves.as_ref())
    }

    /// The other members that were heard within the last seconds.
    pub fn present(&self) -> impl Iterator<Item = &OtherMember> {
        self.members.iter().filter(|it| it.is_present())
    }
}

/// The shared snapshot; clones share it.
#[derive(Debug, Clone)]
pub struct Status(Arc<Mutex<Snapshot>>);

impl Status {
    /// Of a member that has not begun.
    #[must_use]
    pub fn new(node: &str, group: &str) -> Self {
        Self(Arc::new(Mutex::new(Snapshot {
            role: Role::Starting,
            node: node.to_owned(),
            group: group.to_owned(),
            group_id: 0,
            epoch: 0,
            term_random: 0,
            sequence: 0,
            stream_last: 0,
            is_ready: false,
            active: None,
            server: None,
            trouble: None,
            trouble_since_ms: 0,
            term_since_ms: 0,
            announced: None,
            members: Vec::new(),
            namesake: None,
            stored: None,
            lease_left: Duration::ZERO,
            take_overs: 0,
            void_records: 0,
            lost: 0,
            unconfirmed: 0,
            records: 0,
            batch_bytes: 0,
            round_trip: Duration::ZERO,
            round_trips: Duration::ZERO,
        })))
    }

    /// The member as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.with(|it| it.clone())
    }

    /// Changes it.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        self.with(|it| {
            let (epoch, was_well) = (it.epoch, it.trouble.is_none());
            change(it);
            if it.epoch != epoch {
                it.term_since_ms = now_ms();
            }
            if was_well && it.trouble.is_some() {
                it.trouble_since_ms = now_ms();
            }
        });
    }

    fn with<T>(&self, take: impl FnOnce(&mut Snapshot) -> T) -> T {
        take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn now_ms() -> u64 {
    wall_us() / 1_000
}

/// Asks the active of this process to hand over; clones share it.
#[derive(Debug, Clone, Default)]
pub struct HandOver(Arc<Mutex<Option<Asked>>>);

/// What was asked for: the standby that is to serve, or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `None`: whichever is first.
    pub to: Option<String>,
}

impl HandOver {
    /// Asks: the run ends in an orderly way with a goodbye, and goes on as a standby. Whoever asks has seen
    /// that a standby is ready, this one if it is named.
    pub fn ask(&self, to: Option<&str>) {
        let to = to.map(str::to_owned);
        *self.asked() = Some(Asked { to });
    }

    /// What was asked, which is over then.
    pub fn take(&self) -> Option<Asked> {
        self.asked().take()
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Option<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a member's run gives to those who tell of it and command it.
#[derive(Debug, Clone)]
pub struct Handle {
    /// What it tells.
    pub status: Status,
    /// By which it is told to hand over.
    pub hand_over: HandOver,
}
