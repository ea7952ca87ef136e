//! The servers of NATS: are they reached, are the streams there, has the user its rights.
//!
//! The only subject that asks the network: the servers that the settings name, once each source and
//! destination, for some seconds at most.

use super::finding::{Finding, Verdict};
use super::machine::Context;
use crate::config::{Config, Destination, Source};
use crate::nats::destinations;
use crate::nats::look::{self, Look};

const SUBJECT: &str = "NATS";

/// Nothing where nothing is at NATS.
pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    let config = context.config;
    let sources: Vec<&Source> = sources(config).collect();
    let destinations: Vec<&Destination> = destinations(config).collect();
    if sources.is_empty() && destinations.is_empty() {
        return Vec::new();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => return vec![Finding::unknown(SUBJECT, &why.to_string())],
    };
    runtime.block_on(async {
        let mut findings = Vec::new();
        for source in sources {
            let name = format!("source {}", source.address);
            findings.push(finding(&name, look::at_source(source).await));
        }
        for destination in destinations {
            let name = format!("destination {}", destination.id);
            findings.push(finding(&name, look::at_destination(destination).await));
        }
        findings
    })
}

fn sources(config: &Config) -> impl Iterator<Item = &Source> {
    config.sources.iter().filter(|it| it.nats.servers.is_some())
}

fn finding(name: &str, look: Look) -> Finding {
    let Look {
        found,
        unknown,
        wrong,
    } = look;
    let is_known = unknown.is_empty();
    let unknown = unknown.iter().map(|it| format!("not known: {it}"));
    let all = [found, wrong.clone(), unknown.collect()];
    let found = format!("{name}: {}", all.concat().join("; "));
    match (wrong.is_empty(), is_known) {
        (false, _) => Finding::bad(SUBJECT, found, wrong.join("; ")),
        (true, false) => Finding {
            verdict: Verdict::Unknown,
            ..Finding::good(SUBJECT, found)
        },
        (true, true) => Finding::good(SUBJECT, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_not_known_is_told() {
        let look = Look {
            found: vec!["it is reached".to_owned()],
            unknown: vec!["its rights".to_owned(), "its stream".to_owned()],
            wrong: Vec::new(),
        };
        let finding = finding("destination a", look);
        assert_eq!(finding.verdict, Verdict::Unknown);
        let all = "destination a: it is reached; not known: its rights; not known: its stream";
        assert_eq!(finding.found, all);
    }
}
