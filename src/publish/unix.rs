//! A Unix socket that listens at a path.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::{BackOff, Feed};

/// A pause after a client that could not be accepted, mostly for want of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A listening socket whose file goes when it is dropped.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: Option<(u64, u64)>,
}

/// Why there is no socket at a path. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Something else is there.
    #[error("{0} exists and is no socket: remove it, or choose another path")]
    NoSocket(PathBuf),
    /// Somebody listens there.
    #[error("another program listens on {0} already, probably another palmd")]
    InUse(PathBuf),
    /// The system refused.
    #[error("{path}: {error}{hint}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
        /// What to do, or nothing.
        hint: &'static str,
    },
}

impl ListenError {
    fn io(path: &Path, error: io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => ": the folder doesn't exist",
            io::ErrorKind::PermissionDenied => ": choose a folder that palmd may write to",
            _ => "",
        };
        Self::Io {
            path: path.into(),
            error,
            hint,
        }
    }
}

impl Listener {
    /// Listens at `path`, whose file gets the permissions `mode`. The file of a run that is dead
    /// is replaced. Must be called in a runtime.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let error = |error| ListenError::io(path, error);
        if is_left_over(path)? {
            std::fs::remove_file(path).map_err(error)?;
        }
        let listener = UnixListener::bind(path).map_err(error)?;
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).map_err(error)?;
        Ok(Self {
            listener,
            path: path.into(),
            file: file(path),
        })
    }

    /// The next client.
    ///
    /// # Errors
    /// Those of the system, of which most are about the client or pass.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Unless somebody has put another one in its place.
        if self.file.is_some() && file(&self.path) == self.file {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path` for the output of `feed`, however many attempts it takes; `None` when the
/// events end before. Events that come meanwhile are lost, and counted.
pub async fn listen(path: &Path, mode: u32, feed: &mut Feed) -> Option<Listener> {
    let mut back_off = BackOff::default();
    loop {
        match Listener::bind(path, mode) {
            Ok(listener) => {
                let words = format_args!("listening on {}", path.display());
                feed.state.works(words);
                return Some(listener);
            }
            Err(error) => feed.state.fails(error),
        }
        let end = async {
            while feed.next().await.is_some() {
                feed.state.dropped(1);
            }
        };
        if timeout(back_off.pause(), end).await.is_ok() {
            return None;
        }
        feed.state.reconnects();
    }
}

/// Looks whether [`Listener::bind`] could work at `path`, without doing it.
///
/// # Errors
/// [`ListenError`].
pub fn check(path: &Path) -> Result<(), ListenError> {
    is_left_over(path)?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let access = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK);
    access.map_err(|e| ListenError::io(path, e.into()))
}

/// Whether the other side is closed in both directions.
#[must_use]
pub fn has_hung_up(stream: &UnixStream) -> bool {
    let mut asked = libc::pollfd {
        fd: stream.as_raw_fd(),
        events: 0,
        revents: 0,
    };
    // SAFETY: one `pollfd`, which is a place for the answer; the descriptor is open, and with no
    // time to wait the call returns at once.
    let answers = unsafe { libc::poll(&raw mut asked, 1, 0) };
    answers == 1 && asked.revents & libc::POLLHUP != 0
}

/// Whether a socket is at `path` on which nobody listens.
fn is_left_over(path: &Path) -> Result<bool, ListenError> {
    match path.symlink_metadata() {
        Ok(found) if !found.file_type().is_socket() => Err(ListenError::NoSocket(path.into())),
        Ok(_) => match net::UnixStream::connect(path) {
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(ListenError::io(path, e)),
            _ => Err(ListenError::InUse(path.into())),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(ListenError::io(path, e)),
    }
}

fn file(path: &Path) -> Option<(u64, u64)> {
    let found = path.symlink_metadata().ok()?;
    Some((found.dev(), found.ino()))
}
