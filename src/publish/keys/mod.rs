//! Gestures as key strokes, for programs that can't be changed.
//!
//! A [`Typist`] knows which keys are down and sees that none stays there; [`Uinput`] is the
//! keyboard that it types on.

mod key;
mod typist;
mod uinput;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

pub use key::{Chord, Key};
pub use typist::{Keyboard, Stroke, Typist};
pub use uinput::Uinput;

use super::{BackOff, Feed, Output, Received, Work};
use crate::clock::{Clock, SystemClock};
use crate::gesture::{Event, Kind, RulesParams};

/// `[outputs.keys]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct KeysParams {
    /// Whether keys are pressed, if there are any.
    pub enabled: bool,
    /// Whether a held shape holds its keys down; else it taps them when it starts.
    pub hold: bool,
    /// No key is down for longer.
    #[serde(with = "duration")]
    pub max_hold: Duration,
    /// By label.
    pub gesture: BTreeMap<String, Chord>,
}

impl Default for KeysParams {
    fn default() -> Self {
        Self {
            enabled: true,
            hold: true,
            max_hold: Duration::from_secs(10),
            gesture: BTreeMap::new(),
        }
    }
}

/// What a gesture does to its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// It presses them and releases them at once.
    Tap(Chord),
    /// It holds them down for as long as it lasts.
    Hold(Chord),
}

/// [`Binding`]s by the labels of their gestures.
pub type Bindings = BTreeMap<String, Binding>;

/// A keyboard on which gestures type.
#[derive(Debug)]
pub struct Keys {
    bindings: Bindings,
    max_hold: Duration,
}

impl Keys {
    /// The keyboard that is configured, if any; `rules` say which gestures are held.
    #[must_use]
    pub fn new(params: &KeysParams, rules: &RulesParams) -> Option<Self> {
        if !params.enabled || params.gesture.is_empty() {
            return None;
        }
        let binding = |(gesture, chord): (&String, &Chord)| {
            let held = params.hold && rules.kind(gesture) == Kind::Shape;
            let how = if held { Binding::Hold } else { Binding::Tap };
            (gesture.clone(), how(chord.clone()))
        };
        Some(Self {
            bindings: params.gesture.iter().map(binding).collect(),
            max_hold: params.max_hold,
        })
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let chords = self.bindings.values().map(|binding| match binding {
            Binding::Tap(chord) | Binding::Hold(chord) => chord,
        });
        chords.flat_map(|chord| chord.keys().iter().copied())
    }

    fn binds(&self, event: &Event) -> bool {
        matches!(event, Event::Gesture(gesture) if self.bindings.contains_key(&*gesture.gesture))
    }

    /// Works with the keyboards that `open` gives: another one when one fails.
    async fn work<K: Keyboard>(&self, mut feed: Feed, mut open: impl FnMut() -> Result<K, String>) {
        feed.warn_of_unknown("outputs.keys.gesture", self.bindings.keys());
        let mut back_off = BackOff::default();
        loop {
            match open() {
                Ok(keyboard) => {
                    feed.state.works("typing on a keyboard called palmd");
                    let mut typist = Typist::new(keyboard, self.max_hold);
                    match self.type_on(&mut typist, &mut feed).await {
                        Ok(()) => return,
                        Err(error) => feed.state.fails(format_args!("typing: {error}")),
                    }
                }
                Err(error) => feed.state.fails(error),
            }
            let end = async {
                while let Some(event) = feed.next().await {
                    feed.state.dropped(self.binds(&event.event).into());
                }
            };
            if timeout(back_off.pause(), end).await.is_ok() {
                return;
            }
            feed.state.reconnects();
        }
    }

    /// Types until the end of the events or of the keyboard.
    async fn type_on<K: Keyboard>(
        &self,
        typist: &mut Typist<K>,
        feed: &mut Feed,
    ) -> std::io::Result<()> {
        loop {
            let deadline = typist.deadline();
            let too_long = async {
                match deadline {
                    Some(at) => sleep(at.saturating_sub(SystemClock.now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = feed.events.receive() => match received {
                    Received::Event(event) => {
                        match typist.take(&event.event, &self.bindings, SystemClock.now()) {
                            Ok(true) => feed.state.sent(&event),
                            Ok(false) => {}
                            Err(error) => {
                                feed.state.dropped(1);
                                return Err(error);
                            }
                        }
                    }
                    Received::Missed(missed) => {
                        // The end of a gesture may have been among them.
                        feed.state.dropped(missed);
                        typist.release_all()?;
                    }
                    Received::End => return typist.release_all(),
                },
                () = too_long => typist.release_overdue(SystemClock.now())?,
            }
        }
    }
}

impl Output for Keys {
    fn name(&self) -> &'static str {
        "keys"
    }

    fn check(&self) -> Result<String, String> {
        Uinput::check()?;
        let count = self.bindings.len();
        Ok(format!(
            "/dev/uinput can be written; gestures with keys: {count}"
        ))
    }

    fn run(self: Box<Self>, feed: Feed) -> Work {
        Box::pin(async move { self.work(feed, || Uinput::open(self.keys())).await })
    }
}

#[cfg(test)]
mod tests;
