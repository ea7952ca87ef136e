//! Who a group's members are to their servers: credentials with a JWT, NKeys, TLS. Real processes, real
//! nats-servers.
//!
//! `operator.conf` has the JWTs of an operator and two accounts, `engine.creds` those of a user: made for these
//! tests, and nowhere else believed.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/member.rs"]
mod member;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::fs::write;

use certificates::{Certificates, NAMES};
use member::{ALONE, Member};
use servers::Servers;

const OPERATOR: &str = include_str!("support/operator.conf");
const CREDS: &str = include_str!("support/engine.creds");

/// A user's seed and its public key; the server knows the latter.
const SEED: &str = "SUAE5672FS7A3G6WM6SOMQFVIG2N6ZA552275UZORYPKOBBTU6EKJDIR34";
const KEY: &str = "UD7SWFAZZGD6ZCRE7STW3ZPJHJUCE3MWNDUY65ZIGUULI3KQZ5X6EHVL";

/// The seed in credentials.
fn seed_of(creds: &str) -> &str {
    let found = creds.lines().find(|it| it.starts_with("SU"));
    found.expect("credentials have one")
}

#[test]
fn members_with_credentials_make_a_group_and_a_wrong_seed_is_told_and_read_anew_when_it_is_right() {
    let servers = Servers::start_with(1, OPERATOR);
    let home = tempfile::tempdir().expect("a directory");
    let creds = home.path().join("engine.creds");
    write(&creds, CREDS.replace(seed_of(CREDS), SEED)).expect("a file");
    let login = format!("{ALONE}\ncreds = {creds:?}");
    let first = Member::start("n1", &servers.urls(), &login, "");
    let reason = first.wait_for_reason("refuses the credentials");
    assert!(!reason.contains(SEED), "{reason}");
    let (code, found) = first.doctor();
    assert_eq!(code, Some(1), "{found}");
    assert!(found.contains("refuses the credentials"), "{found}");
    write(&creds, CREDS).expect("a file");
    first.wait_for_role("active");
    let second = Member::start("n2", &servers.urls(), &login, "");
    second.wait_until_ready();
    let (_, found) = second.doctor();
    assert!(found.contains("flb_journal_east: 1 replicas"), "{found}");
    for member in [&first, &second] {
        let log = member.log();
        assert!(
            !log.contains(SEED) && !log.contains(seed_of(CREDS)),
            "{log}"
        );
    }
}

#[test]
fn an_nkey_over_tls_with_a_certificate_makes_a_member_and_without_it_none() {
    let certificates = Certificates::new();
    certificates.issue("server", NAMES, "ca", None);
    certificates.issue("engine", "DNS:engine", "ca", None);
    certificates.authority("other");
    let path = |name: &str| certificates.path(name);
    let servers = Servers::start_with(
        1,
        &format!(
            "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}\n\
             authorization {{ users: [ {{ nkey: \"{KEY}\" }} ] }}\n",
            path("server.pem"),
            path("server.key"),
            path("ca.pem")
        ),
    );
    let seed = path("engine.nk");
    write(&seed, format!("{SEED}\n")).expect("a file");
    let url = [servers.urls()[0].replace("nats://127.0.0.1", "tls://localhost")];
    let login = format!("{ALONE}\nnkey = {seed:?}\ntls_ca = {:?}", path("ca.pem"));
    let certificate = format!(
        "{login}\ntls_cert = {:?}\ntls_key = {:?}",
        path("engine.pem"),
        path("engine.key")
    );
    let first = Member::start("n1", &url, &certificate, "");
    first.wait_for_role("active");
    let second = Member::start("n2", &url, &certificate, "");
    second.wait_until_ready();
    let (_, found) = first.doctor();
    assert!(found.contains("n1: active, 0 records behind"), "{found}");
    // Without a certificate, and with another authority.
    let distrusts = certificate.replace("ca.pem", "other.pem");
    for wrong in [&login, &distrusts] {
        let member = Member::start("n3", &url, wrong, "");
        member.wait_for_reason("is not reached");
        let (code, found) = member.doctor();
        assert_eq!(code, Some(1), "{found}");
        assert!(!member.log().contains(SEED), "{}", member.log());
    }
    assert!(!first.log().contains(SEED), "{}", first.log());
}
