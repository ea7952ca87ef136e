//! Reads the settings: the defaults, the file over them, the environment over both.
//!
//! Fed by the commands; feeds everything in the engine. It touches the file system, the
//! environment and, for names in `listen`, the resolver; the parts that it calls do not.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::defaults::default_max_wait;
use super::draft::Draft;
use super::problem::{Place, Problem};
use super::service_links::is_service_link;
use super::{Config, ConfigError, Destination, Source, checks, environment, file};
use crate::limits::SETTINGS_LEN_MAX;
use crate::message::Pattern;
use crate::setting_file::{read_argument, text};

/// The file that is read when none is named, if it is in the current directory.
pub const DEFAULT_FILE: &str = "flipped-lb.toml";

/// Reads the settings from `file` and the environment. Without `file`: [`DEFAULT_FILE`] in the
/// current directory if it is there, else the defaults.
///
/// # Errors
/// All that is wrong with the settings: a line for each problem.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let (name, text) = match used_file(file) {
        Some(path) => (path.display().to_string(), read_text(&path)?),
        None => (DEFAULT_FILE.to_owned(), String::new()),
    };
    parse(&name, &text, &variables()?)
}

/// Reads the settings from the text of a file called `name` and from these variables.
///
/// # Errors
/// All that is wrong with the settings: a line for each problem.
pub fn parse(
    name: &str,
    text: &str,
    variables: &[(String, String)],
) -> Result<Config, ConfigError> {
    let mut draft = Draft::default();
    file::read(&mut draft, name, text);
    environment::read(&mut draft, variables);
    if !draft.given.has("scheduler", "max_wait") {
        draft.config.scheduler.max_wait = default_max_wait(draft.config.scheduler.levels);
    }
    draft
        .config
        .sources
        .iter_mut()
        .for_each(Source::name_after_stream);
    draft.config.cluster.complete();
    // A refused value is at its default: what follows from it would mislead.
    if draft.problems.is_empty() {
        checks::check(&mut draft);
    }
    ConfigError::unless_empty(draft.problems)?;
    let mut config = draft.config;
    set_patterns_apart(&mut config);
    Ok(config)
}

/// Patterns of destinations are none themselves.
fn set_patterns_apart(config: &mut Config) {
    let all = std::mem::take(&mut config.destinations);
    (config.destination_patterns, config.destinations) =
        all.into_iter().partition(Destination::is_pattern);
    let patterns = config.destination_patterns.iter();
    config.scheduler.create_fitting = patterns.filter_map(|it| Pattern::parse(&it.id)).collect();
}

/// The file that [`load`] reads, if any.
#[must_use]
pub fn used_file(file: Option<&Path>) -> Option<PathBuf> {
    match file {
        Some(path) => Some(path.to_owned()),
        None => {
            let path = PathBuf::from(DEFAULT_FILE);
            path.exists().then_some(path)
        }
    }
}

/// Where an engine with the settings of this directory is likely to listen for HTTP, though they are
/// wrong: as the environment says, or the file, if it can be read, or by default.
pub(crate) fn likely_admin_listen() -> String {
    let of_file = || {
        let text = read_text(Path::new(DEFAULT_FILE)).ok()?;
        let table: toml::Table = text.parse().ok()?;
        let listen = table.get("admin")?.get("listen")?.as_str()?;
        Some(listen.to_owned())
    };
    let of_variable = std::env::var(format!("{}ADMIN_LISTEN", environment::PREFIX)).ok();
    let default = || Some(Config::default().admin.listen?.to_string());
    let listen = of_variable.or_else(of_file).or_else(default);
    listen.unwrap_or_default()
}

/// The names of the environment variables that [`load`] takes for settings, sorted.
#[must_use]
pub fn overrides() -> Vec<String> {
    names(|name| !is_link(name))
}

/// The names of those that [`load`] passes over: Kubernetes sets them for a Service whose name begins
/// as the engine's does; sorted.
#[must_use]
pub fn passed_over() -> Vec<String> {
    names(is_link)
}

fn names(is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names
        .filter(|it| environment::is_setting(it) && is_wanted(it))
        .collect();
    names.sort();
    names
}

fn is_link(name: &str) -> bool {
    let value = std::env::var(name).unwrap_or_default();
    let name = name.strip_prefix(environment::PREFIX);
    name.is_some_and(|it| is_service_link(it, &value))
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let read = read_argument(path, SETTINGS_LEN_MAX);
    read.and_then(text).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::NotFound => format!(
                "there is no such file; name another one, or make one with all settings: flipped-lb \
                 check --example > {}",
                path.display()
            ),
            ErrorKind::InvalidData => "this is not UTF-8; save the file as UTF-8".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        ConfigError::one(Problem::new(
            Place::Settings(path.display().to_string()),
            why,
        ))
    })
}

/// The engine's variables, sorted, so that errors come in the same order each time.
fn variables() -> Result<Vec<(String, String)>, ConfigError> {
    let mut variables = Vec::new();
    for name in overrides() {
        match std::env::var(&name) {
            Ok(value) => variables.push((name, value)),
            Err(_) => {
                let place = Place::Variable(name);
                let why = "found a value that is not UTF-8; write plain text";
                return Err(ConfigError::one(Problem::new(place, why)));
            }
        }
    }
    Ok(variables)
}
