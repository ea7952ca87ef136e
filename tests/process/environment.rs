//! Signals and environment.

use super::*;

#[test]
fn signals_that_mean_nothing_are_said_once_and_do_no_harm() {
    let engine = Engine::start(&settings(""));
    for name in [
        "USR1", "USR1", "USR2", "ALRM", "PIPE", "VTALRM", "PROF", "IO",
    ] {
        engine.signal(name);
    }
    until("it is said", || engine.log().contains("SIGIO"));
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let mut producer = TcpStream::connect(engine.ingest.expect("it is set")).expect("it listens");
    writeln!(producer, "{}", frame("m", "table1", 1)).expect("it reads");
    assert!(subscriber.frame().is_some());
    assert_eq!(
        engine.log().matches("SIGUSR1").count(),
        1,
        "{}",
        engine.log()
    );
    assert_eq!(engine.stop().code, Some(0));
}

/// The thread of its log is the first one that it starts: before its settings are read, and before it watches
/// for signals.
#[test]
fn a_signal_that_means_nothing_does_no_harm_in_the_first_moments() {
    for name in ["HUP", "USR1"] {
        let inject = format!("inject=clone,clone3:signal={name}:when=1");
        let traced = Command::new("strace")
            .args(["-qq", "-o", "/dev/null", "-e", &inject])
            .args([ENGINE, "run", "--config", "/no/such/file"])
            .output();
        let output = traced.expect("test.sh installs strace");
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("ptrace") {
            return println!("passed over: strace may not trace here");
        }
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains("there is no such file"), "{said}");
    }
}

#[test]
fn variables_that_kubernetes_sets_are_passed_over_and_said_once() {
    let mut command = Command::new(ENGINE);
    command
        .env("FLIPPED_LB_PORT", "tcp://10.96.0.7:9000")
        .env("FLIPPED_LB_SERVICE_HOST", "10.96.0.7")
        .env("FLIPPED_LB_ADMIN_SERVICE_PORT_HTTP", "9100");
    let ended = Engine::start_by(command, Arc::new(home()), &settings("")).stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(ended.log.matches("Kubernetes").count(), 1, "{}", ended.log);
    assert!(
        ended
            .log
            .contains("FLIPPED_LB_ADMIN_SERVICE_PORT_HTTP, FLIPPED_LB_PORT")
    );
}
