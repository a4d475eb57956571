//! Pauses between attempts.

use std::time::Duration;

use crate::clock::{Clock, SystemClock};

/// Pauses that double up to a limit, each shortened by up to a quarter so that many boards don't
/// come back in step.
#[derive(Debug, Clone)]
pub struct BackOff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl BackOff {
    /// Pauses from `first` to `most`.
    #[must_use]
    pub fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            next: first,
        }
    }

    /// How long to wait before the next attempt.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        // The clock's last digits are chance enough.
        let chance = SystemClock.now().subsec_nanos() / 7 % 256;
        pause - pause / 1024 * chance
    }

    /// An attempt succeeded: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Default for BackOff {
    /// From one second to half a minute.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_begin_anew() {
        let mut back_off = BackOff::default();
        let near = |pause: Duration, s: f64| (s * 0.75..=s).contains(&pause.as_secs_f64());
        for s in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let pause = back_off.pause();
            assert!(near(pause, s), "{pause:?} of {s} s");
        }
        back_off.reset();
        assert!(near(back_off.pause(), 1.0));
    }
}
