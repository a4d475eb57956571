//! What a fleet's owner sees of each board.

use std::sync::Arc;

use serde::Serialize;

use crate::health::{CameraState, Status};

/// The last will.
pub const OFFLINE: &str = r#"{"state":"offline"}"#;

/// The status as it is published: one flat JSON object, with names that templates can use.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    state: &'static str,
    version: &'a str,
    uptime_s: u64,
    /// `opening`, `streaming`, `lost` or `closed`.
    camera: CameraState,
    /// Why no frames come, in words.
    says: &'a str,
    paused: bool,
    /// Frames a second that were worked on in the last while.
    fps: f64,
    /// From taking a gesture's picture to publishing its event: half were quicker.
    latency_ms: f64,
    /// Events of this run.
    events: u64,
    /// Of these, those that did not get to the broker.
    dropped: u64,
    /// Messages on `pause/set` that were neither `ON` nor `OFF`.
    ignored: u64,
}

/// What a report is not held back for until it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    camera: CameraState,
    says: Arc<str>,
    paused: bool,
}

impl<'a> Report<'a> {
    pub fn new(status: &'a Status, dropped: u64, ignored: u64) -> Self {
        let tenths = |x: f64| (x * 10.0).round() / 10.0;
        Self {
            state: "online",
            version: &status.version,
            uptime_s: status.uptime_s as u64,
            camera: status.camera.state,
            says: &status.camera.says,
            paused: status.paused,
            fps: tenths(status.camera.fps),
            latency_ms: tenths(status.latency.median_ms),
            events: status.events,
            dropped,
            ignored,
        }
    }
}

impl News {
    pub fn of(status: &Status) -> Self {
        Self {
            camera: status.camera.state,
            says: status.camera.says.as_str().into(),
            paused: status.paused,
        }
    }

    /// What is said of the pause: `ON` only once the camera is closed, nothing before.
    pub fn pause(&self) -> Option<&'static str> {
        match (self.paused, self.camera) {
            (false, _) => Some("OFF"),
            (true, CameraState::Closed) => Some("ON"),
            (true, _) => None,
        }
    }
}
