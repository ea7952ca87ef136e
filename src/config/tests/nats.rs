//! NATS in the settings: said wholly, without mixing customers, and without showing a password.

use super::{problem, settings};

#[test]
fn nats_is_said_wholly_and_no_two_customers_share_a_subject() {
    let source = "[[source]]\nnats = 'nats://h'\n";
    let destination = "[[destination]]\nid = 'a'\nnats = 'nats://h'\n";
    let pattern = "[[destination]]\nid = 'w-*'\nnats = 'nats://h'\nsubject = 'o.{id}'\n";
    for (text, meant) in [
        (source.to_owned(), "wants a stream and a durable"),
        (
            format!("{source}stream = 'S'\ndurable = 'a.b'"),
            "found \"a.b\"; it has",
        ),
        (
            format!("{source}stream = 'S'\ndurable = 'd'\naddress = 'h:1'"),
            "remove one",
        ),
        (
            format!("{source}stream = 'S'\ndurable = 'd'\ntls = true"),
            "write tls://",
        ),
        (
            format!("{source}stream = 'S'\ndurable = 'd'\nsubject = 'a.>.b'"),
            "at the end",
        ),
        (
            format!("{source}stream = 'S'\ndurable = 'd'\n{source}stream = 'S'\ndurable = 'd'"),
            "nats://h:4222/S/d\" is there twice",
        ),
        (
            format!("{source}stream = 'S'\ndurable = 'd'\ncreds = 'c'\nnkey = 'n'"),
            "keep one",
        ),
        (
            "[[source]]\naddress = 'h:1'\nstream = 'S'".to_owned(),
            "are for NATS",
        ),
        (
            "[[source]]\nack = true".to_owned(),
            "address = \"127.0.0.1:8001\", or nats",
        ),
        (
            "[[source]]\nnats = 'h:4222'".to_owned(),
            "begins with nats://",
        ),
        (
            "[[destination]]\nid = 'a'\nsubject = 'x'".to_owned(),
            "are for NATS",
        ),
        (destination.to_owned(), "has no subject"),
        (format!("{destination}subject = 'a.*'"), "without * and >"),
        (
            format!("{destination}subject = 'x'\nheaders = ['payload']"),
            "messageType",
        ),
        (pattern.replace("{id}", "x"), "\"o.x.{id}\""),
        (format!("{pattern}vip = true"), "for one destination"),
        (
            format!("{pattern}[[destination]]\nid = 'w-1'"),
            "a destination may be both",
        ),
        (
            format!(
                "{destination}subject = 'x'\n{}subject = 'x'",
                destination.replace("'a'", "'b'")
            ),
            "would share the subject \"x\"",
        ),
        (
            format!("{pattern}{destination}subject = 'o.w-9'"),
            "would share the subject \"o.w-9\"",
        ),
    ] {
        let problem = problem(&text);
        assert!(problem.contains(meant), "{text}: {problem}");
    }
}

#[test]
fn a_password_of_nats_is_in_no_problem() {
    for text in [
        "[[source]]\nnats = 'http://u:s3cret@h'",
        "[[source]]\nnats = 'nats://u:s3cret@h'",
        "[[destination]]\nid = 'a'\nnats = 'nats://u:s3cret@h'\ncreds = 'c'\nsubject = 'x'",
    ] {
        let problem = problem(text);
        assert!(!problem.contains("s3cret"), "{problem}");
    }
}

#[test]
fn patterns_at_nats_create_what_fits_and_are_no_destinations_themselves() {
    let text = "[[destination]]\nid = 'w-*'\nnats = 'nats://h,nats://i'\nsubject = 'o.{id}'\n\
                [[destination]]\nid = 'b'\n[[rule]]\ndestination = 'w-1'\npriority = 1\n\
                [[source]]\nnats = 'nats://t0ken@h'\nstream = 'S'\ndurable = 'd'\n";
    let config = settings(text);
    assert_eq!(config.destinations.len(), 1);
    assert_eq!(config.destination_patterns[0].id, "w-*");
    assert!(!config.scheduler.create_destinations);
    assert_eq!(config.sources[0].address, "nats://h:4222/S/d");
    assert!(config.sources[0].ack);
}
