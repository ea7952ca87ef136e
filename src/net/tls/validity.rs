//! From when to when certificates are valid. Values only, but for the files that `engine::tls` reads.
//!
//! rustls holds a peer's certificate against the clock and takes its own as it is: so an engine would
//! show one that no peer believes.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::limits::CERTIFICATE_ENDS_SOON;

/// From when to when a certificate is valid, with those that lead to its authority; in seconds since the
/// epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// What is wrong with a certificate at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Peers do not believe it any more.
    Ended,
    /// Peers do not believe it yet.
    NotBegun,
    EndsSoon,
}

impl Validity {
    /// The time in which all of them are valid; `None`: none says when.
    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let each = chain.iter().filter_map(|it| {
            let it = Certificate::from_der(it).ok()?.tbs_certificate.validity;
            Some(Self {
                begin: it.not_before.to_unix_duration().as_secs(),
                end: it.not_after.to_unix_duration().as_secs(),
            })
        });
        each.reduce(|one, other| Self {
            begin: one.begin.max(other.begin),
            end: one.end.min(other.end),
        })
    }

    /// What is wrong at this second since the epoch.
    pub(crate) fn trouble(self, now: u64) -> Option<Trouble> {
        if now > self.end {
            return Some(Trouble::Ended);
        }
        if now < self.begin {
            return Some(Trouble::NotBegun);
        }
        (self.end - now < CERTIFICATE_ENDS_SOON.as_secs()).then_some(Trouble::EndsSoon)
    }

    /// The same in words; `None`: all is well.
    pub(crate) fn words(self, now: u64) -> Option<String> {
        let (begin, end) = (time(self.begin), time(self.end));
        Some(match self.trouble(now)? {
            Trouble::Ended => format!(
                "its time was over at {end}, and no peer that looks believes it: renew it, then \
                 flipped-lb reload"
            ),
            Trouble::NotBegun => format!(
                "its time begins at {begin}, and no peer that looks believes it before: is this \
                 machine's clock right?"
            ),
            Trouble::EndsSoon => {
                let days = (self.end - now) / 86_400;
                format!(
                    "its time is over at {end}, in {days} days: renew it, then flipped-lb reload"
                )
            }
        })
    }

    /// `valid to TIME`.
    pub(crate) fn end_words(self) -> String {
        format!("valid to {}", time(self.end))
    }
}

fn time(seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_well_between_its_begin_and_a_fortnight_before_its_end() {
        let soon = CERTIFICATE_ENDS_SOON.as_secs();
        let validity = Validity {
            begin: 1_000,
            end: 1_000_000_000,
        };
        for (now, trouble) in [
            (0, Some(Trouble::NotBegun)),
            (999, Some(Trouble::NotBegun)),
            (1_000, None),
            (1_000_000_000 - soon, None),
            (1_000_000_001 - soon, Some(Trouble::EndsSoon)),
            (1_000_000_000, Some(Trouble::EndsSoon)),
            (1_000_000_001, Some(Trouble::Ended)),
            (u64::MAX, Some(Trouble::Ended)),
        ] {
            assert_eq!(validity.trouble(now), trouble, "{now}");
            assert_eq!(validity.words(now).is_some(), trouble.is_some());
        }
        let far = Validity {
            begin: 0,
            end: u64::MAX,
        };
        assert!(far.end_words().starts_with("valid to 9999-"));
    }

    #[test]
    fn no_bytes_are_a_certificate_without_a_time() {
        assert_eq!(Validity::of(&[CertificateDer::from(vec![0x30, 0])]), None);
        assert_eq!(Validity::of(&[]), None);
    }
}
