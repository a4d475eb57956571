//! The outputs of the whole daemon, and its pause.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{Next, Source, SourceError, SourceInfo, SourceStats};
use palmd::control::Control;
use palmd::daemon::{self, Classify, Options, Stations};
use palmd::gesture::{Classifier, Event, HandPhase, RecognizerParams};
use palmd::health::{CameraState, Metrics, Status};
use palmd::pose::{PoseParams, PoseTracker};
use palmd::publish::{Feed, Output, Work};
use palmd::window::{Grid, GridParams};

#[test]
fn events_reach_a_reader_of_the_socket_and_a_signal_takes_it_away() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("events.sock");
    let config = folder.path().join("palmd.toml");
    let status_socket = folder.path().join("status.sock");
    let text = format!(
        "outputs.stdout.enabled = false\noutputs.socket.path = {socket:?}\n\
         outputs.status.path = {status_socket:?}\n"
    );
    std::fs::write(&config, text).expect("a file");
    let mut palmd = super::palmd()
        .args([
            "run",
            "--source",
            &super::watched("repeat 100 { open-palm 1s; hide 1s }"),
            "--config",
        ])
        .arg(&config)
        .stdout(Stdio::piped())
        .spawn()
        .expect("palmd runs");
    let reader = loop {
        match UnixStream::connect(&socket) {
            Ok(reader) => break reader,
            Err(_) if palmd.try_wait().expect("its state").is_none() => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    };
    let mut lines = BufReader::new(reader).lines();
    let line = lines.next().expect("an event").expect("text");
    assert!(line.starts_with(r#"{"type":""#), "{line}");
    let status = |options: &[&str]| {
        let mut status = super::palmd();
        let asked = status
            .arg("status")
            .args(options)
            .arg("--config")
            .arg(&config);
        asked.output().expect("palmd runs")
    };
    // It is told at most a second later that frames come.
    let json = loop {
        let said = status(&["--json"]).stdout;
        let json: Status = serde_json::from_slice(&said).expect("a status");
        if json.camera.state != CameraState::Opening {
            break json;
        }
    };
    let names: Vec<_> = json.outputs.iter().map(|o| &o.name).collect();
    assert_eq!(names, ["socket", "status"]);
    assert_eq!(json.camera.state, CameraState::Streaming);
    let text = String::from_utf8(status(&[]).stdout).expect("text");
    assert!(text.contains("\nsocket    ok: listening on "), "{text}");
    let killed = Command::new("kill").arg(palmd.id().to_string()).status();
    assert!(killed.expect("kill runs").success());
    // What is still to be said is said, and then it is the end.
    let last = lines.map(|line| line.expect("text")).last();
    assert!(last.is_none_or(|line| line.contains("\"leave\"")));
    let done = palmd.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{}", done.status);
    assert!(done.stdout.is_empty());
    assert!(!socket.exists() && !status_socket.exists());
    let gone = status(&[]);
    let said = String::from_utf8_lossy(&gone.stderr);
    assert_eq!(gone.status.code(), Some(69), "{said}");
    assert!(
        said.contains("status.sock: no palmd answers there"),
        "{said}"
    );
}

/// The synthetic hand as a camera that counts how often it is closed.
struct Closable {
    hand: Synthetic,
    closed: Arc<AtomicU32>,
}

impl Source for Closable {
    fn next_frame(&mut self, timeout: Duration) -> Result<Next<'_>, SourceError> {
        self.hand.next_frame(timeout)
    }

    fn close(&mut self) {
        self.closed.fetch_add(1, SeqCst);
    }

    fn info(&self) -> SourceInfo {
        self.hand.info()
    }

    fn stats(&self) -> SourceStats {
        self.hand.stats()
    }
}

/// Pauses when a hand appears, goes on when the status says that the camera is closed, and stops
/// when a hand appears again.
struct Pauses;

impl Output for Pauses {
    fn name(&self) -> &'static str {
        "pauses"
    }

    fn check(&self) -> Result<String, String> {
        Ok("always works".into())
    }

    fn run(self: Box<Self>, mut feed: Feed) -> Work {
        Box::pin(async move {
            appears(&mut feed).await;
            feed.control.pause(true);
            let closed = feed.status.wait_for(|status| {
                status.paused && status.camera.state == CameraState::Closed && status.hands == 0
            });
            assert!(closed.await.is_ok());
            feed.control.pause(false);
            appears(&mut feed).await;
            feed.control.stop();
        })
    }
}

async fn appears(feed: &mut Feed) {
    while let Some(event) = feed.next().await {
        if matches!(&event.event, Event::Hand(hand) if hand.phase == HandPhase::Appear) {
            return;
        }
    }
}

#[test]
fn a_pause_closes_the_camera_and_lets_the_hand_leave() {
    let Some(models) = super::hand_models_folder() else {
        return;
    };
    let closed = Arc::<AtomicU32>::default();
    let script = Script::parse("size 320x240; fist 1h").expect("a script");
    let gestures = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/gestures.onnx");
    let stations = Stations {
        source: Box::new(Closable {
            hand: Synthetic::new(script),
            closed: Arc::clone(&closed),
        }),
        tracker: PoseTracker::load(&models, PoseParams::default()).expect("the hand models"),
        grid: Grid::new(GridParams::default()),
        scorer: Classifier::load(&gestures, None).expect("the classifier"),
    };
    let options = Options {
        classify: Classify::Aside,
        recognizer: RecognizerParams::default(),
        summary_interval: Duration::from_secs(3600),
    };
    let mut hands = Vec::new();
    daemon::run(
        stations,
        &options,
        vec![Box::new(Pauses)],
        &Arc::new(Metrics::default()),
        &Arc::new(Control::default()),
        |event| {
            if let Event::Hand(hand) = event {
                hands.push(hand.phase);
            }
        },
    )
    .expect("the daemon");
    use HandPhase::{Appear, Leave};
    assert_eq!(hands, [Appear, Leave, Appear, Leave]);
    assert_eq!(closed.load(SeqCst), 1);
}

#[test]
fn check_tells_what_is_wrong_with_an_output() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("palmd.toml");
    // A file that is no socket.
    let text = format!(
        "outputs.socket.path = {config:?}\noutputs.status.path = {:?}\n",
        folder.path().join("status.sock")
    );
    std::fs::write(&config, text).expect("a file");
    let done = super::palmd()
        .args(["check", "--source", "synthetic:fist 1s", "--config"])
        .arg(&config)
        .output()
        .expect("palmd runs");
    let said = String::from_utf8(done.stdout).expect("text");
    assert_eq!(done.status.code(), Some(69), "{said}");
    let line = |what: &str| said.lines().find(|l| l.contains(what)).expect("a line");
    assert!(
        line(" socket ").contains("exists and is no socket: remove it"),
        "{said}"
    );
    assert!(
        line(" stdout ").starts_with("ok") && line(" status ").starts_with("ok"),
        "{said}"
    );
}
