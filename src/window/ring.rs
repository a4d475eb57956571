//! The ring: the only thing that the vision thread and the classifier thread share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use ringbuf::traits::{Consumer as _, Observer as _, Producer as _, Split as _};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::Handover;
use crate::memory;

/// Makes a ring with room for `capacity` items (at least one). All its memory is allocated here,
/// and brought in.
#[must_use]
pub fn ring(capacity: usize) -> (Producer, Consumer) {
    let (mut producer, consumer) = HeapRb::new(capacity.max(1)).split();
    memory::touch(producer.vacant_slices_mut().0);
    let shared = Arc::new(Shared::default());
    (
        Producer {
            ring: producer,
            shared: Arc::clone(&shared),
        },
        Consumer {
            ring: consumer,
            shared,
        },
    )
}

#[derive(Debug, Default)]
struct Shared {
    lost: AtomicU64,
    newest_ns: AtomicU64,
    closed: AtomicBool,
    consumer: OnceLock<Thread>,
}

impl Shared {
    /// A store, and a futex call if the consumer sleeps.
    fn wake_consumer(&self) {
        if let Some(thread) = self.consumer.get() {
            thread.unpark();
        }
    }
}

/// The vision thread's end. Dropping it closes the ring.
pub struct Producer {
    ring: HeapProd<Handover>,
    shared: Arc<Shared>,
}

impl Producer {
    /// Hands `item` over and wakes the consumer. Wait-free, does not allocate: if the ring is
    /// full, the item is dropped and counted as lost. Returns whether there was room.
    pub fn push(&mut self, item: Handover) -> bool {
        let t_ns = u64::try_from(item.t().as_nanos()).unwrap_or(u64::MAX);
        self.shared.newest_ns.store(t_ns, Ordering::Relaxed);
        let pushed = self.ring.try_push(item).is_ok();
        if !pushed {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.wake_consumer();
        pushed
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.wake_consumer();
    }
}

/// The classifier thread's end. It belongs to the thread that first waits on it.
pub struct Consumer {
    ring: HeapCons<Handover>,
    shared: Arc<Shared>,
}

impl Consumer {
    /// The oldest item, if there is one. Wait-free.
    pub fn pop(&mut self) -> Option<Handover> {
        self.ring.try_pop()
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.occupied_len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Sleeps until an item or the ring's end comes, but no longer than `timeout`. May return
    /// for no reason.
    pub fn wait(&mut self, timeout: Duration) {
        // Only the first call allocates.
        self.shared.consumer.get_or_init(thread::current);
        if self.is_empty() && !self.is_closed() {
            thread::park_timeout(timeout);
        }
    }

    /// Whether the producer is gone. Items may still wait; once it is gone, no more will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Items that were lost because the ring was full, since it was made.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Time of the newest item that the producer came with, lost ones included, since the source
    /// began.
    #[must_use]
    pub fn newest(&self) -> Duration {
        Duration::from_nanos(self.shared.newest_ns.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pose::Handedness;
    use crate::window::HandLeft;

    fn left(seq: u64) -> Handover {
        Handover::Left(HandLeft {
            track: 1,
            handedness: Handedness::Left,
            seq,
            t: Duration::from_secs(seq),
        })
    }

    #[test]
    fn a_full_ring_counts_what_it_loses_and_keeps_what_it_has() {
        let (mut producer, mut consumer) = ring(2);
        let pushed = [1, 2, 3, 4].map(|seq| producer.push(left(seq)));
        assert_eq!(pushed, [true, true, false, false]);
        assert_eq!((consumer.lost(), consumer.len()), (2, 2));
        assert_eq!(consumer.newest(), Duration::from_secs(4));
        assert_eq!(consumer.pop(), Some(left(1)));
        assert!(producer.push(left(5)));
        assert_eq!(consumer.pop(), Some(left(2)));
        assert_eq!(consumer.pop(), Some(left(5)));
        assert_eq!(consumer.pop(), None);
    }

    #[test]
    fn a_push_and_the_end_wake_the_consumer() {
        let (mut producer, mut consumer) = ring(2);
        let sleeper = thread::spawn(move || {
            let mut items = 0;
            while !(consumer.is_closed() && consumer.is_empty()) {
                // Without a wake-up this test takes until somebody stops it.
                consumer.wait(Duration::MAX);
                items += usize::from(consumer.pop().is_some());
            }
            items
        });
        while producer.shared.consumer.get().is_none() {
            thread::yield_now();
        }
        producer.push(left(1));
        drop(producer);
        assert_eq!(sleeper.join().expect("the sleeper"), 1);
    }
}
