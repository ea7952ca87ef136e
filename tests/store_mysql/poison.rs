//! Rows that the server refuses.

use super::*;

#[test]
fn a_poison_row_is_split_out_and_kept_with_the_servers_words() {
    let server = MariaDb::start();
    let home = home();
    let output = schema(&server, &home, "apply");
    assert!(output.status.success(), "{}", words(&output));
    let check = "ALTER TABLE messages ADD CONSTRAINT picky CHECK (messageType <> 'poison')";
    server.client().query_drop(check).expect("a constraint");
    for local in [1, 0] {
        if server.is_private() {
            let set = format!("SET GLOBAL local_infile = {local}");
            server.client().query_drop(set).expect("a setting");
        }
        let engine = engine(&server, &home, "");
        take_all(&engine, &["table2"]);
        let poison = |at: usize| at == 7 || at == 8 || at == 199;
        let lines: Vec<String> = frames(&format!("mixed{local}"), 200)
            .into_iter()
            .enumerate()
            .map(|(at, line)| match poison(at) {
                true => line.replace("lunch", "poison"),
                false => line,
            })
            .collect();
        assert!(send(&engine, &lines));
        engine.wait("all is followed", |it| {
            it["stored_settled"] == 197 && it["store_unstored"] == 3
        });
        // What comes later goes on.
        assert!(send(&engine, &frames(&format!("after{local}"), 10)));
        wait_for_rows(&engine, 207);
        assert_eq!(engine.stop().code, Some(0));
    }
    assert_all_delivered(&server, 2 * 207);
    let kept = support::lines_of(&home.path().join("data/unstored.ndjson"));
    assert_eq!(kept.len(), 6);
    for line in kept {
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert!(
            line["reason"].as_str().expect("words").contains("picky"),
            "{line}"
        );
        let frame: Value =
            serde_json::from_str(line["line"].as_str().expect("text")).expect("JSON");
        assert_eq!(frame["messageType"], "poison");
    }
}

#[test]
fn a_large_load_that_the_server_refuses_ends_and_a_poison_row_in_it_stands_alone() {
    const COUNT: u64 = 20_000;
    let server = MariaDb::start();
    let home = home();
    let output = schema(&server, &home, "apply");
    assert!(output.status.success(), "{}", words(&output));
    let check = "ALTER TABLE messages ADD CONSTRAINT picky CHECK (messageType <> 'poison')";
    let mut client = server.client();
    client.query_drop(check).expect("a constraint");
    let engine = engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    client
        .query_drop("LOCK TABLES messages WRITE")
        .expect("a lock");
    let mut lines = frames("large", COUNT as usize);
    lines[12_345] = lines[12_345].replace("lunch", "poison");
    assert!(send(&engine, &lines));
    // The statement waits for the table without asking for its rows, and is given up.
    engine.wait("a load was given up", |it| {
        it["store_retries"].as_u64() > Some(0)
    });
    assert_eq!(engine.count("stored"), 0);
    client.query_drop("UNLOCK TABLES").expect("no lock");
    engine.wait("all is followed", |it| {
        it["stored_settled"] == COUNT - 1 && it["store_unstored"] == 1
    });
    assert_eq!(engine.stop().code, Some(0));
    assert_all_delivered(&server, COUNT - 1);
    let kept = support::lines_of(&home.path().join("data/unstored.ndjson"));
    assert_eq!(kept.len(), 1);
}
