//! What the daemon's threads are told while they run: stop, pause.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::publish::Bell;

/// The daemon's switches. Anyone may turn them; the vision thread looks at them in each round, and
/// the publishing thread is woken.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    paused: AtomicBool,
    bell: Bell,
}

impl Control {
    /// Ends what runs.
    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
        self.bell.ring();
    }

    /// Takes that back, once it has ended: something else is to run.
    pub fn go_on(&self) {
        self.stop.store(false, SeqCst);
    }

    /// Whether the daemon is to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    /// The same, for who waits on a flag.
    #[must_use]
    pub fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Pauses or goes on. While paused the camera is closed and no frame is taken.
    pub fn pause(&self, paused: bool) {
        if self.paused.swap(paused, SeqCst) != paused {
            self.bell.ring();
        }
    }

    /// Whether the daemon is to pause.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(SeqCst)
    }

    /// What wakes the publishing thread.
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.bell
    }
}
