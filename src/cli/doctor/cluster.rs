//! The servers of a group and its stream: reached, new enough, whole; and how far this member is.

use std::time::Duration;

use super::finding::Finding;
use crate::cli::client::{Http, Place, TlsArgs};
use crate::cluster::jetstream::{Server, Settings, StreamFound, examine};
use crate::config::{Config, Durability};

const SERVER: &str = "nats server";
const STREAM: &str = "stream";
const MEMBER: &str = "member";

/// A round trip that costs throughput: one record is in flight at a time.
const ROUND_TRIP_WARN: Duration = Duration::from_millis(20);

/// A member on this machine answers within milliseconds.
const ANSWER: Duration = Duration::from_secs(2);

/// Nothing where there is no group.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    if config.durability != Durability::Replicated {
        return Vec::new();
    }
    let settings = Settings::from(&config.cluster);
    let Ok((servers, stream)) = examine(&settings) else {
        return vec![Finding::unknown(SERVER, "the servers of [cluster]")];
    };
    let mut findings: Vec<_> = servers.iter().map(server).collect();
    findings.extend(quorum(&servers, config.cluster.replicas));
    findings.push(stream_finding(&settings.stream(), &stream));
    findings.push(member(config));
    findings
}

fn server(it: &Server) -> Finding {
    let url = &it.url;
    if let Some(why) = &it.refused {
        let advice = "start it, or put right what it says: each server of [cluster] is to be there";
        let found = match why.starts_with(url.as_str()) {
            true => why.clone(),
            false => format!("{url}: {why}"),
        };
        return Finding::bad(SERVER, found, advice);
    }
    let answers = match it.round_trip.as_micros() {
        0 => "its JetStream does not answer".to_owned(),
        micros => format!("answers in {micros} us"),
    };
    let synced = match it.syncs_always {
        Some(true) => "; it syncs each message",
        Some(false) => "; it does not sync each message",
        None => {
            "; it does not tell this user whether it syncs each message (sync_interval: always)"
        }
    };
    let found = format!("{url}: nats-server {}, {answers}{synced}", it.version);
    if let Some(why) = &it.old {
        return Finding::fair(
            SERVER,
            format!("{found}; {why}"),
            "upgrade it, one server at a time",
        );
    }
    if let Some(max) = it.payload_max {
        let advice = "raise max_payload to 2MB in its configuration: records are cut to fit, and smaller \
                      ones are slower";
        return Finding::fair(
            SERVER,
            format!("{found}; it takes messages of {max} bytes"),
            advice,
        );
    }
    if it.syncs_always == Some(false) {
        let advice = "set jetstream { sync_interval: always } in its configuration: else power loss on most \
                      servers loses what was confirmed";
        return Finding::fair(SERVER, found, advice);
    }
    if it.round_trip.is_zero() {
        let advice = "look at its log: without JetStream it keeps no copy of the group's stream";
        return Finding::fair(SERVER, found, advice);
    }
    if it.round_trip > ROUND_TRIP_WARN {
        let advice = "each message waits for one to two of them: put engines and servers into one data centre";
        return Finding::fair(SERVER, found, advice);
    }
    Finding::good(SERVER, found)
}

/// Fewer servers than copies.
fn quorum(servers: &[Server], replicas: usize) -> Option<Finding> {
    (servers.len() < replicas).then(|| {
        let found = format!(
            "[cluster] names {} servers for {replicas} replicas",
            servers.len()
        );
        let advice =
            "name all of them: when the only one that is named is down, the others are not found";
        Finding::fair(SERVER, found, advice)
    })
}

fn stream_finding(name: &str, found: &StreamFound) -> Finding {
    match found {
        StreamFound::Unknown => Finding::unknown(STREAM, &format!("{name}: no server answers; it")),
        StreamFound::Refused(why) => {
            let advice =
                "look at the servers' log, and at the rights of the engine's user on $JS.API.>";
            Finding::bad(STREAM, format!("{name}: {why}"), advice)
        }
        StreamFound::Missing => Finding::good(
            STREAM,
            format!("{name} is not there yet: the first member of the group makes it"),
        ),
        StreamFound::Found { wrong, .. } if !wrong.is_empty() => {
            let advice = "no standby takes over, and sources wait, until it is mended";
            Finding::bad(STREAM, format!("{name}: {}", wrong.join("; ")), advice)
        }
        StreamFound::Found {
            last,
            bytes,
            leader,
            replicas,
            ..
        } => {
            let led = leader
                .as_ref()
                .map_or(String::new(), |it| format!(", led by {it}"));
            let found =
                format!("{name}: {replicas} replicas{led}, {bytes} bytes, last record {last}");
            Finding::good(STREAM, found)
        }
    }
}

/// What the member on this machine says, where it runs and asks for no token.
fn member(config: &Config) -> Finding {
    let stats = config.admin.listen.and_then(|listen| {
        let place = Place::of_listener(listen, &config.tls, &config.admin.tls);
        let http = Http::new(place, &TlsArgs::default(), None, ANSWER).ok()?;
        let (status, text) = http.get("/stats").ok()?;
        let stats: serde_json::Value =
            serde_json::from_str(&text).ok().filter(|_| status == 200)?;
        stats.get("cluster").filter(|it| !it.is_null()).cloned()
    });
    let Some(it) = stats else {
        return Finding::unknown(
            MEMBER,
            "how far this member is: it does not run, or asks for a token, and its state",
        );
    };
    let word = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let (node, role, lag) = (
        word("node"),
        word("role"),
        it["lag"].as_u64().unwrap_or_default(),
    );
    let found = format!("{node}: {role}, {lag} records behind");
    match it["trouble"].as_str() {
        Some(trouble) => Finding::bad(
            MEMBER,
            format!("{found}; {trouble}"),
            "put right what it says",
        ),
        None if it["ready"] == true => Finding::good(MEMBER, found),
        None => Finding::fair(
            MEMBER,
            found,
            "it cannot take over until it has read all; wait, and look again",
        ),
    }
}
