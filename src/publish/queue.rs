//! The bounded way of an event from a hot thread to the publishing thread.

use std::sync::Arc;
use std::time::Duration;

use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::Bell;
use crate::clock::{Clock, SystemClock};
use crate::gesture::Event;
use crate::health::Metrics;
use crate::memory;

/// The sending half. Belongs to one thread.
pub struct Outbox {
    ring: HeapProd<Decided>,
    bell: Bell,
    metrics: Arc<Metrics>,
}

/// The receiving half. Belongs to the publishing thread.
pub struct Inbox {
    ring: HeapCons<Decided>,
}

/// An event and when it was decided on, on `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The event.
    pub event: Event,
    /// When it was sent.
    pub at: Duration,
}

/// A queue of at most `capacity` events; `bell` is rung for each.
#[must_use]
pub fn queue(capacity: usize, bell: Bell, metrics: Arc<Metrics>) -> (Outbox, Inbox) {
    let (mut producer, consumer) = HeapRb::new(capacity).split();
    memory::touch(producer.vacant_slices_mut().0);
    let outbox = Outbox {
        ring: producer,
        bell,
        metrics,
    };
    (outbox, Inbox { ring: consumer })
}

impl Outbox {
    /// Sends an event; when the queue is full, the event is dropped and counted. Wait-free, no
    /// allocation.
    pub fn send(&mut self, event: Event) {
        let at = SystemClock.now();
        match self.ring.try_push(Decided { event, at }) {
            Ok(()) => self.bell.ring(),
            Err(_) => self.metrics.events_lost.add(1),
        }
    }
}

impl Inbox {
    /// Takes the oldest event.
    pub fn take(&mut self) -> Option<Decided> {
        self.ring.try_pop()
    }
}
