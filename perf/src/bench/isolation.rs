//! One bad neighbour beside good sources: what the customers of the good ones notice.
//!
//! ```text
//!  good sources ==on schedule==> engine ==> subscribers, measured
//!  bad source ====flat out=======^  ^ ^==== connections, one after the other, from one address
//!                                   +====== open pages, each of which follows the figures
//! ```

use std::io::{Read as _, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::prelude::*;
use crate::lane::Lane;

const ROUNDS: u32 = 3;
const RATE: u64 = 10_000;
const SECONDS: [u64; 2] = [10, 2];
const WARMUP_SECONDS: u64 = 1;
/// By the budget of the design: the others' p99 beside any one bad source, over that without.
const RATIO_MAX: f64 = 2.0;
/// A configured customer who never comes.
const ABSENT: &str = "nobody";
/// Written at once by the bad source: large enough that a system call costs it nothing.
const BLOCK_LEN: usize = 256 * 1024;
/// Longer than `[ingest] max_line` by default.
const LONG_LINE_LEN: usize = 100 * 1024;
const BAD_LINES: Figure = extra("bad lines/s", "bad_lines", Unit::Count);
const REFUSED: Figure = extra("refused/s", "connections_refused", Unit::Count);
/// Where a flood of connections comes from.
const FLOOD_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Connections that an address may have beside a flood; the good subscribers have four.
const PER_ADDRESS: usize = 16;
/// How long a flood's connection waits for its refusal.
const FLOOD_PATIENCE: Duration = Duration::from_secs(2);
/// Threads that connect again and again; so many connections wait at the listener at most.
const FLOOD_THREADS: usize = 8;
/// Pages that are open at once.
const PAGES: usize = 10;
/// An event comes each second.
const PAGE_PATIENCE: Duration = Duration::from_secs(10);

const TEXT: &str = "Good sources send on schedule; beside them one source sends as fast as the \
engine takes them: lines of one byte, lines longer than `[ingest] max_line`, messages for \
an unknown customer, one message again and again. Or there is a flood of connections to \
`[delivery] listen` from one address that has all it may have (`max_connections_per_address`): each \
waits for its refusal and comes again. Or the engine's page is open: each of its readers takes \
`/events` as it comes. All of it runs on this machine, and gets the time that the others leave \
(SCHED_IDLE). Latency runs from the time a message was due to its arrival.";

#[derive(Debug, Clone, Args)]
pub(crate) struct IsolationArgs {
    /// Messages a second, of all good sources together.
    #[arg(long, value_name = "N", default_value_t = RATE)]
    rate: u64,
    /// How long the good sources send [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

/// What the bad source sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Malformed,
    Long,
    Unknown,
    Duplicates,
    Connections,
    Pages(usize),
}

const KINDS: [Kind; 8] = [
    Kind::Nothing,
    Kind::Malformed,
    Kind::Long,
    Kind::Unknown,
    Kind::Duplicates,
    Kind::Connections,
    Kind::Pages(1),
    Kind::Pages(PAGES),
];

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Nothing => "no bad source".into(),
            Self::Malformed => "malformed lines".into(),
            Self::Long => "lines too long".into(),
            Self::Unknown => "an unknown customer".into(),
            Self::Duplicates => "duplicates".into(),
            Self::Connections => "a flood of connections".into(),
            Self::Pages(1) => "an open page".into(),
            Self::Pages(count) => format!("{count} open pages"),
        }
    }

    /// A line of it; none where it sends nothing.
    fn line(self) -> Option<Vec<u8>> {
        match self {
            Self::Nothing | Self::Connections | Self::Pages(_) => None,
            Self::Malformed => Some(b"x\n".to_vec()),
            Self::Long => Some([vec![b'x'; LONG_LINE_LEN], b"\n".to_vec()].concat()),
            Self::Unknown => Some(message("unknown")),
            Self::Duplicates => Some(message(ABSENT)),
        }
    }
}

/// A message for this customer, of the usual length.
fn message(destination: &str) -> Vec<u8> {
    let head = format!(
        "{{\"messageId\": \"bad-1\", \"sourceServerId\": \"bad\", \"destinationId\": \
         \"{destination}\", \"messageType\": \"order\", \"priority\": 1, \"payload\": {{\"fill\": \""
    );
    let fill = "x".repeat(FRAME_LEN.saturating_sub(head.len() + 3));
    format!("{head}{fill}\"}}}}\n").into_bytes()
}

/// A source that writes these lines to whoever connects, again and again.
fn start_bad(line: &[u8]) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listening as the bad source")?;
    let address = listener.local_addr().context("the bad source's address")?;
    let block = line.repeat(BLOCK_LEN.div_ceil(line.len()));
    thread::spawn(move || {
        step_back();
        for mut stream in listener.incoming().map_while(Result::ok) {
            while stream.write_all(&block).is_ok() {}
        }
    });
    Ok(address)
}

/// Elsewhere the neighbour would be another machine: here it gets what time the others leave. The
/// lowest priority would not do: it keeps its core for a slice, of 3 ms by default, while others wait.
#[allow(unsafe_code)]
fn step_back() {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: the system reads the struct, which outlives the call; zero is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param) };
    if result != 0 {
        let _ = rustix::process::nice(19);
    }
}

/// Threads that trouble the engine, and the connections that they hold there, until it is dropped.
#[derive(Default)]
struct Crowd {
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    /// What the threads read to its end: shut before they are joined.
    read: Vec<TcpStream>,
    /// Held until the threads are joined: a place that is free would be taken by one of theirs, which
    /// then waits in vain for its refusal.
    held: Vec<TcpStream>,
}

impl Crowd {
    /// From one address: those that it may have, and others, which are refused, again and again.
    fn flood(to: SocketAddr) -> Result<Self> {
        let mut crowd = Self::default();
        for _ in 0..PER_ADDRESS {
            let held = connect_from(FLOOD_ADDRESS, to).context("connecting as a flood")?;
            crowd.held.push(held);
        }
        for _ in 0..FLOOD_THREADS {
            let is_over = Arc::clone(&crowd.is_over);
            crowd.threads.push(thread::spawn(move || {
                step_back();
                while !is_over.load(Ordering::Relaxed) {
                    let refused = connect_from(FLOOD_ADDRESS, to);
                    // It says why and ends, or the system had no room for it.
                    let _ = refused.and_then(|mut it| it.read_to_end(&mut Vec::new()));
                }
            }));
        }
        Ok(crowd)
    }

    /// Who have the page open: what they are sent each second is read.
    fn pages(count: usize, admin: SocketAddr) -> Result<Self> {
        let mut crowd = Self::default();
        for _ in 0..count {
            crate::http::get(admin, "/")?;
            let mut events = events_of(admin).context("opening the page's events")?;
            crowd.read.push(events.try_clone()?);
            crowd.threads.push(thread::spawn(move || {
                step_back();
                let _ = std::io::copy(&mut events, &mut std::io::sink());
            }));
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for connection in &self.read {
            let _ = connection.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn events_of(admin: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(PAGE_PATIENCE))?;
    write!(stream, "GET /events HTTP/1.1\r\nhost: {admin}\r\n\r\n")?;
    let mut status = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status)?;
    let said = String::from_utf8_lossy(&status);
    ensure!(said == "HTTP/1.1 200", "{said}");
    Ok(stream)
}

fn connect_from(address: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let family = rustix::net::AddressFamily::INET;
    let socket = rustix::net::socket(family, rustix::net::SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::from((address, 0)))?;
    rustix::net::connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(FLOOD_PATIENCE))?;
    Ok(stream)
}

impl Bench for IsolationArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let seconds = stage.pick(self.seconds, SECONDS);
        say(format!("isolation: {} msg/s for {seconds} s", self.rate));
        let plan = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
        let sides = KINDS.map(|kind| {
            let settings = Settings {
                per_address: (kind == Kind::Connections).then_some(PER_ADDRESS),
                ..stage.settings()
            };
            Contestant::new(Subject::Engine, &plan, &settings)
                .of_case([kind.name()])
                .playing(move |it| beside(testbed, it, kind))
        });
        let played = stage.play(&sides, ROUNDS)?;
        self.section(&played, seconds)
    }
}

/// A round of the good sources beside a bad one.
fn beside(testbed: &Testbed, it: &Contestant<'_>, kind: Kind) -> Result<Outcome> {
    it.plan.check()?;
    let (mut lane, mut sources) = Lane::listening(it.plan.clone())?;
    let bad = kind.line().map(|line| start_bad(&line)).transpose()?;
    sources.extend(bad);
    let destinations = [it.plan.destination_names(), vec![ABSENT.to_owned()]].concat();
    let engine = testbed.start_engine(&it.settings, &sources, &destinations)?;
    lane.join(&engine)?;
    let crowd = match kind {
        Kind::Connections => Crowd::flood(engine.address)?,
        Kind::Pages(count) => Crowd::pages(count, engine.admin()?)?,
        _ => Crowd::default(),
    };
    let count = |name| engine.counter(name);
    let before = [count("received")?, count("connections_refused")?];
    let outcome = finish(&engine, lane)?;
    let received = count("received")? - before[0];
    let lines = received.saturating_sub(it.plan.messages) as f64;
    let refused = (count("connections_refused")? - before[1]) as f64;
    drop(crowd);
    let seconds = outcome.seconds;
    Ok(outcome
        .with(&BAD_LINES, lines / seconds)
        .with(&REFUSED, refused / seconds))
}

impl IsolationArgs {
    fn section(&self, played: &[Played], seconds: u64) -> Result<Section> {
        let (without, beside) = played.split_first().expect("all kinds were played");
        let rounds = without.outcomes.len();
        let ratios = beside.iter().map(|it| it.ratio(without, &P99));
        let worst = ratios.clone().map(|it| it.mid).fold(0.0, f64::max);
        let (worst, rate, each) = (Unit::Ratio.show(worst), self.rate, several_rounds(rounds));
        let aim = |(it, ratio): (&Played, Spread)| {
            let what = format!("p99 beside {}, over that without", it.case[0]);
            Aim::at_most(what, RATIO_MAX, Unit::Ratio, ratio)
        };
        let aims = beside.iter().zip(ratios).map(aim).collect();
        let curve = |it: &Played| (it.case[0].clone(), it.latency());
        let curves: Vec<_> = played.iter().map(curve).collect();
        let figures = [P50, P99, MAX, BAD_LINES, REFUSED];
        let title = format!("Latency beside a bad source, {}", together(rounds));
        Ok(Section {
            title: format!(
                "Isolation: {rate} msg/s for {seconds} s beside a bad neighbour, {each} of each, no store"
            ),
            summary: format!(
                "Beside the worst of the bad neighbours the others' p99 is {worst} times what it was \
                 without."
            ),
            text: TEXT.into(),
            aims,
            pictures: vec![Sheet::new("latency", &title).percentiles(&curves)?],
            ..Section::of_rounds(&["beside"], played, &figures, ALONE)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_their_names_say() {
        let json = |kind: Kind| {
            let line = kind.line().expect("it sends");
            serde_json::from_slice::<serde_json::Value>(&line)
        };
        assert!(json(Kind::Malformed).is_err() && json(Kind::Long).is_err());
        for (kind, destination) in [(Kind::Unknown, "unknown"), (Kind::Duplicates, ABSENT)] {
            let message = json(kind).expect("JSON");
            assert_eq!(message["destinationId"], destination);
            assert_eq!(kind.line().expect("it sends").len(), FRAME_LEN + 1);
        }
    }
}
