//! `flipped-lb demo`: the whole system on one machine.
//!
//! Fed by the command line; starts simulated message servers, the engine and a customer for each
//! destination, shows progress while orders flow, and checks at the end that what was sent was
//! delivered. The engine is the one that `run` starts; only ports that are taken are replaced.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Args;
use message_server_simulator::{Handle, Options, Pace, Simulation, Totals, listening};

use super::Failure;
use super::running::{prepare, print_passed_over};
use super::signals::Signals;
use crate::config::{self, Config, Source, StoreUrl};
use crate::counters::{Counter, Snapshot};
use crate::engine::{self, Ended, Engine};
use crate::log::say;
use crate::plural::several;

const EXAMPLES: &str = "Examples:
  flipped-lb demo
  flipped-lb demo --keep                   until Ctrl-C, to look at http://127.0.0.1:9100/
  flipped-lb demo --rate 10000 --seconds 30
  flipped-lb demo --data-dir /tmp/demo

Files stay in the data directory: messages.db (the rows), journal/, histograms/, rejected.ndjson.";

/// A file in the data directory: a demo has made it.
const MARK: &str = "demo";
/// Servers that the demo plays.
const SERVERS: u16 = 4;
/// In a hundred, how many orders come twice: there shall be something to filter.
const DUPLICATES_PERCENT: f64 = 1.0;
/// How long the last orders may take once the servers have stopped.
const SETTLE_TIME: Duration = Duration::from_secs(30);

/// Run the whole system on this machine: simulated servers, engine, customers.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Messages a second, of all servers together.
    #[arg(long, value_name = "R", default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) rate: u64,
    /// How long it runs.
    #[arg(long, value_name = "S", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Run until Ctrl-C, to look at the page meanwhile.
    #[arg(long, conflicts_with = "seconds")]
    pub(crate) keep: bool,
    /// Where the files go; without it the data_dir of the settings, which are those of
    /// flipped-lb.toml in the current directory, if it is there. One that `run` has used is refused.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Runs the demonstration.
///
/// # Errors
/// A part of it failed, or something that was sent was not delivered.
pub(crate) fn run(args: DemoArgs) -> Result<(), Failure> {
    let signals = prepare()?;
    let mut config = config::load(None)?;
    super::log::apply(config.log)?;
    print_passed_over();
    if let Some(data_dir) = &args.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    refuse_others(&config)?;
    let servers = play_servers(&config, args.rate)?;
    adapt(&mut config, &servers.addresses());
    let engine =
        engine::start(&config, None, || signals.has_started()).map_err(Failure::because)?;
    mark(&config)?;
    let customers = Customers::connect(&engine, &config)?;
    introduce(&engine, &config, args.rate);
    if args.keep {
        say("demo: Ctrl-C ends it".to_owned());
    }
    let time = (!args.keep).then(|| Duration::from_secs(args.seconds));
    watch(&engine, &servers, &signals, time);
    let sent = servers.stop();
    settle(&engine, &signals);
    let ended = engine.stop(&signals.hurry, |what| say(what));
    let received = customers.leave();
    conclude(&config, &sent, received, &ended)
}

/// A demo's orders go to no real customer, and its customers have no tokens.
fn refuse_others(config: &Config) -> Result<(), Failure> {
    if !config.users.is_empty() {
        return Err(Failure::Failed(
            "the settings have [[user]]s, and the demo's servers and customers have no tokens: run it \
             in a directory without a flipped-lb.toml"
                .to_owned(),
        ));
    }
    let directory = &config.data_dir;
    let is_another = directory.join("journal").exists() && !directory.join(MARK).exists();
    if is_another {
        return Err(Failure::Failed(format!(
            "the data directory {} has a journal that no demo has made, and made-up orders would be \
             among its messages: give another one with --data-dir",
            directory.display()
        )));
    }
    Ok(())
}

fn mark(config: &Config) -> Result<(), Failure> {
    let path = config.data_dir.join(MARK);
    let words = "The messages in this directory are a demo's.\n";
    std::fs::write(&path, words)
        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

fn play_servers(config: &Config, rate: u64) -> Result<Handle, Failure> {
    let localhost = std::net::Ipv4Addr::LOCALHOST.into();
    let options = Options {
        servers: listening(SERVERS, localhost, 0),
        destinations: config.destinations.iter().map(|it| it.id.clone()).collect(),
        pace: Pace::Rate {
            per_second: rate as f64 / f64::from(SERVERS),
            burst: 1,
        },
        duplicates_percent: DUPLICATES_PERCENT,
        ..Options::default()
    };
    let failed =
        |error: message_server_simulator::SimulatorError| Failure::Failed(error.to_string());
    Simulation::new(options)
        .map_err(failed)?
        .start()
        .map_err(failed)
}

/// The settings, with the played servers as sources, and other ports where the usual ones are taken.
fn adapt(config: &mut Config, servers: &[SocketAddr]) {
    config.sources = servers
        .iter()
        .map(|it| Source::to(it.to_string()))
        .collect();
    config.ingest.listen = None;
    config.stats.interval = Duration::ZERO;
    config.delivery.listen = free_or_other(config.delivery.listen);
    config.admin.listen = config.admin.listen.map(free_or_other);
}

fn free_or_other(address: SocketAddr) -> SocketAddr {
    match TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => SocketAddr::new(address.ip(), 0),
    }
}

fn introduce(engine: &Engine, config: &Config, rate: u64) {
    let addresses = engine.addresses();
    let names: Vec<&str> = config
        .destinations
        .iter()
        .map(|it| it.id.as_str())
        .collect();
    say(format!(
        "demo: {SERVERS} message servers at {rate} orders a second together, customers {}",
        names.join(", ")
    ));
    if let Some(admin) = addresses.admin {
        say(format!(
            "demo: look at http://{admin}/ in a browser; live numbers for programs at \
             http://{admin}/stats, what waits for whom at http://{admin}/destinations"
        ));
    }
}

/// Shows progress until the time is over, if there is one, or somebody interrupts.
fn watch(engine: &Engine, servers: &Handle, signals: &Signals, time: Option<Duration>) {
    let begun = Instant::now();
    let left = || time.map_or(Duration::MAX, |it| it.saturating_sub(begun.elapsed()));
    let mut shown = (0, 0);
    while !left().is_zero() && !signals.stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50).min(left()));
        let second = begun.elapsed().as_secs();
        if second > shown.0 {
            let counters = engine.counters().snapshot();
            say(progress(
                second,
                &counters,
                counters.get(Counter::Delivered) - shown.1,
                servers,
            ));
            shown = (second, counters.get(Counter::Delivered));
        }
    }
}

fn progress(second: u64, counters: &Snapshot, delivered_now: u64, servers: &Handle) -> String {
    format!(
        "demo: {second:>3} s   sent {:>9}   delivered {:>9} ({delivered_now}/s)   \
         duplicates {:>6}   queued {:>6}   stored {:>9}",
        servers.sent().lines(),
        counters.get(Counter::Delivered),
        counters.get(Counter::Duplicates),
        counters.get(Counter::Queued) + counters.get(Counter::InFlight),
        counters.get(Counter::Stored),
    )
}

/// Waits until what the servers sent has been delivered.
fn settle(engine: &Engine, signals: &Signals) {
    let begun = Instant::now();
    let mut calm = 0;
    let mut last = 0;
    while calm < 4 && begun.elapsed() < SETTLE_TIME && !signals.hurry.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(25));
        let counters = engine.counters().snapshot();
        let received = counters.get(Counter::Received);
        let open = counters.get(Counter::Queued) + counters.get(Counter::InFlight);
        calm = if open == 0 && received == last {
            calm + 1
        } else {
            0
        };
        last = received;
    }
}

/// The customers: a connection and a thread each, counting frames.
struct Customers {
    received: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Customers {
    fn connect(engine: &Engine, config: &Config) -> Result<Self, Failure> {
        let received = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for destination in &config.destinations {
            let stream = subscribe(engine.addresses().delivery, &destination.id)
                .map_err(|error| Failure::Failed(format!("demo: a customer: {error}")))?;
            let received = Arc::clone(&received);
            threads.push(thread::spawn(move || count_frames(stream, &received)));
        }
        Ok(Self { received, threads })
    }

    /// Waits for the end of all connections, which the engine has closed.
    fn leave(self) -> u64 {
        for thread in self.threads {
            // A customer that panicked has counted what it has.
            let _ = thread.join();
        }
        self.received.load(Ordering::Relaxed)
    }
}

fn subscribe(address: SocketAddr, destination: &str) -> std::io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(address)?;
    writeln!(
        stream,
        "{}",
        serde_json::json!({ "subscribe": [destination] })
    )?;
    let mut stream = BufReader::with_capacity(256 * 1024, stream);
    let mut answer = String::new();
    stream.read_line(&mut answer)?;
    Ok(stream)
}

fn count_frames(mut stream: BufReader<TcpStream>, received: &AtomicU64) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        let frames = memchr::memchr_iter(b'\n', &buffer[..len]).count();
        received.fetch_add(frames as u64, Ordering::Relaxed);
    }
}

/// This program as it was called: `cargo run` puts it on no PATH.
fn program() -> String {
    let called = std::env::args_os().next();
    called.map_or_else(
        || "flipped-lb".to_owned(),
        |it| it.to_string_lossy().into_owned(),
    )
}

/// What to do next: the latencies as a picture, the rows, and the engine itself.
fn hint_at_figures(config: &Config) {
    let program = program();
    let histograms = config.data_dir.join("histograms");
    say(format!(
        "demo: latencies: {program} histogram {} --out latency.svg",
        histograms.join("total.hgrm").display()
    ));
    let sqlite = |file: &Path| format!(" --url sqlite:{}", file.display());
    let rows = match &config.store.url {
        StoreUrl::Sqlite(None) => Some(sqlite(&config.data_dir.join("messages.db"))),
        StoreUrl::Sqlite(Some(file)) => Some(sqlite(file)),
        StoreUrl::MySql(_) => Some(String::new()),
        StoreUrl::None => None,
    };
    if let Some(database) = rows {
        say(format!("demo: rows: {program} report{database}"));
    }
    // Another port than the settings' was the demo's alone.
    if let Some(admin) = config.admin.listen.filter(|it| it.port() > 0) {
        say(format!(
            "demo: the engine by itself: {program} run; while it runs, its page is at \
             http://{admin}/, its figures at /stats, /destinations and /metrics"
        ));
    }
}

fn conclude(config: &Config, sent: &Totals, received: u64, ended: &Ended) -> Result<(), Failure> {
    let counters = &ended.counters;
    say(format!(
        "demo: {} sent, {received} received by customers, {} stored, {} filtered",
        several(sent.valid, "distinct order"),
        counters.get(Counter::Stored),
        several(counters.get(Counter::Duplicates), "duplicate"),
    ));
    say(format!("demo: files are in {}", config.data_dir.display()));
    hint_at_figures(config);
    if let Some(problems) = &ended.problems {
        return Err(Failure::Failed(format!("demo: {problems}")));
    }
    if received != sent.valid {
        let lost = format!("{} orders sent, {received} received", sent.valid);
        return Err(Failure::Failed(format!("demo: not exactly once: {lost}")));
    }
    Ok(())
}
