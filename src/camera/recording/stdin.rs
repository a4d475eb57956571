//! Standard input, read with a time-out.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use super::stream::Input;

/// Longer time-outs are cut to this, which still fits the system call's milliseconds.
const LONGEST_WAIT: Duration = Duration::from_secs(1_000_000);

/// Standard input as bytes that may be long in coming.
pub(super) struct Stdin {
    file: File,
    deadline: Instant,
}

impl Stdin {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self::over(io::stdin().as_fd().try_clone_to_owned()?.into()))
    }

    fn over(file: File) -> Self {
        Self {
            file,
            deadline: Instant::now(),
        }
    }
}

impl Input for Stdin {
    fn set_timeout(&mut self, timeout: Duration) {
        self.deadline = Instant::now() + timeout.min(LONGEST_WAIT);
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = libc::pollfd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let timeout = self.deadline.saturating_duration_since(Instant::now());
        // SAFETY: `ready` is one valid pollfd that outlives the call, and the count says one.
        match unsafe { libc::poll(&raw mut ready, 1, timeout.as_millis() as i32) } {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            ..0 => Err(io::Error::last_os_error()),
            _ => self.file.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn an_empty_pipe_times_out_and_a_closed_one_ends() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut stdin = Stdin::over(std::os::fd::OwnedFd::from(reader).into());
        let mut buffer = [0; 8];
        let error = stdin.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        writer.write_all(b"YUV").unwrap();
        assert_eq!(stdin.read(&mut buffer).unwrap(), 3);
        drop(writer);
        assert_eq!(stdin.read(&mut buffer).unwrap(), 0);
    }
}
