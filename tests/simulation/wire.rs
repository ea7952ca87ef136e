//! The simulated network: links of two pipes each, whose bytes take their time, and whose ends may
//! be told half of what they could be told.
//!
//! ```text
//! peer --send--> [ flying | here ] --read--> engine       a pipe holds so many bytes at most
//! peer <-take--- [ here | flying ] <--write-- engine
//! ```
//! It sees whole lines as the engine reads and writes them, and tells what they mean: a frame that
//! is wholly in a socket is handed over, whatever becomes of the connection.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard};

use flipped_lb::clock::Now;
use flipped_lb::net::{Answer, Key, Network, Ready};

use crate::dice::Dice;
use crate::heap::{Outside, outside};
use crate::history::{Event, LineId};
use crate::plan::{FIRST_PORT, Faults, Plan};
use crate::script::Script;
use crate::tally::Tally;
use crate::tap::Tap;
use crate::time::Time;

/// Names a link for good.
pub type LinkId = usize;

/// Where sources listen; other addresses of theirs are dead.
const ALIVE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// A slow look-up takes this long at most, in ns: longer than the engine waits for it.
const LOOKUP_NS_MAX: usize = 12_000_000_000;

/// Bytes that a pipe holds at most: small, so that it fills.
const PIPE_LEN: usize = 16 * 1024;

/// Who has the other end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A source, by its number.
    Source(usize),
    /// A subscriber that acknowledges, or does not.
    Customer { acks: bool },
    /// Somebody who says nothing: at ingest's listener, the first, or at delivery's.
    Stranger { listener: usize },
}

/// One direction of a link.
#[derive(Debug, Default)]
struct Pipe {
    flying: VecDeque<(u64, Vec<u8>)>,
    here: VecDeque<u8>,
    len: usize,
    /// Nothing more is sent; it arrives at this time.
    end_ns: Option<u64>,
}

impl Pipe {
    fn room(&self) -> usize {
        PIPE_LEN.saturating_sub(self.len)
    }

    fn send(&mut self, bytes: &[u8], at_ns: u64) {
        let last_ns = self.flying.back().map_or(0, |it| it.0);
        self.flying.push_back((at_ns.max(last_ns), bytes.to_vec()));
        self.len += bytes.len();
    }

    fn end(&mut self, at_ns: u64) {
        let last_ns = self.flying.back().map_or(0, |it| it.0);
        self.end_ns.get_or_insert(at_ns.max(last_ns));
    }

    /// Bytes that have arrived by now are here; says whether there is news.
    fn arrive(&mut self, before_ns: u64, now_ns: u64) -> bool {
        let mut news = false;
        while self.flying.front().is_some_and(|it| it.0 <= now_ns) {
            let (_, bytes) = self.flying.pop_front().expect("there is a first one");
            self.here.extend(bytes);
            news = true;
        }
        news || self.end_ns.is_some_and(|it| before_ns < it && it <= now_ns)
    }

    fn has_ended(&self, now_ns: u64) -> bool {
        self.here.is_empty() && self.flying.is_empty() && self.end_ns.is_some_and(|it| it <= now_ns)
    }

    fn take(&mut self, len_max: usize) -> Vec<u8> {
        let len = len_max.min(self.here.len());
        self.len -= len;
        self.here.drain(..len).collect()
    }

    fn clear(&mut self) {
        *self = Self {
            end_ns: self.end_ns,
            ..Self::default()
        };
    }
}

/// A connection, from the first attempt on.
#[derive(Debug)]
struct Link {
    peer: Peer,
    up: Pipe,
    down: Pipe,
    /// When the attempt is answered, and how.
    opens: Option<(u64, bool)>,
    /// The engine's agent and its key, once it has one.
    port: Option<(usize, Key)>,
    /// The peer has closed, or was cut off, at this time.
    reset_for_engine_ns: Option<u64>,
    /// The engine has gone, as the peer sees it.
    reset_for_peer_ns: Option<u64>,
    peer_is_gone: bool,
    /// The engine has closed it, with nothing left to read.
    is_dismissed: bool,
    /// The engine's last write found no room.
    was_full: bool,
    tap: Tap,
}

/// One agent's end of the network.
#[derive(Debug, Default)]
struct Agent {
    keys: Vec<Option<LinkId>>,
    free: Vec<Key>,
    ready: Vec<Ready>,
}

impl Agent {
    fn adopt(&mut self, link: LinkId) -> Key {
        let key = self.free.pop().unwrap_or_else(|| {
            self.keys.push(None);
            self.keys.len() - 1
        });
        self.keys[key] = Some(link);
        key
    }

    fn tell(&mut self, key: Key, readable: bool, writable: bool) {
        self.ready.push(Ready::Stream {
            key,
            readable,
            writable,
        });
    }
}

#[derive(Debug)]
struct State {
    time: Time,
    faults: Faults,
    dice: Dice,
    script: Arc<Script>,
    tally: Tally,
    ack_timeout_ns: u64,
    links: BTreeMap<LinkId, Link>,
    next: LinkId,
    agents: Vec<Agent>,
    /// Connections that wait to be accepted: at ingest's listener, and at delivery's.
    waiting: [Vec<LinkId>; 2],
    /// Dials that reached a source that has not looked yet.
    dialled: Vec<(usize, LinkId)>,
    /// Look-ups of names: when each is answered, and which it is.
    lookups: Vec<(u64, usize, io::Result<Vec<SocketAddr>>)>,
    looked_ns: u64,
    /// Connections that the engine closes stay open, and so many have.
    leaks: bool,
    leaked: usize,
    events: Vec<Event>,
}

/// The network; clones share it.
#[derive(Debug, Clone)]
pub struct Wire(Arc<Mutex<State>>);

/// An agent's end of it: agent 0 is ingest, the others are delivery.
#[derive(Debug)]
pub struct Port {
    wire: Wire,
    agent: usize,
}

impl Wire {
    /// No link yet.
    pub fn new(time: Time, plan: &Plan, dice: Dice, script: Arc<Script>, tally: Tally) -> Self {
        Self(Arc::new(Mutex::new(State {
            time,
            faults: plan.faults,
            dice,
            script,
            tally,
            ack_timeout_ns: plan.ack_timeout_ms * 1_000_000,
            links: BTreeMap::new(),
            next: 0,
            agents: Vec::new(),
            waiting: [Vec::new(), Vec::new()],
            dialled: Vec::new(),
            lookups: Vec::new(),
            looked_ns: 0,
            leaks: false,
            leaked: 0,
            events: Vec::new(),
        })))
    }

    fn state(&self) -> Outside<MutexGuard<'_, State>> {
        outside(self.0.lock().expect("one thread, and no panic in here"))
    }

    /// From now on these things go wrong.
    pub fn trouble(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        self.state().faults = Faults {
            delay_ns: 50_000,
            ..Faults::default()
        };
    }

    /// What it saw since it was asked last.
    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.state().events)
    }

    /// The ends of the agents of a new engine.
    pub fn ports(&self, agents: usize) -> Vec<Port> {
        self.state().agents = (0..agents).map(|_| Agent::default()).collect();
        let wire = |agent| Port {
            wire: self.clone(),
            agent,
        };
        (0..agents).map(wire).collect()
    }

    /// Bytes fly on until now.
    pub fn fly(&self) {
        self.state().fly();
    }

    // ---- the peers' side ----

    /// A peer connects to the engine's listener; it is not told whether anybody listens.
    pub fn connect(&self, peer: Peer) -> LinkId {
        let state = &mut *self.state();
        let link = state.open(peer);
        let listener = match peer {
            Peer::Source(_) => 0,
            Peer::Customer { .. } => 1,
            Peer::Stranger { listener } => listener,
        };
        state.waiting[listener].push(link);
        let has_engine = !state.agents.is_empty();
        let agents = state.agents.iter_mut().enumerate();
        let at_listener = |agent: &usize| (*agent > 0) == (listener == 1);
        for (_, agent) in agents.filter(|(agent, _)| at_listener(agent)) {
            agent.ready.push(Ready::Listener);
        }
        if !has_engine {
            state.refuse_waiting();
        }
        link
    }

    /// The connection that the engine has made to a source, if there is a new one.
    pub fn accept_dial(&self, source: usize) -> Option<LinkId> {
        let dialled = &mut self.state().dialled;
        let at = dialled.iter().position(|it| it.0 == source)?;
        Some(dialled.remove(at).1)
    }

    /// Sends what finds room; returns how much that was. `None`: the connection is gone.
    pub fn send(&self, link: LinkId, bytes: &[u8]) -> Option<usize> {
        self.state().send(link, bytes)
    }

    /// A source says which of its lines the next line on this link is.
    pub fn announce(&self, link: LinkId, line: LineId) {
        if let Some(link) = self.state().links.get_mut(&link) {
            link.tap.expect(line);
        }
    }

    /// Takes what has arrived. `None`: the connection is gone.
    pub fn take(&self, link: LinkId, len_max: usize) -> Option<Vec<u8>> {
        self.state().take(link, len_max)
    }

    /// The peer ends the connection: in an orderly way, or not.
    pub fn leave(&self, link: LinkId, orderly: bool) {
        self.state().leave(link, orderly);
    }

    /// A source ends its side: it sends nothing more, and listens on.
    pub fn end_sending(&self, link: LinkId) {
        let state = &mut *self.state();
        let at_ns = state.delay();
        if let Some(link) = state.links.get_mut(&link) {
            link.up.end(at_ns);
            state.tally.met("source ended its side");
        }
    }

    /// How many of the peer's lines the engine had not read when it closed the connection by itself, in
    /// an orderly way. `None`: it is not gone in this way.
    pub fn dismissed(&self, link: LinkId) -> Option<usize> {
        let state = self.state();
        let link = state.links.get(&link)?;
        let is_cut = link.reset_for_peer_ns.is_some() || link.reset_for_engine_ns.is_some();
        (link.is_dismissed && !is_cut).then(|| link.tap.unread())
    }

    /// Whether the engine still has its end.
    pub fn is_held(&self, link: LinkId) -> bool {
        let state = self.state();
        state.waiting[0].contains(&link)
            || state.links.get(&link).is_some_and(|it| it.port.is_some())
    }

    /// The engine's agent that has this connection: ingest is the first, delivery agents follow.
    pub fn agent_of(&self, link: LinkId) -> Option<usize> {
        let state = self.state();
        let port = state.links.get(&link)?.port;
        port.map(|(agent, _)| agent)
    }

    /// From now on connections that the engine closes stay open.
    pub fn leak(&self) {
        self.state().leaks = true;
    }

    /// Sockets that the engine has.
    pub fn sockets(&self) -> usize {
        let state = self.state();
        let open = state.links.values().filter(|it| it.port.is_some()).count();
        open + state.leaked
    }

    /// The connections that each of the engine's listeners has accepted, and that are open.
    pub fn held(&self) -> [usize; 2] {
        let state = self.state();
        let mut held = [0; 2];
        let accepted = state.links.values().filter(|it| it.opens.is_none());
        for (agent, _) in accepted.filter_map(|it| it.port) {
            held[usize::from(agent > 0)] += 1;
        }
        held
    }

    /// Whether the engine has read all that was sent to it.
    pub fn is_read(&self) -> bool {
        let state = self.state();
        state
            .links
            .values()
            .all(|it| it.up.len == 0 || it.peer_is_gone)
    }

    /// The engine's process is over: its sockets are closed for it, or the machine is gone.
    pub fn engine_ends(&self, power_lost: bool) {
        self.state().engine_ends(power_lost);
    }
}

impl State {
    fn delay(&mut self) -> u64 {
        let max = self.faults.delay_ns as usize;
        self.time.ns() + self.dice.skewed(max) as u64
    }

    fn open(&mut self, peer: Peer) -> LinkId {
        let id = self.next;
        self.next += 1;
        let link = Link {
            peer,
            up: Pipe::default(),
            down: Pipe::default(),
            opens: None,
            port: None,
            reset_for_engine_ns: None,
            reset_for_peer_ns: None,
            peer_is_gone: false,
            is_dismissed: false,
            was_full: false,
            tap: Tap::new(id, peer, self.ack_timeout_ns),
        };
        self.links.insert(id, link);
        id
    }

    fn fly(&mut self) {
        let (before_ns, now_ns) = (self.looked_ns, self.time.ns());
        self.looked_ns = now_ns;
        let is_new = |at: Option<u64>| at.is_some_and(|it| before_ns < it && it <= now_ns);
        for (&id, link) in &mut self.links {
            let mut readable = link.up.arrive(before_ns, now_ns);
            link.down.arrive(before_ns, now_ns);
            let mut writable = link.was_full && link.down.room() > 0;
            readable |= is_new(link.reset_for_engine_ns);
            writable |= is_new(link.reset_for_engine_ns);
            if let Some((_, accepted)) = link.opens.filter(|it| is_new(Some(it.0))) {
                writable = true;
                if let (true, Peer::Source(source)) = (accepted, link.peer) {
                    self.dialled.push((source, id));
                }
            }
            if let Some((agent, key)) = link.port.filter(|_| readable || writable) {
                link.was_full &= !writable;
                self.agents[agent].tell(key, readable, writable);
            }
        }
        let is_over = |link: &Link| link.port.is_none() && link.peer_is_gone;
        let waiting = &self.waiting;
        self.links
            .retain(|id, it| !is_over(it) || waiting.iter().any(|row| row.contains(id)));
    }

    fn send(&mut self, id: LinkId, bytes: &[u8]) -> Option<usize> {
        let at_ns = self.delay();
        let now_ns = self.time.ns();
        let link = self.links.get_mut(&id)?;
        if link.reset_for_peer_ns.is_some_and(|it| it <= now_ns) || link.peer_is_gone {
            return None;
        }
        let len = bytes.len().min(link.up.room());
        if len > 0 {
            link.up.send(&bytes[..len], at_ns);
        }
        Some(len)
    }

    fn take(&mut self, id: LinkId, len_max: usize) -> Option<Vec<u8>> {
        let now_ns = self.time.ns();
        let link = self.links.get_mut(&id)?;
        let is_cut = link.reset_for_peer_ns.is_some_and(|it| it <= now_ns);
        if is_cut && link.down.here.is_empty() || link.down.has_ended(now_ns) || link.peer_is_gone {
            return None;
        }
        Some(link.down.take(len_max))
    }

    fn leave(&mut self, id: LinkId, orderly: bool) {
        let at_ns = self.delay();
        let purges = self.dice.flip();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.peer_is_gone = true;
        if orderly && link.down.len == 0 {
            link.up.end(at_ns);
            return;
        }
        if purges {
            link.up.clear();
            // The reset comes instead of the end that the peer may have sent.
            link.up.end_ns = None;
        }
        link.reset_for_engine_ns.get_or_insert(at_ns);
        self.tally.met("connection cut by its peer");
    }

    fn refuse_waiting(&mut self) {
        let at_ns = self.delay();
        for id in self.waiting.iter_mut().flat_map(std::mem::take) {
            if let Some(link) = self.links.get_mut(&id) {
                link.reset_for_peer_ns.get_or_insert(at_ns);
            }
        }
    }

    fn engine_ends(&mut self, power_lost: bool) {
        self.refuse_waiting();
        self.agents.clear();
        self.dialled.clear();
        self.lookups.clear();
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            let at_ns = self.delay();
            let link = self.links.get_mut(&id).expect("its id was just listed");
            if link.port.take().is_none() {
                continue;
            }
            if power_lost || link.up.len > 0 || link.opens.is_some_and(|it| it.0 > self.looked_ns) {
                let arrived = self.dice.pick(0..=link.down.flying.len());
                link.down.flying.truncate(arrived);
                link.reset_for_peer_ns.get_or_insert(at_ns);
            } else {
                link.down.end(at_ns);
            }
            link.up.clear();
            // What it had in its read buffer is read by nobody.
            link.tap.forget();
        }
    }

    /// Whether the socket can be used by the engine now.
    fn check(&mut self, agent: usize, key: Key) -> io::Result<LinkId> {
        let id = self.agents[agent].keys.get(key).copied().flatten();
        let id = id.ok_or(io::ErrorKind::NotConnected)?;
        let link = &self.links[&id];
        if link
            .reset_for_engine_ns
            .is_some_and(|it| it <= self.looked_ns)
        {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(id)
    }

    fn read(&mut self, agent: usize, key: Key, into: &mut [u8]) -> io::Result<usize> {
        let checked = self.check(agent, key);
        let id = checked.inspect_err(|_| self.note_cut_off(agent, key))?;
        let link = self.links.get_mut(&id).expect("`check` has found it");
        if link.up.has_ended(self.looked_ns) {
            link.tap.finish(&mut self.events);
            return Ok(0);
        }
        if link.up.here.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.dice.chance(self.faults.would_block) {
            self.agents[agent].tell(key, true, false);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut len = into.len();
        if self.dice.chance(self.faults.short) {
            self.tally.met("socket read or written in part");
            len = self.dice.skewed(len);
        }
        let bytes = link.up.take(len);
        into[..bytes.len()].copy_from_slice(&bytes);
        link.tap.read(&bytes, self.looked_ns, &mut self.events);
        Ok(bytes.len())
    }

    fn note_cut_off(&mut self, agent: usize, key: Key) {
        let id = self.agents[agent].keys.get(key).copied().flatten();
        if let Some(link) = id.and_then(|it| self.links.get_mut(&it)) {
            link.tap.cut_off(&mut self.events);
        }
    }

    fn write(&mut self, agent: usize, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let id = self.check(agent, key)?;
        let at_ns = self.delay();
        let link = self.links.get_mut(&id).expect("`check` has found it");
        let spurious = self.dice.chance(self.faults.would_block);
        if spurious || link.down.room() == 0 {
            link.was_full = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut len = link.down.room();
        if self.dice.chance(self.faults.short) {
            len = self.dice.skewed(len);
        }
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|it| it.iter().copied())
            .take(len)
            .collect();
        link.down.send(&bytes, at_ns);
        if link.peer_is_gone {
            // Whoever has closed refuses what comes.
            link.reset_for_engine_ns.get_or_insert(at_ns);
        }
        link.tap
            .wrote(&bytes, self.looked_ns, &self.script, &mut self.events);
        Ok(bytes.len())
    }

    fn connect(&mut self, agent: usize, address: SocketAddr) -> Key {
        let source = usize::from(address.port() - FIRST_PORT);
        let is_dead = address.ip() != ALIVE;
        let accepted = !is_dead && !self.dice.chance(self.faults.refuse);
        self.tally.met(match (is_dead, accepted) {
            (true, _) => "dead address dialled",
            (_, true) => "dialled",
            (_, false) => "dial refused",
        });
        let is_silent = match is_dead {
            true => self.dice.flip(),
            false => self.dice.chance(self.faults.silent),
        };
        let at_ns = match is_silent {
            true => u64::MAX,
            false => self.delay() + 1,
        };
        let id = self.open(Peer::Source(source));
        let key = self.agents[agent].adopt(id);
        let link = self.links.get_mut(&id).expect("it was just opened");
        link.opens = Some((at_ns, accepted));
        link.port = Some((agent, key));
        link.peer_is_gone = !accepted || is_silent;
        key
    }

    /// A name has the address of its source, and perhaps dead ones before or behind it.
    fn look_up(&mut self, number: usize, name: &str) {
        if self.lookups.iter().any(|it| it.1 == number) {
            return;
        }
        let port = name.rsplit(':').next().and_then(|it| it.parse().ok());
        let port: u16 = port.expect("a port that the plan gave it");
        let mut found = vec![SocketAddr::from((ALIVE, port))];
        for dead in [
            Ipv4Addr::new(127, 0, 0, 2).into(),
            Ipv6Addr::LOCALHOST.into(),
        ] {
            if self.dice.flip() {
                let at = self.dice.pick(0..=found.len());
                found.insert(at, SocketAddr::new(dead, port));
            }
        }
        let is_unknown = self.dice.chance(self.faults.unknown_name);
        if is_unknown {
            self.tally.met("name unknown");
        }
        let answer = match is_unknown {
            true => Err(io::Error::other("no such name")),
            false => Ok(found),
        };
        let mut at_ns = self.delay();
        if self.dice.chance(self.faults.slow_name) {
            at_ns += self.dice.skewed(LOOKUP_NS_MAX) as u64;
            self.tally.met("name slow");
        }
        self.lookups.push((at_ns, number, answer));
    }

    fn looked_up(&mut self) -> Option<Answer> {
        let at = self.lookups.iter().position(|it| it.0 <= self.looked_ns)?;
        let (_, number, answer) = self.lookups.swap_remove(at);
        Some((number, answer))
    }

    fn connected(&mut self, agent: usize, key: Key) -> io::Result<bool> {
        let id = self.check(agent, key)?;
        match self.links[&id].opens {
            Some((at_ns, _)) if at_ns > self.looked_ns => Ok(false),
            Some((_, false)) => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => Ok(true),
        }
    }

    fn accept(&mut self, agent: usize) -> io::Result<(Key, SocketAddr)> {
        let row = usize::from(agent > 0);
        if self.waiting[row].is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let is_faulty = self.dice.chance(self.faults.accept);
        if is_faulty && self.dice.flip() {
            self.tally.met("connection accepted late");
            return Err(io::Error::other("too many open files"));
        }
        let last = self.waiting[row].len() - 1;
        let at = if is_faulty {
            self.dice.pick(0..=last)
        } else {
            0
        };
        let id = self.waiting[row].remove(at);
        let key = self.agents[agent].adopt(id);
        let link = self.links.get_mut(&id).expect("who waits is not forgotten");
        link.port = Some((agent, key));
        Ok((key, ([127, 0, 0, 1], 50_000).into()))
    }

    fn close(&mut self, agent: usize, key: Key) {
        let Some(id) = self.agents[agent].keys.get_mut(key).and_then(Option::take) else {
            return;
        };
        self.agents[agent].free.push(key);
        self.leaked += usize::from(self.leaks);
        let at_ns = self.delay();
        let link = self.links.get_mut(&id).expect("a key has a link");
        link.port = None;
        if let Peer::Stranger { .. } = link.peer {
            link.tap.cut_off(&mut self.events);
        }
        if link.up.len > 0 {
            link.reset_for_peer_ns.get_or_insert(at_ns);
        } else {
            link.down.end(at_ns);
            link.is_dismissed = true;
        }
    }

    fn shut_down(&mut self, agent: usize, key: Key) {
        let at_ns = self.delay();
        if let Ok(id) = self.check(agent, key) {
            let link = self.links.get_mut(&id).expect("`check` has found it");
            link.down.end(at_ns);
        }
    }
}

impl Network for Port {
    fn poll(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.append(&mut self.wire.state().agents[self.agent].ready);
        Ok(())
    }

    fn look_up(&mut self, number: usize, name: &str, _now: Now) {
        self.wire.state().look_up(number, name);
    }

    fn looked_up(&mut self, _now: Now) -> Option<Answer> {
        self.wire.state().looked_up()
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<Key> {
        Ok(self.wire.state().connect(self.agent, address))
    }

    fn connected(&mut self, key: Key) -> io::Result<bool> {
        self.wire.state().connected(self.agent, key)
    }

    fn accept(&mut self) -> io::Result<(Key, SocketAddr)> {
        self.wire.state().accept(self.agent)
    }

    fn read(&mut self, key: Key, into: &mut [u8]) -> io::Result<usize> {
        self.wire.state().read(self.agent, key, into)
    }

    fn write(&mut self, key: Key, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.wire.state().write(self.agent, key, pieces)
    }

    fn shut_down(&mut self, key: Key) {
        self.wire.state().shut_down(self.agent, key);
    }

    fn close(&mut self, key: Key) {
        self.wire.state().close(self.agent, key);
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
