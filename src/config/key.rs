//! What a key is: its name, default and meaning, and how a value is taken.

use super::Config;
use super::found::Found;

/// Takes a value into the settings, or says what is wrong with it.
pub(super) type Set<T> = fn(&mut T, &Found) -> Result<(), String>;

/// One key of a `T`.
#[derive(Debug)]
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    /// As it is written in TOML.
    pub(super) default: Shown,
    /// For the example file: unit, bounds, what it does.
    pub(super) meaning: &'static str,
    pub(super) set: Set<T>,
}

/// What the example file shows for a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// The default.
    Default(&'static str),
    /// There is no default and the key may be absent; this is an example.
    Absent(&'static str),
    /// The key must be there; this is an example.
    Required(&'static str),
    /// The key must be there unless the other one is; this is an example.
    RequiredWithout(&'static str, &'static str),
}

/// One `[section]`, or the top of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// Empty for the top of the file.
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) keys: &'static [Key<Config>],
}

/// A key with a default.
pub(super) const fn key<T>(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    set: Set<T>,
) -> Key<T> {
    let default = Shown::Default(default);
    Key {
        name,
        default,
        meaning,
        set,
    }
}

/// Takes a value, in the form that ends a [`Set`].
pub(super) fn set<T>(field: &mut T, value: T) -> Result<(), String> {
    *field = value;
    Ok(())
}

/// `max_connections` of a section with a listener.
macro_rules! max_connections {
    ($section:ident, $default:literal, $who:literal) => {
        crate::config::key::key(
            "max_connections",
            $default,
            concat!(
                "How many ",
                $who,
                " may be connected at once; further ones are told so and closed. Where the process \
                 may not open so many files, fewer: the engine says so at start."
            ),
            |c, v| {
                let count = v.count(1, crate::limits::CONNECTIONS_MAX)?;
                crate::config::key::set(&mut c.$section.connections.max, count)
            },
        )
    };
}
pub(super) use max_connections;

/// `tls` of a section with a listener: whether it is off.
macro_rules! tls {
    ($section:ident) => {
        crate::config::key::key(
            "tls",
            "\"auto\"",
            "auto: TLS where [tls] or tls_cert has a certificate; off: none here.",
            |c, v| {
                let is_off = v.choice(&[("auto", false), ("off", true)])?;
                crate::config::key::set(&mut c.$section.tls.is_off, is_off)
            },
        )
    };
}
pub(super) use tls;

/// A file of TLS in a section with a listener.
macro_rules! tls_file {
    ($section:ident, $field:ident, $name:literal, $of:literal) => {
        crate::config::key::key(
            $name,
            "\"none\"",
            concat!("Here, instead of [tls] ", $of, "."),
            |c, v| crate::config::key::set(&mut c.$section.tls.files.$field, v.file()?),
        )
    };
}
pub(super) use tls_file;

/// `max_connections_per_address` of a section with a listener.
macro_rules! max_connections_per_address {
    ($section:ident) => {
        crate::config::key::key(
            "max_connections_per_address",
            "0",
            "The same for one peer address; 0: no limit of its own.",
            |c, v| {
                let count = v.count(0, crate::limits::CONNECTIONS_MAX)?;
                crate::config::key::set(&mut c.$section.connections.max_per_address, count)
            },
        )
    };
}
pub(super) use max_connections_per_address;
