//! Users and certificates.

use super::*;

#[test]
fn users_whose_right_went_are_told_and_closed_and_all_others_stay() {
    let user = |name: &str, token: &str, rights: &str| {
        format!(
            "[[user]]\nname = \"{name}\"\n{}{rights}\n",
            user_hash(token)
        )
    };
    let admin = user("admin", "a-token", "may_admin = true");
    let before = [
        user("kitchen", "k-token", "may_send = [\"*\"]"),
        user("cellar", "c-token", "may_send = [\"*\"]"),
        user("table", "t-token", "may_receive = [\"*\"]"),
        user("guest", "g-token", "may_receive = [\"table*\"]"),
    ];
    let with = |users: &[String]| settings(&format!("{admin}{}", users.concat()));
    let engine = Engine::start(&with(&before));
    let subscriber = |token: &str, destination: &str| {
        let line = json!({ "subscribe": [destination], "token": token });
        Subscriber::say(engine.delivery, &line.to_string())
    };
    let (mut kitchen, cellar) = (
        Producer::new(&engine, Some("k-token")),
        Producer::new(&engine, Some("c-token")),
    );
    kitchen.send("m1", "table1", 1);
    let mut cellar = cellar;
    cellar.send("m2", "table1", 1);
    let mut table = subscriber("t-token", "table1");
    let mut guest = subscriber("g-token", "table2");
    let mut other = subscriber("t-token", "*");
    assert!(other.answer.contains("table2"), "{}", other.answer);
    table.frames(2);
    // The cellar has another token, the guest may receive something else, the table less.
    let after = [
        user("kitchen", "k-token", "may_send = [\"table1\"]"),
        user("cellar", "new-token", "may_send = [\"*\"]"),
        user("table", "t-token", "may_receive = [\"table1\"]"),
        user("guest", "g-token", "may_receive = [\"table1\"]"),
    ];
    write(&engine, &with(&after));
    let (status, body) = post(&engine, None);
    assert_eq!(status, 401, "{body}");
    assert_eq!(post(&engine, Some("k-token")).0, 403);
    let (status, body) = post(&engine, Some("a-token"));
    assert_eq!(status, 200, "{body}");
    for secret in [
        "k-token",
        "new-token",
        "token_sha256 =",
        user_hash("new-token").trim(),
    ] {
        assert!(!body.contains(secret) && !engine.log().contains(secret));
    }
    assert!(cellar.rest().contains("another token now"));
    for refused in [&mut guest, &mut other] {
        let told = refused.line().expect("an error line");
        assert!(
            told.contains("may not receive") && told.contains("table2"),
            "{told}"
        );
        assert_eq!(refused.line(), None);
    }
    kitchen.send("m3", "table1", 1);
    assert_eq!(ids(&table.frames(1)), ["m3"]);
    kitchen.send("m4", "table2", 1);
    let stats = || {
        let (_, head, body) = get(engine.admin, "/stats", "a-token");
        serde_json::from_str::<Value>(&body).unwrap_or_else(|_| panic!("{head}"))
    };
    assert_eq!(stats()["rejected_by_reason"]["forbidden"], 1);
    // All users go, then come back: who has shown no token is closed.
    write(&engine, &settings(""));
    assert_eq!(post(&engine, Some("a-token")).0, 200);
    let anonymous = Producer::new(&engine, None);
    let mut anonymous = anonymous;
    anonymous.send("m5", "table2", 1);
    kitchen.send("m6", "table2", 1);
    reload(&engine, &with(&after));
    assert!(anonymous.rest().contains("a token is wanted"));
    assert!(kitchen.rest().contains("a token is wanted"));
}

/// Head and body of an answer to a GET.
fn get(admin: SocketAddr, path: &str, token: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(admin).expect("the admin address");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head[9..12].parse().expect("a status");
    (status, head.to_owned(), body.to_owned())
}

fn openssl(home: &Path, words: &str) {
    let output = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(home)
        .output()
        .expect("openssl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {said}");
}

/// A certificate of this name that signs itself, in `name.pem` and `name.key`.
fn certificate(home: &Path, name: &str, subject: &str) {
    openssl(
        home,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout {name}.key -out {name}.pem -subj /CN={subject}"
        ),
    );
}

/// The subject of the certificate that the engine shows.
fn shown(address: SocketAddr) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-brief"])
        .stdin(Stdio::null())
        .output()
        .expect("openssl");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|it| it.contains("Peer certificate"));
    line.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn certificates_are_read_again_and_no_connection_is_dropped() {
    let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    certificate(home.path(), "engine", "first");
    let text = settings(
        "tls = \"off\"\n[admin]\ntls = \"off\"\n[tls]\ncert = \"engine.pem\"\nkey = \"engine.key\"\n",
    );
    let engine = Engine::start_in(Arc::clone(&home), &text);
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-connect",
            &engine.delivery.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    let mut input = client.stdin.take().expect("it is piped");
    writeln!(input, "{{\"subscribe\":[\"table1\"]}}").expect("it reads");
    let mut lines = BufReader::new(client.stdout.take().expect("it is piped")).lines();
    let answer = lines.next().expect("a line").expect("text");
    assert!(answer.contains("subscribed"), "{answer}");
    assert!(shown(engine.delivery).contains("first"));
    // A certificate without its key is refused, and the one before goes on.
    certificate(home.path(), "other", "other");
    std::fs::copy(
        home.path().join("other.pem"),
        home.path().join("engine.pem"),
    )
    .expect("copied");
    let why = refused(&engine);
    assert!(why.contains("engine."), "{why}");
    assert!(shown(engine.delivery).contains("first"));
    certificate(home.path(), "engine", "second");
    let (status, body) = post(&engine, None);
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    let changed = json!(["[tls] cert (another file)", "[tls] key (another file)"]);
    assert_eq!(answer["changed"], changed);
    assert!(shown(engine.delivery).contains("second"));
    let mut producer = Producer::new(&engine, None);
    producer.send("m1", "table1", 1);
    let line = lines.next().expect("a line").expect("text");
    assert!(line.contains("\"m1\""), "{line}");
    engine.wait("the three that looked have gone", |it| {
        it["subscribers_connected"] == 1
    });
    assert_eq!(engine.count("subscriber_disconnects"), 3);
    drop(input);
    client.kill().expect("it runs");
    client.wait().expect("it ends");
}
