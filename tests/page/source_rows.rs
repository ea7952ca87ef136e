//! Each source is a row of the page, as `/stats` has it, and is sorted.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::Value;

use crate::browser::Browser;
use crate::support::ports::free_address;
use crate::support::{Engine, Server, frame, with_sources};
use crate::{address, assert_clean, audit};

/// The texts of a column of the rows.
fn column(browser: &Browser, number: u8) -> Vec<String> {
    let script = format!(
        "return [...document.querySelectorAll('#source-list tbody tr')].map((it) => \
         it.children[{number}].textContent)"
    );
    let found = browser.script(&script);
    let texts = found.as_array().expect("a list").iter();
    texts
        .map(|it| it.as_str().unwrap_or_default().to_owned())
        .collect()
}

fn row<'a>(stats: &'a Value, source: &str) -> &'a Value {
    let rows = stats["sources"].as_array().expect("rows");
    let found = rows.iter().find(|it| it["source"] == source);
    found.unwrap_or_else(|| panic!("no {source}: {rows:?}"))
}

#[test]
fn each_source_is_a_row_with_its_state_lines_rejects_and_what_it_waits_for() {
    let (server, nobody) = (Server::listen(), free_address());
    let rest = "ingest = { listen = \"127.0.0.1:0\" }\nscheduler = { max_queued = 2 }\n\
                stats = { interval = \"0s\" }\nstore = { url = \"none\" }";
    let engine = Engine::start(&with_sources(&[server.address(), nobody], rest));
    let mut source = server.accept();
    let mut producer = TcpStream::connect(engine.ingest.expect("it listens")).expect("a way in");
    writeln!(
        source,
        "{}\nnonsense\n{}",
        frame("a", "table1", 1),
        frame("b", "table2", 1)
    )
    .expect("in");
    for number in 0..4 {
        writeln!(producer, "{}", frame(&format!("p{number}"), "table3", 1)).expect("in");
    }
    let peer = producer.local_addr().expect("it is connected").to_string();
    let stats = engine.wait("all rows", |it| {
        let rows = it["sources"].as_array().map_or(0, Vec::len);
        rows == 3
            && row(it, &peer)["waits_for"].is_string()
            && row(it, &server.address().to_string())["lines"] == 3
            && row(it, &nobody.to_string())["why"].is_string()
    });
    let dialled = row(&stats, &server.address().to_string());
    assert_eq!(
        (&dialled["state"], &dialled["rejected"]),
        (&"connected".into(), &1.into())
    );
    assert_eq!(
        (&dialled["kind"], &dialled["connects"]),
        (&"dialled".into(), &1.into())
    );
    assert_eq!(row(&stats, &peer)["waits_for"], "room at table3");
    assert_eq!(
        (&stats["sources_omitted"], &row(&stats, &peer)["lines"]),
        (&0.into(), &2.into())
    );

    let browser = Browser::open(&address(&engine));
    browser.wait(
        "rows",
        "document.querySelectorAll('#source-list tbody tr').length === 3",
    );
    let names = column(&browser, 0);
    assert_eq!(
        names[0],
        nobody.to_string(),
        "who is not reached comes first"
    );
    assert!(
        column(&browser, 1)[0].contains("refused"),
        "{:?}",
        column(&browser, 1)
    );
    browser.click("#source-list thead a[href*='sources=lines']");
    browser.wait(
        "sorted by lines",
        "document.querySelector('#source-list tbody tr').children[3].textContent === '3'",
    );
    assert_eq!(column(&browser, 3), ["3", "2", "0"]);
    assert_eq!(column(&browser, 4)[0], "1");
    assert!(column(&browser, 5).contains(&"room at table3".to_owned()));
    // The order of the destinations is another one's.
    browser.click("#destinations thead a[href*='sort=name']");
    browser.wait("both", "location.search.includes('sort=name')");
    assert_eq!(column(&browser, 3), ["3", "2", "0"]);
    audit(&browser, "sources");
    drop(source);
    let stats = engine.wait("it is lost", |it| {
        row(it, &server.address().to_string())["connects"].as_u64() > Some(1)
            || row(it, &server.address().to_string())["state"] != "connected"
    });
    assert_eq!(row(&stats, &server.address().to_string())["lines"], 3);
    assert_clean(&browser, &engine);
}
