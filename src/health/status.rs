//! What the daemon is doing, for people and for programs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Histogram, Memory, Metrics, Quantiles, Stage};
use crate::camera::SourceInfo;
use crate::gesture::{Event, Phase};
use crate::pose::Handedness;
use crate::publish::OutputStatus;

/// What the daemon is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// palmd's version.
    pub version: String,
    /// Seconds since it was started.
    pub uptime_s: f64,
    /// Whether it is paused: the camera is closed.
    pub paused: bool,
    /// The camera, or what stands for it.
    pub camera: CameraStatus,
    /// Hands in view.
    pub hands: u64,
    /// The newest gesture that began.
    pub last_gesture: Option<LastGesture>,
    /// The vision thread's work on a frame.
    pub frame_time: Quantiles,
    /// The classifier thread's work on a window.
    pub window_time: Quantiles,
    /// From taking a gesture's frame to publishing its event.
    pub latency: Quantiles,
    /// Poses that wait for the classifier.
    pub ring: Occupancy,
    /// Camera buffers that are held.
    pub pool: Occupancy,
    /// Windows that were classified.
    pub windows: u64,
    /// Poses or windows that were passed over.
    pub windows_skipped: u64,
    /// Events that were published.
    pub events: u64,
    /// Events that the publishing thread did not take in time.
    pub events_lost: u64,
    /// Memory of the process.
    pub memory: Memory,
    /// The outputs that are on.
    pub outputs: Vec<OutputStatus>,
}

/// What the camera is doing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CameraStatus {
    /// Its name.
    pub name: String,
    /// Pixel format on the way in.
    pub format: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Nominal frames a second.
    pub nominal_fps: f32,
    /// Whether frames come.
    pub state: CameraState,
    /// Why they don't, in words.
    pub says: String,
    /// Frames a second that were worked on in the last while.
    pub fps: f64,
    /// Frames worked on.
    pub frames: u64,
    /// Frames given back unseen.
    pub skipped: u64,
    /// Broken frames.
    pub bad: u64,
    /// Times that it was closed and opened again.
    pub reopened: u64,
}

/// Whether frames come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameraState {
    /// None has come yet.
    #[default]
    Opening,
    /// They do.
    Streaming,
    /// They don't, and it is opened again now and then.
    Lost,
    /// The camera is closed because palmd is paused.
    Closed,
}

/// How full something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Occupancy {
    /// Places that are taken.
    pub used: u64,
    /// Places that there are; 0 where there is no such thing.
    pub of: u64,
}

/// A gesture that began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LastGesture {
    /// Its label.
    pub gesture: Arc<str>,
    /// Which hand made it.
    pub hand: Handedness,
    /// The classifier's probability.
    pub score: f32,
    /// When it was published.
    pub time: Timestamp,
}

/// What the vision thread says of its camera when that changes. Not for each frame: it takes a
/// lock.
#[derive(Debug, Default)]
pub struct CameraBoard(Mutex<CameraStatus>);

impl CameraBoard {
    /// Frames come, or are about to.
    pub fn set(&self, state: CameraState, info: SourceInfo) {
        *self.board() = CameraStatus {
            name: info.name,
            format: info.format,
            size: info.size,
            nominal_fps: info.fps,
            state,
            ..CameraStatus::default()
        };
    }

    /// Whether frames come.
    #[must_use]
    pub fn state(&self) -> CameraState {
        self.board().state
    }

    /// No frames come.
    pub fn lost(&self, why: String) {
        let mut board = self.board();
        board.state = CameraState::Lost;
        board.says = why;
    }

    fn board(&self) -> MutexGuard<'_, CameraStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the publishing thread remembers for the [`Status`].
#[derive(Debug)]
pub struct Observer {
    began: Duration,
    latency: Histogram,
    last_gesture: Option<LastGesture>,
    /// Time and number of frames when the rate was measured last.
    measured: (Duration, u64),
    fps: f64,
}

/// The rate is measured over this long at least.
const RATE_PERIOD: Duration = Duration::from_secs(1);

impl Observer {
    /// Begins at the time `now`.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self {
            began: now,
            latency: Histogram::default(),
            last_gesture: None,
            measured: (now, 0),
            fps: 0.0,
        }
    }

    /// An event is published at the wall clock's `time`, which is `now`.
    pub fn see(&mut self, event: &Event, time: Timestamp, now: Duration) {
        let Event::Gesture(gesture) = event else {
            return;
        };
        if let Some(captured) = gesture.captured {
            self.latency.record(now.saturating_sub(captured));
        }
        if gesture.phase == Phase::Start {
            self.last_gesture = Some(LastGesture {
                gesture: Arc::clone(&gesture.gesture),
                hand: gesture.hand,
                score: gesture.score,
                time,
            });
        }
    }

    /// What the daemon is doing at the time `now`.
    pub fn status(
        &mut self,
        now: Duration,
        metrics: &Metrics,
        paused: bool,
        outputs: Vec<OutputStatus>,
    ) -> Status {
        let frames = metrics.frames.get();
        let passed = now.saturating_sub(self.measured.0);
        if passed >= RATE_PERIOD {
            self.fps = frames.saturating_sub(self.measured.1) as f64 / passed.as_secs_f64();
            self.measured = (now, frames);
        }
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: (now.saturating_sub(self.began).as_secs_f64() * 10.0).round() / 10.0,
            paused,
            camera: CameraStatus {
                fps: (self.fps * 10.0).round() / 10.0,
                frames,
                skipped: metrics.frames_skipped.get(),
                bad: metrics.frames_bad.get(),
                reopened: metrics.camera_reopened.get(),
                ..metrics.camera.board().clone()
            },
            hands: metrics.hands.get(),
            last_gesture: self.last_gesture.clone(),
            frame_time: metrics.quantiles(Stage::Frame),
            window_time: metrics.quantiles(Stage::Window),
            latency: self.latency.quantiles(),
            ring: Occupancy {
                used: metrics.poses_waiting.get(),
                of: metrics.poses_room.get(),
            },
            pool: Occupancy {
                used: metrics.live_frames.get(),
                of: metrics.pool_buffers.get(),
            },
            windows: metrics.windows.get(),
            windows_skipped: metrics.windows_skipped.get(),
            events: metrics.events.get(),
            events_lost: metrics.events_lost.get(),
            memory: Memory::now(),
            outputs,
        }
    }
}
