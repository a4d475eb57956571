//! Which keys are down, and that none stays so.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Binding, Bindings, Chord, Key};
use crate::gesture::{CameraPhase, Event, GestureEvent, HandPhase, Phase};
use crate::pose::MAX_HANDS;

/// What happens to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// It is let go.
    Up,
    /// It is pressed.
    Down,
    /// It is still held.
    Repeat,
}

/// Something that keys are pressed on.
pub trait Keyboard {
    /// Reports strokes that belong together, in their order.
    ///
    /// # Errors
    /// They may not have been made. The keyboard is given up then, which lets all its keys go.
    fn report(&mut self, strokes: &[(Key, Stroke)]) -> io::Result<()>;
}

/// Presses and releases keys as gestures begin and end.
///
/// A key goes up when its gesture ends, when the hand that makes it makes another shape or leaves,
/// when the camera is lost, when it has been down for too long, and when the typist is dropped.
#[derive(Debug)]
pub struct Typist<K: Keyboard> {
    keyboard: K,
    max_hold: Duration,
    /// Chords that are down, the oldest first.
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    track: u32,
    gesture: Arc<str>,
    chord: Chord,
    until: Duration,
}

impl<K: Keyboard> Typist<K> {
    /// A typist who holds no key for longer than `max_hold`.
    pub fn new(keyboard: K, max_hold: Duration) -> Self {
        Self {
            keyboard,
            max_hold,
            held: Vec::with_capacity(MAX_HANDS + 1),
        }
    }

    /// Does what `event` asks for at the time `now`, and returns whether a gesture has pressed,
    /// repeated or released something.
    ///
    /// # Errors
    /// Those of the keyboard.
    pub fn take(&mut self, event: &Event, bindings: &Bindings, now: Duration) -> io::Result<bool> {
        match event {
            Event::Gesture(gesture) => return self.gesture(gesture, bindings, now),
            Event::Hand(hand) if hand.phase == HandPhase::Leave => {
                self.release(|held| held.track == hand.track)?;
            }
            Event::Camera(camera) if camera.phase == CameraPhase::Lost => self.release_all()?,
            Event::Hand(_) | Event::Camera(_) => {}
        }
        Ok(false)
    }

    fn gesture(
        &mut self,
        event: &GestureEvent,
        bindings: &Bindings,
        now: Duration,
    ) -> io::Result<bool> {
        let Some(binding) = bindings.get(&*event.gesture) else {
            return Ok(false);
        };
        let mine = |held: &Held| held.track == event.track && held.gesture == event.gesture;
        match (event.phase, binding) {
            (Phase::Start, Binding::Tap(chord)) => {
                self.press(event, chord, now)?;
                self.release(mine)?;
            }
            (Phase::Start, Binding::Hold(chord)) => {
                self.release(|held| held.track == event.track)?;
                if self.held.len() == MAX_HANDS {
                    let oldest = self.held[0].track;
                    self.release(|held| held.track == oldest)?;
                }
                self.press(event, chord, now)?;
            }
            (Phase::Hold, _) => {
                let Some(held) = self.held.iter().find(|held| mine(held)) else {
                    return Ok(false);
                };
                let last = held.chord.keys().last();
                let repeat: Vec<_> = last.map(|&key| (key, Stroke::Repeat)).into_iter().collect();
                self.report(&repeat)?;
            }
            (Phase::End, _) => {
                let before = self.held.len();
                self.release(mine)?;
                return Ok(self.held.len() < before);
            }
        }
        Ok(true)
    }

    /// When a key will have been down for too long.
    pub fn deadline(&self) -> Option<Duration> {
        self.held.iter().map(|held| held.until).min()
    }

    /// Releases what has been down for too long.
    ///
    /// # Errors
    /// Those of the keyboard.
    pub fn release_overdue(&mut self, now: Duration) -> io::Result<()> {
        self.release(|held| held.until <= now)
    }

    /// Releases everything.
    ///
    /// # Errors
    /// Those of the keyboard.
    pub fn release_all(&mut self) -> io::Result<()> {
        self.release(|_| true)
    }

    /// A key that another chord holds down already stays as it is.
    fn press(&mut self, event: &GestureEvent, chord: &Chord, now: Duration) -> io::Result<()> {
        let up = chord.keys().iter().filter(|key| !self.is_down(**key));
        let down: Vec<_> = up.map(|&key| (key, Stroke::Down)).collect();
        self.held.push(Held {
            track: event.track,
            gesture: Arc::clone(&event.gesture),
            chord: chord.clone(),
            until: now + self.max_hold,
        });
        self.report(&down)
    }

    /// A key that another chord holds down as well stays there. All are tried even if one fails.
    fn release(&mut self, which: impl Fn(&Held) -> bool) -> io::Result<()> {
        let mut result = Ok(());
        while let Some(i) = self.held.iter().position(&which) {
            let held = self.held.remove(i);
            let keys = held.chord.keys().iter().rev();
            let up: Vec<_> = keys
                .filter(|key| !self.is_down(**key))
                .map(|&key| (key, Stroke::Up))
                .collect();
            let reported = self.report(&up);
            result = result.and(reported);
        }
        result
    }

    fn report(&mut self, strokes: &[(Key, Stroke)]) -> io::Result<()> {
        if strokes.is_empty() {
            return Ok(());
        }
        self.keyboard.report(strokes)
    }

    fn is_down(&self, key: Key) -> bool {
        self.held
            .iter()
            .any(|held| held.chord.keys().contains(&key))
    }
}

impl<K: Keyboard> Drop for Typist<K> {
    fn drop(&mut self) {
        if let Err(error) = self.release_all() {
            log::debug!("releasing keys: {error}");
        }
    }
}
