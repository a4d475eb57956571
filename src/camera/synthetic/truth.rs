//! What is exactly true of a script: its gestures in time and the hand's points in each frame.

use serde::Serialize;
use std::time::Duration;

use super::geometry::Vec3;
use super::scene::{PlacedHand, View};
use crate::pose::{FramePoses, HandPose, LANDMARKS};

/// The labelled intervals of a script.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// Length of the script in seconds.
    pub duration: f64,
    /// Gestures in the order of time. Movements last from the beginning to the end of the
    /// stroke, held shapes from the moment that the shape is reached until it is left.
    pub intervals: Vec<Interval>,
}

/// A gesture from `start` to `end`, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interval {
    /// One of [`LABELS`](crate::gesture::LABELS), never `none`.
    pub gesture: &'static str,
    /// When it begins.
    pub start: f64,
    /// When it ends.
    pub end: f64,
}

/// The pose of a hand as a perfect estimator would see it, or `None` unless more than half of
/// its points are in the picture.
pub(super) fn pose(hand: &PlacedHand, view: &View, track: u32) -> Option<HandPose> {
    let (width, height) = (view.size.0 as f32, view.size.1 as f32);
    let wrist = hand.joints[0];
    let per_metre = view.focal_px() / wrist.z / width;
    let landmarks = hand.joints.map(|joint| {
        let (x, y) = view.project(joint);
        [x / width, y / height, (joint.z - wrist.z) * per_metre]
    });
    let inside = |p: &&[f32; 3]| (0.0..1.0).contains(&p[0]) && (0.0..1.0).contains(&p[1]);
    if landmarks.iter().filter(inside).count() * 2 <= LANDMARKS {
        return None;
    }
    let centre =
        hand.joints.iter().fold(Vec3::default(), |sum, &j| sum + j) * (1.0 / LANDMARKS as f32);
    Some(HandPose {
        track,
        handedness: hand.handedness,
        presence: 1.0,
        landmarks,
        world: hand.joints.map(|joint| {
            let p = joint - centre;
            [p.x, p.y, p.z]
        }),
    })
}

/// A line of poses with at most one hand.
pub(super) fn frame(seq: u64, t: Duration, view: &View, hand: Option<HandPose>) -> FramePoses {
    FramePoses {
        seq,
        t,
        size: view.size,
        hands: hand.into_iter().collect(),
    }
}
