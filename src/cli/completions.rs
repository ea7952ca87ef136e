//! `flipped-lb completions SHELL`: what a shell reads to complete this command's words.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Failure, output};

const EXAMPLES: &str = "Examples:
  flipped-lb completions bash > /etc/bash_completion.d/flipped-lb
  flipped-lb completions zsh > \"${fpath[1]}/_flipped-lb\"
  flipped-lb completions fish > ~/.config/fish/completions/flipped-lb.fish";

/// Print a shell's completions.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints them.
///
/// # Errors
/// Standard output takes nothing.
pub(crate) fn run(args: CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "flipped-lb", &mut script);
    output::print_bytes(&script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_learns_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "flipped-lb", &mut script);
            let script = String::from_utf8(script).expect("a script is text");
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {command}");
            }
        }
    }
}
