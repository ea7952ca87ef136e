//! The page in a real browser, at a real engine: it shows what `/stats` says, moves, is sorted and searched,
//! is gone through by keyboard, bears hostile names and an engine that is lost. It makes the pictures of the
//! page too, among the build's files.

mod browser;
mod example;
mod half_hour;
mod site;
mod source_rows;
#[path = "../support/mod.rs"]
mod support;
mod visitors;

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use browser::Browser;
use serde_json::json;
use support::ports::free_address;
use support::{Engine, Subscriber, frame};

const SETTINGS: &str = "source = []\n[ingest]\nlisten = \"127.0.0.1:0\"\n[stats]\ninterval = \"0s\"\n[store]\nurl = \"none\"\n";

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// A producer and subscribers that go on until they are dropped.
struct Traffic {
    ends: Arc<AtomicBool>,
    /// It gives the number of lines that it has sent.
    writer: Option<JoinHandle<u64>>,
}

impl Traffic {
    /// Some hundred messages a second for table1 to table3, which are subscribed to; table4 waits.
    fn start(engine: &Engine) -> Self {
        Self::of(engine, 8, &["table1", "table2", "table3"])
    }

    /// So many lines every 20 ms, and these customers are there.
    fn of(engine: &Engine, lines: usize, customers: &[&str]) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let mut subscriber = Subscriber::new(engine, customers, false);
        std::thread::spawn(move || while subscriber.line().is_some() {});
        let mut stream =
            TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
        let is_ending = Arc::clone(&ends);
        let writer = std::thread::spawn(move || {
            let mut number = 0_u64;
            while !is_ending.load(Ordering::Relaxed) {
                let lines: String = (0..lines).map(|_| line(&mut number)).collect();
                if stream.write_all(lines.as_bytes()).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            number
        });
        Self {
            ends,
            writer: Some(writer),
        }
    }

    /// No more comes. Returns how many lines there were.
    fn end(&mut self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        let writer = self.writer.take().expect("it is ended once");
        writer.join().expect("it ends")
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// One message in sixteen is a duplicate, one line in fifty no message.
fn line(number: &mut u64) -> String {
    *number += 1;
    let id = if number.is_multiple_of(16) {
        *number - 1
    } else {
        *number
    };
    let destination = ["table1", "table2", "table3", "table1", "table2", "table4"];
    let destination = destination[(id % 97 % 6) as usize];
    match *number % 50 {
        0 => "{\"no\":\"message\"}\n".to_owned(),
        _ => frame(&format!("m{id}"), destination, (id % 3 + 1) as u8) + "\n",
    }
}

fn address(engine: &Engine) -> String {
    format!("http://{}/", engine.admin)
}

/// Fails with all that is wrong for those who see little or nothing, on three screens, light and dark.
fn audit(browser: &Browser, name: &str) {
    for (width, height) in [(390, 844), (1280, 900), (3840, 2160)] {
        for is_dark in [false, true] {
            browser.screen(width, height, is_dark);
            let found = browser.script(include_str!("audit.js"));
            assert_eq!(
                found["wrong"],
                json!([]),
                "{name}, {width} px, dark: {is_dark}"
            );
            let look = if is_dark { "dark" } else { "light" };
            browser.picture(&format!("{name}-{width}-{look}.png"));
        }
    }
    browser.screen(1280, 900, false);
}

/// Nothing is wrong, and nothing but the engine was asked.
fn assert_clean(browser: &Browser, engine: &Engine) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let own = format!("http://{}", engine.admin);
    let others: Vec<_> = browser
        .origins()
        .into_iter()
        .filter(|it| *it != own)
        .collect();
    assert!(others.iter().all(|it| it == "null"), "{others:?}");
}

/// The value of a figure by its words.
fn fact(browser: &Browser, section: &str, words: &str) -> String {
    let script = format!(
        "return [...document.querySelectorAll('#{section} dt')]\
         .find((it) => it.textContent === {words:?})?.nextSibling.textContent ?? 'none'"
    );
    browser
        .script(&script)
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn number(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number: {text}"))
}

#[test]
fn the_page_moves_and_agrees_with_stats_and_is_fit_for_all_eyes() {
    let engine = Engine::start(SETTINGS);
    let mut traffic = Traffic::start(&engine);
    let browser = Browser::open(&address(&engine));
    let received = || number(&fact(&browser, "sources", "Lines received"));
    let first = received();
    let moves = format!(
        "Number([...document.querySelectorAll('#sources dt')]\
         .find((it) => it.textContent === 'Lines received')\
         .nextSibling.textContent.replaceAll(',', '')) > {}",
        first + 200
    );
    browser.wait("numbers move", &moves);
    browser.script("document.querySelector('#detail').scrollIntoView()");
    // A step of ten seconds makes the first point of each line, and the first column of the map.
    browser.wait(
        "a step",
        "document.querySelector('.tile .spark path').getAttribute('d')",
    );
    browser.wait("a column", "document.querySelector('#detail .heat')");
    assert_eq!(browser.text("#state .pill"), "Well");
    browser.click("#detail a[href*='stage=queue']");
    browser.wait(
        "a stage",
        "document.querySelector('#detail-title').textContent.startsWith('Latency of queue')",
    );
    browser.click(".latencies a[href*='stage=journal']");
    browser.wait(
        "another",
        "document.querySelector('#detail-title').textContent.startsWith('Latency of journal')",
    );
    browser.go(&address(&engine));
    audit(&browser, "page");
    let sent = traffic.end();
    let at_rest = engine.wait("rest", |it| it["received"] == sent && it["in_flight"] == 0);
    let at_end = moves.replace(&format!("> {}", first + 200), &format!("=== {sent}"));
    browser.wait("the last numbers", &at_end);
    for (section, words, name) in [
        ("sources", "Accepted", "accepted"),
        ("sources", "Duplicates", "duplicates"),
        ("sources", "Rejected", "rejected"),
        ("storage", "Recorded up to sequence", "journal_recorded"),
    ] {
        let shown = number(&fact(&browser, section, words));
        assert_eq!(json!(shown), at_rest[name], "{words}");
    }
    let counted = engine.wait("all latencies", |it| {
        it["latency"]["total"]["count"] == it["settled"]
    });
    let delivered = format!(
        "Number(document.querySelector(\".latencies tr[data-key='total-0'] td:last-child\")\
         .textContent.replaceAll(',', '')) === {}",
        counted["settled"]
    );
    browser.wait("the last latencies", &delivered);
    assert_clean(&browser, &engine);
}

/// Goes back from a destination; before the view is there, the page asks for what it still shows.
fn back_while_its_part_is_asked_for(browser: &Browser) {
    let asked = "performance.getEntriesByType('resource')\
                 .filter((it) => it.name.includes('/parts/destination?')).length";
    browser.script(
        "const ask = fetch; const isHeld = new Promise((goOn) => { window.goOn = goOn; }); \
         window.fetch = async (url, ...rest) => { if (url.startsWith('/?')) await isHeld; \
         return ask(url, ...rest); }",
    );
    let before = browser.script(&format!("return {asked}"));
    browser.back();
    browser.script("document.querySelector('[data-part=destination]').dataset.next = 0");
    browser.wait("its part", &format!("{asked} > {before}"));
    browser.script("goOn()");
}

#[test]
fn ten_thousand_destinations_are_sorted_searched_and_opened_by_keyboard_alone() {
    let settings = format!("{SETTINGS}[scheduler]\nunknown_destinations = \"create\"\n");
    let engine = Engine::start(&settings);
    let mut stream = TcpStream::connect(engine.ingest.expect("it listens")).expect("it listens");
    for index in 0..9_996 {
        let line = frame(
            &format!("m{index}"),
            &format!("desk{index:05}"),
            1 + (index % 3) as u8,
        );
        stream
            .write_all((line + "\n").as_bytes())
            .expect("it takes lines");
    }
    engine.wait("all", |it| {
        it["queued"] == 9_996 && it["customers_omitted"].as_u64() > Some(0)
    });
    let browser = Browser::open(&address(&engine));
    browser.wait(
        "ten thousand",
        "document.querySelector('#destinations [role=status]').textContent === '10,000'",
    );
    assert_eq!(browser.count("#destinations tbody tr"), 100);
    let first = || browser.text("#destinations tbody tr:first-child .name");
    // From control to control, each of which is seen to have the focus.
    browser.script("document.body.focus(); document.activeElement.blur()");
    let mut seen: Vec<String> = Vec::new();
    let focused = || {
        let script = "const it = document.activeElement; const style = getComputedStyle(it); \
                      return [it.textContent.trim().slice(0, 30) || it.id, style.outlineStyle, it.id]";
        browser.script(script)
    };
    let tab_to = |words: &str, seen: &mut Vec<String>| {
        for _ in 0..60 {
            browser.press(TAB);
            let it = focused();
            assert_ne!(it[1], "none", "{it}: the focus is not seen");
            seen.push(it[0].as_str().unwrap_or_default().to_owned());
            if it[0] == words || it[2] == words {
                return;
            }
        }
        panic!("no way to {words}: {seen:?}");
    };
    tab_to("Theme: system", &mut seen);
    browser.press(ENTER);
    browser.press(ENTER);
    assert_eq!(
        browser.script("return document.documentElement.dataset.theme"),
        "dark"
    );
    assert_eq!(browser.text("#theme"), "Theme: dark");
    tab_to("q", &mut seen);
    browser.press("DESK0123");
    browser.wait(
        "ten are found",
        "document.querySelectorAll('#destinations tbody tr').length === 10",
    );
    assert_eq!(browser.text("#destinations [role=status]"), "10 of 10,000");
    tab_to("Destination", &mut seen);
    browser.press(ENTER);
    browser.wait(
        "sorted",
        "document.querySelector('#destinations th[aria-sort=ascending]')",
    );
    assert_eq!(first(), "desk01230");
    browser.press(ENTER);
    browser.wait(
        "turned",
        "document.querySelector('#destinations th[aria-sort=descending]')",
    );
    assert_eq!(first(), "desk01239");
    tab_to("desk01239", &mut seen);
    browser.press(ENTER);
    browser.wait(
        "one",
        "document.querySelector('#destination-title')?.textContent === 'desk01239'",
    );
    assert!(browser.text("#destination").contains("No subscriber"));
    assert_eq!(
        fact(&browser, "destination", "Accepted since the start"),
        "1"
    );
    assert_eq!(
        browser.script("return document.activeElement.id"),
        "destination-title"
    );
    back_while_its_part_is_asked_for(&browser);
    browser.wait(
        "the list",
        "document.querySelectorAll('#destinations tbody tr').length === 10",
    );
    assert_eq!(
        browser.script("return document.querySelector('#q').value"),
        "DESK0123"
    );
    for name in ["Skip to the figures", "Overview", "Latency"] {
        assert!(seen.iter().any(|it| it == name), "{name}: {seen:?}");
    }
    browser.go(&format!("{}?sort=name&page=57", address(&engine)));
    assert_eq!(first(), "desk05600");
    assert_clean(&browser, &engine);
}

#[test]
fn an_engine_that_is_lost_is_told_and_comes_back_by_itself() {
    let home = Arc::new(tempfile::tempdir().expect("a directory"));
    let admin = free_address();
    let engine = Engine::start_at(admin, Arc::clone(&home), SETTINGS);
    let browser = Browser::open(&address(&engine));
    browser.wait(
        "an event",
        "document.querySelector('#state .quiet').textContent.includes('up')",
    );
    assert_clean(&browser, &engine);
    let traffic = Traffic::start(&engine);
    engine.wait("messages that nobody takes", |it| {
        it["customers"]["table4"]["queued"].as_u64() > Some(3)
    });
    drop(traffic);
    engine.wait("all are recorded", |it| {
        it["journal_recorded"] == it["accepted"]
    });
    engine.kill();
    browser.wait("it is told", "!document.querySelector('#lost').hidden");
    assert!(
        browser
            .text("#lost")
            .starts_with("No answer from the engine since ")
    );
    browser.picture("page-lost.png");
    let engine = Engine::start_at(admin, home, SETTINGS);
    browser.wait("it is back", "document.querySelector('#lost').hidden");
    let recovered = engine.stats()["recovered"].as_u64().expect("a number");
    assert!(recovered > 3);
    let shown = "Recovered at start";
    browser.wait("its numbers", &format!(
        "[...document.querySelectorAll('#storage dt')].find((it) => it.textContent === {shown:?})\
         .nextSibling.textContent.replaceAll(',', '') === '{recovered}'"
    ));
    let complaints = browser.complaints();
    let other = complaints.iter().find(|it| !it.contains("net::ERR_"));
    assert_eq!(other, None, "no error of the page's own");
}
