//! Which group owns the files of a data directory: a member's records name no group, so a file of the directory does.
//!
//! Written when a member starts, and checked by all that take the journal's records as their own: a member of
//! another group would look for them in that one's stream, an engine alone would deliver what the group's
//! other members deliver too. Called under the lock of the data directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::journal::journal_folder;
use crate::journal::storage::{Directory, Storage as _};

/// The file of the data directory with the group's name.
const GROUP_FILE: &str = "group";

/// The files belong to somebody else.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnerError {
    #[error(
        "the files in {0} are of a member of group \"{1}\", and [cluster] group is \"{2}\": set it back to \
         \"{1}\", or give this member of group \"{2}\" a data_dir of its own",
        directory.display(), found, wanted
    )]
    OtherGroup {
        directory: PathBuf,
        found: String,
        wanted: String,
    },
    #[error(
        "the files in {0} are of a member of group \"{1}\", whose other members deliver the same messages: set \
         durability = \"replicated\" and [cluster] to follow the group again, or give this engine a data_dir of \
         its own. To leave the group, and go on alone with what these files have: stop its other members for \
         good, and remove {0}/{GROUP_FILE}",
        directory.display(), group
    )]
    OfGroup { directory: PathBuf, group: String },
    #[error("{} cannot be used: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// A member takes the directory for its group.
///
/// # Errors
/// It has records of another group, or the name cannot be kept.
pub(crate) fn take(directory: &Path, group: &str) -> Result<(), OwnerError> {
    check(directory, group)?;
    let path = directory.join(GROUP_FILE);
    if kept(&path)?.as_deref() == Some(group) {
        return Ok(());
    }
    keep(directory, group).map_err(|source| OwnerError::File { path, source })
}

/// Whether the directory's records, if there are any, may be this group's.
///
/// # Errors
/// They are another one's.
pub(crate) fn check(directory: &Path, group: &str) -> Result<(), OwnerError> {
    match owner(directory)? {
        Some(found) if found != group => Err(OwnerError::OtherGroup {
            directory: directory.to_owned(),
            found,
            wanted: group.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// An engine in no group takes the directory.
///
/// # Errors
/// It has records of a group.
pub(crate) fn take_alone(directory: &Path) -> Result<(), OwnerError> {
    match owner(directory)? {
        None => Ok(()),
        Some(group) => Err(OwnerError::OfGroup {
            directory: directory.to_owned(),
            group,
        }),
    }
}

/// The group whose records are there; `None`: there are none, or no group is known.
fn owner(directory: &Path) -> Result<Option<String>, OwnerError> {
    let Some(group) = kept(&directory.join(GROUP_FILE))? else {
        return Ok(None);
    };
    let path = journal_folder(directory);
    match Directory::existing(&path).segments() {
        Ok(segments) => Ok((!segments.is_empty()).then_some(group)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OwnerError::File { path, source }),
    }
}

fn kept(path: &Path) -> Result<Option<String>, OwnerError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|it| !it.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OwnerError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Written aside and moved: a crash leaves a whole name or none.
fn keep(directory: &Path, group: &str) -> io::Result<()> {
    let draft = directory.join(format!("{GROUP_FILE}.new"));
    fs::write(&draft, format!("{group}\n"))?;
    File::open(&draft)?.sync_all()?;
    fs::rename(&draft, directory.join(GROUP_FILE))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(taken: Result<(), OwnerError>) -> String {
        taken.expect_err("the files are others'").to_string()
    }

    #[test]
    fn records_are_their_groups_and_an_empty_journal_is_anybodys() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let at = home.path();
        take_alone(at).expect("nothing is there");
        take(at, "east").expect("nothing is there");
        take(at, "west").expect("it has no record");
        take_alone(at).expect("it has no record");
        let journal = journal_folder(at);
        fs::create_dir(&journal).expect("a directory");
        take(at, "east").expect("it has no record");
        fs::write(journal.join("00000000000000000000.segment"), "x").expect("a file");
        take(at, "east").expect("it is its own");
        for told in [words(take(at, "west")), words(check(at, "west"))] {
            assert!(
                told.contains("\"east\"") && told.contains("\"west\""),
                "{told}"
            );
        }
        let told = words(take_alone(at));
        let way_out = format!("remove {}/group", at.display());
        assert!(
            told.contains("\"east\"") && told.contains(&way_out),
            "{told}"
        );
        fs::remove_file(at.join(GROUP_FILE)).expect("it is there");
        take_alone(at).expect("a person has said so");
    }
}
