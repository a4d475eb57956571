//! Which outputs there are, by the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Commands, CommandsParams, Http, HttpParams, Keys, KeysParams, Mqtt, MqttParams, Output, Socket,
    SocketParams, StatusSocket, StatusSocketParams, Stdout, StdoutParams,
};
use crate::gesture::RulesParams;

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
    /// Key strokes.
    pub keys: KeysParams,
    /// Programs that are started.
    pub commands: CommandsParams,
    /// An MQTT broker.
    pub mqtt: MqttParams,
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
        self.http.check()?;
        let max_hold = self.keys.max_hold;
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&max_hold) {
            return Err((
                "outputs.keys.max-hold",
                format!("{max_hold:?}"),
                "it must be from 100ms to 1h",
            ));
        }
        self.commands.check()?;
        self.mqtt.check()
    }

    /// The outputs that are on; `rules` say which gestures are held.
    #[must_use]
    pub fn outputs(&self, rules: &RulesParams) -> Vec<Box<dyn Output>> {
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
        if let Some(keys) = Keys::new(&self.keys, rules) {
            outputs.push(Box::new(keys));
        }
        if let Some(commands) = Commands::new(&self.commands) {
            outputs.push(Box::new(commands));
        }
        if let Some(mqtt) = Mqtt::new(&self.mqtt) {
            outputs.push(Box::new(mqtt));
        }
        outputs
    }
}
