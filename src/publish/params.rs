//! Which outputs there are, by the configuration.

use serde::{Deserialize, Serialize};

use super::{
    Http, HttpParams, Output, Socket, SocketParams, StatusSocket, StatusSocketParams, Stdout,
    StdoutParams,
};

/// `[outputs]`: a table for each output.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct OutputsParams {
    /// Standard output, and so the journal.
    pub stdout: StdoutParams,
    /// A Unix socket.
    pub socket: SocketParams,
    /// A Unix socket for `palmd status`.
    pub status: StatusSocketParams,
    /// HTTP: events, status, and a page.
    pub http: HttpParams,
}

/// A value that can't work: its key with its sections, what it is, and what it must be.
pub type BadValue = (&'static str, String, &'static str);

impl OutputsParams {
    /// Standard output alone.
    #[must_use]
    pub fn only_stdout(self) -> Self {
        let mut params = Self {
            stdout: self.stdout,
            ..Self::default()
        };
        params.socket.enabled = false;
        params.status.enabled = false;
        params
    }

    /// Checks what types alone can't.
    ///
    /// # Errors
    /// The first value that can't work.
    pub fn check(&self) -> Result<(), BadValue> {
        let readers = self.socket.max_readers;
        if !(1..=1024).contains(&readers) {
            return Err((
                "outputs.socket.max-readers",
                readers.to_string(),
                "it must be from 1 to 1024",
            ));
        }
        self.http.check()
    }

    /// The outputs that are on.
    #[must_use]
    pub fn outputs(&self) -> Vec<Box<dyn Output>> {
        let mut outputs: Vec<Box<dyn Output>> = Vec::new();
        if self.stdout.enabled {
            outputs.push(Box::new(Stdout::new(&self.stdout)));
        }
        if let Some(socket) = Socket::new(&self.socket) {
            outputs.push(Box::new(socket));
        }
        if let Some(status) = StatusSocket::new(&self.status) {
            outputs.push(Box::new(status));
        }
        if let Some(http) = Http::new(&self.http) {
            outputs.push(Box::new(http));
        }
        outputs
    }
}
