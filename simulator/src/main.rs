//! `message-server-simulator`: the library as a command.
//!
//! It starts what the arguments ask for, shows progress on stderr, waits for a signal or the end,
//! and prints the totals on stdout. Everything else is the library's.

mod cli;
mod progress;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser as _;
use message_server_simulator::{Handle, Simulation};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::Cli;

/// How late a signal or the end may be noticed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("message-server-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn std::error::Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let options = cli.options()?;
    let ack = options.ack;
    let handle = Simulation::new(options)?.start()?;
    eprint!("{}", progress::places(&handle, cli.dials()));
    watch(cli, &handle, &stop);
    let seed = handle.seed();
    print!("{}", progress::totals(&handle.stop(), seed, ack));
    Ok(())
}

/// Until a signal, or the end where that ends it.
fn watch(cli: &Cli, handle: &Handle, stop: &AtomicBool) {
    let started = Instant::now();
    let (mut before, mut next) = (handle.sent(), Duration::from_secs(1));
    let finished = || cli.exits_when_finished() && handle.is_finished();
    // Relaxed: the flag carries no data.
    while !stop.load(Ordering::Relaxed) && !finished() {
        std::thread::sleep(LOOK_EVERY);
        let elapsed = started.elapsed();
        if cli.shows_progress() && elapsed >= next {
            let now = handle.sent();
            eprintln!("{}", progress::second(elapsed, &before, &now, handle));
            before = now;
            next += Duration::from_secs(1);
        }
    }
}
