//! What producers may send: asked once a message, in constant time and without an allocation.
//!
//! Ingest has one. A user's rights are matched by name once for each destination, and then known by its
//! index; all connections of a user share what is known.

use std::sync::Arc;

use super::permits::Permits;
use super::users::{Proof, Unidentified, User, Users};
use crate::message::{DestinationIndex, Directory, ForbiddenField};

/// A user among those that may send.
pub(crate) type SenderIndex = usize;

/// All users, and what is known of each.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    users: Arc<Users>,
    rights: Vec<SendRights>,
}

/// What one user may send.
#[derive(Debug)]
struct SendRights {
    user: Arc<User>,
    permits: Permits,
}

/// Why a producer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Unidentified(Unidentified),
    /// The user may send nothing.
    NoRight,
}

impl Senders {
    pub(crate) fn new(users: Arc<Users>) -> Self {
        let rights = users.iter().map(|user| SendRights {
            user: Arc::clone(user),
            permits: Permits::default(),
        });
        Self {
            rights: rights.collect(),
            users,
        }
    }

    /// Who a producer of these is among others, after a reload; `None`: nobody is asked.
    ///
    /// # Errors
    /// Nobody who may send, in words for the producer.
    pub(crate) fn follow(
        &self,
        sender: Option<SenderIndex>,
        others: &Senders,
    ) -> Result<Option<SenderIndex>, String> {
        let before = sender.map(|it| &*self.rights[it].user);
        match others.users.follow(before)? {
            Some(user) if !user.may_send_any() => Err("this user may send nothing".to_owned()),
            user => Ok(user.map(|it| it.index)),
        }
    }

    /// Whether a producer must say who it is before it sends.
    pub(crate) fn want_token(&self) -> bool {
        self.users.want_token()
    }

    /// Who a producer is; `None`: nobody is asked.
    ///
    /// # Errors
    /// Nobody who may send.
    pub(crate) fn identify(&self, proof: Proof<'_>) -> Result<Option<SenderIndex>, Refused> {
        match self.users.identify(proof) {
            Ok(Some(user)) if !user.may_send_any() => Err(Refused::NoRight),
            Ok(user) => Ok(user.map(|it| it.index)),
            Err(why) => Err(Refused::Unidentified(why)),
        }
    }

    pub(crate) fn user(&self, sender: SenderIndex) -> &Arc<User> {
        &self.rights[sender].user
    }

    /// Lets a user send as this source to this destination. The answer is the same for a name that there
    /// is and one that there is not.
    ///
    /// # Errors
    /// It may not, by this field.
    #[inline]
    pub(crate) fn let_send(
        &mut self,
        sender: SenderIndex,
        source: &str,
        destination: &str,
        directory: &mut Directory,
    ) -> Result<(), ForbiddenField> {
        let SendRights { user, permits } = &mut self.rights[sender];
        if user.source.as_ref().is_some_and(|it| **it != *source) {
            return Err(ForbiddenField::SourceServerId);
        }
        if user.may_send.has_all() {
            return Ok(());
        }
        let is_permitted = match directory.find(destination) {
            Some(index) => permits.check(index, || user.may_send.has(destination)),
            None => user.may_send.has(destination),
        };
        is_permitted
            .then_some(())
            .ok_or(ForbiddenField::DestinationId)
    }

    /// The index is another destination's from now on.
    pub(crate) fn forget(&mut self, destination: DestinationIndex) {
        for rights in &mut self.rights {
            rights.permits.forget(destination);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::{Token, TokenHash};
    use super::*;
    use crate::config;

    fn senders() -> Senders {
        let user = |name: &str, may_send: &[&str], source: Option<&str>| config::User {
            token_sha256: Some(TokenHash::of(name)),
            may_send: may_send.iter().map(|it| (*it).to_owned()).collect(),
            source: source.map(str::to_owned),
            ..config::User::named(name)
        };
        Senders::new(Arc::new(Users::new(&[
            user("tables", &["table*"], None),
            user("server1", &["*"], Some("server1")),
            user("reader", &[], None),
        ])))
    }

    fn identify(senders: &Senders, token: &str) -> Result<Option<SenderIndex>, Refused> {
        senders.identify(Proof {
            token: Some(&Token::new(token)),
            certificate: None,
        })
    }

    #[test]
    fn a_producer_is_one_who_may_send() {
        let senders = senders();
        assert_eq!(identify(&senders, "tables"), Ok(Some(0)));
        assert_eq!(identify(&senders, "reader"), Err(Refused::NoRight));
        let wrong = Refused::Unidentified(Unidentified::WrongToken);
        assert_eq!(identify(&senders, "x"), Err(wrong));
        assert_eq!(identify(&Senders::default(), "x"), Ok(None));
    }

    #[test]
    fn rights_are_by_destination_and_the_source_may_be_bound() {
        let mut senders = senders();
        let mut directory = Directory::new(["table1", "bar"], true, 10);
        for _ in 0..2 {
            for (sender, source, destination, may) in [
                (0, "any", "table1", Ok(())),
                (0, "any", "bar", Err(ForbiddenField::DestinationId)),
                (0, "any", "table2", Ok(())),
                (0, "any", "cellar", Err(ForbiddenField::DestinationId)),
                (1, "server1", "bar", Ok(())),
                (1, "server2", "bar", Err(ForbiddenField::SourceServerId)),
            ] {
                assert_eq!(
                    senders.let_send(sender, source, destination, &mut directory),
                    may,
                    "{source} to {destination}"
                );
            }
            // Created by somebody else, and the answers stay.
            directory.find_or_create("table2");
            directory.find_or_create("cellar");
        }
    }

    #[test]
    fn an_index_that_becomes_another_destination_s_is_asked_about_anew() {
        let mut senders = senders();
        let mut before = Directory::new(["table1"], false, 1);
        assert_eq!(senders.let_send(0, "s", "table1", &mut before), Ok(()));
        senders.forget(0);
        let mut after = Directory::new(["bar"], false, 1);
        assert!(senders.let_send(0, "s", "bar", &mut after).is_err());
    }
}
