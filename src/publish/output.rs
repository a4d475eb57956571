//! What an output is, what it gets, and what it says of itself.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Events, Live, Published, Received};
use crate::clock::{Clock, SystemClock};
use crate::config::nearest;
use crate::control::Control;
use crate::health::{Counter, Gauge, Histogram, Quantiles, Status};

/// What an output does, until it returns.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A place where events go.
///
/// All outputs run on one thread: an output never blocks it, and gives what must block to a thread
/// of its own. Trouble is a state ([`OutputState::fails`]) and is tried again with a
/// [`BackOff`](super::BackOff); it never ends the daemon.
pub trait Output: Send {
    /// Its name in the configuration, in the log and in the status.
    fn name(&self) -> &'static str;

    /// Looks whether it would work now, for `palmd check`: what was found, or what is wrong and
    /// what to do, each in a line. It may block, but not for long, and leaves nothing behind.
    ///
    /// # Errors
    /// What is wrong and what to do.
    fn check(&self) -> Result<String, String>;

    /// Works until [`Feed::next`] gives the end, and then returns soon: what can't be delivered
    /// by then is lost. Dropped instead, it must leave nothing behind either.
    fn run(self: Box<Self>, feed: Feed) -> Work;
}

/// Everything that an output gets.
pub struct Feed {
    /// The events. [`Feed::next`] is the usual way to them; others can be opened for readers.
    pub events: Events,
    /// How the daemon is doing: the newest value, soon after each change and once a second.
    pub status: watch::Receiver<Arc<Status>>,
    /// Poses and probabilities for who wants to watch.
    pub live: Arc<Live>,
    /// The daemon's switches: pause, stop.
    pub control: Arc<Control>,
    /// Where the output says how it is.
    pub state: Arc<OutputState>,
}

impl Feed {
    /// The next event; `None` at the end. What was lost because the output was behind is counted.
    pub async fn next(&mut self) -> Option<Arc<Published>> {
        loop {
            match self.events.receive().await {
                Received::Event(event) => return Some(event),
                Received::Missed(missed) => self.state.dropped(missed),
                Received::End => return None,
            }
        }
    }

    /// The same for a thread of the output's own.
    pub fn blocking_next(&mut self) -> Option<Arc<Published>> {
        loop {
            match self.events.blocking_receive() {
                Received::Event(event) => return Some(event),
                Received::Missed(missed) => self.state.dropped(missed),
                Received::End => return None,
            }
        }
    }

    /// Says in the log which of `gestures`, keys of a section of the configuration, the classifier
    /// doesn't know.
    pub fn warn_of_unknown<'a>(
        &self,
        section: &str,
        gestures: impl IntoIterator<Item = &'a String>,
    ) {
        let labels = self.live.labels();
        for gesture in gestures {
            if labels.iter().any(|label| **label == **gesture) {
                continue;
            }
            if let Some(near) = nearest(gesture, labels) {
                log::warn!("{section}: there is no gesture `{gesture}`; did you mean `{near}`?");
            } else {
                log::warn!("{section}: there is no gesture `{gesture}`");
            }
        }
    }
}

/// How an output is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It hasn't said yet.
    Starting,
    /// Events get where they should.
    Works,
    /// They don't; it is tried again.
    Fails,
}

/// How an output is doing, in words and numbers; shared with whoever shows it.
#[derive(Debug)]
pub struct OutputState {
    name: &'static str,
    says: Mutex<(Condition, String)>,
    sent: Counter,
    dropped: Counter,
    reconnects: Counter,
    readers: Gauge,
    cut: Counter,
    delay: Histogram,
}

/// [`OutputState`] at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OutputStatus {
    /// Its name in the configuration.
    pub name: String,
    /// How it is doing.
    pub condition: Condition,
    /// The same in words.
    pub says: String,
    /// Events written, to each of the readers where there are several.
    pub sent: u64,
    /// Events that were lost on the way to it or in it.
    pub dropped: u64,
    /// Times that it had to begin anew.
    pub reconnects: u64,
    /// Readers that are connected.
    pub readers: u64,
    /// Readers that were sent away because they were slow or too many.
    pub cut: u64,
    /// From the decision on an event to its being written.
    pub delay: Quantiles,
}

impl OutputState {
    /// The state of an output that has not begun yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            says: Mutex::new((Condition::Starting, "starting".into())),
            sent: Counter::default(),
            dropped: Counter::default(),
            reconnects: Counter::default(),
            readers: Gauge::default(),
            cut: Counter::default(),
            delay: Histogram::default(),
        }
    }

    /// It works. The words say what it does ("listening on ..."); the log is told when it didn't
    /// work before.
    pub fn works(&self, words: impl Display) {
        let mut says = self.says();
        if says.0 == Condition::Fails {
            log::info!("{} output: {words}", self.name);
        }
        *says = (Condition::Works, words.to_string());
    }

    /// It doesn't work. The words say why and what to do; the log is told when they are new.
    pub fn fails(&self, words: impl Display) {
        let words = words.to_string();
        let mut says = self.says();
        if says.0 != Condition::Fails || says.1 != words {
            log::warn!("{} output: {words}", self.name);
        }
        *says = (Condition::Fails, words);
    }

    /// `event` has just been written.
    pub fn sent(&self, event: &Published) {
        self.sent.add(1);
        self.delay
            .record(SystemClock.now().saturating_sub(event.decided));
    }

    /// So many events are lost.
    pub fn dropped(&self, events: u64) {
        self.dropped.add(events);
    }

    /// It begins anew.
    pub fn reconnects(&self) {
        self.reconnects.add(1);
    }

    /// So many readers are connected.
    pub fn set_readers(&self, readers: usize) {
        self.readers.set(readers as u64);
    }

    /// A reader was sent away.
    pub fn cut(&self) {
        self.cut.add(1);
    }

    /// All of it at this moment.
    #[must_use]
    pub fn status(&self) -> OutputStatus {
        let (condition, says) = self.says().clone();
        OutputStatus {
            name: self.name.into(),
            condition,
            says,
            sent: self.sent.get(),
            dropped: self.dropped.get(),
            reconnects: self.reconnects.get(),
            readers: self.readers.get(),
            cut: self.cut.get(),
            delay: self.delay.quantiles(),
        }
    }

    fn says(&self) -> MutexGuard<'_, (Condition, String)> {
        self.says.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
