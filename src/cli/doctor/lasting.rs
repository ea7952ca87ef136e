//! How long the disk lasts: what the data directory takes, part by part, and how fast it grows.
//!
//! Two samples of sizes, some seconds apart, while an engine uses the directory; without one, sizes
//! alone. The journal's pace is what its engine counts, since its files grow by whole segments.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::super::client::reachable;
use super::finding::Finding;
use crate::config::{Config, StoreUrl, show_duration};
use crate::engine::journal_folder;
use crate::store::SQLITE_FILE;

const SUBJECT: &str = "disk lasts";
/// Time in which somebody notices and does something.
const HOURS_GOOD: f64 = 7.0 * 24.0;
const HOURS_BAD: f64 = 1.0;
/// How long an engine has to answer, and how much it may say.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
const ANSWER_LEN_MAX: u64 = 16 << 20;

/// Bytes on disk, by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sizes {
    journal: u64,
    /// The embedded database; a server's is on another disk, or its own business.
    store: u64,
    /// Rejected, unstored and undelivered messages.
    kept: u64,
    /// Interval logs and histograms.
    logs: u64,
    free: u64,
    /// What the running engine has appended to its journal since it began.
    appended: Option<u64>,
}

/// Bytes that a file takes on disk; a sparse one takes less than its length.
fn on_disk(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |it| it.blocks() * 512)
}

/// The bytes of a folder's files whose names begin so.
fn of_files(folder: &Path, prefixes: &[&str]) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let entries = entries.filter_map(Result::ok);
    let wanted = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    });
    wanted.map(|entry| on_disk(&entry.path())).sum()
}

impl Sizes {
    /// Now; `None` where the directory is not there yet.
    pub(super) fn now(config: &Config) -> Option<Self> {
        let data_dir = &config.data_dir;
        let disk = rustix::fs::statvfs(data_dir).ok()?;
        let store = match &config.store.url {
            StoreUrl::Sqlite(None) => of_files(data_dir, &[SQLITE_FILE]),
            StoreUrl::Sqlite(Some(path)) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let folder = path.parent().unwrap_or(Path::new("."));
                of_files(folder, &[&name])
            }
            StoreUrl::None | StoreUrl::MySql(_) => 0,
        };
        Some(Self {
            journal: of_files(&journal_folder(data_dir), &[""]),
            store,
            kept: of_files(data_dir, &["rejected", "undelivered", "unstored"]),
            logs: of_files(&data_dir.join("histograms"), &[""]),
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            appended: None,
        })
    }

    /// The same, with what the engine counts.
    pub(super) fn of_running(config: &Config) -> Option<Self> {
        let appended = config.admin.listen.and_then(appended);
        Self::now(config).map(|it| Self { appended, ..it })
    }
}

/// `journal_bytes` of the engine that listens there.
fn appended(listen: SocketAddr) -> Option<u64> {
    let address = reachable(listen).parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
    stream.write_all(b"GET /stats HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LEN_MAX).read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let stats: serde_json::Value = serde_json::from_str(body).ok()?;
    stats["journal_bytes"].as_u64()
}

/// By sizes before and after, and the seconds between them; without the latter there is no engine.
pub(super) fn assess(
    config: &Config,
    before: Option<Sizes>,
    later: Option<(Sizes, f64)>,
) -> Finding {
    let Some(before) = before else {
        return Finding::good(SUBJECT, "nothing is in data_dir yet");
    };
    let now = later.map_or(before, |it| it.0);
    let found = format!("{} free; {}", rough(now.free), parts(config, &now));
    let why = "a full disk stops the sources: the engine then waits for room";
    let Some((_, seconds)) = later else {
        let found = format!("{found}; no engine uses it now, so the pace is not known");
        return Finding::good(SUBJECT, found).because(why);
    };
    let paces = Paces::between(&before, &now, seconds);
    let found = format!("{found}; over {seconds:.0} s: {}", paces.words());
    let Some(hours) = paces.hours(&now, &Limits::of(config)) else {
        return Finding::good(SUBJECT, format!("{found}; for ever at this pace")).because(why);
    };
    let found = format!("{found}; for {} at this pace", lasting(hours));
    let advice = "set [store] keep, so that old rows go (their pages are used again), or have \
                  the store \
                  on another disk; take kept files away; lower [journal] max_bytes; a longer \
                  --seconds \
                  gives a steadier pace";
    let finding = match hours {
        it if it < HOURS_BAD => Finding::bad(SUBJECT, found, advice),
        it if it < HOURS_GOOD => Finding::fair(SUBJECT, found, advice),
        _ => Finding::good(SUBJECT, found),
    };
    finding.because(why)
}

/// What each part takes, and its limit.
fn parts(config: &Config, sizes: &Sizes) -> String {
    let limits = Limits::of(config);
    let store = match &config.store.url {
        StoreUrl::None => "none".to_owned(),
        StoreUrl::Sqlite(_) => {
            let kept = config.store.keep.map_or_else(
                || "without limit".to_owned(),
                |keep| format!("settled rows for {}", show_duration(keep)),
            );
            format!("{} ({kept})", rough(sizes.store))
        }
        StoreUrl::MySql(_) => "on its server, which is not measured".to_owned(),
    };
    format!(
        "journal {} (at most {}), store {store}, kept files {} (at most {}), logs {} (at most {})",
        rough(sizes.journal),
        rough(limits.journal),
        rough(sizes.kept),
        rough(limits.kept),
        rough(sizes.logs),
        rough(limits.logs),
    )
}

/// What the settings let the parts take; the store has no limit.
struct Limits {
    journal: u64,
    kept: u64,
    logs: u64,
}

impl Limits {
    fn of(config: &Config) -> Self {
        let (latency, unstored) = (&config.latency, config.store.unstored_max_total);
        Self {
            journal: config.journal.max_bytes,
            kept: config.ingest.rejected_max_total.saturating_add(unstored),
            logs: latency
                .log_max_bytes
                .saturating_mul(latency.log_files as u64),
        }
    }
}

/// Bytes a second, by part.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Paces {
    journal: f64,
    store: f64,
    kept: f64,
    logs: f64,
    appended: Option<f64>,
}

impl Paces {
    fn between(before: &Sizes, now: &Sizes, seconds: f64) -> Self {
        let pace = |before: u64, now: u64| (now as f64 - before as f64) / seconds.max(0.001);
        let appended = before.appended.zip(now.appended);
        Self {
            journal: pace(before.journal, now.journal),
            store: pace(before.store, now.store),
            kept: pace(before.kept, now.kept),
            logs: pace(before.logs, now.logs),
            appended: appended.map(|(before, now)| pace(before, now)),
        }
    }

    /// Hours until nothing is free; `None`: never. A part grows up to its limit, and one that
    /// shrinks makes no room for long.
    fn hours(&self, now: &Sizes, limits: &Limits) -> Option<f64> {
        let room = |limit: u64, size: u64| limit.saturating_sub(size) as f64;
        let mut parts = [
            (self.journal, room(limits.journal, now.journal)),
            (self.store, f64::INFINITY),
            (self.kept, room(limits.kept, now.kept)),
            (self.logs, room(limits.logs, now.logs)),
        ];
        let (mut free, mut seconds) = (now.free as f64, 0.0);
        loop {
            let growing = || {
                parts
                    .iter()
                    .filter(|(pace, room)| *pace > 0.0 && *room > 0.0)
            };
            let pace: f64 = growing().map(|it| it.0).sum();
            if pace < 1.0 {
                return None;
            }
            let until_limit = growing().map(|(pace, room)| room / pace);
            let step = until_limit.fold(f64::INFINITY, f64::min);
            if free <= pace * step {
                return Some((seconds + free / pace) / 3600.0);
            }
            seconds += step;
            free -= pace * step;
            for (pace, room) in &mut parts {
                let left = *room - pace.max(0.0) * step;
                // Below a byte it is rounding.
                *room = if left < 1.0 { 0.0 } else { left };
            }
        }
    }

    fn words(&self) -> String {
        let appended = match self.appended {
            Some(pace) => format!(
                " (it appends {}, and uses its files again)",
                per_second(pace)
            ),
            None => String::new(),
        };
        format!(
            "journal {}{appended}, store {}, kept files {}, logs {}",
            per_second(self.journal),
            per_second(self.store),
            per_second(self.kept),
            per_second(self.logs)
        )
    }
}

fn per_second(pace: f64) -> String {
    let sign = if pace < 0.0 { "-" } else { "" };
    format!("{sign}{}/s", rough(pace.abs() as u64))
}

fn lasting(hours: f64) -> String {
    match hours {
        it if it < 1.0 => format!("{:.0} minutes", it * 60.0),
        it if it < 48.0 => format!("{it:.1} hours"),
        it if it < 24.0 * 730.0 => format!("{:.0} days", it / 24.0),
        _ => "years".to_owned(),
    }
}

/// A size that need not be exact.
fn rough(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|it| bytes >= it.0) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::config;
    use super::*;

    const GIB: u64 = 1 << 30;

    fn sizes(store: u64, free: u64) -> Sizes {
        Sizes {
            journal: 128 << 20,
            store,
            free,
            ..Sizes::default()
        }
    }

    fn verdict(growth: u64, free: u64) -> (Verdict, String) {
        let before = sizes(GIB, free + growth);
        let later = sizes(GIB + growth, free);
        let finding = assess(&config(""), Some(before), Some((later, 10.0)));
        (finding.verdict, finding.found)
    }

    #[test]
    fn the_pace_of_all_parts_says_how_long_the_rest_lasts() {
        let (verdict_now, found) = verdict(20 << 20, 72 * GIB);
        assert_eq!(verdict_now, Verdict::Fair);
        assert!(found.contains("72.0 GiB free; journal 128.0 MiB (at most 64.0 GiB)"));
        assert!(
            found.contains("over 10 s: journal 0 bytes/s, store 2.0 MiB/s"),
            "{found}"
        );
        assert!(found.ends_with("for 10.2 hours at this pace"), "{found}");
        assert_eq!(verdict(20 << 20, 8 * GIB).0, Verdict::Fair);
        assert_eq!(verdict(20 << 20, 7 * GIB).0, Verdict::Bad);
        assert_eq!(verdict(20 << 10, 72 * GIB).0, Verdict::Good);
        assert!(verdict(0, GIB).1.ends_with("for ever at this pace"));
    }

    #[test]
    fn a_part_that_shrinks_is_no_room_for_another() {
        let before = Sizes {
            kept: 5 * GIB,
            ..sizes(GIB, GIB)
        };
        let now = sizes(2 * GIB, 5 * GIB);
        let paces = Paces::between(&before, &now, 1.0);
        let hours = paces.hours(&now, &Limits::of(&config("")));
        assert_eq!(hours, Some(5.0 / 3600.0));
        assert!(paces.words().contains("kept files -5.0 GiB/s"));
    }

    #[test]
    fn a_part_grows_to_its_limit_and_the_others_go_on() {
        let limits = Limits::of(&config("[journal]\nmax_bytes = '2GiB'"));
        let before = Sizes {
            journal: GIB - (100 << 20),
            ..sizes(GIB - (10 << 20), 6 * GIB)
        };
        let now = Sizes {
            journal: GIB,
            ..sizes(GIB, 6 * GIB)
        };
        let paces = Paces::between(&before, &now, 1.0);
        // 10.24 s until the journal is full, in which 1.1 GiB go; 4.9 GiB are left to 10 MiB/s.
        let seconds = paces.hours(&now, &limits).expect("the store has no limit") * 3600.0;
        assert!((511.0..513.0).contains(&seconds), "{seconds}");
        let journal_alone = Paces {
            store: 0.0,
            ..paces
        };
        assert_eq!(journal_alone.hours(&now, &limits), None);
    }

    #[test]
    fn without_an_engine_there_are_sizes_alone() {
        let finding = assess(&config(""), Some(sizes(0, GIB)), None);
        assert_eq!(finding.verdict, Verdict::Good);
        assert!(finding.found.contains("the pace is not known"));
        let kept = config("[store]\nkeep = '30d'");
        let finding = assess(&kept, Some(sizes(GIB, GIB)), None);
        let words = "store 1.0 GiB (settled rows for 720h)";
        assert!(finding.found.contains(words), "{finding:?}");
        let server = config("[store]\nurl = 'mysql://me@db/x'");
        let finding = assess(&server, Some(sizes(0, GIB)), None);
        assert!(finding.found.contains("store on its server"));
        assert_eq!(assess(&server, None, None).verdict, Verdict::Good);
    }

    #[test]
    fn files_are_counted_to_their_parts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = config("");
        config.data_dir = folder.path().to_owned();
        let write = |name: &str, len: usize| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in one")).expect("a folder");
            std::fs::write(path, vec![1; len]).expect("written");
        };
        write("messages.db", 40_000);
        write("messages.db-wal", 8_000);
        write("rejected.ndjson", 4_000);
        write("unstored-1.ndjson", 4_000);
        write("histograms/total.hlog", 4_000);
        write("journal/1", 20_000);
        write("lock", 4_000);
        let sizes = Sizes::now(&config).expect("it is there");
        // Whole blocks of the file system.
        assert!((48_000..64_000).contains(&sizes.store), "{sizes:?}");
        assert!((8_000..17_000).contains(&sizes.kept), "{sizes:?}");
        assert!(sizes.logs >= 4_000 && sizes.journal >= 20_000 && sizes.free > 0);
        config.data_dir = folder.path().join("absent");
        assert_eq!(Sizes::now(&config), None);
    }
}
