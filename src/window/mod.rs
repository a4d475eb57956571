//! The hand-over from the vision thread to the classifier thread.
//!
//! The producer puts poses on a 15 Hz grid ([`GridPose`]) and pushes them into a lock-free ring;
//! the consumer owns the window of the newest 30 contiguous ones.

use std::time::Duration;

use crate::pose::{Handedness, LANDMARKS, Point3};

/// Poses in a window.
pub const WINDOW: usize = 30;

/// The grid's rate: thirty poses are two seconds.
pub const GRID_HZ: u32 = 15;

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
    /// Landmarks as the classifier takes them: one unit is the frame's width on every axis, and
    /// mirrored to the user's own view where the camera faces the user.
    pub points: [Point3; LANDMARKS],
}
