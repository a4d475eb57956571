//! From a frame to hand poses: palm detection, landmarks, tracking and smoothing.
//!
//! It is MediaPipe's hand pipeline (Zhang et al., "MediaPipe Hands: On-device Real-time Hand
//! Tracking", 2020). A [`PoseTracker`] takes a frame through these steps:
//!
//! 1. While no hand is followed, the [`detector`] looks at the whole frame (the letterbox
//!    [`Region`](region::Region)), as often as [`SearchParams`] allow: in the daemon seldom unless
//!    something moves. Its network's proposals around the [`anchors`] become
//!    [`palm`]s, and each palm a region that is turned so that the hand stands upright.
//! 2. For each region, [`landmark`] finds the 21 points of the hand there and how sure it is.
//! 3. The points say where the hand will be in the next frame: the region for step 2.
//! 4. [`OneEuro`] smooths what is published.
//!
//! Both networks look through [`sample`], which reads the frame in its own pixel format.

pub mod anchors;
pub mod detector;
pub mod landmark;
mod motion;
mod one_euro;
pub mod palm;
mod params;
pub mod region;
pub mod sample;
mod search;
mod times;
mod tracker;

pub use one_euro::{OneEuro, OneEuroParams};
pub use params::{ModelSize, PoseParams};
pub use search::SearchParams;
pub use times::StageTimes;
pub use tracker::PoseTracker;

pub mod lines;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Points of a hand, in MediaPipe's order: wrist, then thumb, index, middle, ring and little
/// finger with four joints each from the palm outwards.
pub const LANDMARKS: usize = 21;

/// The most hands that are followed at once.
pub const MAX_HANDS: usize = 2;

/// `x, y, z` of one landmark.
///
/// Image landmarks: x right and y down in frame widths and heights (0..1), z growing away from
/// the camera in the scale of x, the wrist near 0. World landmarks: metres, origin at the hand's
/// centre.
pub type Point3 = [f32; 3];

/// Which hand of the person it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handedness {
    /// The person's left hand.
    Left,
    /// The person's right hand.
    Right,
}

impl Handedness {
    /// What a hand looks like in a mirror.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// One hand in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HandPose {
    /// Stays the same while a hand is followed without a break; never used again.
    pub track: u32,
    /// Left or right.
    #[serde(rename = "hand")]
    pub handedness: Handedness,
    /// The landmark network's confidence that there is a hand, 0..1.
    pub presence: f32,
    /// Image-normalised landmarks.
    pub landmarks: [Point3; LANDMARKS],
    /// Landmarks in metres around the hand's centre.
    pub world: [Point3; LANDMARKS],
}

/// All hands of one frame: a line of `palmd pose`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FramePoses {
    /// The frame's number.
    pub seq: u64,
    /// Seconds since the source began.
    #[serde(rename = "t", with = "seconds")]
    pub t: Duration,
    /// Width and height of the frame in pixels.
    pub size: (u32, u32),
    /// The hands, longest followed first.
    pub hands: heapless::Vec<HandPose, MAX_HANDS>,
}

/// A [`Duration`] as a JSON number of seconds, rounded to microseconds.
pub mod seconds {
    use super::{Deserialize, Duration};
    use serde::de::Error;

    /// Writes seconds.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: serde::Serializer>(t: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64((t.as_secs_f64() * 1e6).round() / 1e6)
    }

    /// Reads seconds.
    ///
    /// # Errors
    /// A negative, infinite or NaN number.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(D::Error::custom)
    }
}
