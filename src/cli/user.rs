//! `flipped-lb user hash`: turns a token into the setting of its user, or makes one.
//!
//! Fed by standard input or by the system's randomness. The setting goes to standard output and the
//! token that it has made to a file or to standard error, so that neither is taken for the other.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};

use super::Failure;
use super::output::print;
use crate::access::{Token, TokenFault, TokenHash};

const EXAMPLES: &str = "Examples:
  flipped-lb user hash --generate --token-file kitchen.token
  flipped-lb user hash < kitchen.token
  flipped-lb user hash --generate

It prints the line for the user's [[user]]: token_sha256 = \"...\". A token that it makes has 256
random bits. It is written to the file, or once to standard error: the engine keeps its hash only.";

/// Bytes of randomness in a token.
const TOKEN_LEN: usize = 32;

/// Bytes of a line that is read as a token at most.
const LINE_LEN_MAX: u64 = 4096;

/// A token that is shorter can be guessed from its hash, unless it is random.
const SHORT_LEN: usize = 16;

/// Make tokens and their settings.
#[derive(Debug, Clone, Args)]
pub(crate) struct UserArgs {
    /// What to do.
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum UserCommand {
    /// Print the setting of a token: of the first line of standard input, or of a new one.
    Hash(HashArgs),
}

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
struct HashArgs {
    /// Make a new token; so it is too where standard input is a terminal.
    #[arg(long)]
    generate: bool,
    /// Write the new token to this file, which must not be there yet; only its owner may read it.
    #[arg(long, value_name = "FILE", requires = "generate")]
    token_file: Option<PathBuf>,
}

/// Prints a setting.
///
/// # Errors
/// There is no token, or its file cannot be made.
pub(crate) fn run(args: UserArgs) -> Result<(), Failure> {
    let UserCommand::Hash(args) = args.command;
    let token = if args.generate || io::stdin().is_terminal() {
        let token = new_token()?;
        hand_over(&token, args.token_file.as_deref())?;
        token
    } else {
        read(io::stdin().lock())?
    };
    print(&setting(token.hash()))
}

fn setting(hash: TokenHash) -> String {
    format!("token_sha256 = \"{}\"\n", hash.hex())
}

fn new_token() -> Result<Token, Failure> {
    let mut bytes = [0; TOKEN_LEN];
    getrandom::fill(&mut bytes).map_err(Failure::because)?;
    Ok(Token::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// Gives a new token to whoever asked for it.
fn hand_over(token: &Token, file: Option<&Path>) -> Result<(), Failure> {
    let token = token.reveal();
    let Some(path) = file else {
        let written = writeln!(io::stderr(), "token (shown once): {token}");
        return written.map_err(|error| Failure::because(format_args!("standard error: {error}")));
    };
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    made.and_then(|mut it| writeln!(it, "{token}"))
        .map_err(|error| {
            let path = path.display();
            Failure::because(format_args!("--token-file {path}: {error}"))
        })
}

/// The token of the first line, as `[[user]] token_file` takes it.
fn read(input: impl io::BufRead) -> Result<Token, Failure> {
    let mut line = Vec::new();
    let mut input = input.take(LINE_LEN_MAX);
    input
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::because(format_args!("the token on standard input: {error}")))?;
    let token = Token::of_first_line(&line).map_err(|why| match why {
        TokenFault::Empty => Failure::Usage(
            "standard input has no token; write it on the first line, or have one made with \
             --generate"
                .to_owned(),
        ),
        why => Failure::Usage(format!("standard input: {why}")),
    })?;
    if token.reveal().len() < SHORT_LEN {
        let _ = writeln!(
            io::stderr(),
            "this token is short: whoever reads the settings can guess it; --generate makes one of \
             256 random bits"
        );
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_setting_is_that_of_the_token_on_the_first_line() {
        let token = read(&b"abc\nmore\n"[..]).expect("a token");
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            setting(token.hash()),
            format!("token_sha256 = \"{hash}\"\n")
        );
        for wrong in [&b" \nabc\n"[..], b"a b\n", b"\xef\xbb\xbfabc\n", b"\xff\n"] {
            assert_eq!(read(wrong).expect_err("none").exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_new_token_is_another_one_each_time_and_only_its_owner_may_read_its_file() {
        let (one, other) = (new_token().expect("random"), new_token().expect("random"));
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), 43);
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("token");
        hand_over(&one, Some(&file)).expect("it is new");
        let read = read(&std::fs::read(&file).expect("it is there")[..]);
        assert_eq!(read.expect("a token"), one);
        let mode = std::fs::metadata(&file).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let taken = hand_over(&other, Some(&file)).expect_err("it is there");
        assert_eq!(taken.exit_code(), 1);
    }
}
