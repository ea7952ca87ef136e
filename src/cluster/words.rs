//! The state of a member, in the words that people, probes and clients read.
//!
//! Fed with a snapshot; feeds `/readyz`, a standby's listeners and `cluster status`. Values only.

use super::addresses::{Endpoint, address_of};
use super::core::Role;
use super::status::Snapshot;
use crate::clock::utc;

impl Role {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Claiming => "claiming",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

impl Snapshot {
    /// The other member that serves, as far as this one knows.
    #[must_use]
    pub fn other_active(&self) -> Option<&str> {
        let active = self.active.as_ref()?;
        (!self.is_active() && active.node != self.node).then_some(active.node.as_str())
    }

    /// The member that serves, as far as this one knows: itself, or another.
    #[must_use]
    pub fn serving(&self) -> Option<&str> {
        match self.is_active() {
            true => Some(&self.node),
            false => self.other_active(),
        }
    }

    /// Where this endpoint of that member is.
    #[must_use]
    pub fn other_address(&self, endpoint: Endpoint) -> Option<&str> {
        self.other_active()?;
        address_of(self.active.as_ref()?, endpoint)
    }

    /// Records of the stream that this member does not have.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.stream_last.saturating_sub(self.sequence)
    }

    /// `standby: n1 serves group east`.
    #[must_use]
    pub fn standby_words(&self) -> String {
        let group = &self.group;
        match self.other_active() {
            Some(node) => format!("standby: {node} serves group {group}"),
            None => format!("standby: no member is known to serve group {group} now"),
        }
    }

    /// The line for whoever comes to a standby, without its end.
    #[must_use]
    pub fn standby_line(&self, endpoint: Endpoint) -> String {
        let quoted = |text: &str| serde_json::json!(text);
        let error = quoted(&self.standby_words());
        match self.other_address(endpoint) {
            Some(address) => format!("{{\"error\":{error},\"active\":{}}}", quoted(address)),
            None => format!("{{\"error\":{error}}}"),
        }
    }

    /// What is to be minded of a member that has this one's name; `None`: there is none.
    #[must_use]
    pub fn namesake_words(&self) -> Option<String> {
        let namesake = self.namesake.as_ref().filter(|it| it.is_present())?;
        let (node, group) = (&self.node, &self.group);
        let at = namesake.admin.as_ref();
        let at = at.map_or(String::new(), |it| format!(" (its admin address is {it})"));
        Some(format!(
            "another member of group {group} calls itself {node}, too{at}: give each its own [cluster] node"
        ))
    }

    /// Why frames are not welcome here; `None`: they are.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        match (self.role, &self.trouble) {
            (Role::Active, None) => None,
            (Role::Active, Some(trouble)) => Some(format!(
                "{trouble}, since {}: sources wait; what is confirmed is delivered while the lease lasts",
                utc(self.trouble_since_ms * 1_000)
            )),
            (Role::Paused, trouble) => {
                let why = trouble.as_deref().unwrap_or("the stream confirms nothing");
                Some(format!(
                    "paused: {why}; nothing is handed out until a record is confirmed, for another member may \
                     have taken over"
                ))
            }
            _ => {
                let namesake = self.namesake_words();
                let namesake = namesake.map_or(String::new(), |it| format!("; {it}"));
                let (standby, fitness) = (self.standby_words(), self.fitness());
                Some(format!("{standby}; {fitness}{namesake}"))
            }
        }
    }

    /// Whether a member that does not serve could.
    fn fitness(&self) -> String {
        let node = &self.node;
        match (self.is_ready, &self.trouble, self.role) {
            (true, ..) => format!("this member, {node}, follows and is ready to take over"),
            (_, Some(trouble), _) => format!("this member, {node}, cannot take over: {trouble}"),
            (_, _, Role::Starting) => {
                format!("this member, {node}, compares its files with the stream")
            }
            (_, _, Role::Claiming) => format!("this member, {node}, is taking over"),
            _ if self.lag() == 0 => {
                format!("this member, {node}, cannot take over yet: it is about to have all")
            }
            _ => format!(
                "this member, {node}, cannot take over yet: it is {} records behind",
                self.lag()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::record::Announcement;
    use crate::cluster::status::Status;

    fn standby() -> Snapshot {
        let status = Status::new("n2", "east");
        status.update(|it| {
            it.role = Role::Standby;
            it.active = Some(Announcement {
                node: "n1".to_owned(),
                segment_len: 1,
                addresses: vec!["delivery=h:1".to_owned(), "ingest=h:2".to_owned()],
            });
        });
        status.snapshot()
    }

    #[test]
    fn whoever_comes_to_a_standby_is_told_where_its_door_of_the_active_is() {
        let mut standby = standby();
        assert_eq!(
            standby.standby_line(Endpoint::Delivery),
            r#"{"error":"standby: n1 serves group east","active":"h:1"}"#
        );
        assert!(standby.standby_line(Endpoint::Ingest).contains("h:2"));
        assert!(!standby.standby_line(Endpoint::Http).contains("active"));
        // What it said itself when it was the active is no longer so.
        standby.node = "n1".to_owned();
        assert_eq!(
            standby.standby_line(Endpoint::Delivery),
            r#"{"error":"standby: no member is known to serve group east now"}"#
        );
    }

    #[test]
    fn the_reason_says_who_serves_and_what_keeps_this_member_from_it() {
        let mut it = standby();
        (it.stream_last, it.sequence) = (9, 7);
        let words = it.unready().unwrap_or_default();
        assert!(words.contains("n1 serves group east; this member, n2, cannot take over yet"));
        assert!(words.ends_with("2 records behind"), "{words}");
        it.is_ready = true;
        assert!(
            it.unready()
                .unwrap_or_default()
                .ends_with("ready to take over")
        );
        (it.is_ready, it.trouble) = (false, Some("no server answers".to_owned()));
        assert!(
            it.unready()
                .unwrap_or_default()
                .ends_with("cannot take over: no server answers")
        );
        it.role = Role::Active;
        assert!(
            it.unready()
                .unwrap_or_default()
                .starts_with("no server answers, since ")
        );
        it.role = Role::Paused;
        assert!(
            it.unready()
                .unwrap_or_default()
                .starts_with("paused: no server answers; ")
        );
        (it.role, it.trouble) = (Role::Active, None);
        assert_eq!(it.unready(), None);
    }
}
