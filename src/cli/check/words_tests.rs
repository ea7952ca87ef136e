//! The words of `check`, for settings whose meaning is known.

use super::*;
use crate::config::parse;

fn said(text: &str, cores: usize) -> String {
    let config = parse("flipped-lb.toml", text, &[]).expect("right");
    let directory = PathBuf::from("/srv");
    let files = u64::MAX;
    let cores = Cores {
        allowed: (0..cores).collect(),
        online: None,
    };
    words(
        &config,
        &Machine {
            cores,
            directory,
            files,
        },
    )
}

#[track_caller]
fn says(text: &str, cores: usize, sentences: &[&str]) {
    let said = said(text, cores);
    for sentence in sentences {
        assert!(said.contains(sentence), "{sentence:?} is not in:\n{said}");
    }
}

#[test]
fn a_name_that_looks_like_a_pattern_is_warned_of() {
    let said = |rest: &str| said(&format!("[[destination]]\nid = 'west-*'\n{rest}"), 2);
    assert!(said("").contains("west-*; warning: without nats that is its very name"));
    let at_nats = said("nats = 'nats://localhost'\nsubject = 'west.{id}'\n");
    assert!(!at_nats.contains("warning"), "{at_nats}");
}

#[test]
fn the_defaults_are_explained() {
    says(
        "",
        2,
        &[
            "4 servers are dialled",
            "127.0.0.1:8004",
            "producers may not dial in",
            "table1, VIP: all its messages are level 1",
            "for any other destination is rejected",
            "16000000 of them wait, which 10000 a second reach in 1600s",
            "read no further until there is room",
            "queue: at most 33554432 messages in all",
            "level 2: moves up to level 1 once it has waited 1s; worst wait: at level 1 after 1s",
            "level 3: moves up to level 2 once it has waited 5s; worst wait: at level 1 after 5s",
            "at least once for every 4 messages",
            "the last 1000000 messages of the last 10m",
            "nothing is lost by kill -9, but the last moments may be lost by power loss",
            "frames: at most 64MiB",
            "auto picks shared",
            "2 cores; dedicated needs 5",
            "SQLite in /srv/flipped-lb-data/messages.db",
            "/srv/flipped-lb-data: the journal in segments of 64MiB",
            "subscribers connect to 127.0.0.1:9000",
            "http://127.0.0.1:9100/stats",
            "latencies are logged every 10s, in at most 8 files of 16MiB, a new one after",
            "every 10s and at exit",
        ],
    );
}

#[test]
fn what_keep_means_for_the_disk_is_explained() {
    says(
        "",
        2,
        &[
            "rows stay for ever ([store] keep): 5000 messages a second of 390 bytes add about 114 MB a \
           minute, 165 GB a day",
        ],
    );
    says(
        "[store]\nkeep = '30d'",
        2,
        &[
            "a row is removed 30d after it was settled",
            "the database takes about 4963 GB, of 165 GB a day",
        ],
    );
    says("[store]\nkeep = '5m'", 2, &["5m after", "about 574 MB"]);
}

#[test]
fn bounds_of_the_queues_are_explained() {
    let text = "[scheduler]\nwhen_full = 'reject'\nmax_queued = 7\n\
                [[destination]]\nid = 'a'\nmax_queued = 50_000\nwhen_full = 'wait'\n\
                [[destination]]\nid = 'b'";
    says(
        text,
        2,
        &[
            "a; at most 50000 may wait for it, which 10000 a second reach in 5s; then each source whose \
             next message is for it is read no further until there is room, with all that it has for \
             others",
            "7 of them wait, which 10000 a second reach in less than a second; then further ones are \
             rejected (queue_full), counted and kept",
        ],
    );
}

#[test]
fn the_worst_wait_counts_from_arrival() {
    // Level 2 takes longer than level 3: a message of level 3 waits for both.
    let text = "[scheduler]\nmax_wait = ['0s', '10s', '5s']";
    says(
        text,
        2,
        &["level 3: moves up to level 2 once it has waited 5s; worst wait: at level 1 after 10s"],
    );
    // One of level 4 comes to level 2 after 10 s, behind those of level 3 that are 5 s old.
    let text = "[scheduler]\nlevels = 4\nmax_wait = ['0s', '10s', '5s', '10s']";
    says(
        text,
        2,
        &["level 4: moves up to level 3 once it has waited 10s; worst wait: at level 1 after 15s"],
    );
}

#[test]
fn a_level_that_never_moves_is_said_to_starve() {
    let text = "[scheduler]\nmax_wait = ['0s', '0s', '5s']";
    says(
        text,
        2,
        &[
            "level 2: never moves up (max_wait is 0s)",
            "level 3: moves up to level 2 once it has waited 5s; worst wait: at level 2 after 5s, \
             and there it stays",
        ],
    );
    says(
        "[scheduler]\nmax_wait = ['1s', '1s', '5s']",
        2,
        &["level 1: cannot move up"],
    );
}

#[test]
fn one_level_has_nothing_to_say_of_waits() {
    let said = said("[scheduler]\nlevels = 1", 2);
    assert!(
        !said.contains("moves up") && !said.contains("moved up"),
        "{said}"
    );
}

#[test]
fn threads_are_explained_by_the_machine() {
    says(
        "",
        8,
        &["auto picks dedicated", "8 cores; dedicated needs 5"],
    );
    says(
        "",
        1,
        &[
            "may use 1 core;",
            "scheduler, journal and delivery on one thread",
        ],
    );
    says("durability = 'synced'", 1, &["the journal on its own"]);
    let text = "[threads]\nmode = 'dedicated'\nidle = 'spin'\ningest_core = 2\n\
                scheduler_core = 3\ndelivery_cores = [4]";
    says(
        text,
        2,
        &[
            "dedicated: agents share threads",
            "may use 2 cores and dedicated needs 5: ingest, scheduler, journal, delivery",
            "spins on a core of its own (ingest, scheduler, journal, delivery on core 2)",
        ],
    );
    let text = "[threads]\nmode = 'dedicated'\ningest_core = 2\nscheduler_core = 3\n\
                journal_core = 3\ndelivery_cores = [4]";
    says(
        text,
        5,
        &[
            "dedicated: a thread of its own for each agent",
            "pinned: ingest on core 2; scheduler, journal on core 3; delivery on core 4",
        ],
    );
}

#[test]
fn every_choice_has_its_words() {
    let text = "durability = 'memory'\nsource = []\n[store]\nurl = 'none'\n\
                [admin]\nlisten = 'none'\n[stats]\ninterval = '0s'\n\
                [latency]\nlog_interval = '0s'\n\
                [scheduler]\nunknown_destinations = 'create'\nmax_destinations = 70";
    says(
        text,
        2,
        &[
            "no server is dialled",
            "so nothing new comes in",
            "creates it, up to 70 in all",
            "memory: a message is delivered and acknowledged before it is journaled",
            "none: no rows are written",
            "no HTTP",
            "printed at exit",
            "no interval logs",
        ],
    );
    let text = "durability = 'synced'\n[store]\nurl = 'sqlite:/rows.db'\n\
                [ingest]\nlisten = '127.0.0.1:9001'\n[[source]]\naddress = 'k:1'\nack = true";
    says(
        text,
        2,
        &[
            "k:1, is sent acknowledgements",
            "producers may dial in at 127.0.0.1:9001",
            "fdatasync",
            "SQLite in /rows.db",
        ],
    );
    let text = "durability = 'replicated'\n[cluster]\nservers = ['nats://h']\ngroup = 'east'\n\
                take_over_after = '20s'";
    let meant = [
        "once 2 of the 3 servers of the group's stream, and then the disk here, have it",
        "another member of group east takes over when this one was silent for 20s",
        "hands out nothing when it has reached no server for 15s",
        "of group east, whose stream is flb_journal_east at nats://h:4222",
        "send peers to delivery at 127.0.0.1:9000, admin at 127.0.0.1:9100",
    ];
    says(text, 2, &meant);
}

#[test]
fn rules_are_sentences_and_long_lists_are_cut() {
    let text = "[[rule]]\nmessage_type = 'breakfast'\nhours = '07:00-11:00'\npriority = 1\n\
                [[rule]]\npriority = 3";
    says(
        text,
        2,
        &[
            "messages of type breakfast, at 07:00-11:00 local time: level 1",
            "messages whatever they are: level 3",
            "the first rule that fits wins",
        ],
    );
    let many: String = (0..20)
        .map(|n| format!("[[destination]]\nid = 'd{n}'\n"))
        .collect();
    says(&many, 2, &["d11", "and 8 more"]);
}

#[test]
fn a_server_is_named_without_its_password() {
    let text = "[store]\nurl = 'mysql://me:secret@db/rows?ssl-mode=required'\ncreate = true";
    says(
        text,
        2,
        &[
            "mysql://me@db:3306/rows with the password of its address (ssl-mode required), makes \
             database and tables",
        ],
    );
    assert!(!said(text, 2).contains("secret"));
    let text = "[store]\nurl = 'mysql://me@db'\npassword_file = '/etc/p'";
    says(
        text,
        2,
        &[
            "with the password in /etc/p",
            "expects the tables of flipped-lb schema apply",
        ],
    );
}
