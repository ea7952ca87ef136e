//! Progress, to the screen: standard error, so that the result alone is on standard output.

pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
