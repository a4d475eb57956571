//! A signal ends the daemon cleanly, and so does a reader of events that goes away.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs a script that would take minutes at its own pace and returns after its first event.
fn started() -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    let mut palmd = super::palmd()
        .args(["run", "--source", &super::watched("wait 300s")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("palmd runs");
    let mut events = BufReader::new(palmd.stdout.take().expect("its output"));
    let mut line = String::new();
    events.read_line(&mut line).expect("a line");
    assert!(line.contains("\"appear\""), "{line}");
    (palmd, events)
}

#[test]
fn a_signal_ends_it_after_the_hand_has_left() {
    if super::hand_models_folder().is_none() {
        return;
    }
    for signal in ["-TERM", "-INT"] {
        let (mut palmd, events) = started();
        let killed = Command::new("kill")
            .args([signal, &palmd.id().to_string()])
            .status();
        assert!(killed.expect("kill runs").success());
        let rest: Vec<_> = events.lines().map(|line| line.expect("a line")).collect();
        let status = palmd.wait().expect("it ends");
        assert!(status.success(), "{signal}: {status}");
        let last = rest.last().expect("a last event");
        assert!(last.contains("\"leave\""), "{signal}: {last}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_without_a_complaint() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let mut palmd = super::palmd()
        .args([
            "run",
            "--fast",
            "--source",
            "synthetic:repeat 100 { open-palm 1s; hide 1s }",
        ])
        .env("RUST_LOG", "palmd=warn")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("palmd runs");
    drop(palmd.stdout.take());
    let done = palmd.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{}", done.status);
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}
