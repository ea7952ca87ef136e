//! Whether a peer is dead: by what the system has asked of it and it has not answered.
//!
//! A peer that does not read is alive: its system answers each probe of its full window. The
//! kernel's own limit (TCP_USER_TIMEOUT) does not tell the two apart, and its keepalive rests while
//! anything waits to be sent. So sockets have no such limit, keepalive watches over idle ones, and
//! this over the others. Values only, but for [`Answers::of`].
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::limits::PEER_SILENT_MAX;

/// What the system knows of a connection's acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answers {
    /// Repetitions of data, and probes of a full window, since the last acknowledgement.
    pub(crate) missing: u32,
    /// How long ago the last acknowledgement came, of anything.
    pub(crate) last_ago: Duration,
}

impl Answers {
    /// Asks the system.
    ///
    /// # Errors
    /// It does not say.
    pub(crate) fn of(socket: &impl AsRawFd) -> io::Result<Self> {
        // SAFETY: the structure is plain numbers, for which zero is a value.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut len = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the system writes at most `len` bytes, which `info` has.
        let asked = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut len,
            )
        };
        if asked != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            missing: u32::from(info.tcpi_retransmits) + u32::from(info.tcpi_probes),
            last_ago: Duration::from_millis(u64::from(info.tcpi_last_ack_recv)),
        })
    }
}

/// For how long one connection's peer has owed an answer.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// Since when, on the caller's clock; `None`: it owes none.
    since: Option<Duration>,
}

impl Silence {
    /// Looks at `now`; whether the peer is dead.
    pub(crate) fn look(&mut self, answers: Answers, now: Duration) -> bool {
        if answers.missing == 0 {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let silent = now.saturating_sub(since);
        if answers.last_ago < silent {
            // It has answered meanwhile, and owes another one since then at the earliest.
            self.since = Some(now - answers.last_ago);
            return false;
        }
        // One lost probe is no proof.
        silent >= PEER_SILENT_MAX && answers.missing > 1
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;

    const STEP: Duration = Duration::from_secs(5);

    fn answers(missing: u32, last_ago: Duration) -> Answers {
        Answers { missing, last_ago }
    }

    #[test]
    fn a_peer_that_answers_probes_is_never_dead_however_rare_they_are() {
        let mut silence = Silence::default();
        // Late in its life the window is probed every two minutes; each answer comes at once, but a
        // look may fall between the two, and one probe may be lost.
        for at in 1..10_000 {
            let now = STEP * at;
            let since_probe = Duration::from_secs(u64::from(at) * 5 % 120);
            let is_between = since_probe < STEP;
            let seen = match is_between {
                true => answers(1, since_probe + Duration::from_secs(120)),
                false => answers(0, since_probe),
            };
            assert!(!silence.look(seen, now), "look {at}");
        }
        for at in 10_000..10_030 {
            let now = STEP * at;
            assert!(
                !silence.look(answers(1, STEP * at), now),
                "one probe is lost"
            );
        }
    }

    #[test]
    fn a_dead_peer_is_noticed_within_a_minute_of_its_first_missing_answer() {
        let mut silence = Silence::default();
        let last = Duration::from_secs(3_600);
        let mut looks = 0;
        while !silence.look(answers(2 + looks, last + STEP * looks), STEP * looks) {
            looks += 1;
        }
        assert_eq!(STEP * looks, PEER_SILENT_MAX);
    }

    #[test]
    fn an_answer_begins_the_count_anew() {
        let mut silence = Silence::default();
        let second = Duration::from_secs(1);
        assert!(!silence.look(answers(1, second), second));
        assert!(!silence.look(answers(5, second * 50), second * 51));
        assert!(!silence.look(answers(3, second), second * 70));
        assert!(!silence.look(answers(9, second * 50), second * 119));
        assert!(silence.look(answers(9, second * 60), second * 129));
    }

    #[test]
    fn a_socket_that_is_not_read_is_alive_by_what_the_system_says() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut writer =
            TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (_reader, _) = listener.accept().expect("a connection");
        writer.set_nonblocking(true).expect("an option");
        while writer.write(&[0; 4096]).is_ok() {}
        let (begun, mut silence) = (Instant::now(), Silence::default());
        while begun.elapsed() < Duration::from_millis(1_500) {
            let answers = Answers::of(&writer).expect("the system says");
            assert!(answers.last_ago < Duration::from_secs(30), "{answers:?}");
            assert!(!silence.look(answers, begun.elapsed() * 60));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
