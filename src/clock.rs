//! Time as a dependency, so that a day of kiosk life can be simulated in milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A monotonic clock. Threads that wait or measure take one as a parameter.
pub trait Clock: Send + Sync {
    /// Time since an arbitrary fixed origin; never goes back.
    fn now(&self) -> Duration;
    /// Returns when [`now`](Clock::now) has advanced by at least `time`.
    fn sleep(&self, time: Duration);
}

/// The machine's `CLOCK_MONOTONIC`, which also stamps V4L2 buffers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A clock whose sleep advances the time at once.
#[derive(Debug, Default)]
pub struct SimulatedClock {
    now_ns: AtomicU64,
}

impl SimulatedClock {
    /// Moves the time forward by `time`.
    pub fn advance(&self, time: Duration) {
        self.now_ns
            .fetch_add(time.as_nanos() as u64, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns.load(Ordering::SeqCst))
    }

    fn sleep(&self, time: Duration) {
        self.advance(time);
    }
}
