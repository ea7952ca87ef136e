//! `flipped-lb check`: what the settings mean, or what is wrong with them.
//!
//! Fed by the command line; [`words`] turns settings into sentences. It opens no socket and
//! writes no file; what `run` would find wrong with this machine is told all the same.

mod words;

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::output::print;
use crate::access::with_tokens;
use crate::clock::zone;
use crate::config::{self, Config, StoreUrl};
use crate::engine::tls::TlsOfEngine;
use crate::engine::{cores, directory};
use crate::escape::Escaped;
use crate::nats::connect::options;
use crate::net::tls::TlsFileError;
use crate::setting_file;

pub(crate) use words::{Machine, words};

const EXAMPLES: &str = "Examples:
  flipped-lb check
  flipped-lb check --config my.toml && flipped-lb run --config my.toml
  flipped-lb check --example > flipped-lb.toml     every key with its default
  flipped-lb check --schema > flipped-lb.schema.json     for editors that know JSON schemas

Exit code 2 if the settings are wrong; each problem is a line on standard error. It begins with
FILE:LINE:COLUMN, or with the environment variable that is wrong. What follows from defaults, a file
that cannot be read, and what this machine lacks (cores, certificates, a directory) have no line: they
name the setting or the file.";

/// Say what the settings mean, or what is wrong with them.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The settings' file; without it flipped-lb.toml in the current directory, or the defaults.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print a settings file with every key, its default and its meaning instead.
    #[arg(long, conflicts_with = "config")]
    pub(crate) example: bool,
    /// Print a JSON schema of the settings file instead: editors complete and check by it.
    #[arg(long, conflicts_with_all = ["config", "example"])]
    pub(crate) schema: bool,
}

/// Prints what the settings mean.
///
/// # Errors
/// The settings are wrong, by themselves or on this machine.
pub(crate) fn run(args: CheckArgs) -> Result<(), Failure> {
    if args.example {
        return print(&config::example());
    }
    if args.schema {
        return print(&format!("{:#}\n", config::schema()));
    }
    let config = config::load(args.config.as_deref())?;
    let (origin, local_time) = (origin(&args), local_time(&config));
    let machine = Machine::here();
    let words = words(&config, &machine);
    let tls = TlsOfEngine::load(&config);
    let certificates = certificates(&tls);
    print(&format!("{origin}{local_time}{words}{certificates}"))?;
    match problems(&config, &machine, tls.err()) {
        problems if problems.is_empty() => Ok(()),
        problems => {
            let lines = problems.iter().map(|it| Escaped(it).to_string());
            Err(Failure::Usage(lines.collect::<Vec<_>>().join("\n")))
        }
    }
}

/// What cannot be had on this machine: cores, the data directory, the password.
fn problems(config: &Config, machine: &Machine, of_tls: Option<TlsFileError>) -> Vec<String> {
    let refusal = cores::assess(config, &machine.cores).refusal();
    let mut problems: Vec<String> = refusal.into_iter().collect();
    let data_dir = &config.data_dir;
    if let Err(error) = directory::check(data_dir) {
        let data_dir = data_dir.display();
        problems.push(format!(
            "the data directory {data_dir} cannot be used: {error}"
        ));
    }
    problems.extend(of_tls.map(|it| it.to_string()));
    if let Err(error) = with_tokens(config) {
        problems.push(error.to_string());
    }
    if let (StoreUrl::MySql(_), Some(path)) = (&config.store.url, &config.store.password_file)
        && let Err(error) = setting_file::read(path)
    {
        let path = path.display();
        problems.push(format!("[store] password_file {path}: {error}"));
    }
    problems.extend(nats_files(config));
    problems
}

/// Credentials and certificates for NATS that cannot be read, or are none.
fn nats_files(config: &Config) -> Vec<String> {
    let sources = config.sources.iter().map(|it| ("[[source]]", &it.nats));
    let destinations = config.destinations.iter();
    let destinations = destinations.map(|it| ("[[destination]]", &it.nats));
    let all = sources
        .chain(destinations)
        .chain([("[cluster]", &config.cluster.nats)]);
    let problems = all.filter_map(|(section, nats)| {
        let why = options(nats).err()?;
        Some(format!("{section} {why}"))
    });
    problems.collect()
}

/// How long the certificates are valid, and what is wrong with them now.
fn certificates(tls: &Result<TlsOfEngine, TlsFileError>) -> String {
    // Files of no use are problems.
    let all = tls.as_ref().map_or(&[][..], |it| &it.certificates);
    let lines = all.iter().map(|it| match it.trouble() {
        Some(trouble) => format!("Warning: {trouble}\n"),
        None => format!("{}: {}\n", it.name(), it.validity.end_words()),
    });
    lines.collect()
}

/// Which zone local hours are of, where rules ask for them or it is not known.
fn local_time(config: &Config) -> String {
    let has_hours = config.rules.iter().any(|it| it.hours.is_some());
    match zone() {
        Ok(zone) if has_hours => format!("Local time: {zone}\n"),
        Ok(_) => String::new(),
        Err(unknown) => format!("Local time: {unknown}\n"),
    }
}

/// Where the settings come from.
fn origin(args: &CheckArgs) -> String {
    let file = match config::used_file(args.config.as_deref()) {
        Some(path) => path.display().to_string(),
        None => format!("the defaults ({} is not here)", config::DEFAULT_FILE),
    };
    let mut origin = match config::overrides().join(", ") {
        names if names.is_empty() => format!("Settings: {file}\n"),
        names => format!("Settings: {file}, and {names}\n"),
    };
    let passed_over = config::passed_over().join(", ");
    if !passed_over.is_empty() {
        origin.push_str(&format!(
            "Passed over, for Kubernetes sets them: {passed_over}\n"
        ));
    }
    origin
}
