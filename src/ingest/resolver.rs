//! Looks host names up on a thread of its own, for a look-up may block for seconds.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Which source, and what was found.
pub type Answer = (usize, io::Result<SocketAddr>);

/// Which source, its address, and which try it is.
type Question = (usize, String, u32);

/// Asks for addresses, and is answered later.
#[derive(Debug)]
pub struct Resolver {
    /// Made with its thread at the first question: most engines never ask.
    questions: Option<Sender<Question>>,
    answers: Option<Receiver<Answer>>,
}

impl Resolver {
    /// A resolver without a thread yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            questions: None,
            answers: None,
        }
    }

    /// Asks for the address of a source. A name may have several: each try gets the next one.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn ask(&mut self, source: usize, address: &str, attempt: u32) -> io::Result<()> {
        if self.questions.is_none() {
            self.start()?;
        }
        let sent = self
            .questions
            .as_ref()
            .map(|it| it.send((source, address.to_owned(), attempt)));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(io::Error::other("the resolver thread has ended")),
        }
    }

    /// The next answer, if there is one.
    pub fn poll(&self) -> Option<Answer> {
        self.answers.as_ref().and_then(|it| it.try_recv().ok())
    }

    fn start(&mut self) -> io::Result<()> {
        let (questions, asked) = channel::<Question>();
        let (answering, answers) = channel();
        thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                for (source, address, attempt) in asked {
                    if answering
                        .send((source, look_up(&address, attempt)))
                        .is_err()
                    {
                        return;
                    }
                }
            })?;
        (self.questions, self.answers) = (Some(questions), Some(answers));
        Ok(())
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

fn look_up(address: &str, attempt: u32) -> io::Result<SocketAddr> {
    let found: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
    in_turn(&found, attempt).ok_or_else(|| io::Error::other(format!("{address} has no address")))
}

/// `localhost` is often `::1` first, and a server on `127.0.0.1` all the same.
fn in_turn(found: &[SocketAddr], attempt: u32) -> Option<SocketAddr> {
    found.get(attempt as usize % found.len().max(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_answered_later() {
        let mut resolver = Resolver::new();
        assert!(resolver.poll().is_none());
        resolver.ask(3, "localhost:8001", 0).expect("a thread");
        let answer = loop {
            if let Some(answer) = resolver.poll() {
                break answer;
            }
            thread::yield_now();
        };
        assert_eq!(
            (answer.0, answer.1.expect("it is known everywhere").port()),
            (3, 8001)
        );
    }

    #[test]
    fn a_name_with_several_addresses_is_tried_at_each_in_turn() {
        let found: Vec<SocketAddr> = ["[::1]:1", "127.0.0.1:1"]
            .map(|it| it.parse().expect("an address"))
            .into();
        let tried = [0, 1, 2].map(|attempt| in_turn(&found, attempt));
        assert_eq!(tried, [Some(found[0]), Some(found[1]), Some(found[0])]);
        assert_eq!(in_turn(&[], 7), None);
    }
}
