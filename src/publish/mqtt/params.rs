//! `[outputs.mqtt]`

use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::topics::{is_id, is_prefix};
use crate::publish::BadValue;

/// `[outputs.mqtt]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct MqttParams {
    /// Whether events go to a broker.
    pub enabled: bool,
    /// `mqtt://HOST[:PORT]`, or `mqtts://HOST[:PORT]` for TLS.
    pub broker: String,
    /// Names this palmd in topics; no other at the broker may have the same. Empty is the
    /// machine's name.
    pub id: String,
    /// What its topics begin with, before the id.
    pub prefix: String,
    /// Where Home Assistant looks for devices; empty tells it nothing.
    pub discovery_prefix: String,
    /// User at the broker; empty is none.
    pub user: String,
    /// File with the password; empty is systemd's credential `mqtt-password`, if there is one.
    pub password_file: PathBuf,
    /// Authorities that the broker's certificate may come from (PEM); empty is the system's.
    pub ca_file: PathBuf,
    /// Name of the client at the broker; empty is `palmd-ID`.
    pub client_id: String,
    /// The broker is asked so often whether it is still there; after one and a half times as long
    /// it takes palmd for gone.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// Events that may wait for the broker; the oldest are lost first.
    pub queue: usize,
    /// An event that has waited for longer is of no use any more.
    #[serde(with = "duration")]
    pub max_age: Duration,
    /// The status is published so often, and when it changes.
    #[serde(with = "duration")]
    pub status_interval: Duration,
}

impl Default for MqttParams {
    fn default() -> Self {
        Self {
            enabled: false,
            broker: "mqtt://localhost:1883".into(),
            id: String::new(),
            prefix: "palmd".into(),
            discovery_prefix: "homeassistant".into(),
            user: String::new(),
            password_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            client_id: String::new(),
            keep_alive: Duration::from_secs(15),
            queue: 256,
            max_age: Duration::from_secs(10),
            status_interval: Duration::from_secs(30),
        }
    }
}

impl MqttParams {
    /// Checks what types alone can't.
    ///
    /// # Errors
    /// The first value that can't work.
    pub fn check(&self) -> Result<(), BadValue> {
        let quoted = |text: &str| format!("{text:?}");
        let seconds = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
        let checks = [
            (
                !self.broker.contains('@'),
                "outputs.mqtt.broker",
                // What stands there may be a password.
                "an address with a user in it".into(),
                "that belongs into outputs.mqtt.user and a password file",
            ),
            (
                Address::parse(&self.broker).is_some(),
                "outputs.mqtt.broker",
                quoted(&self.broker),
                "it must be mqtt://HOST, mqtt://HOST:PORT, or mqtts:// for TLS",
            ),
            (
                self.id.is_empty() || is_id(&self.id),
                "outputs.mqtt.id",
                quoted(&self.id),
                "it must be at most 64 letters (a to z), digits, - and _",
            ),
            (
                is_prefix(&self.prefix),
                "outputs.mqtt.prefix",
                quoted(&self.prefix),
                "it must be a topic such as \"palmd\" or \"site/palmd\", without + # $",
            ),
            (
                self.discovery_prefix.is_empty() || is_prefix(&self.discovery_prefix),
                "outputs.mqtt.discovery-prefix",
                quoted(&self.discovery_prefix),
                "it must be a topic such as \"homeassistant\", or empty",
            ),
            (
                self.password_file.as_os_str().is_empty() || !self.user.is_empty(),
                "outputs.mqtt.password-file",
                format!("{:?}", self.password_file),
                "a password without outputs.mqtt.user is of no use",
            ),
            (
                self.client_id.len() <= 128 && !self.client_id.contains(char::is_control),
                "outputs.mqtt.client-id",
                quoted(&self.client_id),
                "it must be at most 128 letters",
            ),
            (
                seconds(5, 600).contains(&self.keep_alive),
                "outputs.mqtt.keep-alive",
                format!("{:?}", self.keep_alive),
                "it must be from 5s to 10m",
            ),
            (
                (1..=10_000).contains(&self.queue),
                "outputs.mqtt.queue",
                self.queue.to_string(),
                "it must be from 1 to 10000",
            ),
            (
                seconds(1, 86_400).contains(&self.max_age),
                "outputs.mqtt.max-age",
                format!("{:?}", self.max_age),
                "it must be from 1s to 24h",
            ),
            (
                seconds(1, 3600).contains(&self.status_interval),
                "outputs.mqtt.status-interval",
                format!("{:?}", self.status_interval),
                "it must be from 1s to 1h",
            ),
        ];
        match checks.into_iter().find(|(ok, ..)| !ok) {
            Some((_, key, value, rule)) => Err((key, value, rule)),
            None => Ok(()),
        }
    }

    /// The id that is configured, or the machine's name.
    #[must_use]
    pub fn id(&self) -> String {
        if !self.id.is_empty() {
            return self.id.clone();
        }
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let letter = |c| if is_id(&String::from(c)) { c } else { '-' };
        let id: String = name.trim().chars().take(64).map(letter).collect();
        if id.is_empty() { "palmd".into() } else { id }
    }

    /// The client's name at the broker.
    #[must_use]
    pub fn client_id(&self) -> String {
        if self.client_id.is_empty() {
            return format!("palmd-{}", self.id());
        }
        self.client_id.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let params = MqttParams {
            broker: "mqtt://me:secret@broker".into(),
            ..MqttParams::default()
        };
        let (key, value, _) = params.check().unwrap_err();
        assert_eq!(key, "outputs.mqtt.broker");
        assert!(!value.contains("secret"), "{value}");
    }

    #[test]
    fn absurd_values_are_refused_by_key() {
        let refused = |change: &dyn Fn(&mut MqttParams)| {
            let mut params = MqttParams::default();
            change(&mut params);
            params.check().unwrap_err().0
        };
        let key = refused(&|p| p.broker = "http://broker".into());
        assert_eq!(key, "outputs.mqtt.broker");
        assert_eq!(refused(&|p| p.id = "a/b".into()), "outputs.mqtt.id");
        assert_eq!(refused(&|p| p.prefix = "#".into()), "outputs.mqtt.prefix");
        let key = refused(&|p| p.password_file = "secret".into());
        assert_eq!(key, "outputs.mqtt.password-file");
        let key = refused(&|p| p.keep_alive = Duration::ZERO);
        assert_eq!(key, "outputs.mqtt.keep-alive");
        assert_eq!(refused(&|p| p.queue = 0), "outputs.mqtt.queue");
    }

    #[test]
    fn the_machine_s_name_is_an_id() {
        let params = MqttParams::default();
        assert_eq!(params.check(), Ok(()));
        assert!(is_id(&params.id()), "{}", params.id());
        assert_eq!(params.client_id(), format!("palmd-{}", params.id()));
    }
}
