//! How hands are looked for and followed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{OneEuroParams, SearchParams};

/// Which of the two sizes of the networks is used.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum ModelSize {
    /// About half the work.
    #[default]
    Lite,
    /// More accurate.
    Full,
}

impl ModelSize {
    /// As it stands in file names and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lite => "lite",
            Self::Full => "full",
        }
    }
}

/// How hands are looked for and followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoseParams {
    /// The networks' size.
    pub model: ModelSize,
    /// Threads that compute the networks, the caller's included, 1 to
    /// [`MOST_THREADS`](crate::inference::MOST_THREADS).
    pub threads: usize,
    /// The most hands to follow, 1 to [`MAX_HANDS`](super::MAX_HANDS).
    pub hands: usize,
    /// Confidence from which on a palm is one, 0..1.
    pub detection_threshold: f32,
    /// Confidence from which on a hand is still there, 0..1.
    pub presence_threshold: f32,
    /// A hand that is found again near by within so long is the same hand.
    pub max_gap: Duration,
    /// Smooths landmarks over time, or leaves them raw.
    pub smoothing: Option<OneEuroParams>,
    /// Which frames are searched for palms.
    pub search: SearchParams,
    /// The picture is a mirror image already, so left hands look like left hands to the network,
    /// which learned from selfies.
    pub mirrored: bool,
}

impl Default for PoseParams {
    fn default() -> Self {
        Self {
            model: ModelSize::default(),
            threads: 1,
            hands: 1,
            detection_threshold: 0.5,
            presence_threshold: 0.5,
            max_gap: Duration::from_millis(250),
            smoothing: Some(OneEuroParams::default()),
            search: SearchParams::default(),
            mirrored: false,
        }
    }
}
