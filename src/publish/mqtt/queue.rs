//! Events that wait for the broker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::publish::Published;

/// A bounded queue that loses the oldest first, and whatever has become too old to be of use: a
/// gesture of a minute ago must not switch on the light.
#[derive(Debug)]
pub struct Queue {
    events: VecDeque<Arc<Published>>,
    capacity: usize,
    max_age: Duration,
}

impl Queue {
    /// A queue of at most `capacity` events, each for at most `max_age`.
    pub fn new(capacity: usize, max_age: Duration) -> Self {
        Self {
            events: VecDeque::with_capacity(capacity),
            capacity,
            max_age,
        }
    }

    /// Puts an event behind the others; returns how many were lost for it.
    pub fn push(&mut self, event: Arc<Published>) -> u64 {
        let full = self.events.len() >= self.capacity;
        if full {
            self.events.pop_front();
        }
        self.events.push_back(event);
        u64::from(full)
    }

    /// Puts events back that were taken and didn't arrive, oldest first; returns how many were lost.
    pub fn put_back(&mut self, taken: impl DoubleEndedIterator<Item = Arc<Published>>) -> u64 {
        let mut lost = 0;
        for event in taken.rev() {
            if self.events.len() < self.capacity {
                self.events.push_front(event);
            } else {
                lost += 1;
            }
        }
        lost
    }

    /// Throws away what is too old at `now`; returns how many.
    pub fn expire(&mut self, now: Duration) -> u64 {
        let mut lost = 0;
        while let Some(oldest) = self.events.front() {
            if now.saturating_sub(oldest.decided) <= self.max_age {
                break;
            }
            self.events.pop_front();
            lost += 1;
        }
        lost
    }

    /// Takes the oldest event.
    pub fn take(&mut self) -> Option<Arc<Published>> {
        self.events.pop_front()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gesture::{CameraEvent, CameraPhase, Event};
    use crate::publish::{Bus, Decided};

    /// Events that were decided on at 0 s, 1 s, ...
    fn events(count: u64) -> Vec<Arc<Published>> {
        let mut bus = Bus::default();
        let event = |s| Decided {
            event: Event::Camera(CameraEvent {
                phase: CameraPhase::Lost,
                camera: "cam".into(),
                t: Duration::ZERO,
            }),
            at: Duration::from_secs(s),
        };
        (0..count).map(|s| bus.publish(event(s))).collect()
    }

    fn ids(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.take().map(|e| e.id)).collect()
    }

    #[test]
    fn the_oldest_are_lost_first_and_counted() {
        let mut queue = Queue::new(3, Duration::from_secs(60));
        let lost: u64 = events(5).into_iter().map(|e| queue.push(e)).sum();
        assert_eq!((lost, queue.len()), (2, 3));
        assert_eq!(ids(&mut queue), [3, 4, 5]);
    }

    #[test]
    fn what_is_too_old_is_lost() {
        let mut queue = Queue::new(9, Duration::from_secs(10));
        for event in events(5) {
            queue.push(event);
        }
        assert_eq!(queue.expire(Duration::from_secs(10)), 0);
        assert_eq!(queue.expire(Duration::from_secs(13)), 3);
        assert_eq!(ids(&mut queue), [4, 5]);
    }

    #[test]
    fn what_did_not_arrive_comes_first_again_where_there_is_room() {
        let mut queue = Queue::new(3, Duration::from_secs(60));
        let mut events = events(5);
        let later = events.split_off(3);
        for event in later {
            queue.push(event);
        }
        assert_eq!(queue.put_back(events.into_iter()), 2);
        assert_eq!(ids(&mut queue), [3, 4, 5]);
    }
}
