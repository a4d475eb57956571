//! One connection to the broker after the other.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Outgoing, Packet,
    Publish, QoS, SubscribeReasonCode,
};
use tokio::time::{Instant, interval, sleep_until, timeout};

use super::report::{News, OFFLINE, Report};
use super::{ANSWER, Mqtt, Queue, credentials, discovery, trouble};
use crate::clock::{Clock, SystemClock};
use crate::health::Status;
use crate::publish::{BackOff, Feed, Published};

/// Messages that may be on their way without an acknowledgement.
const IN_FLIGHT: usize = 32;

/// After a connection that stood for so long the pauses begin anew.
const STEADY: Duration = Duration::from_secs(10);

/// So long may it take to say what is left to be said at the end.
const CLOSING: Duration = Duration::from_secs(3);

/// What outlasts a connection.
pub struct Client {
    mqtt: Arc<Mqtt>,
    feed: Feed,
    queue: Queue,
    /// Messages from the broker that were nonsense.
    ignored: u64,
    /// There won't be any more events.
    over: bool,
}

/// A connection's own: what is on its way, and what the broker knows.
struct Line {
    client: AsyncClient,
    /// Handed over and not acknowledged, oldest first.
    handed: VecDeque<Handed>,
    /// What the last report and the last pause state said.
    told: Option<News>,
    told_pause: Option<&'static str>,
    /// It is time for a report.
    due: bool,
    good_bye: GoodBye,
}

/// A message that is not acknowledged yet.
struct Handed {
    /// Its number, once it is written.
    packet: Option<u16>,
    /// `None` is any other message: those are made anew after the next connection.
    event: Option<Arc<Published>>,
}

#[derive(PartialEq)]
enum GoodBye {
    NotYet,
    Offline,
    Disconnect,
}

impl Client {
    pub fn new(mqtt: Mqtt, feed: Feed) -> Self {
        Self {
            queue: Queue::new(mqtt.params.queue, mqtt.params.max_age),
            mqtt: Arc::new(mqtt),
            feed,
            ignored: 0,
            over: false,
        }
    }

    /// Works until the events end.
    pub async fn run(mut self) {
        if let Some(warning) = credentials::exposed(&self.mqtt.params.password_file) {
            log::warn!("mqtt output: {warning}");
        }
        let mut back_off = BackOff::default();
        loop {
            let begun = Instant::now();
            match self.connection().await {
                Ok(()) => break,
                Err(words) => self.feed.state.fails(words),
            }
            if begun.elapsed() >= STEADY + ANSWER {
                back_off.reset();
            }
            if self.over {
                break;
            }
            // Meanwhile events are taken, so that the newest are those that are kept.
            let end = async { while self.next_event().await {} };
            if timeout(back_off.pause(), end).await.is_ok() {
                break;
            }
            self.feed.state.reconnects();
        }
        self.feed.state.dropped(self.queue.len() as u64);
    }

    /// Puts the next event into the queue; `false` at the end.
    async fn next_event(&mut self) -> bool {
        match self.feed.next().await {
            Some(event) => {
                let lost = self.queue.push(event);
                self.feed.state.dropped(lost);
            }
            None => self.over = true,
        }
        !self.over
    }

    /// What a connection is made with.
    async fn options(&self) -> Result<MqttOptions, String> {
        let mqtt = Arc::clone(&self.mqtt);
        // Reading a hundred certificates takes a while.
        let options = move || mqtt.options(mqtt.params.client_id());
        let options = tokio::task::spawn_blocking(options).await;
        let mut options = options.map_err(|e| e.to_string())??;
        let will = LastWill::new(&self.mqtt.topics.status, OFFLINE, QoS::AtLeastOnce, true);
        options.set_last_will(will);
        Ok(options)
    }

    /// Makes a connection and works until it is lost, which is an error, or all is said.
    async fn connection(&mut self) -> Result<(), String> {
        // Room for all that may be in flight, the subscription and the good-bye.
        let (client, mut link) = AsyncClient::new(self.options().await?, IN_FLIGHT + 2);
        link.network_options
            .set_connection_timeout(ANSWER.as_secs());
        let mut line = Line {
            client,
            handed: VecDeque::with_capacity(IN_FLIGHT),
            told: None,
            told_pause: None,
            due: true,
            good_bye: GoodBye::NotYet,
        };
        let ended = self.converse(&mut line, &mut link).await;
        // Their acknowledgement may be what was lost: the broker may get them twice.
        let unsure = line.handed.into_iter().filter_map(|handed| handed.event);
        let lost = self.queue.put_back(unsure.collect::<Vec<_>>().into_iter());
        self.feed.state.dropped(lost);
        ended
    }

    async fn converse(&mut self, line: &mut Line, link: &mut EventLoop) -> Result<(), String> {
        let mut status = self.feed.status.clone();
        let mut status_lives = true;
        let mut report = interval(self.mqtt.params.status_interval);
        let mut since = None;
        let mut deadline = Instant::now();
        loop {
            // Polled to its end, because nothing says that it may be dropped before.
            let mut poll = pin!(link.poll());
            let notice = loop {
                if since.is_some() {
                    self.speak(line, &status.borrow_and_update());
                }
                tokio::select! {
                    notice = &mut poll => break notice,
                    more = self.next_event(), if !self.over => if !more {
                        deadline = Instant::now() + CLOSING;
                    },
                    changed = status.changed(), if status_lives => status_lives = changed.is_ok(),
                    _ = report.tick() => line.due = true,
                    () = sleep_until(deadline), if self.over => return Ok(()),
                }
            };
            match notice {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    since = Some(Instant::now());
                    self.greet(line);
                }
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return Ok(()),
                Ok(event) => self.hear(line, event),
                Err(error) => return Err(self.words(&error, since)),
            }
        }
    }

    fn words(&self, error: &ConnectionError, since: Option<Instant>) -> String {
        trouble::words(error, &self.mqtt, since.map(|since| since.elapsed()))
    }

    /// What is said first on a connection.
    fn greet(&mut self, line: &mut Line) {
        let topics = &self.mqtt.topics;
        self.feed
            .state
            .works(format_args!("connected to {}", self.mqtt.address));
        // The line has just been made: there is room.
        let _ = line
            .client
            .try_subscribe(&topics.pause_set, QoS::AtLeastOnce);
        if let Some(topic) = &topics.discovery {
            let version = &self.feed.status.borrow().version;
            let labels = self.feed.live.labels().iter().map(|label| &**label);
            let payload = discovery::payload(topics, &self.mqtt.params.id(), version, labels);
            line.publish(topic, true, payload, None);
        }
    }

    /// Says what there is to say, as far as there is room on the line.
    fn speak(&mut self, line: &mut Line, status: &Status) {
        let topics = &self.mqtt.topics;
        let news = News::of(status);
        if !self.over && line.has_room() {
            match news.pause() {
                Some(pause) if line.told_pause != Some(pause) => {
                    line.publish(&topics.pause_state, true, pause, None);
                    line.told_pause = Some(pause);
                }
                _ => {}
            }
        }
        if !self.over && line.has_room() && (line.due || line.told.as_ref() != Some(&news)) {
            let dropped = self.feed.state.status().dropped;
            let report = Report::new(status, dropped, self.ignored);
            let report = serde_json::to_string(&report).unwrap_or_default();
            line.publish(&topics.status, true, report, None);
            line.told = Some(news);
            line.due = false;
        }
        let expired = self.queue.expire(SystemClock.now());
        self.feed.state.dropped(expired);
        while line.has_room() {
            let Some(event) = self.queue.take() else {
                break;
            };
            line.publish(&topics.event, false, event.json(), Some(Arc::clone(&event)));
        }
        if self.over && self.queue.len() == 0 && line.handed.is_empty() {
            match line.good_bye {
                GoodBye::NotYet => {
                    line.publish(&topics.status, true, OFFLINE, None);
                    line.good_bye = GoodBye::Offline;
                }
                GoodBye::Offline => {
                    let _ = line.client.try_disconnect();
                    line.good_bye = GoodBye::Disconnect;
                }
                GoodBye::Disconnect => {}
            }
        }
    }

    /// Takes what the broker says.
    fn hear(&mut self, line: &mut Line, event: Event) {
        match event {
            Event::Outgoing(Outgoing::Publish(packet)) => line.written(packet),
            Event::Incoming(Packet::PubAck(acknowledged)) => {
                if let Some(event) = line.acknowledged(acknowledged.pkid) {
                    self.feed.state.sent(&event);
                }
            }
            Event::Incoming(Packet::Publish(message)) => self.obey(&message),
            Event::Incoming(Packet::SubAck(answer))
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) =>
            {
                log::warn!(
                    "mqtt output: {} doesn't let palmd read {}: no pauses from there",
                    self.mqtt.address,
                    self.mqtt.topics.pause_set
                );
            }
            _ => {}
        }
    }

    fn obey(&mut self, message: &Publish) {
        let known = message.topic == self.mqtt.topics.pause_set;
        match &message.payload[..] {
            b"ON" if known => self.feed.control.pause(true),
            b"OFF" if known => self.feed.control.pause(false),
            _ => {
                self.ignored += 1;
                if self.ignored == 1 {
                    log::warn!(
                        "mqtt output: ignored a message on {} that is neither ON nor OFF (said \
                         once, counted in the status)",
                        self.mqtt.topics.pause_set
                    );
                }
            }
        }
    }
}

impl Line {
    fn has_room(&self) -> bool {
        self.handed.len() < IN_FLIGHT
    }

    /// Hands a message over. There must be room.
    fn publish(
        &mut self,
        topic: &str,
        retain: bool,
        payload: impl Into<Vec<u8>>,
        event: Option<Arc<Published>>,
    ) {
        let handed = self
            .client
            .try_publish(topic, QoS::AtLeastOnce, retain, payload);
        debug_assert!(handed.is_ok(), "there is room, and the topic is valid");
        self.handed.push_back(Handed {
            packet: None,
            event,
        });
    }

    /// The oldest message that had no number has one now.
    fn written(&mut self, packet: u16) {
        if let Some(handed) = self.handed.iter_mut().find(|h| h.packet.is_none()) {
            handed.packet = Some(packet);
        }
    }

    fn acknowledged(&mut self, packet: u16) -> Option<Arc<Published>> {
        let at = self.handed.iter().position(|h| h.packet == Some(packet))?;
        self.handed.remove(at)?.event
    }
}
