//! The name under which a database keeps an engine's position.
//!
//! A position belongs to a journal, and a journal to a data directory: a name that is made because
//! none is set is kept there. A new data directory is a new engine, and a database that
//! followed another journal is not taken for one that is ahead.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::config;
use crate::net::machine;

/// The file of the data directory with the name that was made.
pub(crate) const NODE_FILE: &str = "store_node";
/// The name in a database that lives in the data directory itself.
const AT_HOME: &str = "main";

/// This engine's name.
///
/// # Errors
/// The file cannot be read or written.
pub(crate) fn node(data_dir: &Path, settings: &config::Store) -> io::Result<String> {
    match (&settings.node, &settings.url) {
        (Some(node), _) => Ok(node.clone()),
        (None, config::StoreUrl::Sqlite(None)) => Ok(AT_HOME.to_owned()),
        (None, _) => kept(data_dir),
    }
}

fn kept(data_dir: &Path) -> io::Result<String> {
    let path = data_dir.join(NODE_FILE);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let name = made();
    // Written aside and moved: a crash leaves a whole name or none.
    let draft = data_dir.join(format!("{NODE_FILE}.new"));
    fs::write(&draft, format!("{name}\n"))?;
    fs::File::open(&draft)?.sync_all()?;
    fs::rename(&draft, &path)?;
    Ok(name)
}

/// The machine's name, for people, and a number, for several engines on one machine.
fn made() -> String {
    let host: String = machine::name()
        .chars()
        .filter(char::is_ascii_graphic)
        .take(24)
        .collect();
    format!("{host}-{:016x}", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Server, Store, StoreUrl};

    fn settings(url: StoreUrl, node: Option<&str>) -> Store {
        Store {
            url,
            node: node.map(str::to_owned),
            ..Store::default()
        }
    }

    #[test]
    fn a_name_is_set_or_made_once_for_each_directory() {
        let [one, two] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
        let server = StoreUrl::MySql(Server::parse("mysql://me@db").expect("right"));
        let made = |home: &tempfile::TempDir| {
            node(home.path(), &settings(server.clone(), None)).expect("a name")
        };
        let name = made(&one);
        assert_eq!(name, made(&one));
        assert_ne!(name, made(&two));
        assert!(name.len() <= crate::limits::NAME_LEN_MAX, "{name}");
        let set = settings(server.clone(), Some("kitchen"));
        assert_eq!(node(one.path(), &set).expect("a name"), "kitchen");
        let home = settings(StoreUrl::Sqlite(None), None);
        assert_eq!(node(one.path(), &home).expect("a name"), "main");
    }
}
