//! `flipped-lb health`: asks a running engine whether it is well, for containers and scripts.
//!
//! Fed by `/healthz` or `/readyz` of the admin address, which answer without a token. It changes
//! nothing.

use std::time::Duration;

use clap::Args;

use super::Failure;
use super::client::{AdminArgs, Http};
use super::output::print;
use crate::escape::Escaped;

const EXAMPLES: &str = "Examples:
  flipped-lb health
  flipped-lb health --ready --admin 10.0.0.7:9100

Exit code 0 if the engine is well, 1 if it is not, or does not answer.";

/// An engine that is well answers within milliseconds.
const ANSWER: Duration = Duration::from_secs(3);

/// Ask a running engine whether it is well; the exit code says so too.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HealthArgs {
    /// Ask whether it takes messages (/readyz), not only whether its threads go on (/healthz).
    #[arg(long)]
    pub(crate) ready: bool,
    #[command(flatten)]
    pub(crate) engine: AdminArgs,
}

/// Prints the engine's answer.
///
/// # Errors
/// The engine is not well, or does not answer.
pub(crate) fn run(args: HealthArgs) -> Result<(), Failure> {
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let http = Http::new(
        args.engine.place("set it, or give --admin")?,
        &args.engine.tls,
        None,
        ANSWER,
    )?;
    let address = http.address().to_owned();
    let (is_well, words) = ask(&http, path).map_err(|why| {
        Failure::because(format_args!(
            "no answer from {address}: {why}; is the engine running, and is this its [admin] listen?"
        ))
    })?;
    match is_well {
        true => print(&format!("{words}\n")),
        false => Err(Failure::because(words)),
    }
}

/// Whether it is well, and its words.
fn ask(http: &Http, path: &str) -> Result<(bool, String), String> {
    let (status, text) = http.get(path)?;
    let words = Escaped(text.trim()).to_string();
    match status {
        200 => Ok((true, words)),
        503 => Ok((false, words)),
        status => Err(format!("it answers {status} to {path}")),
    }
}
