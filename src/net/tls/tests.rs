//! A session by itself: both ends, and a wire that gives and takes as little as it likes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rustls::ServerConfig;
use rustls::pki_types::ServerName;

use super::session::Session;
use super::{Dialled, File, Identity, Tls, TlsParts, dialled, not_spoken, server};
use crate::log::testing::logged;

#[test]
fn failures_that_are_left_out_of_the_log_are_told_though_none_comes_any_more() {
    let parts = TlsParts {
        switch: Arc::default(),
        counters: Arc::default(),
    };
    let mut tls = Tls::new(parts);
    let at = Duration::from_millis;
    let told = logged(|| {
        for _ in 0..9 {
            tls.note_failure(None, &not_spoken(), at(0));
        }
        tls.log_left_out(at(9_999));
    });
    assert_eq!(told.lines().count(), 5, "{told}");
    let told = logged(|| tls.log_left_out(at(10_000)));
    assert!(told.contains("no TLS, again and again count=4"), "{told}");
}

/// One end's socket: what the peer has sent, and how much it takes.
#[derive(Debug, Default)]
struct Wire {
    incoming: VecDeque<u8>,
    has_ended: bool,
    outgoing: Vec<u8>,
    room: usize,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(into)? {
            0 if !self.has_ended => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.room);
        self.room -= len;
        self.outgoing.extend_from_slice(&bytes[..len]);
        match len {
            0 => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct End {
    session: Session,
    wire: Wire,
}

impl End {
    fn new(session: Session) -> Self {
        Self {
            session,
            wire: Wire::default(),
        }
    }

    /// What it has sent goes to the other one, so many bytes of it.
    fn send_to(&mut self, other: &mut End, len_max: usize) {
        let len = self.wire.outgoing.len().min(len_max);
        other.wire.incoming.extend(self.wire.outgoing.drain(..len));
    }
}

fn configs() -> (Arc<ServerConfig>, Dialled) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key \
                 -out cert -subj /CN=test -addext subjectAltName=DNS:localhost -addext \
                 basicConstraints=critical,CA:FALSE";
    let made = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(home.path())
        .output();
    assert!(made.expect("openssl").status.success());
    let (cert, key) = (home.path().join("cert"), home.path().join("key"));
    let cert = File {
        setting: "cert",
        path: &cert,
    };
    let key = File {
        setting: "key",
        path: &key,
    };
    let name = ServerName::try_from("localhost").expect("a name");
    (
        server(Identity { cert, key }, None)
            .expect("they belong together")
            .0,
        dialled(cert, None, name).expect("a certificate").0,
    )
}

/// Both ends, and their handshake over a wire that gives so many bytes at a time.
fn shaken(step: usize) -> (End, End) {
    let (server, client) = configs();
    let mut one = End::new(Session::connect(client).expect("a session"));
    let mut other = End::new(Session::accept(&server).expect("a session"));
    for _ in 0..10_000 {
        for end in [&mut one, &mut other] {
            end.wire.room = step;
            let _ = end.session.shake(&mut end.wire).expect("it goes on");
        }
        one.send_to(&mut other, step);
        other.send_to(&mut one, step);
        if !one.session.is_handshaking() && !other.session.is_handshaking() {
            one.wire.room = usize::MAX;
            other.wire.room = usize::MAX;
            return (one, other);
        }
    }
    panic!("the handshake does not end");
}

fn read(end: &mut End, into: &mut [u8]) -> io::Result<usize> {
    end.session.read(&mut end.wire, into)
}

#[test]
fn an_end_with_a_word_is_told_from_one_without() {
    let (mut one, mut other) = shaken(100);
    let written = one.session.write(&mut one.wire, &[IoSlice::new(b"last")]);
    assert_eq!(written.expect("it takes all"), 4);
    one.session.end(&mut one.wire);
    one.send_to(&mut other, usize::MAX);
    let mut room = [0; 9];
    assert_eq!(read(&mut other, &mut room).expect("bytes"), 4);
    assert_eq!(read(&mut other, &mut room).expect("the end"), 0);
    let (mut one, mut other) = shaken(100);
    let _ = one.session.write(&mut one.wire, &[IoSlice::new(b"last")]);
    one.send_to(&mut other, usize::MAX);
    other.wire.has_ended = true;
    assert_eq!(read(&mut other, &mut room).expect("bytes"), 4);
    let error = read(&mut other, &mut room).expect_err("cut off");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn what_is_no_tls_is_an_error() {
    let (_, mut other) = shaken(1_000);
    other
        .wire
        .incoming
        .extend(b"{\"subscribe\":[\"table1\"]}\n");
    let error = read(&mut other, &mut [0; 9]).expect_err("no record");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However little the wire takes and gives, all bytes come, each once; what is called written is
    /// just what the peer has, though the writer reads meanwhile.
    #[test]
    fn bytes_are_written_when_their_record_is_and_come_once(
        len in 0_usize..60_000,
        rooms in proptest::collection::vec(1_usize..30_000, 1..20),
        piece_len in 1_usize..9_000,
        room_len in 1_usize..9_000,
    ) {
        let (mut one, mut other) = shaken(4_096);
        let sent: Vec<u8> = (0..len).map(|it| it as u8).collect();
        let (mut written, mut got) = (0, Vec::new());
        let mut rooms = rooms.iter().cycle();
        while got.len() < len {
            one.wire.room = *rooms.next().expect("they come again");
            let pieces: Vec<IoSlice> = sent[written..].chunks(piece_len).map(IoSlice::new).collect();
            match one.session.write(&mut one.wire, &pieces) {
                Ok(taken) => written += taken,
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            other.session.write(&mut other.wire, &[IoSlice::new(b"a")]).expect("it takes all");
            other.send_to(&mut one, usize::MAX);
            one.wire.room = usize::MAX;
            prop_assert_eq!(read(&mut one, &mut [0; 9]).expect("a byte"), 1);
            one.send_to(&mut other, usize::MAX);
            let mut into = vec![0; room_len];
            loop {
                match read(&mut other, &mut into) {
                    Ok(read_len) => got.extend_from_slice(&into[..read_len]),
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
            }
            prop_assert_eq!(got.len(), written);
        }
        prop_assert_eq!(got, sent);
    }
}
