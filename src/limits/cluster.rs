//! Limits of a group of engines and its replicated journal.

use std::time::Duration;

/// Bytes of a record at most: one write of the journal is no longer, and it is what a server of NATS takes
/// by default, headers included (see [`RECORD_HEADERS_LEN`]).
pub const RECORD_MESSAGE_LEN_MAX: usize = 1024 * 1024;

/// Bytes of a server's `max_payload` that a record leaves to the headers of its message: the names of
/// four headers take 131, two subjects of at most 128 bytes and two numbers of 20 the rest.
pub const RECORD_HEADERS_LEN: usize = 512;

/// Addresses that an active announces at most: one a listener, and some to spare.
pub const ANNOUNCED_ADDRESSES_MAX: usize = 8;

/// Bytes of an announced address at most: its listener has 8, a host's name 253, its port 5.
pub const ANNOUNCED_ADDRESS_LEN_MAX: usize = 270;

/// Bytes of the name of a group or a node at most: it stands in subjects and in names of streams.
pub const CLUSTER_NAME_LEN_MAX: usize = 50;

/// Microseconds between two beats of an active that has nothing else to publish.
pub const BEAT_US: u64 = 1_000_000;

/// Microseconds after which a path that has not turned stands still: its thread parks for a sixteenth of it.
pub const PATH_SILENCE_US: u64 = 1_000_000;

/// Entries of the rings between the journal agent and the member's thread: one buffer goes round, and what
/// was recorded meanwhile.
pub const MEMBER_RING: usize = 64;

/// Bytes of messages that it gathers while the disk is full: as many as 64 Ki messages of 250 bytes, which
/// is what the gate holds.
pub const GATHERED_LEN_MAX: usize = 16 * 1024 * 1024;

/// Runs and settlements that the journal agent of a group gathers in one duty cycle.
pub const GATHERED_PER_CYCLE: usize = 1024;

/// Events of the log that the member's thread takes in one turn.
pub const MEMBER_EVENTS_PER_TURN: usize = 8;

/// How long the member's thread sleeps at most: its timers are late by so much.
pub const MEMBER_PARK_MS: u32 = 20;

/// For so long a standby that had all that there was is ready, whatever comes meanwhile, in us: under load
/// there is always a record that is read and not written yet.
pub const MEMBER_READY_US: u64 = 1_000_000;

/// Between two tries to write a record that found no room, in us.
pub const MEMBER_WRITE_RETRY_US: u64 = 500_000;

/// Microseconds after which what was sent is sent again, over another connection: an election takes some
/// seconds, and the first server that answers is soon enough.
pub const RESEND_US: u64 = 1_000_000;

/// Microseconds between a refusal or a lost connection and the next attempt, where the stream itself can be
/// expected to be well: a proposal under way is refused, and stored within a round trip.
pub const RETRY_US: u64 = 200_000;

/// Microseconds between two looks at the stream's settings, group and end.
pub const CHECK_US: u64 = 10_000_000;

/// Microseconds after the last record when a member asks the servers each second: a beat is late by half.
pub const QUIET_US: u64 = BEAT_US + BEAT_US / 2;

/// Longest time without an answer or a record within which the servers are heard: one question that got no answer
/// is no gap. Servers that come back with less than they had are away for longer, elections included.
pub const HEARING_GAP_US: u64 = QUIET_US + 2 * RESEND_US;

/// For so long a member hears the servers without a gap before it claims, in us: others look each second whether
/// the stream has lost what they have, and put it back within some round trips. No longer than the shortest lease,
/// so that it holds up nobody who has heard the active fall silent.
pub const HEARING_TO_CLAIM_US: u64 = 4_000_000;

/// For so long an active whose lease has run out: before a standby claims, so that an outage does not change who serves.
pub const HEARING_TO_RESUME_US: u64 = 3_000_000;

const _: () = assert!(HEARING_TO_CLAIM_US <= LEASE_MS_MIN as u64 * 1_000);
const _: () = assert!(2 * RESEND_US < HEARING_TO_RESUME_US);
const _: () = assert!(HEARING_TO_RESUME_US + RESEND_US <= HEARING_TO_CLAIM_US);

/// How long, and how often in a row, servers must say that the stream is gone, empty or purged, before a member
/// with files believes it: one that lost its store says so until it has caught up or heard the leader, which an
/// election holds up by 9 s at most.
pub const LOSS_BELIEVED_US: u64 = 10_000_000;
/// See [`LOSS_BELIEVED_US`]; asked each second, of which some get no answer.
pub const LOSS_ANSWERS: u32 = 5;

/// An active serves for so many quarters of the lease behind the first sending of a confirmed record. A
/// standby claims after four: clocks may differ in pace by a third, of which a fifth is promised.
pub const LEASE_QUARTERS: u64 = 3;

/// Shortest lease, by setting: an election, and a PubAck that came 9 s late, fit into three quarters of it
/// only above 12 s; below 4 s a single lost connection pauses an active.
pub const LEASE_MS_MIN: u32 = 4_000;

/// Longest lease, by setting: nobody serves for so long when an active has died.
pub const LEASE_MS_MAX: u32 = 3_600_000;

/// Confirmed records that may wait for the journal while the next one is published: one is being written,
/// one was confirmed meanwhile.
pub const RECORDS_UNWRITTEN_MAX: usize = 2;

const _: () = assert!(LEASE_QUARTERS * 6 < 4 * 5, "a fifth in pace is within it");
const _: () = assert!(BEAT_US * 2 < LEASE_MS_MIN as u64 * 1_000 * LEASE_QUARTERS / 4);

/// Between two words of a member to the others.
pub const MEMBERS_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of such a word at most: two names, an address and four numbers, some 600.
pub const MEMBER_REPORT_LEN_MAX: usize = 2 * 1024;

/// Members that are remembered: groups have two to five; who was heard longest ago makes room.
pub const MEMBERS_MAX: usize = 16;

/// A member that was not heard for so long is remembered no more: the stream is not kept for it.
pub const MEMBER_FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// Connections at one listener of a standby that are told who serves, at once; the next ones wait in the
/// system's queue: an answer takes a round trip, and a slow peer a second.
pub const STANDBY_ANSWERS_MAX: usize = 32;

/// How long one of them may take, its TLS handshake and the head of its request included.
pub const STANDBY_ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a member that ends in good order waits for its goodbye to be confirmed: an election.
pub const GOODBYE_MAX: Duration = Duration::from_secs(10);

/// Between two runs of a member: one that ends at once does not take the machine.
pub const RUNS_INTERVAL: Duration = Duration::from_millis(100);

/// Requests to the thread of the group's stream that may wait: a core has one of each kind under way.
pub const LOG_REQUESTS_MAX: usize = 64;

/// Events of that thread that may wait: records of 1 MiB at most, so 32 MiB while a standby catches up.
pub const LOG_EVENTS_MAX: usize = 32;

/// JetStream may be silent for so long before it is told: shorter pauses are those of a busy server, an election
/// of the stream takes 5 to 9 s.
pub const LOG_SILENCE_MAX: Duration = Duration::from_secs(3);

/// Messages that one request to a consumer brings at most: as many are read and not taken, 8 MiB.
pub const LOG_READ_MESSAGES: usize = 8;

/// How long such a request waits for messages at the servers.
pub const LOG_READ_EXPIRES: Duration = Duration::from_secs(3);

/// A consumer that nobody asks for so long is removed by the servers.
pub const LOG_READ_THRESHOLD: Duration = Duration::from_secs(30);

/// How long the servers have to answer; the core asks again each second.
pub const LOG_ANSWER_MAX: Duration = Duration::from_secs(2);

/// Pings to the server: a dead one is noticed within three.
pub const LOG_PING_INTERVAL: Duration = Duration::from_secs(1);

/// Between two attempts to connect.
pub const LOG_RECONNECT_INTERVAL: Duration = Duration::from_millis(250);
