//! While it runs.

use super::*;

#[test]
fn http_tells_how_it_is() {
    let engine = Engine::start(&settings("[threads]\nmode = \"shared\""));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    send(&mut producer(&engine), "m", "table1", 3);
    assert!(subscriber.frame().is_some());
    let stats = engine.wait("the latencies", |it| it["levels"]["1"]["delivered"] == 1);
    for counter in Counter::ALL {
        assert!(stats[counter.label()].is_u64(), "{}", counter.label());
    }
    assert_eq!(stats["phase"], "running");
    assert_eq!(stats["threading_mode"], "shared");
    assert_eq!(stats["durability"], "written");
    assert_eq!(stats["customers"]["table1"]["by_type"], json!({"lunch": 1}));
    assert_eq!(stats["latency"]["total"]["count"], 1);
    assert_eq!(engine.get("/healthz").0, 200);
    assert_eq!(engine.get("/readyz").0, 200);
    let (status, metrics) = engine.get("/metrics");
    assert_eq!(status, 200);
    let has = |line: &str| metrics.lines().any(|it| it == line);
    assert!(has("flipped_lb_accepted_total 1"), "{metrics}");
    assert!(has("flipped_lb_settled_total 1"), "{metrics}");
    assert!(has("flipped_lb_subscribers_connected 1"), "{metrics}");
    assert!(
        has("flipped_lb_delivered_by_level_total{level=\"1\"} 1"),
        "{metrics}"
    );
    let (status, list) = engine.get("/histograms");
    assert_eq!(status, 200);
    assert!(list.contains("total-level1-table1.hgrm"), "{list}");
    let (status, histogram) = engine.get("/histograms/total.hgrm");
    assert_eq!(status, 200);
    assert!(histogram.contains("#[Max"), "{histogram}");
    let (status, body) = engine.get("/nothing");
    assert_eq!(status, 404);
    assert!(
        body.contains("/stats") && body.contains("/metrics"),
        "{body}"
    );
}

fn assert_sums(stats: &Value) {
    let get = |name: &str| stats[name].as_u64().expect("a counter");
    let decided = get("accepted") + get("duplicates") + get("rejected");
    assert_eq!(get("received"), decided, "{stats}");
    let owed = get("settled") + get("queued") + get("in_flight");
    assert_eq!(get("accepted"), owed, "{stats}");
}

#[test]
fn the_counters_add_up_at_every_moment() {
    const MESSAGES: usize = 20_000;
    for mode in ["shared", "dedicated"] {
        let engine = Engine::start(&settings(&format!("[threads]\nmode = \"{mode}\"")));
        let mut plain = Subscriber::new(&engine, &["table2"], false);
        let mut acking = Subscriber::new(&engine, &["table3"], true);
        std::thread::scope(|scope| {
            let mut producer = producer(&engine);
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    let destination = format!("table{}", number % 4 + 1);
                    // Each tenth one is a duplicate, each hundredth is wrong.
                    let id = format!("m{}", number - usize::from(number % 10 == 9));
                    let priority = if number % 100 == 50 { 9 } else { 3 };
                    send(&mut producer, &id, &destination, priority);
                }
            });
            scope.spawn(|| while plain.line().is_some() {});
            scope.spawn(|| {
                for count in 1.. {
                    if acking.frame().is_none() {
                        return;
                    }
                    if count % 10 == 0 {
                        acking.ack(count);
                    }
                }
            });
            let stats = engine.wait("all is decided", |it| {
                assert_sums(it);
                it["received"] == MESSAGES
            });
            assert_eq!(stats["rejected"], MESSAGES / 100);
            assert_eq!(stats["duplicates"], MESSAGES / 10);
            engine.signal("TERM");
        });
        let mut engine = engine;
        let ended = engine.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }
}

#[test]
fn each_threading_mode_and_idle_strategy_delivers() {
    for mode in ["shared", "dedicated"] {
        for idle in ["backoff", "yield", "spin"] {
            let threads = format!("[threads]\nmode = \"{mode}\"\nidle = \"{idle}\"");
            let engine = Engine::start(&settings(&threads));
            assert_eq!(engine.stats()["threading_mode"], mode);
            let mut subscriber = Subscriber::new(&engine, &["table2"], true);
            let mut producer = producer(&engine);
            for number in 0..20 {
                send(&mut producer, &format!("m{number}"), "table2", 3);
                let frame = subscriber.frame().expect("it comes");
                assert_eq!(frame["messageId"], format!("m{number}"));
                subscriber.ack(number + 1);
            }
            engine.wait("all is settled", |it| it["settled"] == 20);
            assert_eq!(engine.stop().code, Some(0), "{mode}, {idle}");
        }
    }
}
