//! `flipped-lb reload`: has a running engine read its settings anew, and says what that came to.
//!
//! Fed by the command line; asks the engine's admin address by `POST /reload`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::Failure;
use super::client::{AdminArgs, UserArgs, expect_user};
use super::output::print;
use crate::escape::Escaped;

const EXAMPLES: &str = "Examples:
  flipped-lb reload
  flipped-lb reload --config /etc/flipped-lb/flipped-lb.toml
  flipped-lb reload --admin 10.0.0.7:9100 --token-file admin.token

The engine reads its own file, and its own FLIPPED_LB_... variables and --data-dir apply as at its
start. All of it takes effect, or nothing does. What can change: sources, destinations, rules,
users, certificates, timeouts, limits of connections and rates, [stats] interval and [log]. What cannot
(addresses that are listened on, data_dir, threads, journal, store) is refused by its name: a restart is
needed. No connection that stays in the settings is dropped.

SIGHUP to the engine, and `systemctl reload flipped-lb`, do the same; then the log has the answer.
Where flipped-lb.toml in the current directory is wrong the engine is asked all the same: its own file
counts, and its answer says what is wrong with that.
Exit codes: 0 done, or nothing to do; 1 refused, or no answer; 2 wrong usage, or a wrong --config.";

/// How long a reload may take: names are waited for 2 s at most, agents take milliseconds.
const ANSWER: Duration = Duration::from_secs(60);

/// Have a running engine read its settings anew, and say what changed.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) engine: UserArgs,
}

/// Asks for the reload.
///
/// # Errors
/// It was refused, or there is no answer.
pub(crate) fn run(args: ReloadArgs) -> Result<(), Failure> {
    let otherwise = "give --admin, or send SIGHUP to its process";
    let http = (args.engine).http(AdminArgs::place_all_the_same, otherwise, ANSWER)?;
    let address = http.address();
    let (status, text) = http.post("/reload").map_err(|why| {
        Failure::because(format_args!(
            "no answer from {address}: {why}; is the engine running, and is this its [admin] listen? \
             SIGHUP to its process does the same"
        ))
    })?;
    print(&words(address, status, &text)?)
}

/// What the engine answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    reloaded: bool,
    error: String,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
}

/// What is printed: a line a change.
fn words(address: &str, status: u16, text: &str) -> Result<String, Failure> {
    expect_user(address, status, text)?;
    let answer: Answer = serde_json::from_str(text).map_err(|_| {
        Failure::because(format_args!(
            "{address} answers {status} to POST /reload: it is no engine's [admin] listen, or that of \
             an older one"
        ))
    })?;
    if !answer.reloaded {
        let lines = answer.error.lines().map(|it| Escaped(it).to_string());
        let lines: Vec<_> = lines.collect();
        return Err(Failure::Failed(format!(
            "not reloaded, nothing was changed: {}",
            lines.join("\n")
        )));
    }
    let mut out = String::new();
    for (word, names) in [
        ("added", &answer.added),
        ("removed", &answer.removed),
        ("changed", &answer.changed),
    ] {
        for name in names {
            writeln!(out, "{word} {}", Escaped(name)).expect("a string takes everything");
        }
    }
    if out.is_empty() {
        out.push_str("reloaded: nothing has changed\n");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_a_line_and_none_is_told_too() {
        let said = words(
            "a:1",
            200,
            r#"{"reloaded":true,"added":["[[source]] b:1"],
                                         "changed":["[log] level"]}"#,
        );
        let expected = "added [[source]] b:1\nchanged [log] level\n";
        assert_eq!(said.ok().as_deref(), Some(expected));
        let said = words("a:1", 200, r#"{"reloaded":true}"#).ok();
        assert_eq!(said.as_deref(), Some("reloaded: nothing has changed\n"));
    }

    #[test]
    fn what_was_refused_is_told_with_its_reason_and_a_stranger_is_told_from_an_engine() {
        for (status, text, expected) in [
            (
                422,
                r#"{"reloaded":false,"error":"line 3: wrong"}"#,
                "not reloaded, nothing was changed: line 3: wrong",
            ),
            (401, "a token is wanted\n", "--token-file"),
            (404, "<html>", "no engine's [admin] listen"),
            (200, "{}", "not reloaded"),
        ] {
            let failure = words("a:1", status, text).expect_err("it was refused");
            assert_eq!(failure.exit_code(), 1);
            let said = failure.words().unwrap_or_default();
            assert!(said.contains(expected), "{said}");
        }
    }
}
