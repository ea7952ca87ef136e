//! What differs between the settings in force and those that shall follow them.
//!
//! A reload feeds it two checked settings; it says what is added, removed and changed, or which keys
//! cannot change while an engine runs. Names of keys and items only: no value, so no token and no
//! password.

use std::fmt;

use serde::Serialize;

use super::draft::label;
use super::reloadable::KEYS;
use super::{Config, Destination, Source, User};

/// What a reload changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Changes {
    /// Items that are new: `[[source]] 127.0.0.1:8005`.
    pub(crate) added: Vec<String>,
    /// Items that are there no more.
    pub(crate) removed: Vec<String>,
    /// Keys with another value, items with the keys that changed, and files with another content.
    pub(crate) changed: Vec<String>,
}

/// Keys that only a start takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} cannot change while the engine runs: a restart is needed",
    keys.join(", ")
)]
pub(crate) struct CannotChange {
    pub(crate) keys: Vec<String>,
}

impl Changes {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How settings differ.
    ///
    /// # Errors
    /// The second ones need a restart, for these keys.
    pub(crate) fn between(before: &Config, after: &Config) -> Result<Self, CannotChange> {
        let mut changes = Self::default();
        let mut taken = before.clone();
        let mut fixed = Vec::new();
        for key in KEYS.iter().filter(|it| (it.differs)(before, after)) {
            let name = label(key.section, key.key);
            match key.take {
                Some(take) => {
                    take(&mut taken, after);
                    changes.changed.push(name);
                }
                None => fixed.push(name),
            }
        }
        changes.compare_items(before, after, &mut fixed);
        taken.sources.clone_from(&after.sources);
        taken.destinations.clone_from(&after.destinations);
        (taken.destination_patterns).clone_from(&after.destination_patterns);
        (taken.scheduler.create_fitting).clone_from(&after.scheduler.create_fitting);
        taken.users.clone_from(&after.users);
        taken.rules.clone_from(&after.rules);
        if taken != *after && fixed.is_empty() {
            fixed.push("a setting that stands on no list of those that can change".to_owned());
        }
        match fixed.is_empty() {
            true => Ok(changes),
            false => Err(CannotChange { keys: fixed }),
        }
    }

    fn compare_items(&mut self, before: &Config, after: &Config, fixed: &mut Vec<String>) {
        self.compare(&before.sources, &after.sources, fixed);
        self.compare(&before.destinations, &after.destinations, fixed);
        let patterns = (&before.destination_patterns, &after.destination_patterns);
        self.compare(patterns.0, patterns.1, fixed);
        self.compare(&before.users, &after.users, fixed);
        if before.rules != after.rules {
            let (before, after) = (before.rules.len(), after.rules.len());
            self.changed.push(match before == after {
                true => "[[rule]]".to_owned(),
                false => format!("[[rule]] (there were {before}, there are {after})"),
            });
        }
    }

    fn compare<T: Item>(&mut self, before: &[T], after: &[T], fixed: &mut Vec<String>) {
        let find = |all: &[T], it: &T| all.iter().position(|other| other.name() == it.name());
        let label = |it: &T| format!("[[{}]] {}", T::KIND, it.name());
        let gone = before.iter().filter(|it| find(after, it).is_none());
        self.removed.extend(gone.map(label));
        for item in after {
            match find(before, item) {
                None => self.added.push(label(item)),
                Some(at) if before[at] != *item => {
                    let (keys, is_all) = changed_keys(&before[at], item);
                    if is_all {
                        self.changed
                            .push(format!("{}: {}", label(item), keys.join(", ")));
                    } else {
                        fixed.push(label(item));
                    }
                }
                Some(_) => {}
            }
        }
    }
}

/// The keys in which two items differ, and whether these are all in which they do.
fn changed_keys<T: Item>(before: &T, after: &T) -> (Vec<&'static str>, bool) {
    let mut taken = before.clone();
    let mut keys = Vec::new();
    for (key, take) in T::KEYS {
        let mut with = taken.clone();
        take(&mut with, after);
        if with != taken {
            keys.push(*key);
            taken = with;
        }
    }
    let is_all = taken == *after;
    (keys, is_all)
}

impl fmt::Display for Changes {
    /// `added [[source]] a; removed [[user]] b; changed [log] level`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("nothing has changed");
        }
        let parts = [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let words: Vec<_> = parts
            .map(|(word, names)| format!("{word} {}", names.join(", ")))
            .collect();
        out.write_str(&words.join("; "))
    }
}

/// Takes one key of an item over.
type Take<T> = fn(&mut T, &T);

macro_rules! keys {
    ($($key:literal $($field:ident).+;)*) => {
        &[$(($key, |into, from| into.$($field).+ = from.$($field).+.clone()),)*]
    };
}

/// What may stand in the file many times, and is known by a name.
trait Item: Clone + PartialEq + 'static {
    const KIND: &'static str;
    /// The keys that can change, besides its name.
    const KEYS: &'static [(&'static str, Take<Self>)];
    fn name(&self) -> &str;
}

impl Item for Source {
    const KIND: &'static str = "source";
    const KEYS: &'static [(&'static str, Take<Self>)] = keys! {
        "ack" ack;
        "tls" tls.is_on;
        "tls_ca" tls.ca;
        "tls_name" tls.name;
        "tls_cert" tls.cert;
        "tls_key" tls.key;
        "nats" nats.servers;
        "subject" nats.subject;
        "creds" nats.creds;
        "nkey" nats.nkey;
    };

    fn name(&self) -> &str {
        &self.address
    }
}

impl Item for Destination {
    const KIND: &'static str = "destination";
    const KEYS: &'static [(&'static str, Take<Self>)] = keys! {
        "vip" vip;
        "max_queued" max_queued;
        "when_full" when_full;
        "nats" nats.servers;
        "subject" nats.subject;
        "at_most_once" nats.at_most_once;
        "headers" nats.headers;
        "creds" nats.creds;
        "nkey" nats.nkey;
        "tls_ca" nats.ca;
        "tls_cert" nats.cert;
        "tls_key" nats.key;
    };

    fn name(&self) -> &str {
        &self.id
    }
}

impl Item for User {
    const KIND: &'static str = "user";
    const KEYS: &'static [(&'static str, Take<Self>)] = keys! {
        // A token that is in a file now, and is the same one, is no other token.
        "token_sha256" token_sha256;
        "token_file" token_file;
        "certificate" certificate;
        "may_send" may_send;
        "may_receive" may_receive;
        "may_admin" may_admin;
        "source" source;
    };

    fn name(&self) -> &str {
        &self.name
    }
}
