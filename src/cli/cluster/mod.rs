//! `flipped-lb cluster`: a group of engines with one replicated journal, asked and told through the admin
//! address of a member.

mod hand_over;
mod restore;
mod status;

use clap::{Args, Subcommand};

use super::Failure;

/// Say who serves a group of engines, have another member serve, or make its stream anew.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ClusterCommand {
    /// Show the members: who serves, since when, and how far each is.
    Status(status::StatusArgs),
    /// Have a ready standby take over from the member that serves.
    HandOver(hand_over::HandOverArgs),
    /// Make the group's stream anew from this member's journal, while no member runs.
    Restore(restore::RestoreArgs),
}

/// Carries it out.
///
/// # Errors
/// No member answers, or it refuses.
pub(crate) fn run(args: ClusterArgs) -> Result<(), Failure> {
    match args.command {
        ClusterCommand::Status(args) => status::run(args),
        ClusterCommand::HandOver(args) => hand_over::run(args),
        ClusterCommand::Restore(args) => restore::run(args),
    }
}

/// Nothing came from a member's admin address.
fn no_answer(address: &str, why: &str) -> Failure {
    Failure::because(format_args!(
        "no answer from {address}: {why}; is the member running, and is this its [admin] listen?"
    ))
}
