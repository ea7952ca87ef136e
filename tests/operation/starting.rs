//! Its start.

use super::*;

/// Runs an engine that is not expected to start.
fn refused(directory: &Path, settings: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let file = directory.join("refused.toml");
    std::fs::write(&file, settings).expect("a settings file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_flipped-lb"));
    command
        .args(["run", "--config"])
        .arg(&file)
        .env("FLIPPED_LB_DATA_DIR", directory.join("data"))
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
        .envs(variables.iter().copied())
        .current_dir(directory);
    let Output { status, stderr, .. } = command.output().expect("the engine's binary");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|it| (it.to_string(), taken));
    let (address, _taken) = taken.expect("it is bound");
    for (variable, setting) in [
        ("FLIPPED_LB_DELIVERY_LISTEN", "[delivery] listen"),
        ("FLIPPED_LB_ADMIN_LISTEN", "[admin] listen"),
        ("FLIPPED_LB_INGEST_LISTEN", "[ingest] listen"),
    ] {
        let (code, said) = refused(home().path(), &settings(""), &[(variable, &address)]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&address) && said.contains(setting), "{said}");
    }
}

#[test]
fn a_typo_in_a_key_is_named_with_its_line_and_the_nearest_name() {
    let text = "durability = \"written\"\n[delivery]\nack_timout = \"3s\"\n";
    let (code, said) = refused(home().path(), text, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("refused.toml:3"), "{said}");
    assert!(
        said.contains("ack_timout") && said.contains("ack_timeout"),
        "{said}"
    );
}

#[test]
fn a_data_dir_that_is_a_file_is_refused() {
    let home = home();
    std::fs::write(home.path().join("data"), "not a directory").expect("a file");
    let (code, said) = refused(home.path(), &settings(""), &[]);
    assert_eq!(code, Some(1), "{said}");
    let named = home.path().join("data").display().to_string();
    assert!(
        said.contains(&named) && said.contains("data directory"),
        "{said}"
    );
}

#[test]
fn a_core_that_is_not_there_is_refused_with_those_that_are() {
    for key in ["ingest_core = 1000", "delivery_cores = [1000]"] {
        for mode in ["shared", "dedicated"] {
            let threads = format!("[threads]\nmode = \"{mode}\"\n{key}");
            let (code, said) = refused(home().path(), &settings(&threads), &[]);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("core 1000 is not available"), "{said}");
            assert!(said.contains("may use cores [0"), "{said}");
        }
    }
}

#[test]
fn a_second_engine_on_the_same_data_dir_is_refused_and_the_first_goes_on() {
    let engine = Engine::start(&settings(""));
    let (code, said) = refused(engine.home.path(), &settings(""), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another engine"), "{said}");
    assert!(said.contains(&engine.pid().to_string()), "{said}");
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    send(&mut producer(&engine), "m", "table2", 3);
    assert!(subscriber.frame().is_some());
}

#[test]
fn a_restarted_engine_continues_the_sequence() {
    let home = Arc::new(home());
    let mut expected = 0;
    for life in 0..4 {
        let engine = Engine::start_in(Arc::clone(&home), &settings(""));
        let mut subscriber = Subscriber::new(&engine, &["table2"], false);
        let mut producer = producer(&engine);
        for number in 0..3 {
            send(&mut producer, &format!("life{life} m{number}"), "table2", 3);
        }
        subscriber.frames(3);
        let stats = engine.wait("the last messages", |it| {
            it["customers"]["table2"]["last"].as_array().map(Vec::len) == Some(3)
        });
        let last = stats["customers"]["table2"]["last"].as_array().cloned();
        let sequences: Vec<u64> = last
            .expect("it is a list")
            .iter()
            .map(|it| it["sequence"].as_u64().expect("a number"))
            .collect();
        assert_eq!(sequences, [expected + 1, expected + 2, expected + 3]);
        expected += 3;
        // It ends well and badly in turn.
        if life % 2 == 0 {
            assert_eq!(engine.stop().code, Some(0));
        } else {
            engine.kill();
        }
    }
}
