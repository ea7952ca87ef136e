//! Asking for a reload: by SIGHUP and `POST /reload`, of the thread that makes it.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::error::ReloadError;
use crate::config::changes::Changes;

/// What a reload came to.
pub(crate) type Outcome = Result<Changes, ReloadError>;

/// Somebody asks for a reload.
pub(super) struct Asked {
    /// Who does, for the log.
    pub(super) by: &'static str,
    pub(super) answer: Box<dyn FnOnce(Outcome) + Send>,
}

/// By which reloads are asked for.
#[derive(Clone)]
pub(crate) struct Reloads {
    asking: Sender<Asked>,
}

impl std::fmt::Debug for Reloads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reloads")
    }
}

/// The thread's end, before there is a thread.
pub(crate) struct Asking(pub(super) Receiver<Asked>);

impl Reloads {
    /// Both ends.
    pub(crate) fn new() -> (Self, Asking) {
        let (asking, asked) = channel();
        (Self { asking }, Asking(asked))
    }

    /// Asks for a reload, behind those that were asked for before. `answer` is called at its end, by
    /// another thread.
    pub(crate) fn ask(&self, by: &'static str, answer: impl FnOnce(Outcome) + Send + 'static) {
        let asked = Asked {
            by,
            answer: Box::new(answer),
        };
        if let Err(unheard) = self.asking.send(asked) {
            (unheard.0.answer)(Err(ReloadError::Stopping));
        }
    }
}
