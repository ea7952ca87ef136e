//! Words from outside.

use super::*;

#[test]
fn a_name_from_outside_forges_no_line_of_log_or_statistics() {
    let rest = "[scheduler]\nunknown_destinations = \"create\"\nmax_queued = 1\n";
    let engine = Engine::start(&settings(rest));
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    let name = "t\\nERROR forged\\u001b[2J\\u202e";
    let mut subscriber = Subscriber::new(&engine, &["t\nERROR forged\u{1b}[2J\u{202e}"], false);
    writeln!(producer, "{}", frame("m0", name, 1)).expect("it reads");
    assert!(subscriber.frame().is_some());
    drop(subscriber);
    engine.wait("it has gone", |it| it["subscribers_connected"] == 0);
    for number in 1..4 {
        writeln!(producer, "{}", frame(&format!("m{number}"), name, 1)).expect("it reads");
    }
    engine.wait("its source waits", |it| it["sources_held"] == 1);
    until("it is told", || {
        engine.log().contains("max_queued is reached")
    });
    let ended = engine.stop();
    for text in [&ended.log, &ended.stdout] {
        assert!(
            text.contains("t\\nERROR forged\\u{1b}[2J\\u{202e}"),
            "{text}"
        );
        assert!(
            !text.lines().any(|it| it.starts_with("ERROR forged")),
            "{text}"
        );
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
}
