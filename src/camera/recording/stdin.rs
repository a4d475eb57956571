//! Standard input, read with a time-out.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use super::stream::Input;

/// Standard input as bytes that may be long in coming.
pub(super) struct Stdin {
    file: File,
    timeout: Duration,
}

impl Stdin {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self::over(io::stdin().as_fd().try_clone_to_owned()?.into()))
    }

    fn over(file: File) -> Self {
        Self {
            file,
            timeout: Duration::ZERO,
        }
    }
}

impl Input for Stdin {
    fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = libc::pollfd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let timeout_ms = self.timeout.as_millis().try_into().unwrap_or(i32::MAX);
        // SAFETY: `ready` is one valid pollfd that outlives the call, and the count says one.
        match unsafe { libc::poll(&raw mut ready, 1, timeout_ms) } {
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
