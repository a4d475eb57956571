//! The bounded way of an event from a hot thread to the publishing thread.

use std::sync::Arc;
use std::thread::Thread;

use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::gesture::Event;
use crate::health::Metrics;
use crate::memory;

/// The sending half. Belongs to one thread.
pub struct Outbox {
    ring: HeapProd<Event>,
    reader: Thread,
    metrics: Arc<Metrics>,
}

/// The receiving half. Belongs to the publishing thread.
pub struct Inbox {
    ring: HeapCons<Event>,
}

/// A queue of at most `capacity` events to the thread `reader`, which is woken for each.
#[must_use]
pub fn queue(capacity: usize, reader: Thread, metrics: Arc<Metrics>) -> (Outbox, Inbox) {
    let (mut producer, consumer) = HeapRb::new(capacity).split();
    memory::touch(producer.vacant_slices_mut().0);
    let outbox = Outbox {
        ring: producer,
        reader,
        metrics,
    };
    (outbox, Inbox { ring: consumer })
}

impl Outbox {
    /// Sends an event; when the queue is full, the event is dropped and counted. Wait-free, no
    /// allocation.
    pub fn send(&mut self, event: Event) {
        match self.ring.try_push(event) {
            Ok(()) => self.reader.unpark(),
            Err(_) => self.metrics.events_lost.add(1),
        }
    }
}

impl Inbox {
    /// Takes the oldest event.
    pub fn take(&mut self) -> Option<Event> {
        self.ring.try_pop()
    }
}
