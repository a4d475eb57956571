//! Events on a Unix socket: NDJSON to any reader that connects.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::unix::{self, Listener, has_hung_up};
use super::{BackOff, Events, Feed, Output, OutputState, Received, Work};

/// A reader that takes nothing for so long is cut.
const SLOW: Duration = Duration::from_secs(1);

/// A pause after a client that could not be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// `[outputs.socket]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SocketParams {
    /// Whether there is a socket.
    pub enabled: bool,
    /// Where; empty is `events.sock` in the folder that systemd made for palmd
    /// (`$RUNTIME_DIRECTORY`), and no socket where it made none.
    pub path: PathBuf,
    /// Readers that may be connected at once.
    pub max_readers: usize,
    /// Permissions of the socket's file; connecting needs leave to write.
    pub mode: Mode,
}

impl Default for SocketParams {
    fn default() -> Self {
        Self {
            enabled: true,
            path: PathBuf::new(),
            max_readers: 16,
            mode: Mode(0o666),
        }
    }
}

/// Permissions of a file, as `"0666"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(pub u32);

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Self(mode)),
            _ => Err(format!(
                "{text:?} is no file mode; write it in octal, such as \"0660\""
            )),
        }
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:04o}", mode.0)
    }
}

/// The folder that systemd made for palmd, if any.
fn runtime_folder() -> Option<PathBuf> {
    let folders = std::env::var_os("RUNTIME_DIRECTORY")?;
    std::env::split_paths(&folders)
        .next()
        .filter(|folder| folder.is_absolute())
}

/// The path of a socket: the configured one, or `name` in the folder that systemd made.
#[must_use]
pub fn socket_path(configured: &Path, name: &str) -> Option<PathBuf> {
    if configured == Path::new("") {
        runtime_folder().map(|folder| folder.join(name))
    } else {
        Some(configured.into())
    }
}

/// A Unix socket that gives every event to every reader.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    mode: u32,
    max_readers: usize,
}

impl Socket {
    /// The socket that is configured, if any.
    #[must_use]
    pub fn new(params: &SocketParams) -> Option<Self> {
        let path = socket_path(&params.path, "events.sock").filter(|_| params.enabled)?;
        Some(Self {
            path,
            mode: params.mode.0,
            max_readers: params.max_readers,
        })
    }

    async fn work(&self, mut feed: Feed) {
        let mut back_off = BackOff::default();
        let listener = loop {
            match Listener::bind(&self.path, self.mode) {
                Ok(listener) => break listener,
                Err(error) => feed.state.fails(error),
            }
            let end = async {
                while feed.next().await.is_some() {
                    feed.state.dropped(1)
                }
            };
            if timeout(back_off.pause(), end).await.is_ok() {
                return;
            }
            feed.state.reconnects();
        };
        let words = format!("listening on {}", self.path.display());
        feed.state.works(&words);
        let mut readers = JoinSet::new();
        loop {
            feed.state.set_readers(readers.len());
            tokio::select! {
                client = listener.accept() => match client {
                    Ok(stream) if readers.len() < self.max_readers => {
                        let events = feed.events.again();
                        readers.spawn(serve(stream, events, Arc::clone(&feed.state)));
                        feed.state.works(&words);
                    }
                    Ok(_) => feed.state.cut(),
                    Err(error) => {
                        feed.state.fails(format_args!("{}: {error}", self.path.display()));
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = readers.join_next() => {}
                // Its own place on the way of the events is only for the end.
                received = feed.events.receive() => if matches!(received, Received::End) {
                    break;
                },
            }
        }
        while readers.join_next().await.is_some() {}
    }
}

impl Output for Socket {
    fn name(&self) -> &'static str {
        "socket"
    }

    fn check(&self) -> Result<String, String> {
        unix::check(&self.path).map_err(|e| e.to_string())?;
        Ok(format!("{} can be made", self.path.display()))
    }

    fn run(self: Box<Self>, feed: Feed) -> Work {
        Box::pin(async move { self.work(feed).await })
    }
}

/// Writes events to a reader until there are no more or it goes away; if it doesn't keep up, it is
/// cut. Nothing is ever read from it.
async fn serve(mut stream: UnixStream, mut events: Events, state: Arc<OutputState>) {
    let mut watched = true;
    loop {
        tokio::select! {
            () = closed(&stream), if watched => {
                // A reader may close its own way of talking and still listen.
                watched = false;
                if has_hung_up(&stream) {
                    return;
                }
            }
            received = events.receive() => match received {
                Received::Event(event) => {
                    let line = event.line().as_bytes();
                    match timeout(SLOW, stream.write_all(line)).await {
                        Ok(Ok(())) => state.sent(&event),
                        Ok(Err(_)) => return,
                        Err(_) => {
                            state.dropped(1);
                            return state.cut();
                        }
                    }
                }
                Received::Missed(missed) => {
                    state.dropped(missed);
                    return state.cut();
                }
                Received::End => return,
            }
        }
    }
}

/// Returns when the other side won't write any more; what it writes is let lie.
async fn closed(stream: &UnixStream) {
    while let Ok(ready) = stream.ready(Interest::READABLE).await {
        if ready.is_read_closed() {
            return;
        }
        // Readable: wait for the next change.
        let _ = stream.try_io(Interest::READABLE, || -> io::Result<()> {
            Err(io::ErrorKind::WouldBlock.into())
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net;

    use super::*;
    use crate::control::Control;
    use crate::gesture::{CameraEvent, CameraPhase, Event};
    use crate::health::Metrics;
    use crate::publish::{Condition, Decided, OutputStatus, Publisher, live};

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
            assert_eq!(all_lines(connect()), 0);
            until(&publisher, |s| s.cut == 1).await;
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
}
