//! The end of a connection.

use super::*;

/// Ends the connection by a reset.
fn reset(stream: TcpStream) {
    let linger = Some(Duration::ZERO);
    socket2::SockRef::from(&stream)
        .set_linger(linger)
        .expect("an option");
}

fn with_acking_source(server: &Server) -> String {
    format!(
        "source = [{{ address = \"{}\", ack = true }}]\n",
        server.address()
    )
}

#[test]
fn the_end_of_a_stream_ends_its_last_line() {
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    // Whole, with half a line end, and not a message: each is a line.
    let endings = ["", "\r", "x"];
    for (round, ending) in endings.iter().enumerate() {
        let [first, last] = [0, 1].map(|at| frame(&format!("m{round}-{at}"), "table1", 1));
        write!(server.accept(), "{first}\n{last}{ending}").expect("it reads");
        assert_eq!(subscriber.line(), Some(first));
        if *ending != "x" {
            assert_eq!(subscriber.line(), Some(last));
        }
    }
    // Blank or nothing: no line.
    for (round, blank) in ["", " ", "\r"].iter().enumerate() {
        let line = frame(&format!("b{round}"), "table1", 1);
        write!(server.accept(), "{line}\n{blank}").expect("it reads");
    }
    let stats = engine.wait("all is read", |it| it["source_disconnects"] == 6);
    assert_eq!(
        (&stats["received"], &stats["accepted"]),
        (&json!(9), &json!(8))
    );
    assert_eq!(stats["rejected_by_reason"]["bad_json"], 1);
    assert_eq!(stats["partial_lines"], 0);
}

/// Its process died while it wrote, or something between the two has ended the stream.
#[test]
fn a_line_that_an_orderly_end_cuts_off_is_kept_and_its_source_is_not_told_that_it_was_taken() {
    let server = Server::listen();
    let engine = Engine::start(&with_acking_source(&server));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let lines = ["first", "sch\u{f6}n", "last"].map(|id| frame(id, "table1", 1));
    // Within the object, within a character, and one byte before its end.
    let within = lines[1].find('\u{f6}').expect("it is there") + 1;
    for (round, len) in [10, within, lines[1].len() - 1].into_iter().enumerate() {
        let mut stream = server.accept();
        let bytes = [lines[0].as_bytes(), b"\n", &lines[1].as_bytes()[..len]].concat();
        stream.write_all(&bytes).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("an orderly end");
        assert_eq!(answers, "{\"ack\":1}\n", "{len}");
        let stats = engine.wait("it is kept", |it| it["rejected"] == round + 1);
        assert_eq!(stats["partial_lines"], round + 1);
    }
    let mut stream = server.accept();
    write!(stream, "{}\n{}", lines[1], lines[2]).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("an orderly end");
    assert!(answers.ends_with("{\"ack\":2}\n"), "{answers}");
    for line in lines {
        assert_eq!(subscriber.line(), Some(line));
    }
    assert_eq!(engine.stats()["rejected_by_reason"]["bad_json"], 3);
}

/// What is wrong and would stay so is answered, newline or not: it would be sent again for ever.
#[test]
fn a_wrong_last_line_is_taken_as_one() {
    let server = Server::listen();
    let engine = Engine::start(&with_acking_source(&server));
    for wrong in ["x", "{\"messageId\":1}", "{\"messageId\":}", "[1]"] {
        let mut stream = server.accept();
        stream.write_all(wrong.as_bytes()).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("an orderly end");
        assert_eq!(answers, "{\"ack\":1}\n", "{wrong}");
    }
    assert_eq!(engine.stats()["partial_lines"], 0);
}

#[test]
fn a_line_that_a_reset_cuts_off_is_kept_whole_as_rejected() {
    let server = Server::listen();
    let engine = Engine::start(&with_sources(&[server.address()], ""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let (whole, torn) = (frame("m", "table1", 1), frame("torn", "table1", 1));
    let mut sent = 0;
    for torn in [&torn[..torn.len() / 2], &torn] {
        let mut stream = server.accept();
        write!(stream, "{whole}\n{torn}").expect("it reads");
        sent += whole.len() + 1 + torn.len();
        engine.wait("it has read all of it", |it| it["bytes_in"] == sent);
        reset(stream);
    }
    assert_eq!(subscriber.line(), Some(whole));
    let stats = engine.wait("both are kept", |it| it["rejected"] == 2);
    assert_eq!(stats["partial_lines"], 2);
    assert_eq!(
        (&stats["received"], &stats["duplicates"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(stats["rejected_by_reason"]["bad_json"], 2);
    let kept: Vec<_> = rejected(&engine).iter().map(kept).collect();
    assert_eq!(kept, [&torn.as_bytes()[..torn.len() / 2], torn.as_bytes()]);
}
