//! Sources that come and go.

use super::*;

#[test]
fn a_source_comes_and_goes_and_those_that_stay_keep_their_connection() {
    let (stays, comes) = (Server::listen(), Server::listen());
    let both = with_sources(&[stays.address(), comes.address()], TABLES);
    let one = with_sources(&[stays.address()], TABLES);
    let engine = Engine::start(&one);
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let mut from_stays = stays.accept();
    let mut say = |text: &str| from_stays.write_all(text.as_bytes()).expect("it stays");
    // A line that is under way goes on.
    let line = frame("cut", "table1", 1) + "\n";
    say(&line[..20]);
    for round in 0..3 {
        reload(&engine, &both);
        let mut from_comes = comes.accept();
        from_comes
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out");
        let id = format!("comes{round}");
        writeln!(from_comes, "{}", frame(&id, "table1", 1)).expect("it reads");
        assert_eq!(ids(&table1.frames(1)), [id]);
        reload(&engine, &one);
        // It is closed, and not dialled again.
        assert_eq!(from_comes.read(&mut [0; 10]).expect("an orderly end"), 0);
        engine.wait("it is gone", |stats| stats["sources_connected"] == 1);
    }
    say(&line[20..]);
    assert_eq!(ids(&table1.frames(1)), ["cut"]);
    assert_eq!(engine.count("source_connects"), 4);
    engine.wait("it is logged", |_| {
        engine.log().contains("it is not in the settings any more")
    });
}

#[test]
fn a_source_that_goes_is_acknowledged_what_it_has_sent_and_its_cut_off_line_is_kept() {
    let source = Server::listen();
    let one = format!(
        "source = [{{ address = \"{}\", ack = true }}]\n{TABLES}",
        source.address()
    );
    let engine = Engine::start(&one);
    let mut stream = source.accept();
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let half = &frame("half", "table1", 1)[..30];
    write!(
        stream,
        "{}\n{}\n{half}",
        frame("a", "table1", 1),
        frame("b", "nobody", 1)
    )
    .expect("it reads");
    engine.wait("they are read", |stats| stats["received"] == 2);
    reload(&engine, &format!("source = []\n{TABLES}"));
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an orderly end");
    assert!(said.ends_with("{\"ack\":2}\n"), "{said}");
    let stats = engine.stats();
    let fates = ["accepted", "rejected", "partial_lines"].map(|it| stats[it].as_u64());
    assert_eq!(fates, [Some(1), Some(2), Some(1)]);
}

#[test]
fn lines_that_a_source_which_goes_has_sent_are_taken_when_there_is_room() {
    let source = Server::listen();
    let full = "[[destination]]\nid = \"table1\"\nmax_queued = 2\n";
    let engine = Engine::start(&with_sources(&[source.address()], full));
    let mut stream = source.accept();
    let lines: String = (0..6)
        .map(|it| frame(&format!("m{it}"), "table1", 1) + "\n")
        .collect();
    stream.write_all(lines.as_bytes()).expect("it reads");
    engine.wait("it waits", |stats| stats["sources_held"] == 1);
    // Sent, and not read yet: the connection waits.
    writeln!(stream, "{}", frame("m6", "table1", 1)).expect("it is in the socket");
    reload(&engine, &format!("source = []\n{full}"));
    let mut table1 = Subscriber::new(&engine, &["table1"], false);
    let all = table1.frames(7);
    assert_eq!(ids(&all), ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    engine.wait("it is gone", |stats| stats["sources_connected"] == 0);
}
