//! The keys of `[cluster]`.

use std::time::Duration;

use crate::config::found::Found;
use crate::config::key::{Section, key, set};
use crate::config::nats::{Servers, check_name};
use crate::limits;

/// Copies of a stream that servers can keep and still agree when one is lost; 1 keeps no other.
const REPLICAS: [u64; 3] = [1, 3, 5];

pub(super) const CLUSTER: Section = Section {
    name: "cluster",
    meaning: "The group of engines that share one journal, which NATS JetStream replicates; with \
              durability = \"replicated\" only. One member serves, the others follow and take over.",
    keys: &[
        key(
            "servers",
            "[]",
            "The NATS servers, such as [\"nats://10.0.0.1:4222\", \"nats://10.0.0.2:4222\", \
             \"nats://10.0.0.3:4222\"]; tls:// by TLS. One is connected to; when it is lost, the \
             next. A user and password, or a token, may stand before the host.",
            |c, v| set(&mut c.cluster.nats.servers, servers(v)?),
        ),
        key(
            "group",
            "\"none\"",
            "The group's name, the same for all its members: the stream is flb_journal_<group>.",
            |c, v| {
                let name = name(v)?;
                set(
                    &mut c.cluster.group,
                    if name == "none" { String::new() } else { name },
                )
            },
        ),
        key(
            "node",
            "\"auto\"",
            "This member's name, another one for each; auto: the host's name up to its first dot.",
            |c, v| {
                let name = name(v)?;
                set(
                    &mut c.cluster.node,
                    if name == "auto" { String::new() } else { name },
                )
            },
        ),
        key(
            "replicas",
            "3",
            "Servers that keep a copy of the stream: 1, 3 or 5. Half of them, rounded down, may be lost.",
            |c, v| {
                let count = v.integer(1, 5)?;
                if !REPLICAS.contains(&count) {
                    return Err(format!(
                        "found {count}; write 1, 3 or 5: an even number survives no more than the one below \
                         it"
                    ));
                }
                set(&mut c.cluster.replicas, count as usize)
            },
        ),
        key(
            "take_over_after",
            "\"15s\"",
            "A standby takes over when the active was silent for so long; an active that reaches no \
             server pauses after three quarters of it. A message once a second says that it is there, \
             so 4s at least.",
            |c, v| {
                let millis = |ms: u32| Duration::from_millis(ms.into());
                let (min, max) = (millis(limits::LEASE_MS_MIN), millis(limits::LEASE_MS_MAX));
                set(&mut c.cluster.take_over_after, v.duration(min, max)?)
            },
        ),
        key(
            "advertise",
            "\"none\"",
            "The name or address of this machine that standbys tell producers and subscribers, without \
             a port, where listen says 0.0.0.0 or [::]; none: the address that the servers are reached \
             from.",
            |c, v| set(&mut c.cluster.advertise, host(v)?),
        ),
        key(
            "creds",
            "\"none\"",
            "The file of the engine's JWT and seed at the servers.",
            |c, v| set(&mut c.cluster.nats.creds, v.file()?),
        ),
        key(
            "nkey",
            "\"none\"",
            "The file of the engine's seed there.",
            |c, v| set(&mut c.cluster.nats.nkey, v.file()?),
        ),
        key(
            "tls_ca",
            "\"none\"",
            "The file of the authorities that the servers' certificates are signed by (PEM); none: the \
             usual ones.",
            |c, v| set(&mut c.cluster.nats.ca, v.file()?),
        ),
        key(
            "tls_cert",
            "\"none\"",
            "The file of the engine's certificate, where the servers ask for one.",
            |c, v| set(&mut c.cluster.nats.cert, v.file()?),
        ),
        key(
            "tls_key",
            "\"none\"",
            "The key of that certificate.",
            |c, v| set(&mut c.cluster.nats.key, v.file()?),
        ),
    ],
};

/// What was written may hold a password, and is not repeated.
fn servers(found: &Found) -> Result<Option<Servers>, String> {
    let list = found.secret_list()?;
    let texts = list.iter().map(Found::secret_text);
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    match texts.as_slice() {
        [] => Ok(None),
        texts => Servers::parse(&texts.join(",")).map(Some),
    }
}

fn name(found: &Found) -> Result<String, String> {
    let name = found.name()?;
    check_name(&name).map_err(|why| format!("found \"{name}\"; {why}"))?;
    Ok(name)
}

/// A host's name or address, without a port.
fn host(found: &Found) -> Result<Option<String>, String> {
    let text = found.text()?;
    if text == "none" {
        return Ok(None);
    }
    let is_letter = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let is_name = !text.is_empty() && text.len() <= 253 && text.chars().all(is_letter);
    let is_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    if is_name || is_v6 {
        return Ok(Some(text.to_owned()));
    }
    Err(format!(
        "found \"{text}\"; write a name or an address without a port, such as \"engine1.example\" or \
         \"10.0.0.11\""
    ))
}
