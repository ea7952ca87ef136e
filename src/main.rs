//! The command `flipped-lb`: hands over to the library's `cli`, and its exit code to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    flipped_lb::cli::main()
}
