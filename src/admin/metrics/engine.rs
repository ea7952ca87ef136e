//! What the engine itself exposes: every counter, what it is, whether it is well; the rest of its
//! families is in `latency` and `destinations`.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::super::readiness::Readiness;
use super::super::{AdminState, Facts, Shown, lock};
use super::families::Families;
use super::{destinations, latency};
use crate::cluster::status::Snapshot as Member;
use crate::counters::{Counter, Snapshot};
use crate::disk::Outlook;
use crate::faults::Link;
use crate::message::Reason;

/// Reads one engine's state when it is scraped.
pub(super) struct Engine(pub(super) AdminState);

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Collector for Engine {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = &self.0;
        let member = state.member();
        let mut families = Families(encoder);
        counters(&mut families, &state.counters.snapshot())?;
        facts(&mut families, &state.facts)?;
        cluster(&mut families, member.as_ref())?;
        let readiness = Readiness::of(state, member.as_ref());
        let shown = lock(&state.shown);
        health(&mut families, state, &shown, &readiness)?;
        disk(&mut families, &shown)?;
        certificates(&mut families, state)?;
        links(&mut families, state)?;
        latency::encode(&mut families, &shown.totals)?;
        destinations::encode(&mut families, &shown, &*state.names)
    }
}

fn counters(families: &mut Families<'_>, counters: &Snapshot) -> fmt::Result {
    for (counter, value) in counters.iter() {
        let (name, help) = (counter.label(), counter.meaning());
        match counter {
            // By reason; queries can sum them.
            Counter::Rejected => {
                let of = |it: Reason| ([("reason", it.label())], counters.rejected(it));
                families.counters(name, help, Reason::ALL.map(of))?;
            }
            _ if counter.is_gauge() => families.gauge(name, help, value)?,
            _ => families.counter(name, help, value)?,
        }
    }
    Ok(())
}

fn facts(families: &mut Families<'_>, facts: &Facts) -> fmt::Result {
    let labels = [
        ("version", facts.version),
        ("durability", facts.durability),
        ("threading_mode", facts.threading_mode),
    ];
    let help = "The engine's version and modes; always 1.";
    families.gauges("info", help, [(labels, 1_u64)])?;
    let help = "Seconds since the engine started.";
    families.gauge(
        "uptime_seconds",
        help,
        facts.started.elapsed().as_secs_f64(),
    )?;
    let help = "Bytes of the journal at which sources wait: the setting journal.max_bytes.";
    families.gauge("journal_max_bytes", help, facts.journal_max_bytes)
}

/// Without a group its labels are empty: rules ask for those that are not.
fn cluster(families: &mut Families<'_>, member: Option<&Member>) -> fmt::Result {
    let help = "The member's group and name, who serves, and the server that is connected; empty without a \
                group; always 1.";
    let Some(member) = member else {
        let names = ["group", "node", "active", "server", "server_version"];
        let labels = names.map(|name| (name, ""));
        return families.gauges("cluster_info", help, [(labels, 1_u64)]);
    };
    let (server, version) = member.server.as_ref().map_or(("", ""), |it| (&it.0, &it.1));
    let labels = [
        ("group", member.group.as_str()),
        ("node", member.node.as_str()),
        ("active", member.serving().unwrap_or_default()),
        ("server", server),
        ("server_version", version),
    ];
    families.gauges("cluster_info", help, [(labels, 1_u64)])
}

fn health(
    families: &mut Families<'_>,
    state: &AdminState,
    shown: &Shown,
    readiness: &Readiness,
) -> fmt::Result {
    let help = "1 while the engine takes frames, as /readyz has it, else 0.";
    families.gauge("ready", help, u64::from(readiness.unready.is_none()))?;
    let help = "1 while all threads are alive and go on, as /healthz has it, else 0.";
    families.gauge("healthy", help, u64::from(state.health.unwell().is_empty()))?;
    let help = "Sources that the settings name; those that dial in are not among them.";
    let configured = shown.alarms.configured_sources();
    families.gauge("sources_configured", help, configured as u64)?;
    let help = "How many troubles /readyz names as degraded.";
    families.gauge("degraded", help, readiness.degraded.len() as u64)
}

fn disk(families: &mut Families<'_>, shown: &Shown) -> fmt::Result {
    let Some(Outlook { sizes, .. }) = shown.disk else {
        return Ok(());
    };
    let help = "Bytes that are free for the engine on the disk of data_dir.";
    families.gauge("disk_free_bytes", help, sizes.free)?;
    let help = "Bytes of the disk of data_dir.";
    families.gauge("disk_size_bytes", help, sizes.size)
}

fn certificates(families: &mut Families<'_>, state: &AdminState) -> fmt::Result {
    let help = "When the certificate that is shown there is valid no more, in seconds since the epoch: \
                of a listener, or towards a dialled source.";
    let all = state.certificates.get();
    let ends = all
        .iter()
        .map(|it| ([("listener", it.place.as_str())], it.validity.end));
    families.gauges("tls_certificate_end_seconds", help, ends)
}

/// Sources and destinations at NATS, each by its name.
fn links(families: &mut Families<'_>, state: &AdminState) -> fmt::Result {
    let all = state.counters.faults().all_links();
    if all.is_empty() {
        return Ok(());
    }
    let of = |value: fn(&Link) -> u64| {
        let rows = all.iter();
        rows.map(move |it| ([("link", it.name.as_str())], value(it)))
    };
    let help = "1 while this source or destination at NATS works, else 0.";
    let connected = of(|it| u64::from(it.fault.is_none()));
    families.gauges("nats_link_connected", help, connected)?;
    let help = "Messages of this link that the other side has answered for: the engine for a source, a \
                stream for a destination.";
    families.counters("nats_link_acknowledged", help, of(|it| it.acknowledged))?;
    let help = "Connections and messages of this link that failed; they are tried again.";
    families.counters("nats_link_failures", help, of(|it| it.failures))
}
