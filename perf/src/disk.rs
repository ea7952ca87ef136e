//! The disk alone: its sequential write rate and its room, where the engine's data lives.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::fs::statvfs;

use crate::cleanup::Home;

/// One write: as large as the engine's largest.
const BLOCK_LEN: usize = 1024 * 1024;

/// Bytes a second that a new file takes, written from its begin to its end and synced.
pub(crate) fn sequential_rate(folder: &Path, bytes: u64) -> Result<f64> {
    let home = Home::new(folder)?;
    let path = home.path().join("sequential");
    let mut file = File::create(&path).context(format!("making {}", path.display()))?;
    // Not zeros, which some disks need not write.
    let mut block = vec![0; BLOCK_LEN];
    fastrand::Rng::with_seed(1).fill(&mut block);
    let blocks = bytes.div_ceil(BLOCK_LEN as u64).max(1);
    let begun = Instant::now();
    for _ in 0..blocks {
        file.write_all(&block).context("writing to the disk")?;
    }
    file.sync_data().context("syncing the disk")?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok((blocks * BLOCK_LEN as u64) as f64 / seconds)
}

/// Bytes free there.
pub(crate) fn free_bytes(folder: &Path) -> Result<u64> {
    let it = statvfs(folder).context(format!("looking for room in {}", folder.display()))?;
    Ok(it.f_bavail.saturating_mul(it.f_frsize))
}

/// Waits until the disk has all files below a folder: those alone, for the rest of the file system
/// is somebody else's and may take minutes.
pub(crate) fn sync(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).context(format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .context(format!("reading {}", folder.display()))?
            .path();
        if path.is_dir() {
            sync(&path)?;
        } else {
            let synced = File::open(&path).and_then(|it| it.sync_data());
            synced.context(format!("syncing {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_a_rate_and_room_and_keeps_nothing_of_it() {
        let folder = tempfile::tempdir().expect("a directory");
        let rate = sequential_rate(folder.path(), 3_000_000).expect("it can be written");
        assert!(rate.is_finite() && rate > 0.0);
        assert!(free_bytes(folder.path()).expect("it is there") > 0);
        let left = fs::read_dir(folder.path()).expect("it is there");
        assert_eq!(left.count(), 0);
        fs::create_dir(folder.path().join("below")).expect("a folder");
        fs::write(folder.path().join("below/file"), "bytes").expect("a file");
        sync(folder.path()).expect("it can be synced");
    }
}
