//! The examples of `docs/http.md`, run as they stand there, by a shell and `curl`.

mod support;

#[path = "support/http.rs"]
mod http;

use std::process::Command;

use http::settings;
use support::Engine;

/// What `curl` gets, to the second message.
const STREAM: &str = "stream() {\n\
    exec 9< <(exec curl \"$@\")\n\
    sed '/\"h-2\"/q' <&9\n\
    kill $!\n\
    exec 9<&-\n\
    }\n";

/// Digits of a subscription.
const ID_LEN: usize = 16;

/// The commands of all blocks, and what they print.
fn examples(page: &str) -> (String, String) {
    let (mut commands, mut printed) = (String::new(), String::new());
    for block in page.split("```console\n").skip(1) {
        let block = block.split("\n```").next().expect("a block ends");
        let mut is_open = false;
        for line in block.lines() {
            let command = line.strip_prefix("$ ").or(is_open.then_some(line));
            match command {
                Some(command) => {
                    is_open = command.ends_with('\\');
                    commands.push_str(&format!("{command}\n"));
                }
                None => printed.push_str(&format!("{line}\n")),
            }
        }
    }
    (commands, printed)
}

/// Each subscription is called the same; blank lines do not count.
fn without_ids(text: &str) -> String {
    let lines = text.lines().filter(|it| !it.is_empty());
    let lines = lines.map(|line| match line.strip_prefix("id: ") {
        Some(id) if id.is_char_boundary(ID_LEN) => format!("id: X{}\n", &id[ID_LEN..]),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn the_examples_of_the_page_print_what_the_page_says() {
    let engine = Engine::start(&settings(""));
    let page = std::fs::read_to_string("docs/http.md").expect("the page");
    let (commands, printed) = examples(&page);
    assert!(commands.matches("curl").count() >= 7, "{commands}");
    let address = engine.http.expect("it listens").to_string();
    let commands = commands.replace("127.0.0.1:9080", &address);
    // Machines are slow, and some are very slow: each stream ends with its last line and not with the second.
    let commands = commands.replace("curl -sN --max-time 1 ", "stream -sN --max-time 180 ");
    let commands = format!("{STREAM}{commands}");
    let output = Command::new("bash")
        .args(["-uc", &(commands + "kill %1")])
        .current_dir(engine.home.path())
        .output()
        .expect("bash");
    let said = String::from_utf8(output.stdout).expect("text");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(without_ids(&said), without_ids(&printed), "{words}");
    engine.wait("both are settled", |it| it["settled"] == 2);
}
