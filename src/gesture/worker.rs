//! The classifier thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Event, Recognizer, Score};
use crate::clock::Clock;
use crate::window::Consumer;

/// Items that may wait without a window being skipped: a hiccup of a quarter of a second, or half
/// of that with two hands.
const BACKLOG: usize = 4;

/// How long the thread sleeps when nothing comes, before it looks whether it shall stop.
const NAP: Duration = Duration::from_millis(250);

/// Recognizes gestures in what comes out of the ring, until `stop` is set or the producer is gone
/// and the ring is empty. Everything of the thread happens here; `events` is called on it.
///
/// Each window is classified once, as long as the thread keeps up. When more than a few items
/// wait, only the newest window of each hand is, and the others are counted as skipped: what
/// counts is the delay, not the number.
///
/// When nothing comes for longer than the stall limit on `clock`, all hands leave.
pub fn run<S: Score>(
    mut consumer: Consumer,
    mut recognizer: Recognizer<S>,
    clock: &dyn Clock,
    stop: &AtomicBool,
    mut events: impl FnMut(Event),
) {
    let counters = recognizer.counters();
    let mut last_item = clock.now();
    while !stop.load(Ordering::Relaxed) {
        // In this order: when the ring is closed, its length is final.
        let closed = consumer.is_closed();
        let waiting = consumer.len();
        counters.waiting.store(waiting as u64, Ordering::Relaxed);
        if waiting == 0 {
            if closed {
                break;
            }
            if clock.now().saturating_sub(last_item) > recognizer.stall_limit() {
                recognizer.all_left(&mut events);
            }
            consumer.wait(NAP);
            continue;
        }
        last_item = clock.now();
        for rest in (0..waiting).rev() {
            let Some(item) = consumer.pop() else { break };
            recognizer.take(&item, &mut events);
            if waiting <= BACKLOG || rest == 0 {
                recognizer.classify(consumer.newest(), &mut events);
            }
        }
        counters.lost.store(consumer.lost(), Ordering::Relaxed);
    }
    recognizer.all_left(&mut events);
}
