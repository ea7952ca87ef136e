//! The keys at the top of the file.

use std::path::PathBuf;

use crate::config::Durability;
use crate::config::key::{Section, key, set};

pub(super) const TOP: Section = Section {
    name: "",
    meaning: "",
    keys: &[
        key(
            "data_dir",
            "\"flipped-lb-data\"",
            "Where the journal, the embedded database, rejected lines and histograms live.",
            |c, v| match v.text()? {
                "" => Err("found nothing; write a directory".to_owned()),
                text => set(&mut c.data_dir, PathBuf::from(text)),
            },
        ),
        key(
            "durability",
            "\"written\"",
            "What has happened before a message is delivered and its source is acknowledged: \
             memory (nothing yet; survives a clean stop), written (the operating system has it; \
             survives kill -9), synced (the disk has it; survives power loss), replicated (most servers \
             of [cluster] and the own disk have it; survives the machine).",
            |c, v| set(&mut c.durability, v.choice(&DURABILITIES)?),
        ),
    ],
};

const DURABILITIES: [(&str, Durability); 4] = [
    ("memory", Durability::Memory),
    ("written", Durability::Written),
    ("synced", Durability::Synced),
    ("replicated", Durability::Replicated),
];
