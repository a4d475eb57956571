//! The way of an event from the publishing thread to all outputs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Decided, Line, Style};
use crate::clock::{Clock, SystemClock};
use crate::gesture::Event;

/// Events that an output or one of its readers may be behind. Whoever is further behind loses the
/// oldest.
pub const BACKLOG: usize = 1024;

/// Events that are kept for who asks what it has missed.
const HISTORY: usize = 64;

/// An event on its way out. It is rendered once, and shared by all outputs.
#[derive(Debug)]
pub struct Published {
    /// Counts the events of this run from 1.
    pub id: u64,
    /// The event itself.
    pub event: Event,
    /// When it was decided on, on `CLOCK_MONOTONIC`.
    pub decided: Duration,
    /// When it was rendered, by the wall clock.
    pub time: Timestamp,
    /// The same moment on `CLOCK_MONOTONIC`.
    now: Duration,
    line: Arc<str>,
}

impl Published {
    fn new(id: u64, decided: Decided) -> Self {
        let (time, now) = (Timestamp::now(), SystemClock.now());
        let mut line = Vec::with_capacity(256);
        Line::new(&decided.event, time, now).write(Style::Json, &mut line);
        Self {
            id,
            decided: decided.at,
            time,
            now,
            line: String::from_utf8_lossy(&line).into(),
            event: decided.event,
        }
    }

    /// One JSON object and the end of the line.
    #[must_use]
    pub fn line(&self) -> &Arc<str> {
        &self.line
    }

    /// The JSON object alone.
    #[must_use]
    pub fn json(&self) -> &str {
        self.line.trim_end()
    }

    /// The line for people, with its end.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(80);
        Line::new(&self.event, self.time, self.now).write(Style::Text, &mut text);
        text
    }
}

/// The sending side. When it is dropped, everyone gets what is still on the way, and then the end.
pub struct Bus {
    sender: broadcast::Sender<Arc<Published>>,
    history: Arc<Mutex<VecDeque<Arc<Published>>>>,
    published: u64,
}

/// The receiving side: one for each output, and one for each of its readers. It never holds
/// anyone up: who is [`BACKLOG`] events behind loses the oldest.
pub struct Events {
    receiver: broadcast::Receiver<Arc<Published>>,
    history: Arc<Mutex<VecDeque<Arc<Published>>>>,
}

/// What comes out of [`Events`].
#[derive(Debug, Clone)]
pub enum Received {
    /// The next event.
    Event(Arc<Published>),
    /// So many events are lost, because this receiver was behind.
    Missed(u64),
    /// There won't be any more.
    End,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(BACKLOG),
            history: Arc::new(Mutex::new(VecDeque::with_capacity(HISTORY))),
            published: 0,
        }
    }
}

impl Bus {
    /// Gives an event to everyone.
    pub fn publish(&mut self, decided: Decided) -> Arc<Published> {
        self.published += 1;
        let event = Arc::new(Published::new(self.published, decided));
        let mut history = locked(&self.history);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(Arc::clone(&event));
        // Without receivers it is nobody's loss.
        let _ = self.sender.send(Arc::clone(&event));
        drop(history);
        event
    }

    /// A receiver of what is published from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events {
            receiver: self.sender.subscribe(),
            history: Arc::clone(&self.history),
        }
    }
}

impl Events {
    /// Waits for the next event. Nothing is lost when the future is dropped.
    pub async fn receive(&mut self) -> Received {
        received(self.receiver.recv().await)
    }

    /// The same for a thread outside of the runtime.
    pub fn blocking_receive(&mut self) -> Received {
        received(self.receiver.blocking_recv())
    }

    /// Another receiver, of what is published from now on.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            receiver: self.receiver.resubscribe(),
            history: Arc::clone(&self.history),
        }
    }

    /// Another receiver, and of the last few events those with a higher id than `id`: together
    /// without a gap, as long as no more events have passed than are kept.
    #[must_use]
    pub fn since(&self, id: u64) -> (Vec<Arc<Published>>, Self) {
        let history = locked(&self.history);
        let missed = history.iter().filter(|e| e.id > id).cloned().collect();
        (missed, self.again())
    }
}

fn received(event: Result<Arc<Published>, RecvError>) -> Received {
    match event {
        Ok(event) => Received::Event(event),
        Err(RecvError::Lagged(missed)) => Received::Missed(missed),
        Err(RecvError::Closed) => Received::End,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gesture::{CameraEvent, CameraPhase};

    fn publish(bus: &mut Bus, events: usize) {
        for _ in 0..events {
            bus.publish(Decided {
                event: Event::Camera(CameraEvent {
                    phase: CameraPhase::Lost,
                    camera: "cam".into(),
                    t: Duration::ZERO,
                }),
                at: Duration::ZERO,
            });
        }
    }

    fn id(received: &Received) -> u64 {
        match received {
            Received::Event(event) => event.id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_is_behind_loses_the_oldest_and_the_others_nothing() {
        let mut bus = Bus::default();
        let (mut slow, mut quick) = (bus.events(), bus.events());
        publish(&mut bus, BACKLOG);
        for i in 1..=BACKLOG {
            assert_eq!(id(&quick.blocking_receive()), i as u64);
        }
        publish(&mut bus, 3);
        assert!(matches!(slow.blocking_receive(), Received::Missed(3)));
        assert_eq!(id(&slow.blocking_receive()), 4);
        assert_eq!(id(&quick.blocking_receive()), BACKLOG as u64 + 1);
    }

    #[test]
    fn what_was_missed_and_what_comes_have_no_gap() {
        let mut bus = Bus::default();
        let first = bus.events();
        publish(&mut bus, 100);
        let (missed, mut events) = first.since(97);
        assert_eq!(
            missed.iter().map(|e| e.id).collect::<Vec<_>>(),
            [98, 99, 100]
        );
        assert_eq!(first.since(0).0.len(), HISTORY);
        publish(&mut bus, 1);
        drop(bus);
        assert_eq!(id(&events.blocking_receive()), 101);
        assert!(matches!(events.blocking_receive(), Received::End));
    }

    #[test]
    fn an_event_is_rendered_once_as_a_line() {
        let mut bus = Bus::default();
        let mut events = bus.events();
        publish(&mut bus, 1);
        let Received::Event(event) = events.blocking_receive() else {
            panic!("an event");
        };
        assert!(
            event
                .json()
                .starts_with(r#"{"type":"camera","phase":"lost""#)
        );
        assert_eq!(**event.line(), format!("{}\n", event.json()));
        assert_eq!(event.text(), b"    0.00 s  camera lost: cam\n");
    }
}
