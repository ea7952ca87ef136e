//! What a seed draws: who takes part, and which faults there are.

use crate::dice::Dice;

pub const SECOND: u64 = 1_000_000;
/// Bytes of a segment: some dozens of records.
pub const SEGMENT: u64 = 8 * 1024;

/// A safeguard that is removed, to see that it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    Nothing,
    /// The servers do not look at the expected sequence of the subject.
    SubjectExpectation,
    /// Each PubAck is taken to name the place.
    AckSequence,
    /// Each record that is read is taken to fit.
    VoidRule,
    /// The lease counts from when a PubAck came.
    LeaseFromArrival,
    /// What got no answer is given up, and something else sent for its place.
    TimeoutIsFailure,
    /// The journal has a record before the stream.
    WriteBeforeAck,
    /// What was accepted is remembered over a step-down.
    NoNewRun,
    /// The stream is purged of a segment that is still needed.
    PurgePastLow,
    /// Segments go before all is carried that holds them.
    LowBeforeCarried,
}

impl Broken {
    pub const ALL: [Self; 10] = [
        Self::Nothing,
        Self::SubjectExpectation,
        Self::AckSequence,
        Self::VoidRule,
        Self::LeaseFromArrival,
        Self::TimeoutIsFailure,
        Self::WriteBeforeAck,
        Self::NoNewRun,
        Self::PurgePastLow,
        Self::LowBeforeCarried,
    ];
}

/// One member.
#[derive(Debug)]
pub struct MemberPlan {
    pub lease_ms: u32,
    /// Its clock's seconds in millionths of a second.
    pub pace: u64,
    pub offset_us: u64,
}

/// How often things go wrong, per mille of the occasions, and for how long at most.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    pub publish_lost: u32,
    /// A copy of a publish arrives once more, so much later.
    pub publish_twice: u32,
    pub publish_late_us: u64,
    pub ack_lost: u32,
    pub ack_late: u32,
    pub ack_late_us: u64,
    pub refused: u32,
    pub refused_without_reason: u32,
    pub foreign: u32,
    /// The same, but never where the servers lack what they had confirmed: its place would be taken for good.
    pub foreign_behind_all: u32,
    pub no_answer: u32,
    pub answer_from_the_past: u32,
    pub copy_late_us: u64,
    pub copy_skipped: u32,
    /// Servers below 2.15: what was proposed to one leader is stored by the next, wherever the end is.
    pub unfenced: u32,
    /// Of the occasions at which the world does something to somebody.
    pub cut: u32,
    pub freeze: u32,
    pub kill: u32,
    /// Of the journals' writes: the process dies meanwhile.
    pub kill_writing: u32,
    /// Of the kills: the disk is gone as well.
    pub disk_lost: u32,
    pub finish: u32,
    pub outage: u32,
    pub loss: u32,
    /// A leader confirms a message, and is gone before anybody else has it.
    pub forgotten: u32,
    /// A server comes back without its store, and knows no better for some seconds.
    pub blank: u32,
    /// The servers lose every record that a member has, and strangers take the places: somebody makes the stream
    /// anew some time later.
    pub void_only: u32,
    /// A member is cut off; later the servers go down, and lose what a member has that is not cut off;
    /// member and servers come back at about the same time.
    pub absence: u32,
}

/// Everything that a seed decides before the run.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub broken: Broken,
    pub members: Vec<MemberPlan>,
    pub sources: usize,
    pub orders: u64,
    pub faults: Faults,
    pub trouble_us: u64,
    /// What waits for an absent customer is carried; else it holds all behind it.
    pub carries: bool,
}

impl Plan {
    pub fn draw(seed: u64, broken: Broken) -> Self {
        let mut dice = Dice::new(seed, "plan");
        let members = (0..dice.pick(2..=4)).map(|_| member(&mut dice)).collect();
        Self {
            seed,
            broken,
            members,
            sources: dice.pick(1..=3),
            orders: dice.long(20..=150),
            trouble_us: dice.long(40..=200) * SECOND,
            faults: faults(&mut dice),
            carries: dice.flip(),
        }
    }
}

/// Where servers go down for longer than a lease, and forget what they confirm when they come back: what was
/// held up meanwhile, of the old active and of claimants, arrives at once.
pub fn forgetful(seed: u64, broken: Broken) -> Plan {
    let mut plan = Plan::draw(seed, broken);
    plan.members.iter_mut().for_each(|it| it.lease_ms = 4_000);
    plan.faults = Faults {
        publish_late_us: SECOND,
        ack_late_us: SECOND,
        copy_late_us: 20_000,
        outage: 400,
        forgotten: 60,
        // A stream that lost its end grows again without a claim.
        foreign: 20,
        void_only: Dice::new(seed, "void only").of(&[0, 0, 15]),
        ..Faults::default()
    };
    plan
}

/// Where a member that was cut off comes back together with servers that have lost their end: another one has it,
/// and puts it back. So nothing may be lost, and no files may diverge.
pub fn returning(seed: u64, broken: Broken) -> Plan {
    let mut plan = Plan::draw(seed, broken);
    let mut dice = Dice::new(seed, "returning");
    while plan.members.len() < 3 {
        plan.members.push(member(&mut dice));
    }
    let lease_ms = dice.of(&[4_000, 8_000, 15_000]);
    plan.members
        .iter_mut()
        .for_each(|it| it.lease_ms = lease_ms);
    plan.faults = Faults {
        publish_late_us: SECOND,
        ack_late_us: SECOND,
        copy_late_us: 20_000,
        absence: 300,
        // A claim, or what an active has in flight, is made anew behind it.
        foreign_behind_all: 300,
        ..Faults::default()
    };
    plan
}

fn member(dice: &mut Dice) -> MemberPlan {
    MemberPlan {
        lease_ms: dice.of(&[4_000, 8_000, 15_000, 15_000]),
        // Less than a fifth between any two.
        pace: dice.long(920_000..=1_100_000),
        offset_us: dice.long(1..=1_000_000 * SECOND),
    }
}

fn faults(dice: &mut Dice) -> Faults {
    let mut rate = |max: usize| match dice.flip() {
        true => dice.skewed(max) as u32,
        false => 0,
    };
    let mut faults = Faults {
        publish_lost: rate(300),
        publish_twice: rate(200),
        ack_lost: rate(300),
        ack_late: rate(300),
        refused: rate(300),
        refused_without_reason: rate(200),
        foreign: rate(60),
        no_answer: rate(500),
        answer_from_the_past: rate(300),
        copy_skipped: rate(60),
        unfenced: rate(300),
        cut: rate(500),
        freeze: rate(200),
        kill: rate(150),
        kill_writing: rate(10),
        disk_lost: rate(500),
        finish: rate(100),
        outage: rate(150),
        loss: rate(60),
        forgotten: rate(60),
        blank: rate(150),
        ..Faults::default()
    };
    if faults.unfenced > 0 {
        // Servers below 2.15 that lose what they had confirmed besides, may put a late copy of one record of a
        // term where another one was: both expectations hold there. They are warned of.
        (faults.loss, faults.forgotten) = (0, 0);
    }
    if faults.loss > 0 || faults.forgotten > 0 {
        // What servers lose a living member must have.
        faults.disk_lost = 0;
    }
    faults.publish_late_us = dice.of(&[1, 5, 20]) * SECOND;
    faults.ack_late_us = dice.of(&[1, 5, 12]) * SECOND;
    faults.copy_late_us = dice.of(&[20_000, SECOND, 5 * SECOND]);
    faults
}

/// What the seeds of the suite must meet.
pub const EXPECTED: &[&str] = &[
    "active killed",
    "answer from the past",
    "answer of a blank server",
    "carried",
    "claim confirmed late",
    "copy skipped",
    "fenced",
    "confirmed and forgotten",
    "foreign message",
    "disk lost",
    "frozen beyond the lease",
    "goodbye",
    "journal torn",
    "killed while it carries",
    "mended",
    "paused",
    "place purged",
    "purged",
    "PubAck late",
    "PubAck lost",
    "PubAck with another sequence",
    "publish arrived twice",
    "publish lost",
    "refused",
    "resumed",
    "servers down",
    "servers lost the end",
    "take-over",
    "void record",
];

/// What the seeds of servers that forget must meet.
pub const EXPECTED_OF_FORGETFUL: &[&str] = &[
    "carried",
    "confirmed and forgotten",
    "files diverged",
    "lost place taken",
    "made anew",
    "mended",
    "refused until it is made anew",
    "servers down",
    "void messages alone",
];

/// What the seeds of members that come back must meet.
pub const EXPECTED_OF_RETURNING: &[&str] = &[
    "a member and the servers come back",
    "active killed",
    "lost behind a foreign message",
    "mended",
    "take-over",
];
