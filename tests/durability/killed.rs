//! Engines killed at random moments.

use super::*;

/// What subscribers saw over all lives of the engine.
#[derive(Default)]
struct Sightings {
    seen: HashSet<String>,
    /// By source, destination and level: the number of the last first sighting.
    last: HashMap<(String, String, u64), u64>,
}

impl Sightings {
    fn note(&mut self, frame: &Value, announced: bool) {
        let text = |name: &str| frame[name].as_str().expect("text").to_owned();
        let id = text("messageId");
        if !self.seen.insert(id.clone()) {
            assert!(announced, "{id} came again without a word");
            return;
        }
        let (source, destination) = (text("sourceServerId"), text("destinationId"));
        // `table1` is a VIP.
        let level = match destination.as_str() {
            "table1" => 1,
            _ => frame["priority"].as_u64().expect("a number"),
        };
        let at = frame["payload"]["n"].as_u64();
        let last = self
            .last
            .insert((source, destination, level), at.expect("n"));
        assert!(last < at, "{id} after {last:?}: {frame}");
    }
}

/// Subscribes, acknowledges now and then, and gives back what it saw when the connection ended:
/// each frame, and whether it was announced as possibly seen.
fn watch(
    engine: &Engine,
    destinations: &[&str],
    count: &Arc<AtomicUsize>,
) -> JoinHandle<Vec<(Value, bool)>> {
    let mut subscriber = Subscriber::new(engine, destinations, true);
    let count = Arc::clone(count);
    thread::spawn(move || {
        let (mut gathered, mut again, mut line) = (Vec::new(), 0, String::new());
        let mut acknowledged = 0;
        // A line that the end cut off was not received.
        while subscriber.stream.read_line(&mut line).is_ok() && line.ends_with('\n') {
            let value: Value = serde_json::from_str(&line).expect("JSON");
            line.clear();
            if let Some(announced) = value["again"].as_u64() {
                assert_eq!(again, 0, "the last announcement is used up");
                again = announced;
                continue;
            }
            gathered.push((value, again > 0));
            again = again.saturating_sub(1);
            count.fetch_add(1, Ordering::Relaxed);
            let is_due =
                gathered.len() >= acknowledged + 16 || subscriber.stream.buffer().is_empty();
            if is_due {
                acknowledged = gathered.len();
                let ack = format!("{{\"ack\":{acknowledged}}}\n");
                // The engine may have been killed meanwhile.
                let _ = subscriber.stream.get_mut().write_all(ack.as_bytes());
            }
        }
        gathered
    })
}

fn order(source: usize, at: usize) -> String {
    let destination = ["table1", "table2", "table3"][at % 3];
    let priority = 1 + at / 3 % 3;
    // Clocks that are far behind must not carry a message past those of an earlier life.
    let time = if at.is_multiple_of(2) {
        ""
    } else {
        "\"timestamp\":1,"
    };
    format!(
        "{{\"messageId\":\"p{source}-{at}\",\"sourceServerId\":\"p{source}\",\
         \"destinationId\":\"{destination}\",\"messageType\":\"lunch\",\"priority\":{priority},\
         {time}\"payload\":{{\"n\":{at}}}}}"
    )
}

/// One life of an engine: everything is sent, and it is killed when so many frames were written to
/// it, or seen by subscribers; without `kill` it is stopped in good order when all is settled.
fn live(
    home: &Home,
    producers: &mut [Producer],
    sightings: &mut Sightings,
    kill: Option<(bool, usize)>,
) {
    let engine = Engine::start_in(Arc::clone(home), LISTENING);
    let (sent, seen) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let watchers = [
        watch(&engine, &["table1", "table2"], &seen),
        watch(&engine, &["table3"], &seen),
    ];
    thread::scope(|scope| {
        for producer in producers.iter_mut() {
            let stream = Producer::dial(&engine);
            let sent = &sent;
            scope.spawn(move || producer.exchange(stream, sent));
        }
        if let Some((by_sent, target)) = kill {
            let begun = Instant::now();
            let counted = if by_sent { &sent } else { &*seen };
            while counted.load(Ordering::Relaxed) < target {
                assert!(begun.elapsed() < PATIENCE, "{}", engine.log());
                thread::sleep(Duration::from_micros(200));
            }
            engine.signal("KILL");
        }
    });
    match kill {
        Some(_) => engine.kill(),
        None => {
            let settled = |it: &Value| it["queued"] == 0 && it["in_flight"] == 0;
            engine.wait("all is settled", settled);
            let ended = engine.stop();
            assert_eq!(ended.code, Some(0), "{}", ended.log);
        }
    }
    for watcher in watchers {
        let gathered = watcher.join().expect("every line was right");
        gathered
            .iter()
            .for_each(|(frame, announced)| sightings.note(frame, *announced));
    }
}

#[test]
fn an_engine_killed_at_random_moments_loses_nothing_and_doubles_nothing() {
    let rounds = std::env::var("FLIPPED_LB_TEST_KILLS").map_or(8, |it| it.parse().expect("N"));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let home = home();
    let mut producers: [Producer; 3] = Default::default();
    let mut sightings = Sightings::default();
    let per_round = 700;
    for round in 0..rounds {
        for (source, producer) in producers.iter_mut().enumerate() {
            let new = round * per_round..(round + 1) * per_round;
            producer
                .unacknowledged
                .extend(new.map(|at| order(source, at)));
        }
        let kill = (rng.bool(), rng.usize(0..per_round * 3));
        live(&home, &mut producers, &mut sightings, Some(kill));
    }
    live(&home, &mut producers, &mut sightings, None);
    assert!(producers.iter().all(|it| it.unacknowledged.is_empty()));
    assert_eq!(sightings.seen.len(), rounds * per_round * 3);
    assert_all_delivered(home.path(), sightings.seen.len());
}

#[test]
fn a_duplicate_of_what_was_settled_before_the_crash_is_recognised() {
    let home = home();
    let engine = Engine::start_in(Arc::clone(&home), LISTENING);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    publish(&engine, frames("early", "table2", 100));
    assert_eq!(ids(&subscriber.frames(100)), names("early", 100));
    // What the store has seen settled stands in the journal.
    engine.wait("all is settled", |it| it["stored_settled"] == 100);
    engine.kill();
    let engine = Engine::start_in(home, LISTENING);
    let mut subscriber = Subscriber::new(&engine, &["table2"], false);
    publish(&engine, frames("early", "table2", 100));
    publish(&engine, frames("late", "table2", 1));
    assert_eq!(ids(&subscriber.frames(1)), ["late-0"]);
    let stats = engine.stats();
    assert_eq!(stats["recovered"], 0);
    assert_eq!(stats["duplicates"], 100);
}
