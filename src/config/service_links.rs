//! Variables that Kubernetes puts into every container of a namespace for a Service whose name begins
//! with `flipped-lb`: they look like settings, and are none.
//!
//! ```text
//! FLIPPED_LB_SERVICE_HOST=10.96.0.7            FLIPPED_LB_PORT=tcp://10.96.0.7:9000
//! FLIPPED_LB_SERVICE_PORT=9000                 FLIPPED_LB_PORT_9000_TCP=tcp://10.96.0.7:9000
//! FLIPPED_LB_SERVICE_PORT_SUBSCRIBERS=9000     FLIPPED_LB_PORT_9000_TCP_{PROTO,PORT,ADDR}=...
//! ```
//!
//! A Service `flipped-lb-admin` has the same with `FLIPPED_LB_ADMIN_` before them. Asked by
//! `environment` for names that are no setting's; anything else stays an error.

/// As Kubernetes names them.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether a variable is one of them, by its name behind `FLIPPED_LB_`.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    // The Service's name may have more words; each of these suffixes may begin the rest.
    let words: Vec<&str> = name.split('_').collect();
    (0..words.len()).any(|at| is_suffix(&words[at..], value))
}

fn is_suffix(words: &[&str], value: &str) -> bool {
    match words {
        ["SERVICE", "HOST"] | ["SERVICE", "PORT"] => true,
        ["SERVICE", "PORT", name @ ..] => name.iter().all(|it| !it.is_empty()),
        // A port that is set by hand is a number: an error.
        ["PORT"] => is_address(value),
        ["PORT", number, protocol, rest @ ..] => {
            let is_part = matches!(rest, [] | ["PROTO" | "PORT" | "ADDR"]);
            is_part && number.parse::<u16>().is_ok() && PROTOCOLS.contains(protocol)
        }
        _ => false,
    }
}

/// `tcp://10.96.0.7:9000`
fn is_address(value: &str) -> bool {
    let Some((protocol, rest)) = value.split_once("://") else {
        return false;
    };
    let is_known = PROTOCOLS.iter().any(|it| it.eq_ignore_ascii_case(protocol));
    is_known
        && rest
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::environment::{PREFIX, all};
    use super::*;

    const ADDRESS: &str = "tcp://10.96.0.7:9000";

    #[test]
    fn the_variables_of_a_service_are_known_by_their_names() {
        for name in [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_SUBSCRIBERS",
            "SERVICE_PORT_TLS_IN",
            "PORT",
            "PORT_9000_TCP",
            "PORT_9000_TCP_PROTO",
            "PORT_9000_TCP_PORT",
            "PORT_9000_TCP_ADDR",
            "PORT_53_UDP",
            "PORT_36412_SCTP_ADDR",
        ] {
            for service in ["", "ADMIN_", "EAST_SIDE_"] {
                let name = format!("{service}{name}");
                assert!(is_service_link(&name, ADDRESS), "{name}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for (name, value) in [
            ("PORT", "9000"),
            ("PORT", "tcp://nowhere"),
            ("PORT", "http://10.96.0.7:9000"),
            ("PORTS", ADDRESS),
            ("SERVICE", ADDRESS),
            ("SERVICE_HOSTS", ADDRESS),
            ("SERVICE_PORT_", ADDRESS),
            ("PORT_9000", ADDRESS),
            ("PORT_X_TCP", ADDRESS),
            ("PORT_9000_ICMP", ADDRESS),
            ("PORT_9000_TCP_NAME", ADDRESS),
            ("PORT_90000_TCP", ADDRESS),
            ("DURABILTY", "synced"),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }

    #[test]
    fn no_setting_is_taken_for_one() {
        for (variable, ..) in all() {
            let name = &variable[PREFIX.len()..];
            assert!(!is_service_link(name, ADDRESS), "{variable}");
        }
    }
}
