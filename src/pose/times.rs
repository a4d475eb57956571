//! Where the time of a frame goes.

use std::time::{Duration, Instant};

/// Where the time of one frame went; `None` for what it didn't need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Sampling the palm network's input.
    pub letterbox: Option<Duration>,
    /// The palm network.
    pub palm: Option<Duration>,
    /// Decoding and suppressing its proposals.
    pub decode: Option<Duration>,
    /// Sampling the landmark network's input, for all hands.
    pub warp: Option<Duration>,
    /// The landmark network, for all hands.
    pub landmark: Option<Duration>,
}

/// Does `work` and adds the time that it took to `stage`.
pub(super) fn timed<T>(stage: &mut Option<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    *stage.get_or_insert_default() += start.elapsed();
    done
}
