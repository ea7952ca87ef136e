//! `flipped-lb top`: a live view of an engine in the terminal.
//!
//! ```text
//! engine --HTTP each second--> engine.rs: Snapshot --channel--> App <-- keys
//!                                                               view.rs --> terminal, or plain text
//! ```
//! It reads the admin address and changes nothing. `App` and the view know neither socket, terminal nor
//! clock. The terminal is given back whatever ends the command: a key, a signal, a panic.

mod app;
mod engine;
mod snapshot;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal as _};

use clap::Args;
use jiff::Timestamp;

use super::Failure;
use super::client::UserArgs;
use super::output::print;
use app::App;
use engine::{Engine, NoAnswer};

const EXAMPLES: &str = "Examples:
  flipped-lb top
  flipped-lb top --admin 10.0.0.7:9100
  flipped-lb top --once | grep subscriber

Keys: s sorts by queued, oldest wait, rate or name; / searches (Enter keeps the words, Esc forgets
them); up, down, page up, page down, home, end move; q quits.

Columns: queued messages, the same by level (1 first), messages in flight, the oldest wait; what is
waited for (subscriber: nobody has subscribed; reading: its socket takes nothing; acknowledgement:
it owes acknowledgements; journal: frames are read from disk) and since when (UTC); the subscriber (ack:
it acknowledges, +N: standbys); messages accepted and settled a second; redelivered ones.";

/// Watch an engine live: rates, troubles, and what each customer waits for.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopArgs {
    /// Print one frame as plain text and end; so it is too where standard output is no terminal.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) engine: UserArgs,
}

/// Shows an engine until the user has seen enough.
///
/// # Errors
/// There is no admin address; for one frame, the engine does not answer.
pub(crate) fn run(args: TopArgs) -> Result<(), Failure> {
    let engine = Engine::new(&args.engine)?;
    let has_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    match args.once || !has_terminal {
        true => print(&once(&engine)?),
        false => terminal::watch(engine),
    }
}

fn once(engine: &Engine) -> Result<String, Failure> {
    let address = engine.address();
    let snapshot = engine.snapshot().map_err(|why| match why {
        NoAnswer::Refused(why) => Failure::because(format_args!("{address}: {why}")),
        NoAnswer::Failed(why) => Failure::because(format_args!(
            "no answer from {address}: {why}; is the engine running, and is this its [admin] listen?"
        )),
    })?;
    let mut app = App::new(engine.address());
    app.answered(snapshot);
    Ok(view::plain(&app, Timestamp::now()))
}
