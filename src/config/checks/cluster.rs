//! What must hold of `[cluster]`: it is said wholly, and where it is of use.

use super::super::draft::Draft;
use super::super::keys::SECTIONS;
use super::super::problem::Problem;
use super::super::{Cluster, Durability};
use super::nats::has_several_logins;

/// A replicated journal has its group, and a group its replicated journal.
pub(super) fn group(draft: &Draft, problems: &mut Vec<Problem>) {
    let config = &draft.config;
    let found = match config.durability {
        Durability::Replicated => missing(&config.cluster),
        _ => of_no_use(&draft.config.cluster, config.durability),
    };
    problems.extend(found.into_iter().map(|(keys, text)| {
        let keys: Vec<_> = keys.iter().map(|key| ("cluster", *key)).collect();
        let places = [&keys[..], &[("", "durability")]].concat();
        Problem::new(draft.given.place(&places), text)
    }));
}

/// Its text, and keys of `[cluster]`: the first one that was given is its place.
type Found = (Vec<&'static str>, String);

fn missing(cluster: &Cluster) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let lacks = [
        (
            cluster.nats.servers.is_none(),
            "servers = [\"nats://127.0.0.1:4222\"]",
        ),
        (cluster.group.is_empty(), "group = \"east\""),
    ];
    let lacks: Vec<_> = lacks.iter().filter(|it| it.0).map(|it| it.1).collect();
    if !lacks.is_empty() {
        let text = format!(
            "durability = \"replicated\" wants a group and its servers; add [cluster] {}, or set \
             durability = \"synced\", which is one machine's",
            lacks.join(" and ")
        );
        found.push((Vec::new(), text));
    } else if cluster.node.is_empty() {
        let text = "[cluster] node: the host's name has what no node's may have, a space, *, >, / or \\, or \
                    more than 50 bytes; add node = \"engine1\", or rename the host";
        found.push((vec!["group"], text.to_owned()));
    }
    if has_several_logins(&cluster.nats) {
        let text = "[cluster] has several of a user in servers, creds and nkey; keep one";
        found.push((vec!["creds", "nkey"], text.to_owned()));
    }
    if cluster.nats.has_half_a_certificate() {
        let text = "[cluster] has tls_cert or tls_key, and not the other one; set both, or none";
        found.push((vec!["tls_cert", "tls_key"], text.to_owned()));
    }
    found
}

/// Whoever has written `[cluster]` believes that the journal is replicated.
fn of_no_use(cluster: &Cluster, durability: Durability) -> Vec<Found> {
    if *cluster == Cluster::default() {
        return Vec::new();
    }
    let text = format!(
        "[cluster] is set, and durability = \"{}\" replicates nothing; set durability = \"replicated\", or \
         remove [cluster]",
        durability.name()
    );
    let section = SECTIONS.iter().filter(|it| it.name == "cluster");
    let keys = section.flat_map(|it| it.keys).map(|it| it.name);
    vec![(keys.collect(), text)]
}
