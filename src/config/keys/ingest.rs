//! The keys of `[ingest]`.

use std::time::Duration;

use crate::config::key::{
    Section, key, max_connections, max_connections_per_address, set, tls, tls_file,
};
use crate::config::{KeptWhenFull, LineParser};
use crate::limits;

const MILLI: Duration = Duration::from_millis(1);

pub(super) const INGEST: Section = Section {
    name: "ingest",
    meaning: "How frames come in.",
    keys: &[
        key(
            "max_line",
            "\"64KiB\"",
            "The longest line, in bytes without its newline, 1KiB to 64KiB; longer ones are \
             rejected as oversize.",
            |c, v| {
                let (min, max) = (limits::LINE_LEN_MAX_FLOOR, limits::LINE_LEN_MAX);
                let size = v.size(min as u64, max as u64).map_err(|why| {
                    format!("{why}; the journal's offsets into a frame are 16 bits wide")
                })?;
                set(&mut c.ingest.max_line, size as usize)
            },
        ),
        key(
            "listen",
            "\"none\"",
            "Where producers may dial in and send the same lines, such as \"127.0.0.1:9001\"; \
             none: they may not.",
            |c, v| set(&mut c.ingest.listen, v.listen()?),
        ),
        key(
            "rejected_max_bytes",
            "\"64MiB\"",
            "rejected.ndjson is rotated when it grows past this size.",
            |c, v| {
                let (min, max) = (
                    limits::REJECTED_LEN_MAX_FLOOR,
                    limits::REJECTED_LEN_MAX_CEILING,
                );
                set(&mut c.ingest.rejected_max_bytes, v.size(min, max)?)
            },
        ),
        key(
            "rejected_max_total",
            "\"1GiB\"",
            "All files of rejected lines together are no larger than this; each is rotated at a \
             quarter of it at the latest.",
            |c, v| {
                let (min, max) = (
                    limits::REJECTED_TOTAL_MAX_FLOOR,
                    limits::REJECTED_TOTAL_MAX_CEILING,
                );
                set(&mut c.ingest.rejected_max_total, v.size(min, max)?)
            },
        ),
        key(
            "rejected_when_full",
            "\"hold\"",
            "What happens at rejected_max_total. hold: a source waits at its next wrong line \
             until files are moved away, and no other source does; drop_oldest: the oldest file \
             is removed, and its lines are counted.",
            |c, v| {
                let choices = [
                    ("hold", KeptWhenFull::Hold),
                    ("drop_oldest", KeptWhenFull::DropOldest),
                ];
                set(&mut c.ingest.rejected_when_full, v.choice(&choices)?)
            },
        ),
        max_connections!(ingest, "4096", "producers"),
        max_connections_per_address!(ingest),
        tls!(ingest),
        tls_file!(ingest, cert, "tls_cert", "cert"),
        tls_file!(ingest, key, "tls_key", "key"),
        tls_file!(ingest, client_ca, "tls_client_ca", "client_ca"),
        key(
            "greeting_timeout",
            "\"30s\"",
            "When max_connections producers are connected, those that have sent no line for this \
             long are closed to make room.",
            |c, v| {
                let timeout = v.duration(MILLI, limits::WAIT_MAX)?;
                set(&mut c.ingest.greeting_timeout, timeout)
            },
        ),
        key(
            "idle_timeout",
            "\"0s\"",
            "A producer that has sent nothing for this long is closed; 0s: it may be silent.",
            |c, v| {
                let timeout = v.duration(Duration::ZERO, limits::WAIT_MAX)?;
                set(&mut c.ingest.idle_timeout, timeout)
            },
        ),
        key(
            "max_rate",
            "\"none\"",
            "How much one producer may send in a second, in lines or bytes, such as \"5000/s\" or \
             \"10MiB/s\", or both in a list; what is more waits in its socket. none: any number.",
            |c, v| set(&mut c.ingest.max_rate, v.rate()?),
        ),
        key(
            "parser",
            "\"auto\"",
            "auto: a fast path parses lines of a shape that simd-json has accepted before, where the \
             processor has AVX2, and simd-json all others; or simd-json: it parses all.",
            |c, v| {
                let choices = [
                    ("auto", LineParser::Auto),
                    ("simd-json", LineParser::SimdJson),
                ];
                set(&mut c.ingest.parser, v.choice(&choices)?)
            },
        ),
    ],
};
