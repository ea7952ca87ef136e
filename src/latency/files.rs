//! The histograms' files in `data_dir/histograms/`.
//!
//! ```text
//! ingest.hgrm  ..  total.hgrm       a stage, all levels and destinations
//! total-level1.hgrm                 a stage and a level
//! total-table1.hgrm                 a destination, of the total
//! total-level1-table1.hgrm          a level and a destination, of the total
//! total-level1.others.hgrm          the destinations without histograms of their own
//! waiting.hgrm, waiting-table1.hgrm the oldest wait, sampled
//! ```
//!
//! The monitor writes them at exit. Not for the path.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::view::View;
use super::{Names, Stage, Totals, waiting, write_hgrm};

/// The histograms could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the histogram {path}: {source}; make its folder writable, or free space")]
pub struct FilesError {
    path: PathBuf,
    source: io::Error,
}

/// Writes all histograms into `folder`, which is made if need be; returns how many. Each file
/// appears whole or not at all. Files of an earlier run that have no successor are removed.
///
/// # Errors
/// The folder or a file cannot be written.
pub fn write_all(totals: &Totals, names: &dyn Names, folder: &Path) -> Result<usize, FilesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| FilesError { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let mut written = Vec::new();
    for view in totals.views() {
        let name = view.name(names);
        write_one(totals, view, folder, &name).map_err(failed(&folder.join(&name)))?;
        written.push(name);
    }
    remove_stale(folder, &written).map_err(failed(folder))?;
    Ok(written.len())
}

fn write_one(totals: &Totals, view: View, folder: &Path, name: &str) -> io::Result<()> {
    let unfinished = folder.join(format!("{name}.tmp"));
    let mut out = BufWriter::new(fs::File::create(&unfinished)?);
    write_hgrm(&totals.histogram(view), &mut out)?;
    out.flush()?;
    fs::rename(unfinished, folder.join(name))
}

/// Only files that this module names: of a stage or of what waits, and `.hgrm`.
fn remove_stale(folder: &Path, written: &[String]) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let mut labels = Stage::ALL
            .map(Stage::label)
            .into_iter()
            .chain([waiting::LABEL]);
        let ours = labels.any(|it| name.starts_with(it));
        if ours && name.ends_with(".hgrm") && !written.iter().any(|it| it == name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Interval;
    use crate::message::{DestinationIndex, TypeIndex};

    struct Ids(&'static [&'static str]);

    impl Names for Ids {
        fn destination(&self, index: DestinationIndex) -> String {
            self.0[index as usize].to_owned()
        }
        fn message_type(&self, index: TypeIndex) -> String {
            format!("type{index}")
        }
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn every_view_is_a_file_and_stale_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("histograms");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("total-level1-gone.hgrm"), "old").unwrap();
        fs::write(folder.join("waiting-gone.hgrm"), "old").unwrap();
        fs::write(folder.join("notes.hgrm"), "the user's").unwrap();
        let mut interval = Interval::new(2, 3);
        interval.record(Stage::Total, 2, 1, 5_000, 4);
        let mut totals = Totals::new(2, 3);
        totals.merge(&interval);

        let count = write_all(&totals, &Ids(&["a", "b/b", "c"]), &folder).unwrap();
        let names = names_in(&folder);
        assert_eq!(count, 5 * 3 + 2);
        assert_eq!(names.len(), count + 1);
        assert!(names.contains(&"total-level2-b%2Fb.hgrm".to_owned()));
        assert!(names.contains(&"notes.hgrm".to_owned()));
        let text = fs::read_to_string(folder.join("total-level2.hgrm")).unwrap();
        assert!(text.contains("Total count    =            4]"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let folder = file.path().join("histograms");
        let error = write_all(&Totals::new(1, 1), &Ids(&[]), &folder).unwrap_err();
        assert!(error.to_string().contains("histograms"), "{error}");
    }
}
