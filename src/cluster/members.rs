//! What members of a group tell each other each second, beside the stream: who is there, how far, and ready.
//!
//! ```text
//! status --MemberReport, JSON--> flb_members.<group> --> the other members' status
//! ```
//! Nothing is decided by it but what a person asks for, and what the stream may be purged of: who serves
//! and which records count stands in the stream. Anybody who may publish there can say anything, so what is
//! heard is bounded, and what is not understood is passed over.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::addresses::{Endpoint, address_of};
use super::core::Role;
use super::other_member::{NAMESAKE_WORDS, Namesake, OtherMember, PRESENT};
use super::record::Announcement;
use super::status::Snapshot;
use crate::config::nats::check_name;
use crate::limits::{
    ANNOUNCED_ADDRESS_LEN_MAX, ANNOUNCED_ADDRESSES_MAX, CLUSTER_NAME_LEN_MAX,
    MEMBER_FORGOTTEN_AFTER, MEMBER_REPORT_LEN_MAX, MEMBERS_MAX,
};

/// The subject of a group's members.
#[must_use]
pub fn subject(group: &str) -> String {
    format!("flb_members.{group}")
}

/// What a member says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberReport {
    node: String,
    /// A random number of its run.
    process: u64,
    active: bool,
    /// It is the active, and serves nobody until its lease is confirmed again.
    #[serde(default)]
    paused: bool,
    ready: bool,
    /// The last record that it has: its place in the stream.
    sequence: u64,
    /// Where its store stands, a position in the journal.
    #[serde(default)]
    stored: Option<u64>,
    /// Where it is asked and told.
    #[serde(default)]
    admin: Option<String>,
    /// All of its addresses, where it serves: a standby that begins under load hears no beat.
    #[serde(default)]
    addresses: Vec<String>,
}

impl MemberReport {
    pub(crate) fn of(it: &Snapshot, process: u64) -> Self {
        let own = it.announced.as_ref();
        Self {
            node: it.node.clone(),
            process,
            active: it.is_active(),
            paused: it.role == Role::Paused,
            ready: it.is_ready,
            sequence: it.sequence,
            stored: it.stored,
            admin: own
                .and_then(|it| address_of(it, Endpoint::Admin))
                .map(str::to_owned),
            addresses: own
                .filter(|_| it.is_active())
                .map_or_else(Vec::new, |it| it.addresses.clone()),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names and numbers have a JSON form")
    }

    /// What was said, if it is what a member says.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MEMBER_REPORT_LEN_MAX {
            return None;
        }
        let report: Self = serde_json::from_slice(bytes).ok()?;
        let has_name =
            report.node.len() <= CLUSTER_NAME_LEN_MAX && check_name(&report.node).is_ok();
        let mut places = report.addresses.iter().chain(&report.admin);
        let has_places = report.addresses.len() <= ANNOUNCED_ADDRESSES_MAX
            && places.all(|it| it.len() <= ANNOUNCED_ADDRESS_LEN_MAX);
        (has_name && has_places).then_some(report)
    }
}

/// Takes what a run has said; returns whether a namesake was found by it, to be told.
pub(crate) fn receive(
    report: MemberReport,
    own_process: u64,
    it: &mut Snapshot,
    now: Instant,
) -> bool {
    if report.node == it.node {
        return report.process != own_process && receive_namesake(report, &mut it.namesake, now);
    }
    let members = &mut it.members;
    members
        .retain(|it| it.node != report.node && now.duration_since(it.at) < MEMBER_FORGOTTEN_AFTER);
    if members.len() >= MEMBERS_MAX
        && let Some(oldest) = (0..members.len()).min_by_key(|it| members[*it].at)
    {
        members.remove(oldest);
    }
    members.push(OtherMember {
        serves: report.active.then(|| Announcement {
            node: report.node.clone(),
            segment_len: 0,
            addresses: report.addresses,
        }),
        node: report.node,
        is_active: report.active,
        is_paused: report.paused,
        is_ready: report.ready,
        sequence: report.sequence,
        stored: report.stored,
        admin: report.admin,
        at: now,
    });
    members.sort_by(|a, b| a.node.cmp(&b.node));
    false
}

fn receive_namesake(report: MemberReport, known: &mut Option<Namesake>, now: Instant) -> bool {
    let before = (known.take()).filter(|it| now.duration_since(it.at) <= PRESENT);
    let words = before.map_or(1, |it| it.words.saturating_add(1));
    *known = Some(Namesake {
        admin: report.admin,
        words,
        at: now,
    });
    words == NAMESAKE_WORDS
}

/// The standby that is to take over.
///
/// # Errors
/// There is none, or it is not ready: what to do, in words.
pub(crate) fn successor<'a>(it: &'a Snapshot, wanted: Option<&str>) -> Result<&'a str, String> {
    let (node, group) = (&it.node, &it.group);
    if !it.is_active() {
        return Err(format!("{node} does not serve: {}", it.standby_words()));
    }
    let mut standbys = it.present().filter(|it| !it.is_active);
    match wanted {
        Some(wanted) if wanted == node => Err(format!("{node} serves group {group} already")),
        Some(wanted) => match standbys.find(|it| it.node == wanted) {
            None => Err(format!(
                "no standby {wanted} of group {group} is heard: is it running?"
            )),
            Some(found) if !found.is_ready => Err(not_ready(found, it)),
            Some(found) => Ok(&found.node),
        },
        None => {
            let all: Vec<_> = standbys.collect();
            let ready = all.iter().find(|it| it.is_ready);
            ready.map(|it| it.node.as_str()).ok_or_else(|| {
                match (all.first(), it.namesake_words()) {
                    (None, Some(namesake)) => namesake,
                    (None, None) => format!(
                        "no standby of group {group} is heard: nobody would serve; start one"
                    ),
                    (Some(first), _) => not_ready(first, it),
                }
            })
        }
    }
}

fn not_ready(standby: &OtherMember, active: &Snapshot) -> String {
    format!(
        "standby {} is not ready to take over: it has record {} of {}; wait, or ask its /readyz",
        standby.node, standby.sequence, active.sequence
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::status::Status;

    fn word(node: &str, process: u64) -> MemberReport {
        MemberReport {
            node: node.to_owned(),
            process,
            active: false,
            paused: false,
            ready: true,
            sequence: 7,
            stored: None,
            admin: Some("h:4".to_owned()),
            addresses: Vec::new(),
        }
    }

    fn active(members: Vec<OtherMember>) -> Snapshot {
        let status = Status::new("n1", "east");
        status.update(|it| (it.role, it.members, it.sequence) = (Role::Active, members, 9));
        status.snapshot()
    }

    fn heard(words: &[MemberReport]) -> Vec<OtherMember> {
        let mut it = active(Vec::new());
        for report in words {
            assert!(!receive(report.clone(), 1, &mut it, Instant::now()));
        }
        it.members
    }

    #[test]
    fn what_is_said_is_heard_and_what_is_no_word_is_passed_over() {
        let said = word("n2", 5);
        assert_eq!(MemberReport::decode(&said.encode()), Some(said));
        let long = "x".repeat(CLUSTER_NAME_LEN_MAX + 1);
        for hostile in [
            Vec::new(),
            b"{}".to_vec(),
            b"[1]".to_vec(),
            b"\xff\xfe".to_vec(),
            vec![b'['; 4000],
            word(&long, 1).encode(),
            word("a b", 1).encode(),
            word("a\u{1b}[2J", 1).encode(),
            word("", 1).encode(),
            MemberReport {
                admin: Some("x".repeat(999)),
                ..word("n2", 1)
            }
            .encode(),
            MemberReport {
                addresses: vec!["x".repeat(999)],
                ..word("n2", 1)
            }
            .encode(),
            MemberReport {
                addresses: vec![String::new(); 9],
                ..word("n2", 1)
            }
            .encode(),
            [word("n2", 1).encode(), vec![b' '; MEMBER_REPORT_LEN_MAX]].concat(),
        ] {
            assert_eq!(
                MemberReport::decode(&hostile),
                None,
                "{}",
                String::from_utf8_lossy(&hostile)
            );
        }
    }

    #[test]
    fn members_are_kept_once_each_bounded_and_forgotten_in_the_end() {
        let many: Vec<_> = (0..100).map(|it| word(&format!("m{it}"), it)).collect();
        assert_eq!(heard(&many).len(), MEMBERS_MAX);
        let members = heard(&[word("n3", 1), word("n2", 1), word("n2", 2)]);
        let nodes: Vec<_> = members.iter().map(|it| it.node.as_str()).collect();
        assert_eq!(nodes, ["n2", "n3"]);
        let mut it = active(members);
        let later = Instant::now() + MEMBER_FORGOTTEN_AFTER;
        receive(word("n4", 1), 1, &mut it, later);
        assert_eq!(it.members.len(), 1);
    }

    #[test]
    fn who_says_that_it_serves_is_known_with_its_addresses_while_it_is_heard() {
        let serving = MemberReport {
            active: true,
            addresses: vec!["delivery=h:9000".to_owned()],
            ..word("n2", 1)
        };
        let mut it = active(heard(&[serving, word("n3", 1)]));
        it.role = Role::Standby;
        let found = it.heard_active().expect("it is heard");
        assert_eq!(address_of(found, Endpoint::Delivery), Some("h:9000"));
        it.members[0].at = Instant::now() - 2 * PRESENT;
        assert_eq!(it.heard_active(), None);
    }

    #[test]
    fn another_member_of_the_same_name_is_told_once_and_shown_while_it_is_there() {
        let mut it = active(Vec::new());
        let begun = Instant::now();
        // Its own words come back, and the last ones of an earlier run come late.
        for process in [1, 1, 1, 1, 7, 9] {
            assert!(!receive(word("n1", process), 1, &mut it, begun));
            assert_eq!(it.namesake_words(), None, "{process}");
        }
        assert!(receive(word("n1", 9), 1, &mut it, begun));
        let words = it.namesake_words().unwrap_or_default();
        assert!(words.contains("n1") && words.contains("h:4"), "{words}");
        assert!(!receive(word("n1", 9), 1, &mut it, begun), "it was told");
        assert!(it.members.is_empty(), "it is no other member");
        let told = successor(&it, None).expect_err("there is none");
        assert_eq!(told, words);
        let later = begun + 2 * PRESENT;
        assert!(!receive(word("n1", 9), 1, &mut it, later));
        assert_eq!(it.namesake_words(), None, "it was away: it begins anew");
    }

    #[test]
    fn who_takes_over_is_there_and_ready_or_it_is_told_why_not() {
        let late = MemberReport {
            ready: false,
            ..word("n2", 1)
        };
        let both = active(heard(&[late.clone(), word("n3", 1)]));
        assert_eq!(successor(&both, None), Ok("n3"));
        assert_eq!(successor(&both, Some("n3")), Ok("n3"));
        let told = |snapshot: &Snapshot, wanted| successor(snapshot, wanted).expect_err("refused");
        assert!(
            told(&both, Some("n2")).contains("n2 is not ready to take over: it has record 7 of 9")
        );
        assert!(told(&both, Some("n9")).contains("no standby n9"));
        assert!(told(&both, Some("n1")).contains("already"));
        assert!(told(&active(heard(&[late])), None).contains("n2 is not ready"));
        assert!(told(&active(Vec::new()), None).contains("nobody would serve; start one"));
        let mut gone = active(heard(&[word("n2", 1)]));
        gone.members[0].at = Instant::now() - 2 * PRESENT;
        assert!(told(&gone, None).contains("no standby"));
        gone.role = Role::Standby;
        assert!(told(&gone, None).contains("does not serve"));
    }
}
