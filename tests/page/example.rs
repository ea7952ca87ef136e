//! The reader by `fetch` that `docs/http.md` gives to pages, run as it stands there by a page of another
//! origin: it shows a token, takes messages in order, and acknowledges them by coming again.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::json;

use crate::browser::Browser;
use crate::site::serve;
use crate::support::{Engine, frame, user_hash};

const TOKEN: &str = "a-token-of-the-till";

/// The code of the block, to its end.
fn example() -> String {
    let page = std::fs::read_to_string("docs/http.md").expect("the page");
    let (_, code) = page.split_once("```js\n").expect("a block of script");
    let (code, _) = code.split_once("\n```").expect("it ends");
    code.to_owned()
}

fn publish(engine: &Engine, id: &str) {
    let line = frame(id, "table1", 1);
    let mut stream = TcpStream::connect(engine.http.expect("it listens")).expect("it listens");
    let request = format!(
        "POST /publish HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{line}",
        line.len()
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("accepted"), "{answer}");
}

#[test]
fn the_reader_for_pages_in_the_docs_is_a_customer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let shop = listener.local_addr().expect("it is bound");
    let engine = Engine::start(&format!(
        "source = []\n[delivery]\nack_timeout = \"2s\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\ncors = [\"http://{shop}\"]\n\
         [[user]]\nname = \"till\"\n{}may_send = [\"table1\"]\n\
         may_receive = [\"table1\"]\nmay_admin = true\n",
        user_hash(TOKEN)
    ));
    let http = engine.http.expect("it listens");
    let page = format!(
        "<!doctype html><title>till</title><body><script>{}\nwindow.got = [];\n\
         subscribe(\"http://{http}\", \"table1\", \"{TOKEN}\", async (it) => got.push(it.messageId));\n\
         </script>",
        example()
    );
    serve(listener, page);
    publish(&engine, "m1");
    publish(&engine, "m2");
    let browser = Browser::open(&format!("http://{shop}/"));
    browser.wait("both", "got.length === 2");
    // It has acknowledged nothing in time, is sent away, and comes again with what it had last.
    browser.wait(
        "it has come again",
        "performance.getEntriesByType('resource').filter((it) => it.name.includes('/subscribe/')).length >= 1",
    );
    publish(&engine, "m3");
    browser.wait("the third", "got.length === 3");
    let settled = || {
        let mut command = Command::new("curl");
        let authorization = format!("authorization: Bearer {TOKEN}");
        command.args(["-s", "-H", &authorization]);
        command.arg(format!("http://{}/stats", engine.admin));
        let text = command.output().expect("curl").stdout;
        let stats: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        stats["settled"] == 3 && stats["http_resumed"].as_u64() > Some(0)
    };
    let begun = std::time::Instant::now();
    while !settled() {
        assert!(
            begun.elapsed() < crate::support::PATIENCE,
            "{}",
            engine.log()
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let got = browser.script("return got");
    assert_eq!(got, json!(["m1", "m2", "m3"]));
}
