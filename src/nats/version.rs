//! Which servers are good enough, by the version that they tell.

use crate::limits::{NATS_VERSION_ADVISED, NATS_VERSION_MIN};

/// What is thought of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// It is used, with this warning.
    Old(String),
    /// It is not used, for this reason.
    Refused(String),
}

/// Judges a server by its `INFO`.
pub(crate) fn check_version(version: &str) -> Verdict {
    let min = words(NATS_VERSION_MIN);
    let advised = words(NATS_VERSION_ADVISED);
    match parse(version) {
        None => Verdict::Refused(format!(
            "it does not tell a version of nats-server (\"{version}\"); use {min} or later"
        )),
        Some(it) if it < NATS_VERSION_MIN => Verdict::Refused(format!(
            "the server's version {version} is too old: before {min} a stream may lose or reorder what it \
             has confirmed; use {advised} or later"
        )),
        Some(it) if it < NATS_VERSION_ADVISED => Verdict::Old(format!(
            "the server's version is {version}, and it is used; before {advised} one that has just lost the \
             lead of a stream may still confirm messages that are then gone (nats-server issue 8370): \
             update the servers"
        )),
        Some(_) => Verdict::Fine,
    }
}

fn words([major, minor, patch]: [u32; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

/// `2.12.3`, `v2.15.0-RC.1`: what stands behind the patch does not count.
fn parse(version: &str) -> Option<[u32; 3]> {
    let numbers = version.trim_start_matches('v');
    let end = numbers.find(|it: char| !it.is_ascii_digit() && it != '.');
    let mut parts = numbers[..end.unwrap_or(numbers.len())].split('.');
    let mut next = || parts.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused_and_older_ones_warned_of() {
        for version in ["2.15.0", "2.15.1", "2.16.0-dev", "v3.0.0", "2.15.0-RC.1"] {
            assert_eq!(check_version(version), Verdict::Fine, "{version}");
        }
        for version in ["2.12.3", "2.14.9"] {
            assert!(
                matches!(check_version(version), Verdict::Old(_)),
                "{version}"
            );
        }
        for version in ["2.9.10", "2.12.2", "1.99.99", "0.0.0"] {
            let Verdict::Refused(why) = check_version(version) else {
                panic!("{version}")
            };
            assert!(why.contains("too old") && why.contains(version), "{why}");
        }
        for version in ["", "two", "2.12", "2.x.1", "2..1", "99999999999.0.0"] {
            assert!(
                matches!(check_version(version), Verdict::Refused(_)),
                "{version}"
            );
        }
    }
}
