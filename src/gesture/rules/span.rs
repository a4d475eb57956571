//! A span of time.

use std::time::Duration;

/// A span of time; empty by default.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    from: Duration,
    length: Duration,
}

impl Span {
    pub(super) fn new(from: Duration, length: Duration) -> Self {
        Self { from, length }
    }

    pub(super) fn contains(&self, t: Duration) -> bool {
        t.checked_sub(self.from)
            .is_some_and(|passed| passed < self.length)
    }

    /// Goes on for `length` from `t`, unless it lasts longer already.
    pub(super) fn extend(&mut self, t: Duration, length: Duration) {
        if !self.contains(t) || self.end() < t.saturating_add(length) {
            *self = Self::new(t, length);
        }
    }

    pub(super) fn end(&self) -> Duration {
        self.from.saturating_add(self.length)
    }
}
