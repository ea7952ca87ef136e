//! Certificates whose time is over, is over soon, or has not begun: the engine starts with them, and says
//! so wherever an operator looks.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/metrics.rs"]
mod metrics;
#[path = "support/reloading.rs"]
mod reloading;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use certificates::{Certificates, NAMES};
use metrics::Scrape;
use support::Engine;

const SETTINGS: &str = "source = []\n[admin]\ntls = \"off\"\n\
     [tls]\ncert = \"engine.pem\"\nkey = \"engine.key\"\n";

/// Another certificate in the place of the one that was there.
fn replace(certificates: &Certificates, at: &str) {
    certificates.issue("engine", NAMES, "ca", Some(at));
}

#[test]
fn a_certificate_that_no_peer_believes_is_told_of_at_start_and_at_a_reload() {
    let certificates = Certificates::new();
    replace(&certificates, "2020-01-01");
    let home = Arc::clone(&certificates.home);
    let engine = Engine::start_in(home, SETTINGS);
    let warned = |words: &str| {
        engine.wait_until_logged(words, |log| {
            let mut lines = log.lines();
            lines.any(|it| it.contains("WARN") && it.contains(words))
        });
    };
    warned("certificate of [delivery] engine.pem: its time was over at 2020-01-03");
    let (status, ready) = engine.get("/readyz");
    assert!(
        status == 200 && ready.contains("its time was over"),
        "{ready}"
    );
    let end = "flipped_lb_tls_certificate_end_seconds{listener=\"delivery\"}";
    let first = Scrape::of(&engine).samples[end];
    replace(&certificates, "2099-01-01");
    assert_eq!(reloading::post(&engine, None).0, 200);
    warned("certificate of [delivery] engine.pem: its time begins at 2099-01-01");
    let scrape = Scrape::of(&engine);
    assert!(scrape.samples[end] > first + 70.0 * 365.0 * 86_400.0);
    let of_plain = scrape
        .samples
        .keys()
        .filter(|it| it.contains("certificate_end"));
    assert_eq!(of_plain.count(), 1, "the admin address shows none");
    certificates.issue("engine", NAMES, "ca", None);
    assert_eq!(reloading::post(&engine, None).0, 200);
    warned("certificate of [delivery] engine.pem: its time is over at ");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let left = Scrape::of(&engine).samples[end] - now.expect("after 1970").as_secs_f64();
    assert!((86_400.0..=2.0 * 86_400.0).contains(&left), "{left}");
}

#[test]
fn check_and_doctor_say_how_long_each_certificate_is_valid() {
    let certificates = Certificates::new();
    certificates.issue("old", "DNS:engine", "ca", Some("2020-01-01"));
    certificates.issue_for(99, "engine", "DNS:engine", "ca", None);
    let source = "[[source]]\naddress = \"localhost:9\"\ntls = true\ntls_ca = \"ca.pem\"\n\
         tls_cert = \"old.pem\"\ntls_key = \"old.key\"\n";
    let settings = SETTINGS.replace("source = []\n", "") + source;
    std::fs::write(certificates.path("flipped-lb.toml"), settings).expect("written");
    let said = |arguments: &[&str]| {
        let mut command = Command::new(support::ENGINE);
        let command = command
            .args(arguments)
            .current_dir(certificates.home.path());
        let output = command.output().expect("the engine's binary");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), text)
    };
    let (is_right, check) = said(&["check"]);
    assert!(is_right, "{check}");
    assert!(
        check.contains("certificate of [delivery] engine.pem: valid to 20"),
        "{check}"
    );
    let warning = "Warning: certificate of [source localhost:9] old.pem: its time was over";
    assert!(check.contains(warning), "{check}");
    let (_, doctor) = said(&["doctor", "--seconds", "0", "--json"]);
    let doctor: serde_json::Value = serde_json::from_str(&doctor).expect("JSON");
    let findings = doctor["findings"].as_array().expect("a list");
    let verdicts: Vec<_> = findings
        .iter()
        .filter(|it| it["subject"] == "certificate")
        .map(|it| it["verdict"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(verdicts, ["good", "bad"], "{doctor}");
}
