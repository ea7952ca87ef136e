//! SIGHUP and `flipped-lb reload`.

use super::*;

#[test]
fn sighup_reloads_and_many_of_them_end_with_the_last_file() {
    let engine = Engine::start(&settings(""));
    for round in 0..20 {
        write(
            &engine,
            &settings(&format!("[[destination]]\nid = \"bar{round}\"\n")),
        );
        engine.signal("HUP");
        if round % 5 == 0 {
            // Over HTTP and by signal at once.
            assert_eq!(post(&engine, None).0, 200);
        }
    }
    let begun = Instant::now();
    while !Subscriber::new(&engine, &["bar19"], false)
        .answer
        .contains("subscribed")
    {
        assert!(begun.elapsed() < PATIENCE, "{}", engine.log());
    }
    engine.wait("the last one is done", |stats| {
        stats["reloads"].as_u64() >= Some(5) && stats["destinations"] == 3
    });
    assert_eq!(engine.count("reload_failures"), 0);
    write(&engine, "nonsense");
    engine.signal("HUP");
    // A signal of before may find it, too.
    engine.wait("it is refused", |stats| {
        stats["reload_failures"].as_u64() > Some(0)
    });
    engine.wait_for_log("by=\"SIGHUP\"");
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn the_command_says_what_changed_and_fails_where_nothing_did() {
    let engine = Engine::start(&settings(""));
    let run = |arguments: &[&str]| {
        let output = Command::new(ENGINE)
            .arg("reload")
            .args(arguments)
            .output()
            .expect("the engine's binary");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let admin = engine.admin.to_string();
    write(
        &engine,
        &settings("[[destination]]\nid = \"bar\"\n[stats]\ninterval = \"0s\"\n"),
    );
    let (code, out, _) = run(&["--admin", &admin]);
    assert_eq!(
        (code, out.as_str()),
        (
            Some(0),
            "added [[destination]] bar\nchanged [stats] interval\n"
        )
    );
    let (code, out, _) = run(&["--admin", &admin]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "reloaded: nothing has changed\n")
    );
    write(&engine, "[log]\nlevel = 'loud'\n");
    let (code, out, error) = run(&["--admin", &admin]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        error.contains("not reloaded") && error.contains("[log] level"),
        "{error}"
    );
    // The address stands in a file, which is wrong: that is told.
    let named = file(&engine);
    let (code, _, error) = run(&["--config", named.to_str().expect("text")]);
    assert_eq!(code, Some(2), "{error}");
    // The file of this directory does not count: the engine has its own.
    write(
        &engine,
        &format!("[admin]\nlisten = \"{admin}\"\n[log]\nlevel = 'loud'\n"),
    );
    let output = Command::new(ENGINE)
        .arg("reload")
        .current_dir(engine.home.path())
        .output()
        .expect("the engine's binary");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("{admin} is asked")), "{error}");
    assert!(error.contains("not reloaded"), "{error}");
    let closed = free_address().to_string();
    let (code, _, error) = run(&["--admin", &closed]);
    assert_eq!(code, Some(1));
    assert!(error.contains("is the engine running"), "{error}");
    let (code, out, _) = run(&["--help"]);
    assert!(code == Some(0) && out.contains("What can change") && out.contains("SIGHUP"));
}
