//! What palmd tells the world.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::pose::{Handedness, seconds};

/// One event, as a line of NDJSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// A gesture began, goes on or ended.
    Gesture(GestureEvent),
    /// A hand came into view or left it.
    Hand(HandEvent),
    /// The camera went away or came back.
    Camera(CameraEvent),
}

/// Where in its life a gesture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It was recognised. The only phase of a movement.
    Start,
    /// A held shape is still held.
    Hold,
    /// A held shape is no longer held.
    End,
}

/// A gesture event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GestureEvent {
    /// Where in its life the gesture is.
    pub phase: Phase,
    /// The label.
    pub gesture: Arc<str>,
    /// The classifier's probability, 0..1.
    pub score: f32,
    /// Which hand made it.
    pub hand: Handedness,
    /// The hand's track.
    pub track: u32,
    /// The frame that completed it.
    pub seq: u64,
    /// Seconds since the source began.
    #[serde(with = "seconds")]
    pub t: Duration,
    /// When that frame was taken, on `CLOCK_MONOTONIC` (for the latency); not written.
    #[serde(skip)]
    pub captured: Option<Duration>,
}

/// Whether a hand came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandPhase {
    /// A hand is followed from now on.
    Appear,
    /// A hand is followed no longer.
    Leave,
}

/// A hand came into view or left it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HandEvent {
    /// Came or went.
    pub phase: HandPhase,
    /// Which hand.
    pub hand: Handedness,
    /// Its track.
    pub track: u32,
    /// The frame in which it was noticed.
    pub seq: u64,
    /// Seconds since the source began.
    #[serde(with = "seconds")]
    pub t: Duration,
}

/// Whether the camera is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameraPhase {
    /// No frames come any more.
    Lost,
    /// Frames come again.
    Found,
}

/// The camera went away or came back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CameraEvent {
    /// Lost or found.
    pub phase: CameraPhase,
    /// The camera's name.
    pub camera: Arc<str>,
    /// Seconds since the source began.
    #[serde(with = "seconds")]
    pub t: Duration,
}
