//! Panics.

use super::*;

/// No test by itself: the process in which a thread panics.
#[test]
fn a_process_that_panics() {
    if std::env::var_os("FLIPPED_LB_TEST_PANICS").is_none() {
        return;
    }
    flipped_lb::log::stderr().expect("a thread");
    flipped_lb::log::end_on_panic();
    let thread = std::thread::Builder::new().name("path".to_owned());
    let thread = thread.spawn(|| panic!("on\npurpose")).expect("a thread");
    let _ = thread.join();
    // The panic ended its thread only.
    std::process::exit(7);
}

fn panicking(stderr: Stdio) -> Child {
    Command::new(std::env::current_exe().expect("its path"))
        .args(["--exact", "panics::a_process_that_panics", "--nocapture"])
        .env("FLIPPED_LB_TEST_PANICS", "1")
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .expect("it can be started")
}

#[test]
fn a_panic_in_any_thread_ends_the_process_with_its_name_and_place() {
    let mut child = panicking(Stdio::piped());
    assert_eq!(ended(&mut child).code(), Some(101));
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    stderr.read_to_string(&mut said).expect("text");
    let words = "the path thread panicked at tests/process/panics.rs:";
    assert!(
        said.contains(words) && said.contains("on\\npurpose"),
        "{said}"
    );
}

#[test]
fn a_panic_ends_the_process_also_where_nobody_reads_its_last_words() {
    let (_reader, stderr) = full_pipe();
    let mut child = panicking(stdio(stderr));
    assert_eq!(ended(&mut child).code(), Some(101));
}
