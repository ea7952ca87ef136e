//! Destinations that messages create.

use super::*;

#[test]
fn destinations_are_created_up_to_the_bound() {
    let server = Server::listen();
    let rest = "[scheduler]\nunknown_destinations = \"create\"\nmax_destinations = 6\n";
    let engine = Engine::start(&with_sources(&[server.address()], rest));
    let mut early = Subscriber::new(&engine, &["early"], false);
    let mut stream = server.accept();
    for (at, destination) in ["late", "early", "too-many", "late", "table4", "another"]
        .iter()
        .enumerate()
    {
        writeln!(stream, "{}", frame(&format!("d-{at}"), destination, 1)).expect("it reads");
    }
    let stats = engine.wait("all is taken", |it| it["received"] == 6);
    assert_eq!(stats["rejected_by_reason"]["unknown_destination"], 2);
    assert_eq!(early.frames(1)[0]["messageId"], "d-1");
    let mut late = Subscriber::new(&engine, &["late", "table4"], false);
    let mut ids: Vec<String> = late
        .frames(3)
        .iter()
        .map(|it| it["messageId"].as_str().expect("text").to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["d-0", "d-3", "d-4"]);
    let refused = Subscriber::new(&engine, &["too-many"], false);
    assert!(
        refused.answer.contains("unknown destination"),
        "{}",
        refused.answer
    );
}
