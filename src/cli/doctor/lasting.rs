//! How long the disk lasts: what the data directory takes, part by part, and how fast it grows.
//!
//! Two samples of sizes, some seconds apart, while an engine uses the directory; without one, sizes
//! alone. What its engine appends to the journal is told beside: its files grow by whole segments.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::super::client::reachable;
use super::finding::Finding;
use crate::config::{Config, StoreUrl, show_duration};
use crate::disk::{Limits, Paces, Sizes};

const SUBJECT: &str = "disk lasts";
/// Time in which somebody notices and does something.
const HOURS_GOOD: f64 = 7.0 * 24.0;
const HOURS_BAD: f64 = 1.0;
/// How long an engine has to answer, and how much it may say.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
const ANSWER_LEN_MAX: u64 = 16 << 20;

/// The sizes now, with what the engine counts; `None` where the directory is not there yet.
pub(super) fn of_running(config: &Config) -> Option<Sizes> {
    let listen = config.admin.listen;
    // By TLS it is not asked: its authority need not be one of the system's.
    let plain = listen.filter(|_| config.tls.of(&config.admin.tls).is_none());
    let appended = plain.and_then(appended);
    Sizes::now(config).map(|it| Sizes { appended, ..it })
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

/// By sizes before and after, and the seconds between them; without the latter the pace is not known.
/// `engine` is the process that uses the directory, if there is one.
pub(super) fn assess(
    config: &Config,
    engine: Option<u32>,
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
        let unknown = match engine {
            None => "no engine uses it now, so the pace is not known".to_owned(),
            Some(process) => format!(
                "an engine (process {process}) uses it; --seconds N, from 1 on, tells its pace"
            ),
        };
        let found = format!("{found}; {unknown}");
        return Finding::good(SUBJECT, found).because(why);
    };
    let paces = Paces::between(&before, &now, seconds);
    let found = format!("{found}; over {seconds:.0} s: {}", pace_words(&paces));
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

fn pace_words(paces: &Paces) -> String {
    let appended = match paces.appended {
        Some(pace) => format!(
            " (it appends {}, and uses its files again)",
            per_second(pace)
        ),
        None => String::new(),
    };
    format!(
        "journal {}{appended}, store {}, kept files {}, logs {}",
        per_second(paces.journal),
        per_second(paces.store),
        per_second(paces.kept),
        per_second(paces.logs)
    )
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
    use crate::disk::testing::sizes;

    const GIB: u64 = 1 << 30;

    fn verdict(growth: u64, free: u64) -> (Verdict, String) {
        let before = sizes(GIB, free + growth);
        let later = sizes(GIB + growth, free);
        let finding = assess(&config(""), Some(7), Some(before), Some((later, 10.0)));
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
    fn without_an_engine_there_are_sizes_alone() {
        let finding = assess(&config(""), None, Some(sizes(0, GIB)), None);
        assert_eq!(finding.verdict, Verdict::Good);
        assert!(finding.found.contains("no engine uses it now"));
        let finding = assess(&config(""), Some(7), Some(sizes(0, GIB)), None);
        assert!(finding.found.contains("an engine (process 7) uses it"));
        let kept = config("[store]\nkeep = '30d'");
        let finding = assess(&kept, None, Some(sizes(GIB, GIB)), None);
        let words = "store 1.0 GiB (settled rows for 720h)";
        assert!(finding.found.contains(words), "{finding:?}");
        let server = config("[store]\nurl = 'mysql://me@db/x'");
        let finding = assess(&server, None, Some(sizes(0, GIB)), None);
        assert!(finding.found.contains("store on its server"));
        assert_eq!(assess(&server, None, None, None).verdict, Verdict::Good);
    }
}
