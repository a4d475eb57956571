//! What the service manager is told: readiness, status and signs of life (`sd_notify(3)`).

use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::{Clock, SystemClock};

/// The service manager that started palmd. Where there is none, nobody is told.
#[derive(Debug)]
pub struct ServiceManager {
    /// How often it wants a sign of life; `None` if it doesn't.
    sign_interval: Option<Duration>,
    sign_due: Duration,
    last_turn: u64,
    status: &'static str,
}

impl ServiceManager {
    /// The one that the environment names.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            // sd_watchdog_enabled(3) advises half of the time-out.
            sign_interval: sd_notify::watchdog_enabled().map(|timeout| timeout / 2),
            sign_due: Duration::ZERO,
            last_turn: 0,
            status: "",
        }
    }

    /// palmd is up, or up again with another configuration.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// palmd takes over another configuration; [`ready`](Self::ready) ends that.
    pub fn reloading(&self) {
        // sd-notify's own `monotonic_usec_now` overflows on 32 bits, 36 minutes after the machine's start.
        let now = SystemClock.now().as_micros() as i128;
        tell(&[NotifyState::Reloading, NotifyState::MonotonicUsec(now)]);
    }

    /// What `systemctl status` shows. Told only when it changes.
    pub fn status(&mut self, status: &'static str) {
        if self.status != status {
            self.status = status;
            tell(&[NotifyState::Status(status)]);
        }
    }

    /// Feeds the watchdog, if the vision thread has come round since it was fed last: with a frame
    /// or with the news that there is none. `turn` counts the rounds.
    pub fn alive(&mut self, now: Duration, turn: u64) {
        let Some(interval) = self.sign_interval else {
            return;
        };
        if now >= self.sign_due && turn != self.last_turn {
            self.sign_due = now + interval;
            self.last_turn = turn;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// A message that is lost is no reason to stop watching.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("the service manager can't be told: {error}");
    }
}
