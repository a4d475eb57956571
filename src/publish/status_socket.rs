//! How the daemon is doing, on a Unix socket: one line of JSON to each client.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::unix::{self, ACCEPT_PAUSE};
use super::{Feed, Mode, Output, Received, Work, socket_path};
use crate::health::Status;

/// Clients that are answered at once.
const MOST_CLIENTS: usize = 16;

/// A client that doesn't take its answer in so long gets none.
const PATIENCE: Duration = Duration::from_secs(1);

/// `[outputs.status]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct StatusSocketParams {
    /// Whether there is a socket.
    pub enabled: bool,
    /// Where; empty is `status.sock` in the folder that systemd made for palmd
    /// (`$RUNTIME_DIRECTORY`), and no socket where it made none.
    pub path: PathBuf,
    /// Permissions of the socket's file; asking needs leave to write.
    pub mode: Mode,
}

impl Default for StatusSocketParams {
    fn default() -> Self {
        Self {
            enabled: true,
            path: PathBuf::new(),
            mode: Mode(0o666),
        }
    }
}

/// A Unix socket that tells each client the [`Status`] and closes. It never reads from them.
#[derive(Debug)]
pub struct StatusSocket {
    path: PathBuf,
    mode: Mode,
}

impl StatusSocket {
    /// The socket that is configured, if any.
    #[must_use]
    pub fn new(params: &StatusSocketParams) -> Option<Self> {
        let path = socket_path(&params.path, "status.sock").filter(|_| params.enabled)?;
        Some(Self {
            path,
            mode: params.mode,
        })
    }

    async fn work(&self, mut feed: Feed) {
        let Some(listener) = unix::listen(&self.path, self.mode.0, &mut feed).await else {
            return;
        };
        let mut clients = JoinSet::new();
        loop {
            feed.state.set_readers(clients.len());
            tokio::select! {
                client = listener.accept() => match client {
                    Ok(stream) if clients.len() < MOST_CLIENTS => {
                        let status = Arc::clone(&feed.status.borrow());
                        clients.spawn(answer(stream, status));
                    }
                    Ok(_) => feed.state.cut(),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = clients.join_next() => {}
                received = feed.events.receive() => if matches!(received, Received::End) {
                    return;
                },
            }
        }
    }
}

async fn answer(mut stream: UnixStream, status: Arc<Status>) {
    if let Ok(mut line) = serde_json::to_vec(&*status) {
        line.push(b'\n');
        // A client that has gone away wants no answer.
        let _ = timeout(PATIENCE, stream.write_all(&line)).await;
    }
}

impl Output for StatusSocket {
    fn name(&self) -> &'static str {
        "status"
    }

    fn check(&self) -> Result<String, String> {
        unix::check(&self.path).map_err(|e| e.to_string())?;
        Ok(format!("{} can be made", self.path.display()))
    }

    fn run(self: Box<Self>, feed: Feed) -> Work {
        Box::pin(async move { self.work(feed).await })
    }
}
