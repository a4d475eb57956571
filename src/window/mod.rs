//! The hand-over from the vision thread to the classifier thread.
//!
//! The vision thread puts poses on a 15 Hz grid ([`Grid`]) and pushes what comes out
//! ([`Handover`]) into a lock-free ring ([`ring()`]). The classifier thread takes it from there
//! and owns, for each hand, the [`Window`] of the newest 30 contiguous poses.
//!
//! The vision thread never waits: a full ring costs poses, which are counted, and never time. A
//! lost pose leaves a hole in the ticks, and a window starts anew at every hole.

mod grid;
mod ring;
#[allow(
    clippy::module_inception,
    reason = "the window is what the folder is about"
)]
mod window;

pub use grid::{Grid, GridParams};
pub use ring::{Consumer, Producer, ring};
pub use window::Window;

use std::time::Duration;

use crate::pose::{Handedness, LANDMARKS, Point3};

/// Poses in a window.
pub const WINDOW: usize = 30;

/// The grid's rate: thirty poses are two seconds.
pub const GRID_HZ: u32 = 15;

/// Numbers in a window: 30 x 21 x 3.
pub const WINDOW_LEN: usize = WINDOW * LANDMARKS * 3;

/// A pose on the grid, as the classifier takes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridPose {
    /// The hand's track (see [`HandPose::track`](crate::pose::HandPose::track)).
    pub track: u32,
    /// Left or right.
    pub handedness: Handedness,
    /// Number of the grid's tick: `t = tick / 15 Hz`. Contiguous poses have consecutive ticks.
    pub tick: u64,
    /// The frame that completed this pose (the later of the two it was interpolated from).
    pub seq: u64,
    /// Time of that frame since the source began.
    pub t: Duration,
    /// When that frame was taken, on `CLOCK_MONOTONIC`; `None` for recordings.
    pub captured: Option<Duration>,
    /// Height of the picture over its width.
    pub aspect: f32,
    /// Landmarks as the classifier takes them: one unit is the frame's width on every axis, and
    /// mirrored to the user's own view where the camera faces the user.
    pub points: [Point3; LANDMARKS],
}

/// A hand that is followed no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandLeft {
    /// Its track.
    pub track: u32,
    /// Left or right.
    pub handedness: Handedness,
    /// The frame in which it was noticed.
    pub seq: u64,
    /// Time of that frame since the source began.
    pub t: Duration,
}

/// What goes from the vision thread to the classifier thread.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "poses are the rule, and a box would be an allocation"
)]
pub enum Handover {
    /// A hand's next pose.
    Pose(GridPose),
    /// A hand has left.
    Left(HandLeft),
}

impl Handover {
    /// Time of the frame that it comes from, since the source began.
    #[must_use]
    pub fn t(&self) -> Duration {
        match self {
            Self::Pose(pose) => pose.t,
            Self::Left(left) => left.t,
        }
    }
}
