//! The Unix socket of events, and that of the status.

use std::future::Future;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use palmd::control::Control;
use palmd::gesture::{CameraEvent, CameraPhase, Event};
use palmd::health::Metrics;
use palmd::publish::{
    Condition, Decided, Mode, Output, OutputStatus, Publisher, Socket, SocketParams, live,
};
use tokio::time::sleep;

/// A socket with two places in a folder of its own.
struct Rig {
    folder: tempfile::TempDir,
    control: Arc<Control>,
}

impl Rig {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            control: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("events.sock")
    }

    /// Runs the output, and beside it `work`.
    fn run<F: Future>(&self, work: impl FnOnce(Publisher) -> F) -> F::Output {
        let socket = Socket::new(&SocketParams {
            path: self.path(),
            max_readers: 2,
            mode: Mode(0o640),
            ..SocketParams::default()
        });
        let socket = Box::new(socket.expect("it is on"));
        let (_, _, live) = live(&[]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let metrics = Arc::<Metrics>::default();
            work(Publisher::start(
                vec![socket],
                &live,
                &metrics,
                &self.control,
            ))
            .await
        })
    }
}

fn publish(publisher: &mut Publisher) {
    publisher.publish(Decided {
        event: Event::Camera(CameraEvent {
            phase: CameraPhase::Found,
            camera: "a camera with a name that is some hundred letters long, as those of \
                     cameras are that sit on a bus behind a hub"
                .into(),
            t: Duration::ZERO,
        }),
        at: Duration::ZERO,
    });
}

/// Waits until the output is as it should be.
async fn until(publisher: &Publisher, so: impl Fn(&OutputStatus) -> bool) -> OutputStatus {
    for _ in 0..5000 {
        let status = publisher.outputs().remove(0);
        if so(&status) {
            return status;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("{:?}", publisher.outputs());
}

async fn works(publisher: &Publisher) {
    until(publisher, |s| s.condition == Condition::Works).await;
}

fn all_lines(mut reader: net::UnixStream) -> usize {
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
    text.lines().count()
}

#[test]
fn every_reader_gets_every_event_and_the_file_goes_at_the_end() {
    let rig = Rig::new();
    let path = rig.path();
    // What a run has left behind that is dead.
    drop(net::UnixListener::bind(&path));
    let readers = rig.run(async |mut publisher| {
        works(&publisher).await;
        let mode = path.metadata().expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let readers = [0, 1].map(|_| net::UnixStream::connect(&path).expect("a place"));
        until(&publisher, |s| s.readers == 2).await;
        for _ in 0..3 {
            publish(&mut publisher);
        }
        publisher.close().await;
        readers
    });
    assert_eq!(readers.map(all_lines), [3, 3]);
    assert!(!path.exists());
}

#[test]
fn a_slow_reader_is_cut_and_the_other_loses_nothing() {
    const EVENTS: usize = 4000;
    let rig = Rig::new();
    rig.run(async |mut publisher| {
        works(&publisher).await;
        let path = rig.path();
        let quick = net::UnixStream::connect(&path).expect("a place");
        let _slow = net::UnixStream::connect(&path).expect("a place");
        let quick = std::thread::spawn(move || all_lines(quick));
        until(&publisher, |s| s.readers == 2).await;
        for i in 1..=EVENTS as u64 {
            publish(&mut publisher);
            if i % 64 == 0 {
                // The quick one takes what there is.
                until(&publisher, |s| s.sent >= i).await;
            }
        }
        let status = until(&publisher, |s| s.readers == 1).await;
        assert_eq!((status.cut, status.condition), (1, Condition::Works));
        assert!(status.dropped > 0, "{status:?}");
        publisher.close().await;
        assert_eq!(quick.join().expect("no panic"), EVENTS);
    });
}

#[test]
fn too_many_are_sent_away_and_who_leaves_makes_room() {
    let rig = Rig::new();
    rig.run(async |publisher| {
        works(&publisher).await;
        let connect = || net::UnixStream::connect(rig.path()).expect("it listens");
        let mut readers = vec![connect(), connect()];
        until(&publisher, |s| s.readers == 2).await;
        let one_too_many = connect();
        until(&publisher, |s| s.cut == 1).await;
        assert_eq!(all_lines(one_too_many), 0);
        // What a reader says is not listened to, and that it won't say more is no end,
        std::io::Write::write_all(&mut readers[0], b"hello").expect("room");
        readers[0]
            .shutdown(std::net::Shutdown::Write)
            .expect("open");
        // but that it goes is.
        readers.pop();
        until(&publisher, |s| s.readers == 1).await;
        readers.push(connect());
        until(&publisher, |s| s.readers == 2).await;
    });
}

#[test]
fn what_is_no_left_over_stays_and_is_said() {
    let rig = Rig::new();
    let path = rig.path();
    let said = |rig: &Rig| {
        rig.run(async |publisher| {
            until(&publisher, |s| s.condition == Condition::Fails)
                .await
                .says
        })
    };
    std::fs::write(&path, "precious").expect("a file");
    let text = said(&rig);
    assert!(
        text.contains("events.sock exists and is no socket"),
        "{text}"
    );
    assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
    std::fs::remove_file(&path).expect("a file");

    let listener = net::UnixListener::bind(&path).expect("a socket");
    let text = said(&rig);
    assert!(text.contains("another program listens on"), "{text}");
    drop(listener);

    let missing = SocketParams {
        path: rig.folder.path().join("no/events.sock"),
        ..SocketParams::default()
    };
    let text = Socket::new(&missing).expect("on").check().unwrap_err();
    assert!(text.contains("the folder doesn't exist"), "{text}");
}

#[test]
fn modes_are_octal() {
    let mode = |text: &str| Mode::try_from(text.to_owned());
    assert_eq!(mode("0660"), Ok(Mode(0o660)));
    assert_eq!(String::from(Mode(0o660)), "0660");
    assert!(mode("rw-rw-rw-").is_err() && mode("01777").is_err());
}
