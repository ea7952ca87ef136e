//! What the file may be, and what the answer says.

use super::*;

#[test]
fn the_answer_lists_what_changed_and_a_second_reload_finds_nothing() {
    let engine = Engine::start(&settings(""));
    let source = Server::listen();
    let after = format!(
        "source = [{{ address = \"{}\", ack = true }}]\n\
         [[destination]]\nid = \"table2\"\nvip = true\n[[destination]]\nid = \"bar\"\n\
         [[rule]]\nmessage_type = \"lunch\"\npriority = 1\n\
         {INGEST}max_rate = \"5000/s\"\n[log]\nlevel = \"debug\"\n",
        source.address()
    );
    let answer = reload(&engine, &after);
    let source = format!("[[source]] {}", source.address());
    assert_eq!(answer["added"], json!([source, "[[destination]] bar"]));
    assert_eq!(answer["removed"], json!(["[[destination]] table1"]));
    let changed = json!([
        "[ingest] max_rate",
        "[log] level",
        "[[destination]] table2: vip",
        "[[rule]] (there were 0, there are 1)"
    ]);
    assert_eq!(answer["changed"], changed);
    engine.wait("it is logged", |_| {
        engine.log().contains("settings reloaded: added [[source]]")
    });
    let answer = reload(&engine, &after);
    let none = json!({ "reloaded": true, "added": [], "removed": [], "changed": [] });
    assert_eq!(answer, none);
    let stats = engine.stats();
    assert_eq!(
        (stats["reloads"].as_u64(), stats["reload_failures"].as_u64()),
        (Some(2), Some(0))
    );
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = now.expect("after 1970").as_millis() as u64;
    let last = stats["last_reload_ms"].as_u64().expect("a time");
    assert!(last <= now_ms && last + 600_000 > now_ms, "{last} {now_ms}");
}

#[test]
fn a_file_that_is_wrong_half_written_or_gone_changes_nothing() {
    let engine = Engine::start(&settings(""));
    let mut producer = Producer::new(&engine, None);
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let mut sent = 0;
    let mut goes_on = |engine: &Engine| {
        sent += 1;
        producer.send(&format!("m{sent}"), "table1", 1);
        assert_eq!(ids(&table1.frames(1)), [format!("m{sent}")]);
        let bar = Subscriber::new(engine, &["bar"], false).answer;
        assert!(bar.contains("unknown destination"), "{bar}");
    };
    let whole =
        settings("[[destination]]\nid = \"bar\"\n[[rule]]\nmessage_type = \"x\"\npriority = 2\n");
    let cases = [
        (
            "[log]\nlevle = 'warn'\n".to_owned(),
            "did you mean \"level\"?",
        ),
        (whole[..whole.len() - 8].to_owned(), "this is not TOML"),
        (
            format!("{whole}[[destination]]\nid = \"bar\"\n"),
            "is there twice",
        ),
        (
            format!("{whole}[tls]\ncert = \"no.pem\"\nkey = \"no.key\"\n"),
            "TLS of [ingest]",
        ),
        (
            format!("{whole}[[user]]\nname = \"u\"\ntoken_file = \"no.token\"\nmay_admin = true\n"),
            "no.token",
        ),
        (
            format!("data_dir = \"elsewhere\"\n{whole}[journal]\nsegment = \"8MiB\"\n"),
            "[journal] segment cannot change while the engine runs: a restart is needed",
        ),
        (String::new(), "restart is needed"),
    ];
    let count = cases.len() as u64;
    for (text, words) in cases {
        write(&engine, &text);
        let why = refused(&engine);
        assert!(why.contains(words), "{text}: {why}");
        goes_on(&engine);
    }
    std::fs::remove_file(file(&engine)).expect("it was there");
    let why = refused(&engine);
    assert!(why.contains("there is no such file"), "{why}");
    goes_on(&engine);
    let stats = engine.stats();
    assert_eq!(stats["reload_failures"], count + 1);
    assert_eq!(
        (stats["reloads"].as_u64(), stats["last_reload_ms"].as_u64()),
        (Some(0), Some(0))
    );
    engine.wait("it is logged", |_| {
        (engine.log()).contains("ERROR settings not reloaded, nothing was changed")
    });
    reload(&engine, &whole);
    let bar = Subscriber::new(&engine, &["bar"], false).answer;
    assert!(bar.contains("\"subscribed\":[\"bar\"]"), "{bar}");
}

#[test]
fn a_default_file_that_is_gone_is_no_empty_one() {
    let home = std::sync::Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let mut command = Command::new("sh");
    // Without --config: the file is found where the engine was started.
    command.args(["-c", "exec \"$0\" run", ENGINE]);
    let engine = Engine::start_by(command, home, &settings(""));
    let subscribed = |name: &str| Subscriber::new(&engine, &[name], false).answer;
    std::fs::remove_file(file(&engine)).expect("it was there");
    let why = refused(&engine);
    assert!(why.contains("there is no such file"), "{why}");
    assert!(subscribed("table1").contains("\"subscribed\":[\"table1\"]"));
    reload(&engine, &settings("[[destination]]\nid = \"bar\"\n"));
    assert!(subscribed("bar").contains("\"subscribed\":[\"bar\"]"));
}

#[test]
fn a_pipe_or_a_device_in_the_place_of_a_file_is_refused_and_waited_for_by_nobody() {
    let engine = Engine::start(&settings(""));
    let pipe = engine.home.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is there").success());
    let user = "[[user]]\nname = \"u\"\nmay_admin = true\n";
    for (text, key) in [
        (format!("{user}token_file = \"pipe\"\n"), "token_file"),
        (
            "[tls]\ncert = \"pipe\"\nkey = \"pipe\"\n".to_owned(),
            " pipe: ",
        ),
        (
            "[tls]\ncert = \"/dev/zero\"\nkey = \"/dev/zero\"\n".to_owned(),
            " /dev/zero: ",
        ),
    ] {
        write(&engine, &settings(&text));
        let why = refused(&engine);
        assert!(
            why.contains("no regular file") && why.contains(key),
            "{why}"
        );
    }
    std::fs::rename(&pipe, file(&engine)).expect("it is there");
    let why = refused(&engine);
    assert!(why.contains("no regular file"), "{why}");
    std::fs::remove_file(file(&engine)).expect("it is there");
    reload(&engine, &settings("[[destination]]\nid = \"bar\"\n"));
}
