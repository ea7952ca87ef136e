//! Who comes to the page with bad intent, or with a token: hostile names, pages of elsewhere, foreign names.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use flipped_lb::limits::NAME_LEN_MAX;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::site::serve;
use crate::support::{Engine, frame, user_hash};
use crate::{ENTER, SETTINGS, address, assert_clean, audit};

/// Asks by hand: the status, the head in small letters, the body.
fn ask(admin: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(admin).expect("the admin address");
    let request = format!("{request}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head[9..12].parse().expect("a status");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// A user's token.
const TOKEN: &str = "a-token-of-the-manager";

#[test]
fn a_token_is_typed_into_the_page_and_kept_nowhere() {
    let settings = format!(
        "{SETTINGS}[[user]]\nname = \"manager\"\n{}may_admin = true\n",
        user_hash(TOKEN)
    );
    let engine = Engine::start(&settings);
    let browser = Browser::open(&address(&engine));
    assert_eq!(
        browser.count("#state, #destinations, dd, td"),
        0,
        "no figures"
    );
    let found = browser.script(include_str!("audit.js"));
    assert_eq!(found["wrong"], json!([]));
    browser.complaints();
    browser.click("#token");
    browser.press("wrong");
    browser.press(ENTER);
    browser.wait(
        "it is refused",
        "document.querySelector('#refused').textContent === 'No user has this token.'",
    );
    browser.complaints();
    browser.press(TOKEN);
    browser.press(ENTER);
    browser.wait(
        "the page",
        "document.querySelector('#state')?.textContent.includes('up')",
    );
    browser.click("#destinations thead a[href*='sort=name']");
    browser.wait("sorted", "location.search === '?sort=name'");
    browser.click("#destinations tbody tr:nth-child(2) a");
    browser.wait(
        "one",
        "document.querySelector('#destination-title')?.textContent === 'table2'",
    );
    let kept = browser.script(
        "return [document.cookie, ...Object.values(localStorage), ...Object.values(sessionStorage), \
         location.href, document.documentElement.outerHTML].join()",
    );
    assert!(!kept.as_str().is_some_and(|it| it.contains(TOKEN)));
    assert_clean(&browser, &engine);
    browser.go(&address(&engine));
    assert_eq!(browser.count("#token"), 1, "it is asked for again");
}

/// A page of another origin: what it tries is told by its title.
fn elsewhere(engine: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let script = format!(
        "const tried = [];\
         const tell = (what) => (it) => {{ tried.push(what + (it ? ' done' : ' refused')); }};\
         const stats = 'http://{engine}/stats';\
         Promise.all([\
           fetch(stats).then(tell('read'), () => tell('read')(false)),\
           fetch('http://{engine}/events').then(tell('follow'), () => tell('follow')(false)),\
           fetch('http://{engine}/reload', {{ method: 'POST' }}).then(tell('post'), () => tell('post')(false)),\
           fetch('http://{engine}/reload', {{ method: 'POST', mode: 'no-cors' }}).then(() => 0, () => 0),\
           new Promise((done) => {{ const frame = document.createElement('iframe');\
             frame.onload = () => {{ let body = null; try {{ body = frame.contentDocument; }} catch {{}}\
               tell('frame')(body && body.title); done(); }};\
             frame.src = 'http://{engine}/'; document.body.append(frame); }}),\
         ]).then(() => {{ document.title = tried.sort().join(', '); }});"
    );
    let page = format!("<!doctype html><title>trying</title><body><script>{script}</script>");
    serve(listener, page);
    address
}

#[test]
fn hostile_names_are_text_and_pages_of_elsewhere_get_nothing() {
    let settings = format!("{SETTINGS}[scheduler]\nunknown_destinations = \"create\"\n");
    let engine = Engine::start(&settings);
    let names = [
        "<script>alert(1)</script><img src=x onerror=a()>".to_owned(),
        "\u{202e}gpj.exe \u{5d0}\u{5d1}\u{5d2}".to_owned(),
        "n".repeat(NAME_LEN_MAX),
        "../../?q=&#x22;".to_owned(),
    ];
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    for (index, name) in names.iter().enumerate() {
        let mut line: Value =
            serde_json::from_str(&frame(&format!("m{index}"), "x", 1)).expect("JSON");
        line["destinationId"] = name.as_str().into();
        stream
            .write_all(format!("{line}\n").as_bytes())
            .expect("it takes lines");
    }
    engine.wait("all", |it| {
        it["queued"] == 4 && it["customers"].as_object().is_some_and(|it| it.len() == 4)
    });
    let browser = Browser::open(&address(&engine));
    browser.wait(
        "all",
        "document.querySelectorAll('#destinations tbody tr').length === 8",
    );
    for name in &names {
        let link = format!(
            "[...document.querySelectorAll('#destinations tbody a')]\
             .find((it) => new URL(it.href).searchParams.get('destination') === {})",
            json!(name)
        );
        browser.script(&format!("{link}.click()"));
        let shown = name.replace('\u{202e}', "\\u{202e}");
        let title = format!(
            "document.querySelector('#destination-title')?.textContent === {}",
            json!(shown)
        );
        browser.wait(name, &title);
        let found = browser.script(include_str!("audit.js"));
        assert_eq!(found["wrong"], json!([]), "{name}");
        browser.click(".back a");
        browser.wait("the list", "document.querySelector('#destinations')");
    }
    audit(&browser, "hostile");
    assert_eq!(browser.text("title"), "Flipped Load Balancer");
    assert_eq!(browser.count("img:not([src^='/assets/'])"), 0);
    assert_clean(&browser, &engine);

    let other = elsewhere(engine.admin);
    browser.go(&format!("http://{other}/"));
    browser.wait("it has tried", "document.title !== 'trying'");
    let tried = browser.text("title");
    assert_eq!(
        tried,
        "follow refused, frame refused, post refused, read refused"
    );
}

#[test]
fn what_browsers_are_told_and_who_is_refused() {
    let engine = Engine::start(SETTINGS);
    let get = |path: &str, rest: &str| ask(engine.admin, &format!("GET {path} HTTP/1.1\r\n{rest}"));
    let page = "host: localhost\r\naccept: text/html\r\n";
    let (status, head, body) = get("/", page);
    assert_eq!(status, 200);
    for part in [
        "default-src 'none'; script-src 'self'; style-src 'self'",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "vary: accept",
    ] {
        assert!(head.contains(part), "{part}: {head}");
    }
    assert!(!head.contains("set-cookie") && !head.contains("access-control"));
    assert!(body.starts_with("<!DOCTYPE html>") && body.contains("http-equiv=\"refresh\""));
    let asset = body
        .split('"')
        .find(|it| it.starts_with("/assets/") && it.ends_with(".css"))
        .expect("a stylesheet");
    let (status, head, _) = get(asset, "host: x\r\n");
    assert!(
        status == 200 && head.contains("immutable") && head.contains("text/css"),
        "{head}"
    );
    assert_eq!(get("/assets/page-0.css", "host: x\r\n").0, 404);
    let (status, head, body) = get("/", "host: x\r\naccept: */*\r\n");
    assert!(
        status == 200 && head.contains("text/plain") && body.contains("/stats"),
        "{body}"
    );

    for path in ["/", "/stats", "/events", "/metrics"] {
        let (status, _, body) = get(path, "host: evil.example:9100\r\naccept: text/html\r\n");
        assert_eq!(status, 421, "{path}");
        assert!(body.contains("[admin] hosts"), "{body}");
    }
    let (status, _, body) = get("/readyz", "host: probe.example\r\n");
    assert!(status == 200 && !body.contains("degraded"), "{body}");
    for origin in ["http://evil.example", "null"] {
        let request = format!("POST /stats HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n");
        assert_eq!(ask(engine.admin, &request).0, 403);
    }
    assert_eq!(
        ask(engine.admin, "POST /stats HTTP/1.1\r\nhost: localhost\r\n").0,
        405
    );

    let named = format!("{SETTINGS}[admin]\nhosts = [\"engine1.example\"]\n");
    let engine = Engine::start(&named);
    let get = |host: &str| {
        ask(
            engine.admin,
            &format!("GET /stats HTTP/1.1\r\nhost: {host}\r\n"),
        )
        .0
    };
    assert_eq!(
        (get("engine1.example:9100"), get("evil.example")),
        (200, 421)
    );
}
