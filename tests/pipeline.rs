//! The main job, end to end: from sources' sockets to subscribers' sockets.

mod support;

use std::io::Write;

use support::{Engine, Server, Subscriber, frame, with_sources};

#[test]
fn a_frame_reaches_its_subscriber_byte_for_byte() {
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    assert_eq!(
        subscriber.answer,
        r#"{"subscribed":["table1"],"standby":[]}"#
    );
    let odd = format!("  {}  ", frame("a-1", "table1", 3).replace(':', " : \t"));
    write!(
        server.accept(),
        "{odd}\r\n\r\n\n{}\n",
        frame("a-2", "table1", 3)
    )
    .expect("it reads");
    assert_eq!(subscriber.line().as_deref(), Some(odd.as_str()));
    assert_eq!(subscriber.line(), Some(frame("a-2", "table1", 3)));
    let ended = engine.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(
        ended.stdout.contains("=== DELIVERY STATISTICS ==="),
        "{}",
        ended.stdout
    );
}
