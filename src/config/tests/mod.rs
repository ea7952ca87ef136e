//! Tests of the settings, by what they promise.

mod changes;
mod cluster;
mod defaults;
mod environment;
mod keys;
mod nats;
mod problems;
mod units;

use super::{Config, parse};

/// The settings of this text, which are right.
fn settings(text: &str) -> Config {
    parse("flipped-lb.toml", text, &[]).expect("these settings are right")
}

/// The text with a key in its section; `[cluster]` is of no use without a replicated journal.
fn with(section: &str, key: &str, value: &str) -> String {
    match section {
        "" => format!("{key} = {value}\n"),
        "cluster" => format!("durability = 'replicated'\n[cluster]\n{key} = {value}\n"),
        section => format!("[{section}]\n{key} = {value}\n"),
    }
}

/// The problems of this text, which has some.
fn problems(text: &str) -> Vec<String> {
    let error = parse("flipped-lb.toml", text, &[]).expect_err("these settings are wrong");
    error.problems().collect()
}

/// The one problem of this text.
fn problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].clone()
}

/// The settings under these variables alone, or the problems.
fn under(variables: &[(&str, &str)]) -> Result<Config, String> {
    under_with("", variables)
}

/// The settings of this text under these variables, or the problems.
fn under_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables: Vec<(String, String)> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    parse("flipped-lb.toml", text, &variables).map_err(|error| error.to_string())
}
