//! Looks host names up on a thread of its own, for a look-up may block for seconds.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Which source, and what was found.
pub type Answer = (usize, io::Result<SocketAddr>);

/// Asks for addresses, and is answered later.
#[derive(Debug)]
pub struct Resolver {
    /// Made with its thread at the first question: most engines never ask.
    questions: Option<Sender<(usize, String)>>,
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

    /// Asks for the address of a source.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn ask(&mut self, source: usize, address: &str) -> io::Result<()> {
        if self.questions.is_none() {
            self.start()?;
        }
        let sent = self
            .questions
            .as_ref()
            .map(|it| it.send((source, address.to_owned())));
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
        let (questions, asked) = channel::<(usize, String)>();
        let (answering, answers) = channel();
        thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                for (source, address) in asked {
                    if answering.send((source, look_up(&address))).is_err() {
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

fn look_up(address: &str) -> io::Result<SocketAddr> {
    let mut found = address.to_socket_addrs()?;
    found
        .next()
        .ok_or_else(|| io::Error::other(format!("{address} has no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_answered_later() {
        let mut resolver = Resolver::new();
        assert!(resolver.poll().is_none());
        resolver.ask(3, "localhost:8001").expect("a thread");
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
}
