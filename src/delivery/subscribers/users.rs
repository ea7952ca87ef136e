//! Who subscribers are, by the token of their first line, or by their certificate.

use std::sync::Arc;

use tracing::warn;

use super::Subscribers;
use crate::access::{Proof, Token, User, Users};
use crate::clock::Now;
use crate::counters::Counter;
use crate::delivery::subscriber::Subscriber;

/// How a subscriber shows a token.
const HOW: &str = "send {\"subscribe\":[\"table1\"],\"token\":\"...\"}";

impl Subscribers {
    /// Subscribers are among these.
    pub(in crate::delivery) fn with_users(self, users: Arc<Users>) -> Self {
        Self { users, ..self }
    }

    /// Finds out who a subscriber is. A later line shows the same token again, or none.
    ///
    /// # Errors
    /// Why it may not subscribe.
    pub(super) fn identify(
        &mut self,
        subscriber: &mut Subscriber,
        token: Option<&Token>,
        now: Now,
    ) -> Result<(), String> {
        let known = &mut subscriber.requested.user;
        if token.is_none() && known.is_some() {
            return Ok(());
        }
        let proof = Proof {
            token,
            certificate: subscriber.certificate.as_deref(),
        };
        match judge(&self.users, proof, known.as_ref()) {
            Ok(user) => {
                known.clone_from(&user);
                Ok(())
            }
            Err((counter, why)) => {
                self.counters.add(counter, 1);
                if let Some(more) = self.log_refused.admit(now) {
                    let peer = subscriber.peer;
                    warn!(%peer, "a subscriber is refused: {why}{more}");
                }
                Err(why)
            }
        }
    }
}

/// The user that a peer shows to be, if it may subscribe.
fn judge(
    users: &Users,
    proof: Proof<'_>,
    known: Option<&Arc<User>>,
) -> Result<Option<Arc<User>>, (Counter, String)> {
    let user = match users.identify(proof) {
        Ok(None) => return Ok(None),
        Ok(Some(user)) => user,
        Err(why) => return Err((Counter::TokensRefused, why.words(HOW))),
    };
    if !user.may_receive_any() {
        let why = "this user may receive nothing".to_owned();
        return Err((Counter::RightsRefused, why));
    }
    if known.is_some_and(|it| !Arc::ptr_eq(it, user)) {
        let why = "this is another user's token; connect anew with it".to_owned();
        return Err((Counter::TokensRefused, why));
    }
    Ok(Some(Arc::clone(user)))
}
