//! Why a handshake has failed: what counts it.

use std::io;

use rustls::{AlertDescription, Error};

use crate::counters::{Counter, Counters};

/// Why a handshake has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsFailure {
    /// It took too long.
    Timeout,
    /// The peer speaks something else.
    Plain,
    /// A certificate is missing, or one side does not trust the other's.
    Certificate,
    /// The peer broke it off, or the two have no version or cipher in common.
    Other,
}

/// The peer begins with something else.
#[derive(Debug, thiserror::Error)]
#[error("the peer does not speak TLS")]
struct NotSpoken;

/// A server that was dialled does not let the engine in, whatever the handshake has come to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLetIn {
    #[error(
        "the server asks for a certificate, and the engine has none to show: set tls_cert and tls_key \
         of this [[source]]"
    )]
    NoCertificate,
    #[error(
        "the server does not take the engine's certificate (alert {0:?}): see tls_cert and tls_key of \
         this [[source]], and which authority the server trusts"
    )]
    Refused(AlertDescription),
}

impl NotLetIn {
    /// Why a server has ended a session by this error; `None`: not for the engine's certificate.
    /// `is_asked`: it wants one, and there is none to show; `None`: one is shown.
    pub(super) fn of(error: &Error, is_asked: Option<bool>) -> Option<Self> {
        let Error::AlertReceived(alert) = error else {
            return None;
        };
        let is_of_certificate = is_of_certificate(*alert);
        match is_asked {
            // TLS 1.2 has no alert of its own for one that is missing.
            Some(true) if is_of_certificate || *alert == AlertDescription::HandshakeFailure => {
                Some(Self::NoCertificate)
            }
            None if is_of_certificate => Some(Self::Refused(*alert)),
            _ => None,
        }
    }

    /// Whether an error is one of these.
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|it| it.is::<Self>())
    }
}

/// The error for a peer that begins with something else.
pub(crate) fn not_spoken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, NotSpoken)
}

/// The error for a peer whose handshake takes too long.
pub(crate) fn too_long() -> io::Error {
    let words = "the handshake was not over in time";
    io::Error::new(io::ErrorKind::TimedOut, words)
}

impl TlsFailure {
    pub(crate) fn of(error: &io::Error) -> Self {
        let cause = error.get_ref();
        if error.kind() == io::ErrorKind::TimedOut {
            return Self::Timeout;
        }
        if cause.is_some_and(|it| it.is::<NotSpoken>()) {
            return Self::Plain;
        }
        if NotLetIn::is(error) {
            return Self::Certificate;
        }
        match cause.and_then(|it| it.downcast_ref()) {
            Some(Error::InvalidMessage(_)) => Self::Plain,
            Some(Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => {
                Self::Certificate
            }
            Some(Error::AlertReceived(alert)) if is_of_certificate(*alert) => Self::Certificate,
            _ => Self::Other,
        }
    }

    /// Counts it, by its reason too.
    pub(crate) fn count(self, counters: &Counters) {
        counters.add(Counter::TlsFailures, 1);
        let of_reason = match self {
            Self::Timeout => Counter::TlsFailuresTimeout,
            Self::Plain => Counter::TlsFailuresPlain,
            Self::Certificate => Counter::TlsFailuresCertificate,
            Self::Other => return,
        };
        counters.add(of_reason, 1);
    }
}

/// Whether the peer says by this that it does not trust a certificate, or wants one.
fn is_of_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Error as IoError, ErrorKind};

    use rustls::{CertificateError, InvalidMessage};

    use super::*;

    #[test]
    fn a_failure_is_known_by_its_error() {
        let rustls = |it: Error| IoError::new(ErrorKind::InvalidData, it);
        for (error, expected) in [
            (too_long(), TlsFailure::Timeout),
            (not_spoken(), TlsFailure::Plain),
            (
                rustls(InvalidMessage::InvalidContentType.into()),
                TlsFailure::Plain,
            ),
            (
                rustls(CertificateError::Expired.into()),
                TlsFailure::Certificate,
            ),
            (
                rustls(Error::NoCertificatesPresented),
                TlsFailure::Certificate,
            ),
            (
                rustls(Error::AlertReceived(AlertDescription::UnknownCA)),
                TlsFailure::Certificate,
            ),
            (
                rustls(Error::AlertReceived(AlertDescription::ProtocolVersion)),
                TlsFailure::Other,
            ),
            (
                IoError::new(ErrorKind::InvalidData, NotLetIn::NoCertificate),
                TlsFailure::Certificate,
            ),
            (ErrorKind::UnexpectedEof.into(), TlsFailure::Other),
        ] {
            assert_eq!(TlsFailure::of(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_server_that_wants_a_certificate_is_told_from_one_that_does_not_take_it() {
        let alert = |it| NotLetIn::of(&Error::AlertReceived(it), Some(true));
        for it in [
            AlertDescription::CertificateRequired,
            AlertDescription::BadCertificate,
            AlertDescription::HandshakeFailure,
        ] {
            assert!(matches!(alert(it), Some(NotLetIn::NoCertificate)), "{it:?}");
        }
        assert!(alert(AlertDescription::ProtocolVersion).is_none());
        let unknown = Error::AlertReceived(AlertDescription::UnknownCA);
        assert!(NotLetIn::of(&unknown, Some(false)).is_none());
        let refused = NotLetIn::of(&unknown, None);
        assert!(matches!(refused, Some(NotLetIn::Refused(_))));
        let failed = Error::AlertReceived(AlertDescription::HandshakeFailure);
        assert!(NotLetIn::of(&failed, None).is_none());
        assert!(NotLetIn::of(&Error::NoCertificatesPresented, Some(true)).is_none());
    }
}
