//! What is wrong is named: the place, the key, what was found and what is right.

use super::{problem, problems, settings};

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_name() {
    let text = "durability = \"written\"\n\n[scheduler]\nlevels = 3\n  max_wiat = [\"0s\"]\n";
    assert_eq!(
        problem(text),
        "flipped-lb.toml:5:3: unknown key \"max_wiat\" in [scheduler]; did you mean \"max_wait\"?"
    );
}

#[test]
fn unknown_names_suggest_what_was_meant() {
    for (text, meant) in [
        ("data_dri = 'x'", "did you mean \"data_dir\"?"),
        ("[schedular]\nlevels = 3", "did you mean [scheduler]?"),
        ("[[sources]]\naddress = 'a:1'", "did you mean [[source]]?"),
        (
            "[[source]]\naddress = 'a:1'\nacks = true",
            "did you mean \"ack\"?",
        ),
        ("[[rule]]\ntype = 'a'\npriority = 1", "message_type"),
        ("levels = 3", "did you mean [scheduler] levels?"),
        (
            "[store]\ndurability = 'synced'",
            "did you mean \"durability\"? It stands at the top of the file, before the first [section]",
        ),
        (
            "[[destination]]\nid = 'a'\ndurability = 'synced'",
            "did you mean \"durability\"? It stands at the top of the file",
        ),
        (
            "[[source]]\naddress = 'a:1'\nlevels = 3",
            "did you mean [scheduler] levels?",
        ),
        (
            "[dedup]\nbatch_rows = 1",
            "did you mean [store] batch_rows?",
        ),
        (
            "[delivery]\nlisten_address = 'a:1'",
            "did you mean \"listen\"?",
        ),
        ("[threads]\nzzz = 1", "there are mode, idle"),
        ("zzz = 1", "there are data_dir, durability"),
        ("[zzz]\na = 1", "there are ingest, scheduler"),
        ("[scheduler.levels]\na = 1", "write a whole number"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(meant), "{text}: {problem}");
    }
}

#[test]
fn wrong_types_say_what_was_found_and_what_is_right() {
    for (text, right) in [
        ("data_dir = 1", "data_dir: found 1; write a text in quotes"),
        (
            "durability = \"writen\"",
            "found \"writen\"; write one of \"memory\", \"written\"",
        ),
        (
            "durability = true",
            "durability: found true; write a text in quotes",
        ),
        (
            "[scheduler]\nlevels = \"3\"",
            "found \"3\"; write a whole number from 1 to 8",
        ),
        (
            "[scheduler]\nlevels = 3.5",
            "found 3.5; write a whole number from 1 to 8",
        ),
        ("[scheduler]\nlevels = -1", "found -1; write a whole number"),
        (
            "[scheduler]\nmax_wait = \"5s\"",
            "[scheduler] max_wait: found \"5s\"; write a list",
        ),
        (
            "[scheduler]\nmax_wait = [0, 1]",
            "found 0; write it with a unit, in quotes: \"0s\"",
        ),
        (
            "[latency]\nlog_interval = \"99ms\"",
            "found less than 100ms; write 0s, or 100ms at least",
        ),
        (
            "[stats]\ninterval = \"1us\"",
            "found less than 1ms; write 0s, or 1ms at least",
        ),
        (
            "[dedup]\nwindow = 10",
            "[dedup] window: found 10; write it with a unit",
        ),
        (
            "[dedup]\nwindow = 1979-05-27",
            "found 1979-05-27; write a duration",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.contains(right), "{text}: {problem}");
    }
}

#[test]
fn wrong_addresses_cores_and_shapes_say_what_is_right() {
    for (text, right) in [
        (
            "[ingest]\nmax_line = true",
            "found true; write a size from \"1KiB\" to \"64KiB\"",
        ),
        (
            "[delivery]\nlisten = 9000",
            "found 9000; write an address in quotes",
        ),
        (
            "[delivery]\nlisten = \"9000\"",
            "write an address and a port",
        ),
        ("[delivery]\nlisten = \"none\"", "delivery needs an address"),
        (
            "[threads]\ningest_core = -1",
            "found -1; write a whole number from 0 to 1023",
        ),
        ("[threads]\ndelivery_cores = 4", "found 4; write a list"),
        (
            "[[source]]\naddress = \"a:1\"\nack = \"yes\"",
            "write true or false, without quotes",
        ),
        (
            "[[rule]]\nhours = \"7-11\"\npriority = 1",
            "found \"7-11\"; write two times of the day",
        ),
        ("scheduler = 3", "write [scheduler]"),
        ("[[scheduler]]\nlevels = 3", "write [scheduler]"),
        (
            "[source]\naddress = \"a:1\"",
            "write [[source]] in double brackets",
        ),
        ("source = [\"a:1\"]", "write [[source]] and its keys below"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(right), "{text}: {problem}");
    }
}

#[test]
fn values_out_of_bounds_say_the_bounds() {
    for (text, right) in [
        ("data_dir = \"\"", "write a directory"),
        ("[scheduler]\nlevels = 0", "from 1 to 8"),
        ("[scheduler]\nlevels = 9", "from 1 to 8"),
        ("[scheduler]\nlevels = 99999999999999999999", "from 1 to 8"),
        (
            "[ingest]\nmax_line = \"1023\"",
            "from \"1KiB\" to \"64KiB\"",
        ),
        ("[ingest]\nmax_line = 65537", "16 bits"),
        (
            "[scheduler]\nmax_wait = ['0s', '1s', '25h']",
            "from \"0s\" to \"24h\"",
        ),
        ("[scheduler]\nmax_destinations = 0", "from 1 to 1000000"),
        ("[dedup]\nwindow_messages = 0", "from 1 to"),
        ("[dedup]\nwindow = \"0s\"", "from \"1ms\" to \"168h\""),
        ("[delivery]\nagents = 0", "from 1 to 64"),
        ("[delivery]\nagents = 65", "from 1 to 64"),
        ("[delivery]\nack_timeout = \"0s\"", "from \"1ms\""),
        ("[delivery]\ncredit = \"1KiB\"", "from \"4KiB\" to \"8MiB\""),
        ("[journal]\nsegment = \"1MiB\"", "from \"4MiB\" to \"1GiB\""),
        ("[journal]\nmax_bytes = \"31MiB\"", "from \"32MiB\" to"),
        (
            "[journal]\nmax_bytes = \"511MiB\"",
            "8 segments of 64MiB take 512MiB",
        ),
        ("[store]\nbatch_rows = 0", "from 1 to 100000"),
        ("[threads]\njournal_core = 1024", "from 0 to 1023"),
        ("[[destination]]\nid = \"\"", "a name has 1 to 50"),
        ("[[destination]]\nid = \"a\\nb\"", "no control characters"),
        ("[[source]]\naddress = \"kitchen\"", "write host:port"),
        ("[[source]]\naddress = \"kitchen:0\"", "1 to 65535"),
        ("[[source]]\naddress = \"::1:80\"", "write host:port"),
        (
            "[[rule]]\nmessage_type = \"a\"\npriority = 0",
            "from 1 to 8",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.contains(right), "{text}: {problem}");
    }
    let long = problem(&format!("[[destination]]\nid = \"{}\"", "x".repeat(51)));
    assert!(long.contains("51 bytes"), "{long}");
}

#[test]
fn what_does_not_fit_together_is_named() {
    for (text, right) in [
        (
            "[scheduler]\nmax_wait = [\"0s\", \"1s\"]",
            "flipped-lb.toml:2:12: [scheduler] max_wait: found 2 times for 3 levels; write one for \
             each level, such as max_wait = [\"0s\", \"1s\", \"5s\"], or leave max_wait out",
        ),
        (
            "[scheduler]\nlevels = 2\nmax_wait = ['0s', '1s', '5s']",
            "3 times for 2 levels",
        ),
        (
            "[[source]]\naddress = 'A:1'\n[[source]]\naddress = 'a:1'",
            "flipped-lb.toml:3:1: [[source]] address: \"a:1\" is there twice",
        ),
        (
            "[[source]]\naddress = '127.0.0.1:9000'",
            "where the engine itself listens ([delivery] listen)",
        ),
        (
            "[[destination]]\nid = 'a'\n[[destination]]\nid = 'a'",
            "flipped-lb.toml:3:1: [[destination]] id: \"a\" is there twice",
        ),
        ("destination = []", "there is no destination"),
        (
            "[scheduler]\nmax_destinations = 3",
            "4 destinations are listed",
        ),
        (
            "[[rule]]\nmessage_type = 'a'\npriority = 4",
            "there are 3 levels",
        ),
        (
            "[[rule]]\ndestination = 'tabel2'\npriority = 1",
            "there is no destination \"tabel2\"; did you mean \"table2\"?",
        ),
        (
            "[security]\nanonymous = 'allow'\n[admin]\nlisten = '0.0.0.0:9000'",
            "which [delivery] listen has taken",
        ),
        (
            "[ingest]\nlisten = '127.0.0.1:9100'",
            "[ingest] listen has taken",
        ),
        (
            "[threads]\ndelivery_cores = [1, 2]",
            "found 2 cores for 1 delivery agents",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.contains(right), "{text}: {problem}");
    }
}

#[test]
fn items_need_their_names() {
    assert_eq!(
        problem("\n[[source]]\nack = true\n"),
        "flipped-lb.toml:2:1: [[source]] has no address; add address = \"127.0.0.1:8001\", or nats"
    );
    assert!(problem("[[destination]]\nvip = true").contains("has no id"));
    assert!(problem("[[rule]]\nsource = 'a'").contains("has no priority"));
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let problems = problems(
        "durability = 1\n[stats]\nintervall = '1s'\n[[source]]\n[delivery]\nagents = 'x'\n",
    );
    let places: Vec<&str> = problems
        .iter()
        .filter_map(|p| p.split(": ").next())
        .collect();
    assert_eq!(
        places,
        [
            "flipped-lb.toml:1:14",
            "flipped-lb.toml:3:1",
            "flipped-lb.toml:4:1",
            "flipped-lb.toml:6:10",
        ]
    );
}

#[test]
fn what_is_not_toml_has_a_line_too() {
    let unquoted = problem("[ingest]\nmax_line = 64KiB\n");
    assert!(unquoted.starts_with("flipped-lb.toml:2:"), "{unquoted}");
    assert!(unquoted.contains("in quotes"), "{unquoted}");
    let twice = problem("[stats]\ninterval = '1s'\ninterval = '2s'\n");
    assert!(
        twice.starts_with("flipped-lb.toml:3:1: duplicate key"),
        "{twice}"
    );
    assert!(problem("[stats").starts_with("flipped-lb.toml:1:"));
}

#[test]
fn columns_count_characters() {
    let found = problems("stats = { \"ü\" = 1, zz = 2 }");
    assert!(found[0].starts_with("flipped-lb.toml:1:11"), "{found:?}");
    assert!(found[1].starts_with("flipped-lb.toml:1:20"), "{found:?}");
}

#[test]
fn a_wrong_address_is_refused_and_its_password_never_printed() {
    for url in [
        "\"mysql://me:secret@db:33066666/flipped_lb\"",
        "\"mariadb://me:secret@db/flipped_lb?secret=1\"",
        "\"postgres://me:secret@db\"",
        "\"msqyl://me:secret@db\"",
        "[\"mysql://me:secret@db\"]",
        "{ a = \"mysql://me:secret@db\" }",
        "\"mysql://me:secret@db",
        "mysql://me:secret@db",
    ] {
        let problem = problem(&format!("[store]\nurl = {url}\n"));
        assert!(!problem.contains("secret"), "{problem}");
        assert!(problem.starts_with("flipped-lb.toml:2:"), "{problem}");
    }
}

/// A user of this name with the token `abc`, and these keys.
fn user(name: &str, rest: &str) -> String {
    let hash = crate::access::TokenHash::of("abc").hex();
    format!("[[user]]\nname = '{name}'\ntoken_sha256 = '{hash}'\n{rest}\n")
}

#[test]
fn users_have_names_and_tokens_of_their_own_and_rights_to_what_there_is() {
    let other = "[[user]]\nname = 'one'\ntoken_file = 'f'\n";
    for (text, right) in [
        (user("one", "") + other, "\"one\" is there twice"),
        (
            user("one", "") + &user("two", ""),
            "has the token of \"one\"",
        ),
        (
            user("one", "token_file = 'f'"),
            "token_sha256 and token_file",
        ),
        ("[[user]]\nname = 'one'".to_owned(), "has no token"),
        (
            user("one", "may_send = ['tabel1']"),
            "no destination \"tabel1\"; did you mean \"table1\"?",
        ),
        (user("one", "may_receive = ['x']"), "no destination \"x\""),
        (user("one", "may_send = 'table1'"), "write a list"),
        (user("one", "token = 'x'"), "unknown key \"token\""),
        (user("one", "certificate = ''"), "a name in its certificate"),
        (
            user("one", "certificate = 'till'"),
            "no address asks for one; set [tls] client_ca",
        ),
    ] {
        let problem = problem(&text);
        assert!(problem.contains(right), "{text}: {problem}");
    }
    let with_ca = "[tls]\ncert = 'c'\nkey = 'k'\nclient_ca = 'ca'\n";
    let certificate = |name: &str| format!("[[user]]\nname = '{name}'\ncertificate = 'till'\n");
    settings(&(certificate("one") + with_ca));
    let twice = self::problem(&(certificate("one") + &certificate("two") + with_ca));
    assert!(twice.contains("has the certificate of \"one\""), "{twice}");
    let token = "my-secret-token";
    let problem = problem(&format!("[[user]]\nname = 'a'\ntoken_sha256 = '{token}'"));
    assert!(problem.contains("flipped-lb user hash"), "{problem}");
    assert!(!problem.contains(token), "{problem}");
    let empty = crate::access::TokenHash::of("").hex();
    let problem = self::problem(&format!("[[user]]\nname = 'a'\ntoken_sha256 = '{empty}'"));
    assert!(problem.contains("hash of an empty token"), "{problem}");
}

#[test]
fn an_address_that_other_machines_reach_is_refused_with_both_ways_out() {
    for (section, verb) in [
        ("delivery", "read every customer's messages"),
        ("ingest", "send as any server"),
        ("admin", "see all figures"),
        (
            "http",
            "send as any server and read every customer's messages",
        ),
    ] {
        for host in ["0.0.0.0", "[::]", "192.0.2.1"] {
            let text = format!("[{section}]\nlisten = '{host}:9555'\n");
            let problem = problem(&text);
            let place = format!("flipped-lb.toml:2:10: [{section}] listen: ");
            let words = [&place, verb, "[[user]]", "[security] anonymous = \"allow\""];
            for it in words {
                assert!(problem.contains(it), "{problem}");
            }
            settings(&format!("{text}[security]\nanonymous = 'allow'"));
            settings(&format!("{text}{}", user("one", "")));
        }
    }
}

#[test]
fn an_origin_is_written_as_browsers_write_it() {
    for (origin, words) in [
        ("till.example", "write scheme and host"),
        ("", "write scheme and host"),
        ("null", "write scheme and host"),
        (
            "https://till.example/",
            "browsers write \"https://till.example\"",
        ),
        (
            "HTTPS://Till.Example:443",
            "browsers write \"https://till.example\"",
        ),
    ] {
        let problem = problem(&format!("[http]\ncors = ['{origin}']"));
        assert!(problem.contains(words), "{problem}");
    }
    settings("[http]\ncors = ['*', 'http://127.0.0.1:8080']");
}

#[test]
fn a_certificate_has_its_key_and_a_source_by_tls_an_authority() {
    for text in [
        "[tls]\ncert = 'c'",
        "[delivery]\ntls_cert = 'c'",
        "[delivery]\ntls_key = 'k'",
    ] {
        for problem in problems(text) {
            assert!(problem.contains("not the other one"), "{text}: {problem}");
        }
    }
    let own = "[tls]\nclient_ca = 'a'\n[delivery]\ntls_cert = 'c'\ntls_key = 'k'\n";
    settings(&format!("{own}[admin]\ntls = 'off'"));
    for (text, words) in [
        ("[tls]\nkey = 'k'", "[tls] has key and no cert"),
        ("[tls]\nclient_ca = 'k'", "[tls] has client_ca and no cert"),
        (
            "[http]\ntls_client_ca = 'a'",
            "[http] has authorities of clients",
        ),
        (own, "[admin] has authorities of clients"),
    ] {
        let problem = self::problem(text);
        assert!(problem.contains(words), "{text}: {problem}");
    }
    for key in ["tls_ca", "tls_name", "tls_cert", "tls_key"] {
        let problem = self::problem(&format!("[[source]]\naddress = 'a:1'\n{key} = 'a'"));
        assert!(problem.contains("add tls = true"), "{problem}");
    }
    let problem = problem("[[source]]\naddress = 'a:1'\ntls = true");
    assert!(problem.contains("tls = true wants tls_ca"), "{problem}");
    for key in ["tls_cert = 'c'", "tls_key = 'k'"] {
        let text = format!("[[source]]\naddress = 'a:1'\ntls = true\ntls_ca = 'c'\n{key}");
        let problem = self::problem(&text);
        assert!(problem.contains("not the other one; set both"), "{problem}");
    }
    let text = "[tls]\nclient_ca = 'c'\ncert = 'c'\nkey = 'k'\n[delivery]\nlisten = '0.0.0.0:1'";
    settings(text);
    let plain = self::problem(&format!("{text}\ntls = 'off'"));
    assert!(plain.contains("[[user]]"), "{plain}");
}
