use tempfile::TempDir;

use super::*;
use crate::cluster::core::{Check, Role};
use crate::cluster::jetstream::Settings as StreamSettings;
use crate::cluster::record::PLACE_LEN;
use crate::cluster::testing::{GROUP, SEGMENT, announcement};

/// A member in the hands of a test, without a server: the test says what the stream brings.
struct Scene {
    turns: Turns,
    commands: Sender<Command>,
    told: Receiver<MemberEvent>,
    home: TempDir,
}

impl Scene {
    /// A standby with an empty journal, whose claim is confirmed and not written yet.
    fn confirmed() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let storage = Directory::at(home.path()).expect("it is there");
        let servers = ["nats://127.0.0.1:1".to_owned()];
        let stream = StreamSettings::to(&servers, GROUP, 1).expect("an address");
        let parts = MemberParts {
            settings: Settings {
                group: GROUP.into(),
                announcement: announcement(),
                lease_ms: 15_000,
                random: 1,
                group_id: 77,
                first_time_us: 0,
            },
            log: JetStream::start(stream).expect("a thread"),
            files: RecordFiles::open(storage, SEGMENT).expect("it is empty").0,
            last: None,
            segment_len: SEGMENT,
            max_bytes: 16 * SEGMENT,
            recorded: Arc::default(),
            followed: None,
            shares_store: false,
            record_len_min: 1_000,
            status: Status::new("kitchen", GROUP),
            counters: Arc::default(),
            wake: Wake::new().expect("a descriptor"),
        };
        let (commands, from_owner) = channel();
        let (to_owner, told) = channel();
        let shared = (Arc::default(), Arc::default());
        let mut scene = Self {
            turns: Turns::new(parts, shared, from_owner, to_owner),
            commands,
            told,
            home,
        };
        scene.reaches_server_of(1_000);
        let (first, last, wrong) = (1, 0, Vec::new());
        let found = Check::Found { first, last, wrong };
        scene.turns.on_event(Event::Checked(found));
        assert_eq!(scene.turns.driver.member.role(), Role::Claiming);
        let (flight, sequence) = (1, 1);
        scene.turns.on_event(Event::Acked { flight, sequence });
        scene
    }

    /// A server is reached that takes records of so many bytes.
    fn reaches_server_of(&mut self, len_max: usize) {
        self.turns.reporter.record_len_max = len_max;
        self.turns.publish();
    }

    fn disk_takes_nothing(&self) {
        std::fs::remove_dir(self.home.path()).expect("nothing is in it");
    }
}

#[test]
fn whoever_gives_a_member_up_does_not_wait_for_a_disk_that_takes_no_claim() {
    let mut scene = Scene::confirmed();
    scene.disk_takes_nothing();
    scene.commands.send(Command::Drop).expect("it listens");
    assert_eq!(scene.turns.carry_out(), Err(None));
    assert!(scene.told.try_recv().is_err(), "no engine is to be built");
}

#[test]
fn a_member_that_is_to_stop_does_not_wait_for_a_disk_that_takes_no_claim() {
    let mut scene = Scene::confirmed();
    scene.disk_takes_nothing();
    scene.commands.send(Command::Finish).expect("it listens");
    assert_eq!(scene.turns.carry_out(), Err(Some(CANNOT_WRITE)));
    assert!(scene.told.try_recv().is_err(), "no engine is to be built");
}

#[test]
fn a_stop_waits_for_a_claim_that_can_be_written_and_says_goodbye() {
    let mut scene = Scene::confirmed();
    scene.commands.send(Command::Finish).expect("it listens");
    assert!(scene.turns.carry_out().is_ok());
    assert!(matches!(
        scene.told.try_recv(),
        Ok(MemberEvent::Activate(_))
    ));
    assert_eq!(scene.turns.files.end(), scene.turns.driver.member.end());
    assert!(scene.turns.driver.member.is_finishing());
}

#[test]
fn nothing_is_asked_for_while_a_message_may_find_no_room_in_a_record_of_the_server() {
    let mut scene = Scene::confirmed();
    assert!(scene.turns.carry_out().is_ok());
    let (to_agent, mut from_member) = ring::ring(4, &scene.turns.wake);
    let (_to_member, from_agent) = ring::ring(4, &scene.turns.wake);
    scene.turns.link = Some(Link {
        to_agent,
        from_agent,
    });
    scene.reaches_server_of(999);
    scene.turns.exchange();
    assert!(from_member.poll().is_none(), "a message may be longer");
    scene.reaches_server_of(1_000);
    scene.turns.exchange();
    let asked = from_member.poll();
    let Some(FromMember::Wanted { len_max, .. }) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(len_max, 1_000 - PLACE_LEN);
}
