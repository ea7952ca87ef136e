//! Who serves, seen from outside: a customer that comes anew to each member in turn, and acknowledges nothing, so
//! that whoever may hand out something does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::member::Member;

/// What somebody waits for a frame: far longer than one takes where it is handed out.
const GLANCE: Duration = Duration::from_millis(300);

/// Terms in which something was handed out, in their order.
#[derive(Debug, Default)]
pub struct Witness {
    pub terms: Vec<u64>,
}

impl Witness {
    /// Asks each of them once. Two that serve at a time would be a frame of an earlier term behind one of a
    /// later term: the visit that brought the latter is over when the next one begins.
    pub fn look(&mut self, members: &[&Member]) {
        for member in members {
            let Some(term) = serving_term(member) else {
                continue;
            };
            let latest = self.terms.last().copied().unwrap_or_default();
            assert!(
                term >= latest,
                "term {term} hands out behind term {latest}: {}",
                member.log()
            );
            if term > latest {
                self.terms.push(term);
            }
        }
    }
}

/// The term in which a member hands out a frame, if it does.
fn serving_term(member: &Member) -> Option<u64> {
    let term = || member.stats()?["cluster"]["epoch"].as_u64();
    let before = term()?;
    (hands_out(member)? && term()? == before).then_some(before)
}

fn hands_out(member: &Member) -> Option<bool> {
    let mut stream = TcpStream::connect(member.delivery).ok()?;
    stream.set_read_timeout(Some(GLANCE)).ok()?;
    stream
        .write_all(b"{\"subscribe\":[\"table1\"],\"ack\":true}\n")
        .ok()?;
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    Some(lines.any(|it| it.contains("messageId")))
}
