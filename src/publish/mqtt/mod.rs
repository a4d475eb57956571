//! Events to an MQTT broker, and a switch for pauses from there.
//!
//! | topic | what | retained |
//! |---|---|---|
//! | `palmd/ID/event` | each event, the JSON object of the other outputs | no |
//! | `palmd/ID/status` | a [`Report`](report::Report); `{"state":"offline"}` when palmd is gone (its last will) | yes |
//! | `palmd/ID/pause/set` | read: `ON` closes the camera, `OFF` opens it again | |
//! | `palmd/ID/pause/state` | `ON` once the camera is closed by a pause, else `OFF` | yes |
//! | `homeassistant/device/palmd_ID/config` | Home Assistant's [`discovery`] | yes |
//!
//! All with QoS 1, over MQTT 3.1.1, in a clean session. An event stays in a bounded [`Queue`] until the
//! broker has acknowledged it; after a lost connection it is sent again, unless it has become too
//! old to be of use. The [`Client`] makes one connection after the other.

mod address;
mod client;
mod credentials;
mod discovery;
mod params;
mod queue;
mod report;
mod tls;
mod topics;
mod trouble;

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Outgoing, Transport};
use tokio::time::timeout;

use self::address::Address;
use self::client::Client;
use self::queue::Queue;
use self::topics::Topics;
use super::{Feed, Output, Work};

pub use self::params::MqttParams;

/// A broker that hasn't answered for so long doesn't.
const ANSWER: Duration = Duration::from_secs(5);

/// The longest packet that is taken from the broker; a longer one ends the connection.
const MOST_INCOMING: usize = 64 * 1024;

/// The longest that is sent: discovery with many long labels.
const MOST_OUTGOING: usize = 256 * 1024;

/// An MQTT broker.
#[derive(Debug)]
pub struct Mqtt {
    params: MqttParams,
    address: Address,
    topics: Topics,
}

impl Mqtt {
    /// The broker that is configured, if any. The parameters have been checked.
    #[must_use]
    pub fn new(params: &MqttParams) -> Option<Self> {
        let address = Address::parse(&params.broker).filter(|_| params.enabled)?;
        Some(Self {
            topics: Topics::new(params, &params.id()),
            params: params.clone(),
            address,
        })
    }

    /// What a connection is made with. Reads files: the password, the authorities.
    fn options(&self, client_id: String) -> Result<MqttOptions, String> {
        let params = &self.params;
        let mut options =
            MqttOptions::new(client_id, self.address.host.as_str(), self.address.port);
        options
            .set_keep_alive(params.keep_alive)
            .set_max_packet_size(MOST_INCOMING, MOST_OUTGOING);
        if !params.user.is_empty() {
            let password = credentials::password(&params.password_file)?;
            options.set_credentials(&params.user, password.unwrap_or_default());
        }
        if self.address.tls {
            let config = tls::client_config(&params.ca_file)?;
            options.set_transport(Transport::tls_with_config(config.into()));
        }
        Ok(options)
    }

    /// Connects and says good-bye.
    async fn connect_once(&self) -> Result<(), String> {
        // Under its own name it would end the connection of a palmd that runs.
        let options = self.options(format!("{}-check", self.params.client_id()))?;
        let (client, mut link) = AsyncClient::new(options, 1);
        let connected = link.poll().await;
        connected.map_err(|error| trouble::words(&error, self, None))?;
        if client.try_disconnect().is_ok() {
            while !matches!(
                link.poll().await,
                Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_)
            ) {}
        }
        Ok(())
    }
}

impl Output for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn check(&self) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        let connected = runtime.block_on(async { timeout(ANSWER, self.connect_once()).await });
        // A name that is still being looked up is not waited for.
        runtime.shutdown_background();
        match connected {
            Ok(connected) => connected?,
            Err(_) => return Err(trouble::no_answer(self)),
        }
        let user = match self.params.user.as_str() {
            "" => String::new(),
            user => format!(" as {user}"),
        };
        let warning = credentials::exposed(&self.params.password_file)
            .map(|warning| format!("; warning: {warning}"));
        Ok(format!(
            "{}: connected{user}; topics {}/...{}",
            self.address,
            self.topics.root,
            warning.unwrap_or_default()
        ))
    }

    fn run(self: Box<Self>, feed: Feed) -> Work {
        Box::pin(Client::new(*self, feed).run())
    }
}
