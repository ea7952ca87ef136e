//! Files.

use super::*;

fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

fn assert_private(directory: &Path) {
    assert_eq!(mode(directory), 0o700, "{}", directory.display());
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => assert_private(&path),
            false => assert_eq!(mode(&path), 0o600, "{}", path.display()),
        }
    }
}

#[test]
fn what_it_writes_is_its_own_users_alone() {
    let text = with_sources(&[], "[ingest]\nlisten = \"127.0.0.1:0\"\n");
    let engine = Engine::start(&text);
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    writeln!(producer, "nonsense\n{}", frame("m", "table1", 1)).expect("it reads");
    engine.wait("all is stored", |it| {
        it["received"] == 2 && it["stored"] == 1
    });
    until("what is rejected is kept", || {
        engine.data_dir().join("rejected.ndjson").exists()
    });
    assert_private(&engine.data_dir());
    let home = Arc::clone(&engine.home);
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("may look into"), "{}", ended.log);
    assert_private(&home.path().join("data"));
}

#[test]
fn a_data_dir_that_others_may_read_stays_as_it_is_and_is_told() {
    let home = Arc::new(home());
    let data = home.path().join("data");
    fs::create_dir(&data).expect("a directory");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let ended = Engine::start_in(Arc::clone(&home), &settings("")).stop();
    assert!(ended.log.contains("may look into"), "{}", ended.log);
    assert_eq!(mode(&data), 0o755);
    assert_eq!(mode(&data.join("journal")), 0o700);
}

#[test]
fn an_address_in_use_is_told_before_anything_is_begun() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    for variable in ["DELIVERY_LISTEN", "ADMIN_LISTEN", "INGEST_LISTEN"] {
        let home = home();
        let file = home.path().join("settings.toml");
        fs::write(&file, settings("")).expect("a settings file");
        let output = Command::new(ENGINE)
            .args(["run", "--config"])
            .arg(&file)
            .env("FLIPPED_LB_DATA_DIR", home.path().join("data"))
            .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0")
            .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
            .env(format!("FLIPPED_LB_{variable}"), &address)
            .output()
            .expect("the engine's binary");
        assert_eq!(output.status.code(), Some(1));
        let names: Vec<_> = fs::read_dir(home.path().join("data"))
            .expect("a directory")
            .map(|it| it.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["lock"], "{variable}");
    }
}

#[test]
fn lines_that_wait_at_a_stop_are_counted_where_nobody_sends_them_again() {
    for (greeting, is_lost) in [("", true), ("{\"producer\":{\"ack\":true}}\n", false)] {
        let engine = Engine::start(&settings("[scheduler]\nmax_queued = 1\n"));
        let mut producer =
            TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
        let lines: Vec<_> = (0..4)
            .map(|number| frame(&format!("m{number}"), "table1", 1) + "\n")
            .collect();
        let text = greeting.to_owned() + &lines.concat();
        producer.write_all(text.as_bytes()).expect("it reads");
        engine.wait("its source waits", |it| it["sources_held"] == 1);
        let log = engine.stop().log;
        let is_told = log.contains("lines that were read and found no room are lost");
        assert_eq!(is_told, is_lost, "{log}");
        assert_eq!(log.contains("lines=3"), is_lost, "{log}");
    }
}
