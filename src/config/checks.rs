//! What must hold between settings.
//!
//! Fed with a draft of which each value is right by itself; adds to the draft's problems. Whether
//! cores, directories and addresses exist on this machine is found out by their users.

mod cluster;
mod nats;
mod tls;

use std::collections::HashSet;
use std::net::SocketAddr;

use super::defaults::default_max_wait;
use super::draft::{Draft, item_place};
use super::nearest::nearest;
use super::problem::{Place, Problem};
use super::units::{show_duration, show_size};
use super::{Config, Destination, User};
use crate::access::{Exposure, Listener};
use crate::limits::JOURNAL_SEGMENTS_MIN;
use crate::message::Pattern;

/// Adds what is wrong between settings to the draft's problems.
pub(super) fn check(draft: &mut Draft) {
    let checks: [fn(&Draft, &mut Vec<Problem>); 15] = [
        max_wait,
        sources,
        destinations,
        destination_count,
        rules,
        listeners,
        open_listeners,
        users,
        tls::listeners,
        tls::sources,
        delivery_cores,
        journal_room,
        cluster::group,
        nats::sources,
        nats::destinations,
    ];
    let mut problems = Vec::new();
    for check in checks {
        check(draft, &mut problems);
    }
    draft.problems.append(&mut problems);
}

/// A wait for each level.
fn max_wait(draft: &Draft, problems: &mut Vec<Problem>) {
    let scheduler = &draft.config.scheduler;
    let (waits, levels) = (scheduler.max_wait.len(), scheduler.levels);
    if waits == usize::from(levels) {
        return;
    }
    let example: Vec<String> = default_max_wait(levels)
        .into_iter()
        .map(|wait| format!("\"{}\"", show_duration(wait)))
        .collect();
    let place = draft
        .given
        .place(&[("scheduler", "max_wait"), ("scheduler", "levels")]);
    let text = format!(
        "[scheduler] max_wait: found {waits} times for {levels} levels; write one for each \
         level, such as max_wait = [{}], or leave max_wait out",
        example.join(", ")
    );
    problems.push(Problem::new(place, text));
}

/// No server is dialled twice, and none is the engine itself.
fn sources(draft: &Draft, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    let listeners = Listener::all(&draft.config);
    for (index, source) in draft.config.sources.iter().enumerate() {
        let place = || item_place(&draft.given.sources, index);
        let address = &source.address;
        if !seen.insert(address.to_lowercase()) {
            let key = if source.nats.servers.is_some() {
                "nats"
            } else {
                "address"
            };
            let text = format!("[[source]] {key}: \"{address}\" is there twice; remove one");
            problems.push(Problem::new(place(), text));
        }
        let own = listeners
            .iter()
            .find(|it| address.parse() == Ok(it.address));
        if let Some(Listener { section, .. }) = own {
            let text = format!(
                "[[source]] address: \"{address}\" is where the engine itself listens \
                 ([{section}] listen); write the server's address"
            );
            problems.push(Problem::new(place(), text));
        }
    }
}

/// Ids are unique, and there is one, or will be.
fn destinations(draft: &Draft, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    for (index, destination) in draft.config.destinations.iter().enumerate() {
        let id = &destination.id;
        if !seen.insert(id) {
            let place = item_place(&draft.given.destinations, index);
            let text = format!("[[destination]] id: \"{id}\" is there twice; remove one");
            problems.push(Problem::new(place, text));
        }
    }
    if draft.config.destinations.is_empty() && !draft.config.scheduler.create_destinations {
        let text = "there is no destination, so every message would be rejected; add a \
                    [[destination]], or set [scheduler] unknown_destinations = \"create\"";
        let place = draft.given.place(&[("scheduler", "unknown_destinations")]);
        problems.push(Problem::new(place, text));
    }
}

/// The destinations listed are not more than there may be.
fn destination_count(draft: &Draft, problems: &mut Vec<Problem>) {
    let (count, max) = (
        draft.config.destinations.len(),
        draft.config.scheduler.max_destinations,
    );
    if count > max {
        let text = format!(
            "[scheduler] max_destinations: found {max}, and {count} destinations are listed; \
             raise it"
        );
        let place = draft.given.place(&[("scheduler", "max_destinations")]);
        problems.push(Problem::new(place, text));
    }
}

/// Rules set levels that there are, for destinations that there are.
fn rules(draft: &Draft, problems: &mut Vec<Problem>) {
    let config = &draft.config;
    for (index, rule) in config.rules.iter().enumerate() {
        let mut add = |text| {
            let place = item_place(&draft.given.rules, index);
            problems.push(Problem::new(place, text));
        };
        let (priority, levels) = (rule.priority, config.scheduler.levels);
        if priority > levels {
            add(format!(
                "[[rule]] priority: found {priority}, and there are {levels} levels; write 1 to \
                 {levels}, or raise [scheduler] levels"
            ));
        }
        let Some(id) = &rule.destination else {
            continue;
        };
        if let Some(meant) = no_destination(config, id) {
            add(format!(
                "[[rule]] destination: there is no destination \"{id}\"; {meant}"
            ));
        }
    }
}

/// No two listeners take the same address.
fn listeners(draft: &Draft, problems: &mut Vec<Problem>) {
    let listeners = Listener::all(&draft.config);
    for (index, one) in listeners.iter().enumerate() {
        for other in &listeners[..index] {
            if overlap(one.address, other.address) {
                let keys = [(one.section, "listen"), (other.section, "listen")];
                let text = format!(
                    "[{}] listen: found {}, which [{}] listen has taken; choose another port",
                    one.section, one.address, other.section
                );
                problems.push(Problem::new(draft.given.place(&keys), text));
            }
        }
    }
}

/// Whether one of two listeners would be refused; port 0 is any free port.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_host
}

/// No listener is open to other machines unless that is meant.
fn open_listeners(draft: &Draft, problems: &mut Vec<Problem>) {
    for listener in Listener::all(&draft.config) {
        if listener.exposure(&draft.config) == Exposure::Open {
            let place = draft.given.place(&[(listener.section, "listen")]);
            problems.push(Problem::new(place, listener.refusal()));
        }
    }
}

/// Each user has a name and a token of its own, and rights to destinations that there are.
fn users(draft: &Draft, problems: &mut Vec<Problem>) {
    let config = &draft.config;
    for (index, user) in config.users.iter().enumerate() {
        let mut add = |text| {
            let place = item_place(&draft.given.users, index);
            problems.push(Problem::new(place, text));
        };
        let name = &user.name;
        let before = &config.users[..index];
        if before.iter().any(|it| it.name == *name) {
            add(format!(
                "[[user]] name: \"{name}\" is there twice; remove one"
            ));
        }
        match (user.token_sha256, &user.token_file) {
            (None, None) if user.certificate.is_none() => add(format!(
                "[[user]] \"{name}\" has no token; add token_sha256 (`flipped-lb user hash` makes \
                 it), token_file, or the name in its certificate"
            )),
            (Some(_), Some(_)) => add(format!(
                "[[user]] \"{name}\" has token_sha256 and token_file; remove one"
            )),
            (Some(hash), None) => {
                if let Some(other) = before.iter().find(|it| it.token_sha256 == Some(hash)) {
                    add(format!(
                        "[[user]] \"{name}\" has the token of \"{}\"; give each its own",
                        other.name
                    ));
                }
            }
            (None, _) => {}
        }
        if let Some(why) = wrong_certificate(config, user, before) {
            add(why);
        }
        let named = user.may_send.iter().chain(&user.may_receive);
        for id in named.filter(|it| !it.contains('*')) {
            if let Some(meant) = no_destination(config, id) {
                add(format!(
                    "[[user]] \"{name}\": there is no destination \"{id}\"; {meant}"
                ));
            }
        }
    }
}

/// What is wrong with a user's certificate: another one's name, or nobody asks for it.
fn wrong_certificate(config: &Config, user: &User, before: &[User]) -> Option<String> {
    let (name, own) = (&user.name, user.certificate.as_deref()?);
    let is_own = |it: &&User| {
        let other = it.certificate.as_deref();
        other.is_some_and(|other| other.eq_ignore_ascii_case(own))
    };
    if let Some(other) = before.iter().find(is_own) {
        return Some(format!(
            "[[user]] \"{name}\" has the certificate of \"{}\"; give each its own",
            other.name
        ));
    }
    let listeners = Listener::all(config);
    if listeners.iter().any(|it| it.asks_certificates(config)) {
        return None;
    }
    Some(format!(
        "[[user]] \"{name}\" has a certificate, and no address asks for one; set [tls] client_ca, \
         with cert and key"
    ))
}

/// Where a name is no destination's, and will be none's: what was meant.
fn no_destination(config: &Config, id: &str) -> Option<String> {
    let ids = || config.destinations.iter().map(|d| d.id.as_str());
    let fits = |it: &Destination| {
        it.is_pattern() && Pattern::parse(&it.id).is_some_and(|it| it.matches(id))
    };
    let is_known = ids().any(|known| known == id) || config.destinations.iter().any(fits);
    if config.scheduler.create_destinations || is_known {
        return None;
    }
    Some(match nearest(id, ids()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "add a [[destination]] for it".to_owned(),
    })
}

/// A core for each delivery agent, or none at all.
fn delivery_cores(draft: &Draft, problems: &mut Vec<Problem>) {
    let agents = draft.config.delivery.agents;
    let cores = draft.config.threads.delivery_cores.len();
    if cores != 0 && cores != agents {
        let text = format!(
            "[threads] delivery_cores: found {cores} cores for {agents} delivery agents; list \
             one core for each agent ([delivery] agents), or none"
        );
        let place: Place = draft
            .given
            .place(&[("threads", "delivery_cores"), ("delivery", "agents")]);
        problems.push(Problem::new(place, text));
    }
}

/// The journal's room is enough segments.
fn journal_room(draft: &Draft, problems: &mut Vec<Problem>) {
    let journal = &draft.config.journal;
    let min = JOURNAL_SEGMENTS_MIN * journal.segment;
    if journal.max_bytes < min {
        let text = format!(
            "[journal] max_bytes: found {}, and {JOURNAL_SEGMENTS_MIN} segments of {} take {}; \
             raise it, or make segment smaller",
            show_size(journal.max_bytes),
            show_size(journal.segment),
            show_size(min)
        );
        let place = draft
            .given
            .place(&[("journal", "max_bytes"), ("journal", "segment")]);
        problems.push(Problem::new(place, text));
    }
}
