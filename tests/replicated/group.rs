//! Those who send to and take from whichever member of a group serves, and what the members' journals have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::group_peer::GroupPeer;
use crate::member::Member;
use crate::servers::PATIENCE;

/// How long somebody waits for a line before it looks elsewhere.
const GLANCE: Duration = Duration::from_millis(300);

/// A member's segments, by name, without the zeros behind what was written.
pub fn segments(member: &Member) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(member.data_dir().join("journal")).expect("a directory");
    let files = files.map(|it| it.expect("an entry").path());
    let segments = files.filter(|it| it.extension().is_some_and(|it| it == "segment"));
    segments
        .filter_map(|path| {
            // One may leave while they are read.
            let mut bytes = std::fs::read(&path).ok()?;
            let last = bytes.iter().rposition(|it| *it != 0);
            bytes.truncate(last.map_or(0, |it| it + 1));
            let name = path.file_name().expect("it has one").to_string_lossy();
            Some((name.into_owned(), bytes))
        })
        .collect()
}

/// Which one serves, as it says itself.
pub fn active(members: &[Member]) -> Option<usize> {
    members.iter().position(Member::is_active)
}

/// All that both journals have stands at the same positions; both have this many segments at least.
#[track_caller]
pub fn assert_same_journals(one: &Member, other: &Member, segments_min: usize) {
    let (one, other) = (segments(one), segments(other));
    let mut common = 0;
    for (name, bytes) in &one {
        if let Some(others) = other.get(name) {
            let len = bytes.len().min(others.len());
            assert!(bytes[..len] == others[..len], "{name} differs");
            common += 1;
        }
    }
    assert!(
        common >= segments_min,
        "{:?} {:?}",
        one.keys(),
        other.keys()
    );
}

/// An order with this id.
pub fn line(id: &str) -> String {
    line_to("table1", id, 0)
}

/// An order for a table, with so many bytes of remarks.
pub fn line_to(destination: &str, id: &str, remarks: usize) -> String {
    let payload = match remarks {
        0 => String::new(),
        len => format!(",\"payload\":{{\"remarks\":\"{}\"}}", "x".repeat(len)),
    };
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"s\",\"destinationId\":\"{destination}\",\
         \"messageType\":\"lunch\",\"priority\":1{payload}}}"
    )
}

fn connect(at: SocketAddr, first: &str) -> Option<GroupPeer> {
    GroupPeer::connect(at, first, GLANCE, PATIENCE)
}

/// Sends orders with acknowledgements, to whichever member takes them, again until they are acknowledged.
pub fn send(members: &[&Member], ids: &[String]) {
    send_to("table1", members, ids, 0);
}

/// The same, for this table, with so many bytes of remarks each.
pub fn send_to(destination: &str, members: &[&Member], ids: &[String], remarks: usize) {
    let mut acked = 0;
    let mut at = 0;
    let begun = Instant::now();
    while acked < ids.len() {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "not acknowledged"
        );
        at += 1;
        let member = members[at % members.len()];
        let hello = "{\"producer\":{\"ack\":true}}\n";
        let Some(mut peer) = connect(member.ingest, hello) else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let rest = &ids[acked..];
        let text: String = rest
            .iter()
            .map(|it| line_to(destination, it, remarks) + "\n")
            .collect();
        if peer.say(&text).is_err() {
            continue;
        }
        let (mut done, mut silent) = (0, 0);
        while done < rest.len() && silent < 20 {
            match peer.line() {
                Ok(Some(value)) => {
                    done = value["ack"].as_u64().map_or(done, |it| it as usize);
                    silent = 0;
                }
                Ok(None) => silent += 1,
                Err(()) => break,
            }
        }
        acked += done;
    }
}

/// Ids `from` to `to`, with this prefix.
pub fn ids(prefix: &str, from: usize, to: usize) -> Vec<String> {
    (from..=to).map(|it| format!("{prefix}-{it}")).collect()
}

/// A customer that acknowledges each frame, at whichever member serves.
pub struct Customer {
    destination: &'static str,
    /// The frames' ids, in their order; those that were announced by `again` marked.
    pub got: Vec<(String, bool)>,
    peer: Option<GroupPeer>,
    frames: u64,
    again: u64,
    at: usize,
}

impl Default for Customer {
    fn default() -> Self {
        Self::of("table1")
    }
}

impl Customer {
    /// The one that this destination is for.
    pub fn of(destination: &'static str) -> Self {
        Self {
            destination,
            got: Vec::new(),
            peer: None,
            frames: 0,
            again: 0,
            at: 0,
        }
    }

    /// Takes frames until it has each of these.
    pub fn take(&mut self, members: &[&Member], ids: &[String]) {
        let begun = Instant::now();
        while !ids.iter().all(|it| self.got.iter().any(|got| got.0 == *it)) {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "missing: {:?}",
                ids.iter()
                    .filter(|it| !self.got.iter().any(|got| got.0 == **it))
                    .collect::<Vec<_>>()
            );
            self.turn(members);
        }
    }

    /// Looks for a line, wherever somebody serves.
    pub fn turn(&mut self, members: &[&Member]) {
        let Some(peer) = &mut self.peer else {
            self.at += 1;
            let address = members[self.at % members.len()].delivery;
            let hello = format!(
                "{{\"subscribe\":[\"{}\"],\"ack\":true}}\n",
                self.destination
            );
            self.peer = connect(address, &hello);
            (self.frames, self.again) = (0, 0);
            if self.peer.is_none() {
                std::thread::sleep(Duration::from_millis(50));
            }
            return;
        };
        match peer.line() {
            Ok(Some(value)) => {
                if let Some(count) = value["again"].as_u64() {
                    self.again = count;
                } else if let Some(id) = value["messageId"].as_str() {
                    self.got.push((id.to_owned(), self.again > 0));
                    self.again = self.again.saturating_sub(1);
                    self.frames += 1;
                    let ack = format!("{{\"ack\":{}}}\n", self.frames);
                    if peer.say(&ack).is_err() {
                        self.peer = None;
                    }
                }
            }
            Ok(None) => {}
            Err(()) => self.peer = None,
        }
    }

    /// Leaves, as a customer does.
    pub fn leave(&mut self) {
        self.peer = None;
    }

    /// Each id came, in order, and twice only where that was announced.
    #[track_caller]
    pub fn assert_in_order(&self, ids: &[String]) {
        let mut firsts: Vec<&str> = Vec::new();
        for (id, again) in &self.got {
            if firsts.contains(&id.as_str()) {
                assert!(*again, "{id} came twice without `again`: {:?}", self.got);
            } else {
                firsts.push(id);
            }
        }
        assert_eq!(firsts, ids.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
