//! Looks for what goes wrong slowly: buffers that don't come back, memory that grows.

use std::time::Duration;

/// What [`Watch`] tolerates.
#[derive(Debug, Clone, Copy)]
pub struct WatchParams {
    /// The most buffers that the stages can hold at once.
    pub live_frames: u64,
    /// For so long more may be held before it is called a leak.
    pub leak_after: Duration,
    /// Memory is compared by its lowest value in each period of this length.
    pub period: Duration,
    /// That many periods in a row must each be higher than the one before,
    pub periods: u32,
    /// and the growth over them at least this many bytes, to be called growth.
    pub growth_bytes: u64,
}

impl Default for WatchParams {
    fn default() -> Self {
        Self {
            live_frames: 1,
            leak_after: Duration::from_secs(10),
            period: Duration::from_secs(600),
            periods: 6,
            growth_bytes: 8 << 20,
        }
    }
}

/// Something that went wrong slowly. Each is said once while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// More buffers are held than the stages can hold.
    FramesHeld {
        /// How many.
        live: u64,
        /// How many there may be.
        most: u64,
    },
    /// Resident memory grew in every period.
    MemoryGrows {
        /// By how many bytes since the first of the periods.
        bytes: u64,
        /// In how long.
        over: Duration,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FramesHeld { live, most } => write!(
                f,
                "{live} camera buffers are held although at most {most} can be in use: a leak"
            ),
            Self::MemoryGrows { bytes, over } => write!(
                f,
                "resident memory grew by {:.1} MB within {} minutes and has not come down",
                *bytes as f64 / 1e6,
                over.as_secs() / 60
            ),
        }
    }
}

/// The state of the look-out. Feed it now and then; it does no I/O itself.
#[derive(Debug)]
pub struct Watch {
    params: WatchParams,
    held_since: Option<Duration>,
    held_said: bool,
    period_began: Option<Duration>,
    lowest: u64,
    /// Lowest value of the period before, and of the one in which the growth began.
    last: Option<u64>,
    base: u64,
    grown: u32,
}

impl Watch {
    /// A look-out that has seen nothing yet.
    #[must_use]
    pub fn new(params: WatchParams) -> Self {
        Self {
            params,
            held_since: None,
            held_said: false,
            period_began: None,
            lowest: u64::MAX,
            last: None,
            base: 0,
            grown: 0,
        }
    }

    /// Takes what is so at time `now`; returns a warning when one begins.
    pub fn step(&mut self, now: Duration, live: u64, resident: u64) -> Option<Warning> {
        self.held(now, live).or_else(|| self.memory(now, resident))
    }

    fn held(&mut self, now: Duration, live: u64) -> Option<Warning> {
        if live <= self.params.live_frames {
            self.held_since = None;
            self.held_said = false;
            return None;
        }
        let since = *self.held_since.get_or_insert(now);
        if self.held_said || now - since < self.params.leak_after {
            return None;
        }
        self.held_said = true;
        Some(Warning::FramesHeld {
            live,
            most: self.params.live_frames,
        })
    }

    fn memory(&mut self, now: Duration, resident: u64) -> Option<Warning> {
        let began = *self.period_began.get_or_insert(now);
        self.lowest = self.lowest.min(resident);
        if now - began < self.params.period {
            return None;
        }
        let lowest = std::mem::replace(&mut self.lowest, u64::MAX);
        self.period_began = Some(now);
        match self.last.replace(lowest) {
            Some(last) if lowest > last => self.grown += 1,
            _ => {
                self.grown = 0;
                self.base = lowest;
            }
        }
        let bytes = lowest - self.base.min(lowest);
        if self.grown < self.params.periods || bytes < self.params.growth_bytes {
            return None;
        }
        let over = self.params.period * self.grown;
        self.grown = 0;
        self.base = lowest;
        Some(Warning::MemoryGrows { bytes, over })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn warnings(
        hours: u32,
        live: impl Fn(u32) -> u64,
        resident: impl Fn(u32) -> u64,
    ) -> Vec<Warning> {
        let mut watch = Watch::new(WatchParams::default());
        (0..hours * 60)
            .filter_map(|m| watch.step(MINUTE * m, live(m), resident(m)))
            .collect()
    }

    #[test]
    fn steady_memory_is_no_growth() {
        let saw = |m: u32| 50_000_000 + u64::from(m % 45) * 400_000;
        assert_eq!(warnings(48, |_| 1, saw), []);
    }

    #[test]
    fn a_slow_leak_is_said_once_in_a_while() {
        let said = warnings(4, |_| 1, |m| 50_000_000 + u64::from(m) * 200_000);
        assert!((1..=4).contains(&said.len()), "{said:?}");
        assert!(matches!(said[0], Warning::MemoryGrows { bytes, .. } if bytes >= 8 << 20));
    }

    #[test]
    fn held_buffers_are_said_once_each_time() {
        let live = |m: u32| {
            if (10..20).contains(&m) || (30..40).contains(&m) {
                3
            } else {
                1
            }
        };
        assert_eq!(
            warnings(1, live, |_| 1),
            [Warning::FramesHeld { live: 3, most: 1 }; 2]
        );
    }
}
