//! What must hold of NATS in the settings: nothing is half-said, and no two customers share a subject.

use super::super::Nats;
use super::super::draft::{Draft, item_place};
use super::super::nats::{ID, subject_of};
use super::super::problem::Problem;
use super::super::{Destination, Source};

/// A stream that is read is named, and its consumer.
pub(super) fn sources(draft: &Draft, problems: &mut Vec<Problem>) {
    for (index, source) in draft.config.sources.iter().enumerate() {
        let place = item_place(&draft.given.sources, index);
        let found = source_problems(source).into_iter();
        problems.extend(found.map(|text| Problem::new(place.clone(), text)));
    }
}

fn source_problems(source: &Source) -> Vec<String> {
    let (nats, name) = (&source.nats, &source.address);
    if nats.is_orphan() {
        return vec![orphan(
            "source",
            name,
            "stream, subject, durable, creds and nkey",
        )];
    }
    let Some(servers) = &nats.servers else {
        return Vec::new();
    };
    let mut problems = login_problems("source", nats);
    if nats.stream.is_none() || nats.durable.is_none() {
        problems.push(format!(
            "[[source]] nats = \"{servers}\" wants a stream and a durable; add such as stream = \
             \"ORDERS\" and durable = \"flipped-lb\""
        ));
    } else if !name.starts_with(&servers.to_string()) {
        problems.push(format!(
            "[[source]] has address = \"{name}\" and nats = \"{servers}\"; remove one"
        ));
    }
    if source.tls.is_on || source.tls.name.is_some() {
        problems.push(format!(
            "[[source]] nats = \"{servers}\": tls and tls_name are for an address; write tls:// \
             instead of nats://, and tls_ca where it is needed"
        ));
    }
    problems
}

fn orphan(kind: &str, name: &str, keys: &str) -> String {
    format!(
        "[[{kind}]] \"{name}\": {keys} are for NATS; add nats = \"nats://127.0.0.1:4222\", or remove \
         them"
    )
}

/// The engine is one to the servers.
fn login_problems(kind: &str, nats: &Nats) -> Vec<String> {
    let Some(servers) = &nats.servers else {
        return Vec::new();
    };
    let text = format!(
        "[[{kind}]] nats = \"{servers}\" has several of a user in the address, creds and nkey; keep one"
    );
    if has_several_logins(nats) {
        vec![text]
    } else {
        Vec::new()
    }
}

/// Whether the engine would be several users.
pub(super) fn has_several_logins(nats: &Nats) -> bool {
    let in_address = nats.servers.as_ref().is_some_and(|it| it.login.is_some());
    let logins = [in_address, nats.creds.is_some(), nats.nkey.is_some()];
    logins.iter().filter(|it| **it).count() > 1
}

/// Each customer's messages have a subject of their own.
pub(super) fn destinations(draft: &Draft, problems: &mut Vec<Problem>) {
    let all = &draft.config.destinations;
    for (index, one) in all.iter().enumerate() {
        let place = item_place(&draft.given.destinations, index);
        let mut found = destination_problems(one);
        for other in &all[..index] {
            found.extend(mixed(one, other));
        }
        problems.extend(
            found
                .into_iter()
                .map(|text| Problem::new(place.clone(), text)),
        );
    }
}

fn destination_problems(destination: &Destination) -> Vec<String> {
    let (nats, id) = (&destination.nats, &destination.id);
    if nats.is_orphan() {
        let keys = "subject, at_most_once, headers, creds, nkey, tls_ca, tls_cert and tls_key";
        return vec![orphan("destination", id, keys)];
    }
    let Some(servers) = &nats.servers else {
        return Vec::new();
    };
    let mut problems = login_problems("destination", nats);
    if nats.has_half_a_certificate() {
        problems.push(format!(
            "[[destination]] \"{id}\" has tls_cert or tls_key, and not the other one; set both, or none"
        ));
    }
    let is_pattern = destination.is_pattern();
    match &nats.subject {
        None => problems.push(format!(
            "[[destination]] \"{id}\" with nats = \"{servers}\" has no subject; add such as subject = \
             \"orders.{ID}\""
        )),
        Some(subject) if is_pattern && !subject.contains(ID) => problems.push(format!(
            "[[destination]] \"{id}\": all that fit would share the subject \"{subject}\"; write {ID} in \
             it, such as \"{subject}.{ID}\""
        )),
        Some(_) => {}
    }
    let own = destination.max_queued.is_some() || destination.when_full.is_some();
    if is_pattern && (own || destination.vip) {
        problems.push(format!(
            "[[destination]] \"{id}\" is a pattern, and vip, max_queued and when_full are for one \
             destination; use a [[rule]], or [scheduler] max_queued and when_full"
        ));
    }
    problems
}

/// Why two destinations would get in each other's way.
fn mixed(one: &Destination, other: &Destination) -> Option<String> {
    let (id, other_id) = (&one.id, &other.id);
    let are_patterns = one.is_pattern() || other.is_pattern();
    if are_patterns && overlap(&fitting(one, id), &fitting(other, other_id)) {
        return Some(format!(
            "[[destination]] \"{id}\" and \"{other_id}\": a destination may be both; choose ids that do \
             not overlap"
        ));
    }
    let (servers, template) = one.nats_subject()?;
    let (other_servers, other_template) = other.nats_subject()?;
    let share = servers
        .addresses
        .iter()
        .any(|it| other_servers.addresses.contains(it));
    let subject = subjects(one, template);
    let may_meet = overlap(&subject, &subjects(other, other_template));
    (share && may_meet && id != other_id).then(|| {
        format!(
            "[[destination]] \"{id}\" and \"{other_id}\" would share the subject \"{subject}\"; give each \
             its own, such as \"orders.{ID}\""
        )
    })
}

/// An id as a pattern: of an ordinary destination, itself alone.
fn fitting(destination: &Destination, id: &str) -> String {
    match destination.is_pattern() {
        true => id.to_owned(),
        // A star in a name is a letter like others, and no pattern's.
        false => id.replace('*', "\u{0}"),
    }
}

/// All subjects of a destination, as a pattern.
fn subjects(destination: &Destination, template: &str) -> String {
    match destination.is_pattern() {
        true => {
            let parts = destination.id.split('*').map(|part| subject_of(ID, part));
            template.replace(ID, &parts.collect::<Vec<_>>().join("*"))
        }
        false => subject_of(template, &destination.id),
    }
}

/// Whether a text may fit both patterns, where `*` stands for anything.
fn overlap(one: &str, other: &str) -> bool {
    let (a, b) = (one.as_bytes(), other.as_bytes());
    // `fit[j]`: whether the rest of `a` and `b[j..]` may be the same; from the ends on.
    let mut below = vec![false; b.len() + 2];
    for i in (0..=a.len()).rev() {
        let mut fit = vec![false; b.len() + 2];
        for j in (0..=b.len()).rev() {
            fit[j] = match (a.get(i), b.get(j)) {
                (None, None) => true,
                (Some(b'*'), _) => below[j] || (j < b.len() && fit[j + 1]),
                (_, Some(b'*')) => fit[j + 1] || (i < a.len() && below[j]),
                (Some(x), Some(y)) => x == y && below[j + 1],
                _ => false,
            };
        }
        below = fit;
    }
    below[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Pattern;

    #[test]
    fn patterns_overlap_where_a_name_fits_both() {
        for (a, b) in [
            ("*", ""),
            ("west-*", "west-1"),
            ("west-*", "*-1"),
            ("a*b*c", "ab*c"),
            ("*a", "a*"),
            ("x", "x"),
        ] {
            assert!(overlap(a, b) && overlap(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("west-*", "east-*"),
            ("west-*", "west"),
            ("a*b", "a*c"),
            ("x", ""),
        ] {
            assert!(!overlap(a, b) && !overlap(b, a), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_fits_both_proves_that_they_overlap(
            a in "[ab*]{0,6}",
            b in "[ab*]{0,6}",
            name in "[ab]{0,8}",
        ) {
            let fits = |text: &str| match Pattern::parse(text) {
                Some(pattern) => pattern.matches(&name),
                None => text == name,
            };
            if fits(&a) && fits(&b) {
                prop_assert!(overlap(&a, &b));
            }
        }
    }
}
