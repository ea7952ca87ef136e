//! `[cluster]`: said wholly, where it is of use, and without showing a password.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::Case;
use super::{problem, settings, under};
use crate::config::{Config, Durability};

/// Each key with what makes it a whole group; `keys` and `changes` go through them with the others.
pub(super) const CASES: &[Case] = &[
    (
        "",
        "durability",
        "'replicated'\n[cluster]\nservers = ['nats://h']\ngroup = 'east'",
        |c| c.durability == Durability::Replicated,
    ),
    (
        "cluster",
        "servers",
        "['nats://a', 'nats://b:5222']\ngroup = 'east'",
        |c| c.cluster.nats.urls() == ["nats://a:4222", "nats://b:5222"],
    ),
    ("cluster", "group", "'east'\nservers = ['nats://h']", |c| {
        c.cluster.group == "east"
    }),
    (
        "cluster",
        "node",
        "'one'\nservers = ['nats://h']\ngroup = 'east'",
        |c| c.cluster.node == "one",
    ),
    (
        "cluster",
        "replicas",
        "1\nservers = ['nats://h']\ngroup = 'east'",
        |c| c.cluster.replicas == 1,
    ),
    (
        "cluster",
        "take_over_after",
        "'4s'\nservers = ['nats://h']\ngroup = 'east'",
        |c| c.cluster.take_over_after == Duration::from_secs(4),
    ),
    (
        "cluster",
        "advertise",
        "'10.0.0.11'\nservers = ['nats://h']\ngroup = 'east'",
        |c| c.cluster.advertise.as_deref() == Some("10.0.0.11"),
    ),
    (
        "cluster",
        "creds",
        "'e.creds'\nservers = ['nats://h']\ngroup = 'east'",
        |c| c.cluster.nats.creds == Some(PathBuf::from("e.creds")),
    ),
    (
        "cluster",
        "nkey",
        "'e.nkey'\nservers = ['nats://h']\ngroup = 'east'",
        |c| c.cluster.nats.nkey == Some(PathBuf::from("e.nkey")),
    ),
    (
        "cluster",
        "tls_ca",
        "'ca'\nservers = ['tls://h']\ngroup = 'east'",
        |c| c.cluster.nats.ca == Some(PathBuf::from("ca")),
    ),
    (
        "cluster",
        "tls_cert",
        "'c'\ntls_key = 'k'\nservers = ['tls://h']\ngroup = 'east'",
        |c| (&c.cluster.nats.cert, &c.cluster.nats.key) == (&Some("c".into()), &Some("k".into())),
    ),
    (
        "cluster",
        "tls_key",
        "'k'\ntls_cert = 'c'\nservers = ['tls://h']\ngroup = 'east'",
        |c| c.cluster.nats.key == Some(PathBuf::from("k")),
    ),
];

const GROUP: &str =
    "durability = 'replicated'\n[cluster]\nservers = ['nats://h']\ngroup = 'east'\n";

#[test]
fn a_group_has_the_defaults_of_the_contract_and_the_hosts_name() {
    let cluster = settings(GROUP).cluster;
    assert_eq!(cluster.replicas, 3);
    assert_eq!(cluster.take_over_after, Duration::from_secs(15));
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    assert_eq!(Some(cluster.node.as_str()), host.split('.').next());
    assert_eq!(settings("").cluster.node, "");
}

#[test]
fn what_is_half_said_is_told_with_both_ways_out() {
    let with = |more: &str| format!("{GROUP}{more}");
    for (text, meant) in [
        (
            "durability = 'replicated'".to_owned(),
            vec![
                "servers = [\"nats://127.0.0.1:4222\"] and group = \"east\"",
                "durability = \"synced\"",
            ],
        ),
        (
            "durability = 'replicated'\n[cluster]\ngroup = 'east'".to_owned(),
            vec!["add [cluster] servers = [\"nats://127.0.0.1:4222\"], or"],
        ),
        (
            "durability = 'replicated'\n[cluster]\nservers = ['nats://h']".to_owned(),
            vec!["add [cluster] group = \"east\", or"],
        ),
        (
            "durability = 'synced'\n[cluster]\ngroup = 'east'".to_owned(),
            vec![
                ":3:9:",
                "durability = \"synced\" replicates nothing",
                "or remove [cluster]",
            ],
        ),
        (
            "[cluster]\ntls_ca = 'ca.pem'".to_owned(),
            vec![":2:10:", "or remove [cluster]"],
        ),
        (with("node = 'a.b'"), vec!["found \"a.b\"", "no space, dot"]),
        (with("node = 'a b'"), vec!["found \"a b\""]),
        (
            GROUP.replace("'east'", "'e>'"),
            vec!["[cluster] group: found \"e>\""],
        ),
        (
            GROUP.replace("'east'", "'a/b'"),
            vec!["[cluster] group: found \"a/b\""],
        ),
        (GROUP.replace("'east'", "''"), vec!["a name has 1 to 50"]),
        (with("replicas = 2"), vec!["found 2; write 1, 3 or 5"]),
        (with("replicas = 7"), vec!["from 1 to 5"]),
        (
            with("take_over_after = '3999ms'"),
            vec!["[cluster] take_over_after", "4s"],
        ),
        (with("advertise = 'h:9000'"), vec!["without a port"]),
        (with("advertise = ''"), vec!["without a port"]),
        (with("creds = 'c'\nnkey = 'n'"), vec!["keep one"]),
        (with("tls_cert = 'c'"), vec!["set both"]),
        (
            GROUP.replace("['nats://h']", "['nats://a', 'tls://b']"),
            vec!["some are nats://"],
        ),
    ] {
        let problem = problem(&text);
        for meant in meant {
            assert!(problem.contains(meant), "{text}: {problem}");
        }
    }
}

#[test]
fn a_password_of_the_servers_is_in_no_problem_and_in_no_print() {
    for text in [
        "[cluster]\nservers = 'nats://u:s3cret@h'",
        "[cluster]\nservers = ['http://u:s3cret@h']",
        "[cluster]\nservers = ['nats://u:s3cret@h']",
        "durability = 'replicated'\n[cluster]\nservers = ['nats://u:s3cret@h']\ngroup = 'east'\ncreds = 'c'",
    ] {
        let problem = problem(text);
        assert!(!problem.contains("s3cret"), "{problem}");
    }
    let config = settings(&GROUP.replace("//h", "//u:s3cret@h"));
    assert!(!format!("{config:?}").contains("s3cret"));
    assert_eq!(config.cluster.nats.urls(), ["nats://h:4222"]);
}

#[test]
fn variables_say_all_of_a_group() {
    let config = under(&[
        ("FLIPPED_LB_DURABILITY", "replicated"),
        ("FLIPPED_LB_CLUSTER_SERVERS", "nats://a,nats://b"),
        ("FLIPPED_LB_CLUSTER_GROUP", "east"),
        ("FLIPPED_LB_CLUSTER_NODE", "one"),
    ]);
    let Config { cluster, .. } = config.expect("right");
    assert_eq!(cluster.nats.urls(), ["nats://a:4222", "nats://b:4222"]);
    assert_eq!(
        (cluster.group.as_str(), cluster.node.as_str()),
        ("east", "one")
    );
}
