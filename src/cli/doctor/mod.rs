//! `flipped-lb doctor`: is this machine fit for the engine, and what would make it fitter.
//!
//! Fed by the command line. Each subject is a file: it takes what the system says of itself under
//! `machine::Machine`'s root, holds it against the settings, and gives `Finding`s. [`measure`]
//! spins on
//! the agents' cores for some seconds, [`disk`] writes a file of its own in the data directory and
//! removes it; only `--apply` changes anything else. What the system does not say is `unknown`,
//! never
//! guessed.
//!
//! ```text
//! /proc, /sys --> Machine --> cores, isolation, ... --+
//! clock ------> hiccups --> measure ------------------+--> Finding --> text, JSON
//! data_dir ---> disk, lasting ------------------------+       |
//! servers ----> cluster ------------------------------+       |
//!                                                             +--> Fix --> script, --apply, undo
//! ```

mod block_device;
mod clock;
mod cluster;
mod cores;
mod disk;
mod doors;
mod finding;
mod fix;
mod fixing;
mod frequency;
mod hiccups;
mod host;
mod interrupts;
mod isolation;
mod lasting;
mod limits;
mod machine;
mod measure;
mod memory;
mod nats;
mod network;
mod numa;
mod sleep_states;
mod sockets;
mod steal;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Failure;
use super::output::{print, print_json};
use crate::config;
use crate::log::say;
use crate::plural::counted;
use finding::{Finding, Verdict};
use machine::{Context, Machine};

const EXAMPLES: &str = "Examples:
  flipped-lb doctor
  flipped-lb doctor --config /etc/flipped-lb.toml --seconds 60
  flipped-lb doctor --format json | jq '.findings[] | select(.verdict != \"good\")'
  flipped-lb doctor --fix                  the commands that mend what is found
  sudo flipped-lb doctor --fix --apply     sets the values that are safe, and writes an undo script

good: nothing to do. fair: works, and could be faster or steadier. bad: will not work as the
settings say. unknown: the system does not say. Exit code 1 if something is bad, else 0.

For --seconds it spins on the agents' cores (on all that the process may use, where agents have none
of their own), and counts how long and how often it is held up there, and by which interrupts. While
an engine uses the data directory it leaves the cores alone unless --seconds is given, and says how
long the disk lasts at the pace of these seconds: take --seconds 60 for a steady one. Then it writes
and syncs 64 MiB in data_dir. The machine should be otherwise idle.

--apply sets values below /proc and /sys only. They last until the next boot, and the undo script
puts back what they were. Kernel parameters, services and network cards are printed, and left to
you.";

/// Say whether this machine is fit and quiet, and what mends what is found.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// The settings' file; without it flipped-lb.toml in the current directory, or the defaults.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Measure the disk of this directory instead of data_dir's.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How long stalls and interrupts are counted, in seconds; 0: not at all [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) seconds: Option<u64>,
    /// Print text, or one JSON object.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "fix")]
    pub(crate) json: bool,
    /// Print the commands that mend what is found, as a script.
    #[arg(long, conflicts_with = "format")]
    pub(crate) fix: bool,
    /// Set the values that are safe to set, as root; writes how to undo it first.
    #[arg(long, requires = "fix")]
    pub(crate) apply: bool,
    /// The undo script that --apply writes [default: flipped-lb-undo-TIME.sh here]
    #[arg(long, value_name = "FILE", requires = "apply")]
    pub(crate) undo: Option<PathBuf>,
}

/// How the findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people.
    Text,
    /// For programs.
    Json,
}

/// Examines the machine and prints what it found.
///
/// # Errors
/// Something is bad, or the settings are wrong.
pub(crate) fn run(args: DoctorArgs) -> Result<(), Failure> {
    let mut config = config::load(args.config.as_deref())?;
    if let Some(data_dir) = &args.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    let device = disk::existing(&config.data_dir).and_then(|it| block_device::device_of(&it));
    let context = Context::new(Machine::here(), &config).with_device(device);
    let mut findings = read(&context);
    let measured = measure::measure(&context, args.seconds);
    findings.extend(measured.findings);
    if args.fix {
        return mend(&args, &context.machine, &findings);
    }
    findings.extend(nats::findings(&context));
    findings.extend(disk::measure(&config));
    findings.extend(cluster::findings(&config));
    match args.json || args.format == Format::Json {
        true => print_json(&finding::json(&findings, measured.hiccups))?,
        false => {
            print(&finding::text(&findings))?;
            say(summary(&findings));
        }
    }
    verdict(&findings)
}

/// The last line: the findings fill more than a screen.
fn summary(findings: &[Finding]) -> String {
    let count = |verdict| findings.iter().filter(|it| it.verdict == verdict).count();
    let [good, fair, bad, unknown] =
        [Verdict::Good, Verdict::Fair, Verdict::Bad, Verdict::Unknown].map(count);
    let mend = match fair + bad {
        0 => "",
        _ => "; flipped-lb doctor --fix prints what mends them",
    };
    format!("doctor: {good} good, {fair} fair, {bad} bad, {unknown} unknown{mend}")
}

/// Fails where something is bad.
fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let bad = findings.iter().filter(|it| it.verdict == Verdict::Bad);
    match bad.count() as u64 {
        0 => Ok(()),
        n => {
            let bad = counted(n, "finding is bad", "findings are bad");
            Err(Failure::Failed(format!("doctor: {bad}")))
        }
    }
}

/// Prints the commands, or runs those that are safe.
fn mend(args: &DoctorArgs, machine: &Machine, findings: &[Finding]) -> Result<(), Failure> {
    if !args.apply {
        return print(&fixing::script(findings));
    }
    if !fixing::has_values(findings) {
        return print(&format!(
            "nothing is set: no value is safe to set and wrong\n{}",
            fixing::script(findings)
        ));
    }
    if !rustix::process::geteuid().is_root() {
        print(&fixing::script(findings))?;
        let why =
            "--apply needs root, and nothing was changed: sudo flipped-lb doctor --fix --apply";
        return Err(Failure::Failed(why.to_owned()));
    }
    let undo = args.undo.clone().unwrap_or_else(undo_name);
    fixing::write_undo(&undo, findings).map_err(|error| {
        let undo = undo.display();
        Failure::Failed(format!(
            "{undo}: {error}; nothing was changed; choose another --undo FILE"
        ))
    })?;
    let (lines, failures) = fixing::apply(machine, findings);
    let undo = undo.display();
    print(&format!(
        "{lines}undo: sh {undo}\nValues last until the next boot: have them set by /etc/sysctl.d, \
         /etc/tmpfiles.d or the unit. `flipped-lb doctor` says what is left.\n"
    ))?;
    match failures {
        0 => Ok(()),
        n => Err(Failure::Failed(format!(
            "doctor: the kernel refused values: {n}"
        ))),
    }
}

fn undo_name() -> PathBuf {
    let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S");
    PathBuf::from(format!("flipped-lb-undo-{time}.sh"))
}

/// All that is found by reading.
fn read(context: &Context<'_>) -> Vec<Finding> {
    let subjects: [fn(&Context<'_>) -> Vec<Finding>; 14] = [
        cores::findings,
        isolation::findings,
        interrupts::findings,
        numa::findings,
        frequency::findings,
        sleep_states::findings,
        memory::findings,
        block_device::findings,
        network::findings,
        limits::findings,
        sockets::findings,
        doors::findings,
        clock::findings,
        host::findings,
    ];
    subjects.iter().flat_map(|it| it(context)).collect()
}

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod quiet_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
