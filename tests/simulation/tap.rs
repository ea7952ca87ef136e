//! Listens in on a link at the engine's sockets: cuts what passes into lines, and tells what they
//! mean. It does not know what the engine thinks of them.

use std::collections::VecDeque;

use crate::history::{Event, LineId};
use crate::script::{LINE_LEN_MAX, Script};
use crate::wire::{LinkId, Peer};

/// One link, as it is heard.
#[derive(Debug)]
pub struct Tap {
    link: LinkId,
    peer: Peer,
    /// Unfinished lines: read by the engine, and written by it.
    read: Vec<u8>,
    wrote: Vec<u8>,
    /// What is unfinished of a source was judged already.
    is_skipping: bool,
    /// Lines that a source has sent and the engine has not read.
    expected: VecDeque<LineId>,
    /// Frames wholly in the socket.
    handed: Vec<LineId>,
    /// Frames that the last `again` still speaks of.
    again: usize,
    /// How many of them the engine has read an acknowledgement for.
    settled: usize,
    /// When the subscriber began to owe the oldest acknowledgement, in ns.
    owing_since_ns: u64,
    ack_timeout_ns: u64,
    /// The subscriber was slow enough to be cut: from then on nobody knows what its acknowledgements
    /// are worth.
    may_be_cut: bool,
}

impl Tap {
    /// Nothing heard yet.
    pub fn new(link: LinkId, peer: Peer, ack_timeout_ns: u64) -> Self {
        Self {
            link,
            peer,
            read: Vec::new(),
            wrote: Vec::new(),
            is_skipping: false,
            expected: VecDeque::new(),
            handed: Vec::new(),
            again: 0,
            settled: 0,
            owing_since_ns: 0,
            ack_timeout_ns,
            may_be_cut: false,
        }
    }

    /// The source's next line on this link.
    pub fn expect(&mut self, line: LineId) {
        self.expected.push_back(line);
    }

    /// The engine has read these bytes.
    pub fn read(&mut self, bytes: &[u8], now_ns: u64, events: &mut Vec<Event>) {
        self.read.extend_from_slice(bytes);
        for line in lines(&mut self.read) {
            match self.peer {
                _ if std::mem::take(&mut self.is_skipping) => {}
                Peer::Source(_) => self.heard_source(&line, events),
                Peer::Customer { .. } => self.heard_customer(&line, now_ns, events),
                Peer::Stranger { .. } => {}
            }
        }
        // An oversize line is judged before its end.
        let returned = usize::from(self.read.last() == Some(&b'\r'));
        if self.read.len() > LINE_LEN_MAX + returned && !self.is_skipping {
            self.is_skipping = true;
            self.heard_source(b"oversize", events);
        }
    }

    /// The engine has read the orderly end of the stream, which ends the last line too, or cuts off one that its
    /// source has not said.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        if self.expected.is_empty() {
            return self.cut_off(events);
        }
        let line = std::mem::take(&mut self.read);
        if !std::mem::take(&mut self.is_skipping) && matches!(self.peer, Peer::Source(_)) {
            self.heard_source(&line, events);
        }
    }

    /// The engine has seen the connection reset, or has sent a stranger away.
    pub fn cut_off(&mut self, events: &mut Vec<Event>) {
        let mut line = std::mem::take(&mut self.read);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let is_line = !self.is_skipping && !line.iter().all(u8::is_ascii_whitespace);
        if is_line && matches!(self.peer, Peer::Source(_) | Peer::Stranger { listener: 0 }) {
            events.push(Event::CutOff(line));
        }
    }

    /// Lines that the engine has not read.
    pub fn unread(&self) -> usize {
        self.expected.len()
    }

    /// The engine has written these bytes.
    pub fn wrote(&mut self, bytes: &[u8], now_ns: u64, script: &Script, events: &mut Vec<Event>) {
        if self.settled == self.handed.len() {
            self.owing_since_ns = now_ns;
        }
        let Peer::Customer { acks: ack } = self.peer else {
            return;
        };
        self.wrote.extend_from_slice(bytes);
        for text in lines(&mut self.wrote) {
            let told = match is_frame(&text) {
                true => self.wrote_frame(&text, ack, script, events),
                false => self.wrote_word(&text, ack),
            };
            if let Err(what) = told {
                let text = String::from_utf8_lossy(&text);
                let what = format!("link {}: {what}: {text}", self.link);
                events.push(Event::Nonsense(what));
            }
        }
    }

    fn wrote_frame(
        &mut self,
        frame: &[u8],
        ack: bool,
        script: &Script,
        events: &mut Vec<Event>,
    ) -> Result<(), &'static str> {
        let line = script.find(frame).ok_or("a frame that nobody sent")?;
        self.handed.push(line);
        events.push(Event::Handed {
            link: self.link,
            ack,
            line,
            announced: self.again > 0,
        });
        self.again = self.again.saturating_sub(1);
        Ok(())
    }

    fn wrote_word(&mut self, word: &[u8], ack: bool) -> Result<(), &'static str> {
        let is_cut = ack && word.starts_with(b"{\"error\":\"nothing acknowledged");
        let is_refused = self.handed.is_empty() && is_refusal(word);
        if is_cut || is_refused || word.starts_with(b"{\"subscribed\":") {
            return Ok(());
        }
        match number_of(word, "{\"again\":") {
            None | Some(0) => Err("an unexpected word"),
            Some(_) if !ack => Err("`again` is sent only in ack mode"),
            Some(_) if self.again > 0 => Err("the announcement before is not used up"),
            Some(count) => {
                self.again = count;
                Ok(())
            }
        }
    }

    /// The engine is gone, with what it had of an unfinished line.
    pub fn forget(&mut self) {
        self.read.clear();
        self.wrote.clear();
        self.expected.clear();
    }

    fn heard_source(&mut self, line: &[u8], events: &mut Vec<Event>) {
        let is_word = line.starts_with(b"{\"producer\":");
        if line.iter().all(u8::is_ascii_whitespace) || is_word {
            return;
        }
        if let Some(line) = self.expected.pop_front() {
            events.push(Event::Read(line));
        }
    }

    fn heard_customer(&mut self, line: &[u8], now_ns: u64, events: &mut Vec<Event>) {
        let upto = number_of(line, "{\"ack\":").unwrap_or(0);
        let upto = upto.min(self.handed.len());
        if upto > self.settled {
            self.may_be_cut |= now_ns >= self.owing_since_ns + self.ack_timeout_ns;
            self.owing_since_ns = now_ns;
            let is_certain = !self.may_be_cut;
            let settled = self.handed[self.settled..upto].iter();
            events.extend(settled.map(|&line| Event::Settled { line, is_certain }));
            self.settled = upto;
        }
    }
}

/// Takes the finished lines off the front, without their newlines.
pub fn lines(bytes: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    while let Some(end) = memchr::memchr(b'\n', bytes) {
        let rest = bytes.split_off(end + 1);
        bytes.pop();
        lines.push(std::mem::replace(bytes, rest));
    }
    lines
}

/// Whether a line to a subscriber is a frame; otherwise it is the engine's own word.
pub fn is_frame(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"\"messageId\"").is_some()
}

/// Whether a word tells a peer that it may not stay.
pub fn is_refusal(word: &[u8]) -> bool {
    word.starts_with(b"{\"error\":")
}

/// The number behind this beginning of a line.
pub fn number_of(line: &[u8], beginning: &str) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix(beginning)?;
    text.strip_suffix('}')?.parse().ok()
}
