//! The processes of a round, which are this program run again under a hidden command.
//!
//! ```text
//!            stdin: "go"                       stdout: a JSON event a line
//!  parent ==============> source | sink ==============================> parent
//!                            ||      ^
//!                           TCP     TCP        (engine | relay say "running: ..." on stderr)
//!                            vv      ||
//!                         engine | relay
//! ```
//! A part ends when its stdin does, and is killed by the kernel when its parent dies.

pub(crate) mod arrivals;
mod ledger;
mod nats;
pub(crate) mod relay;
mod routes;
pub(crate) mod sink;
pub(crate) mod source;

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::wire::Wire;

pub(crate) use sink::SinkReport;
pub(crate) use source::SourceReport;

#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// The message servers.
    Source {
        /// The round, as JSON.
        plan: String,
        /// Publish to this nats-server.
        #[arg(long)]
        nats: Option<SocketAddr>,
    },
    /// The subscribers.
    Sink {
        /// The round, as JSON.
        plan: String,
        /// Where the engine or the relay listens for them.
        address: SocketAddr,
        /// Subscribe and then only stay.
        #[arg(long)]
        silent: bool,
        /// It is a nats-server.
        #[arg(long)]
        nats: bool,
    },
    /// The baseline.
    Relay {
        /// How many destinations there are.
        destinations: usize,
        /// The message servers.
        sources: Vec<SocketAddr>,
    },
    /// The engine or nats-server: becomes that program.
    Become {
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

/// What a part tells its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Listening {
        addresses: Vec<SocketAddr>,
    },
    /// Every source has its connection.
    Connected,
    Subscribed,
    /// The sources have written all.
    Sent(SourceReport),
    /// The subscribers have all, or wait no longer.
    Received(SinkReport),
}

/// Plays a part until it is over.
pub(crate) fn play(part: Part) -> Result<()> {
    die_with_parent()?;
    match part {
        Part::Source { plan, nats } => source::run(&plan_of(&plan)?, nats),
        Part::Sink {
            plan,
            address,
            silent,
            nats,
        } => {
            let wire = if nats { Wire::NatsDeliver } else { Wire::Bare };
            sink::run(&plan_of(&plan)?, wire, address, silent)
        }
        Part::Relay {
            destinations,
            sources,
        } => relay::run(destinations, &sources),
        Part::Become { command } => become_program(&command),
    }
}

/// This process, replaced by another program; comes back only when that fails. That it ends with its parent
/// survives the replacement: so a program that knows nothing of benchmarks goes when they do.
fn become_program(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no program to become")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("starting {program}"))
}

/// The kernel kills this process when its parent goes, however that goes.
fn die_with_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to end with the parent")
}

fn plan_of(json: &str) -> Result<Plan> {
    let plan: Plan = serde_json::from_str(json).context("reading the plan")?;
    plan.check()?;
    Ok(plan)
}

fn tell(event: &Event) -> Result<()> {
    let mut line = serde_json::to_vec(event).context("rendering an event")?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&line)
        .and_then(|()| stdout.flush())
        .context("telling the parent")
}

/// Waits for the parent's next word; false when it will say no more.
fn hear() -> bool {
    let mut line = String::new();
    matches!(io::stdin().lock().read_line(&mut line), Ok(len) if len > 0)
}
