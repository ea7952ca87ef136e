//! Environment variables over the file: `FLIPPED_LB_<SECTION>_<KEY>`.
//!
//! Fed by `load` with the variables; fills the draft. Lists stand with commas between their
//! items. `FLIPPED_LB_SOURCES` and `FLIPPED_LB_DESTINATIONS` replace the file's items.

use super::draft::{Draft, label};
use super::found::Found;
use super::key::Key;
use super::keys::SECTIONS;
use super::nearest::nearest;
use super::problem::{Place, Problem};
use super::service_links::is_service_link;
use super::{Config, Destination, Source};

/// What all variables of the engine begin with.
pub(super) const PREFIX: &str = "FLIPPED_LB_";

/// Variables with a meaning of their own, which are no settings.
const NOT_SETTINGS: [&str; 2] = ["FLIPPED_LB_STORE_PASSWORD", "FLIPPED_LB_LOG"];

/// Variables that tests use among themselves.
const TEST_PREFIX: &str = "FLIPPED_LB_TEST_";

const SOURCES: &str = "FLIPPED_LB_SOURCES";
const DESTINATIONS: &str = "FLIPPED_LB_DESTINATIONS";

/// Whether a variable is taken for a setting, rightly or wrongly.
pub(super) fn is_setting(variable: &str) -> bool {
    variable.starts_with(PREFIX)
        && !NOT_SETTINGS.contains(&variable)
        && !variable.starts_with(TEST_PREFIX)
}

/// Reads the variables into the draft; what is wrong goes to the draft's problems.
pub(super) fn read(draft: &mut Draft, variables: &[(String, String)]) {
    let settings = all();
    for (variable, value) in variables.iter().filter(|(name, _)| is_setting(name)) {
        let place = Place::Variable(variable.clone());
        let found = Found::in_environment(value);
        let taken = match variable.as_str() {
            SOURCES => sources(draft, &found, &place),
            DESTINATIONS => destinations(draft, &found, &place),
            name => match settings.iter().find(|(known, ..)| known == name) {
                Some((_, section, key)) => {
                    let id = (*section, key.name);
                    draft.given.keys.insert(id, place.clone());
                    (key.set)(&mut draft.config, &found)
                        .map_err(|why| format!("{}: {why}", label(section, key.name)))
                }
                None if is_service_link(&name[PREFIX.len()..], value) => Ok(()),
                None => Err(unknown(name, &settings)),
            },
        };
        if let Err(why) = taken {
            draft.problems.push(Problem::new(place, why));
        }
    }
}

type Setting = (String, &'static str, &'static Key<Config>);

/// Each setting's variable, section and key.
pub(super) fn all() -> Vec<Setting> {
    let mut all = Vec::new();
    for section in &SECTIONS {
        for key in section.keys {
            let name = match section.name {
                "" => key.name.to_uppercase(),
                section => format!("{section}_{}", key.name).to_uppercase(),
            };
            all.push((format!("{PREFIX}{name}"), section.name, key));
        }
    }
    all
}

fn unknown(name: &str, settings: &[Setting]) -> String {
    // The key is right, and another section's, or of none.
    let key = format!("_{}", &name[PREFIX.len()..]);
    if let Some((known, ..)) = settings.iter().find(|(known, ..)| known.ends_with(&key)) {
        return format!("no such setting; did you mean {known}?");
    }
    let names = settings.iter().map(|(known, ..)| known.as_str());
    match nearest(
        name,
        names.chain([SOURCES, DESTINATIONS]).chain(NOT_SETTINGS),
    ) {
        Some(near) => format!("no such setting; did you mean {near}?"),
        None => format!("no such setting; the name is {PREFIX}<SECTION>_<KEY>, or unset it"),
    }
}

/// `a:1,b:2`; a server that the settings have already keeps its `ack`.
fn sources(draft: &mut Draft, found: &Found, place: &Place) -> Result<(), String> {
    let mut sources = Vec::new();
    for item in found.list()? {
        let address = item.host_port()?;
        let known = draft.config.sources.iter().find(|s| s.address == address);
        sources.push(known.cloned().unwrap_or_else(|| Source::to(address)));
    }
    draft.given.sources = vec![place.clone(); sources.len()];
    draft.config.sources = sources;
    Ok(())
}

/// `table1,table2`; a destination that the settings have already keeps its other settings.
fn destinations(draft: &mut Draft, found: &Found, place: &Place) -> Result<(), String> {
    let mut destinations = Vec::new();
    for item in found.list()? {
        let id = item.name()?;
        let known = draft.config.destinations.iter().find(|d| d.id == id);
        destinations.push(known.cloned().unwrap_or(Destination::to(id)));
    }
    draft.given.destinations = vec![place.clone(); destinations.len()];
    draft.config.destinations = destinations;
    Ok(())
}
