//! `flipped-lb doctor`: is this machine fit for the engine, and what would make it fitter.
//!
//! Fed by the command line. Each subject is a file: it reads what the system says of itself under
//! `machine::Machine`'s root, holds it against the settings, and gives `Finding`s. Only `disk`
//! writes: a file of its own in the data directory, which it removes. What the system does not say
//! is `unknown`, never guessed.

mod clock;
mod cores;
mod disk;
mod doors;
mod finding;
mod frequency;
mod host;
mod isolation;
mod limits;
mod machine;
mod memory;
mod numa;
mod sockets;
mod steal;

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::output::{print, print_json};
use crate::config;
use finding::{Finding, Verdict};
use machine::{Context, Machine};

const EXAMPLES: &str = "Examples:
  flipped-lb doctor
  flipped-lb doctor --config /etc/flipped-lb.toml
  flipped-lb doctor --json | jq '.findings[] | select(.verdict != \"ok\")'

It takes some three seconds, one of them at full load. ok: nothing to do. warn: works, and could be
faster or steadier. bad: will not work as the settings say. Exit code 1 if something is bad, else 0.";

/// Say whether this machine is fit: cores, isolation, limits, clock, disk.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// The settings' file; without it flipped-lb.toml in the current directory, or the defaults.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Measure the disk of this directory instead of data_dir's.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Examines the machine and prints what it found.
///
/// # Errors
/// Something is bad, or the settings are wrong.
pub(crate) fn run(args: DoctorArgs) -> Result<(), Failure> {
    let mut config = config::load(args.config.as_deref())?;
    if let Some(data_dir) = args.data_dir {
        config.data_dir = data_dir;
    }
    let context = Context::new(Machine::here(), &config);
    let mut findings = read(&context);
    findings.push(steal::measure(&context.machine));
    findings.extend(disk::measure(&config));
    match args.json {
        true => print_json(&finding::json(&findings))?,
        false => print(&finding::text(&findings))?,
    }
    match findings
        .iter()
        .filter(|it| it.verdict == Verdict::Bad)
        .count()
    {
        0 => Ok(()),
        1 => Err(Failure::Failed("doctor: 1 finding is bad".to_owned())),
        n => Err(Failure::Failed(format!("doctor: {n} findings are bad"))),
    }
}

/// All that is found by reading.
fn read(context: &Context<'_>) -> Vec<Finding> {
    let subjects: [fn(&Context<'_>) -> Vec<Finding>; 10] = [
        cores::findings,
        isolation::findings,
        numa::findings,
        frequency::findings,
        memory::findings,
        limits::findings,
        sockets::findings,
        doors::findings,
        clock::findings,
        host::findings,
    ];
    subjects.iter().flat_map(|it| it(context)).collect()
}

#[cfg(test)]
mod tests;
