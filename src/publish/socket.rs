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

use super::unix::{self, ACCEPT_PAUSE, has_hung_up};
use super::{Events, Feed, Output, OutputState, Received, Work};

/// A reader that takes nothing for so long is cut.
const SLOW: Duration = Duration::from_secs(1);

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
        let Some(listener) = unix::listen(&self.path, self.mode, &mut feed).await else {
            return;
        };
        let mut readers = JoinSet::new();
        loop {
            feed.state.set_readers(readers.len());
            tokio::select! {
                client = listener.accept() => match client {
                    Ok(stream) if readers.len() < self.max_readers => {
                        let events = feed.events.again();
                        readers.spawn(serve(stream, events, Arc::clone(&feed.state)));
                    }
                    Ok(_) => feed.state.cut(),
                    Err(_) => sleep(ACCEPT_PAUSE).await,
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
