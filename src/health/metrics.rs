//! The counters and gauges that the threads share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

use crate::gesture::RecognizerCounters;
use crate::pose::StageTimes;

use super::{
    AllocatorCalls, CameraBoard, Histogram, Memory, PageFaults, Quantiles, process_page_faults,
};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Wait-free.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Takes over a count that somebody else keeps.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Reads it.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
pub type Gauge = Counter;

/// The stations at which time is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The frame into the palm network's input.
    Letterbox,
    /// The palm network.
    PalmNetwork,
    /// Palm boxes, suppression, regions.
    PalmDecode,
    /// The hand's region into the landmark network's input.
    Warp,
    /// The landmark network.
    LandmarkNetwork,
    /// All of the vision thread's work on a frame.
    Frame,
    /// A window through the classifier and the rules.
    Window,
}

impl Stage {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Letterbox => "letterbox",
            Self::PalmNetwork => "palm network",
            Self::PalmDecode => "palm decoding",
            Self::Warp => "region warp",
            Self::LandmarkNetwork => "landmark network",
            Self::Frame => "whole frame",
            Self::Window => "whole window",
        }
    }

    /// The stages that a frame went through, and their times. Doesn't allocate.
    pub fn of_frame(times: &StageTimes) -> impl Iterator<Item = (Self, Duration)> {
        let stages = [
            (Self::Letterbox, times.letterbox),
            (Self::PalmNetwork, times.palm),
            (Self::PalmDecode, times.decode),
            (Self::Warp, times.warp),
            (Self::LandmarkNetwork, times.landmark),
        ];
        stages
            .into_iter()
            .filter_map(|(stage, time)| Some((stage, time?)))
    }

    /// All stages, in the order of the way.
    pub const ALL: [Self; 7] = [
        Self::Letterbox,
        Self::PalmNetwork,
        Self::PalmDecode,
        Self::Warp,
        Self::LandmarkNetwork,
        Self::Frame,
        Self::Window,
    ];
}

/// Everything that the threads count. One value for the whole process, shared by reference.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "each is described at the field of the same name of Snapshot or Status"
)]
pub struct Metrics {
    pub frames: Counter,
    pub frames_skipped: Counter,
    pub frames_bad: Counter,
    pub camera_reopened: Counter,
    pub live_frames: Gauge,
    pub live_frames_peak: Gauge,
    pub pool_buffers: Gauge,
    pub camera: CameraBoard,
    pub hands: Gauge,
    pub searches_skipped: Counter,
    pub poses: Counter,
    pub poses_lost: Counter,
    pub poses_waiting: Gauge,
    pub poses_room: Gauge,
    pub windows: Counter,
    pub windows_skipped: Counter,
    pub frame_errors: Counter,
    pub window_errors: Counter,
    pub events: Counter,
    pub events_lost: Counter,
    stages: [Histogram; Stage::ALL.len()],
    vision_calls: Calls,
    classifier_calls: Calls,
}

#[derive(Debug, Default)]
struct Calls {
    allocations: Counter,
    frees: Counter,
    reallocations: Counter,
    pooled: Counter,
    misses: Counter,
}

impl Calls {
    fn set(&self, calls: AllocatorCalls) {
        self.allocations.set(calls.allocations);
        self.frees.set(calls.frees);
        self.reallocations.set(calls.reallocations);
        self.pooled.set(calls.pooled);
        self.misses.set(calls.misses);
    }

    fn get(&self) -> AllocatorCalls {
        AllocatorCalls {
            allocations: self.allocations.get(),
            frees: self.frees.get(),
            reallocations: self.reallocations.get(),
            pooled: self.pooled.get(),
            misses: self.misses.get(),
        }
    }
}

impl Metrics {
    /// Counts a stage's time. Wait-free, no allocation.
    pub fn record(&self, stage: Stage, time: Duration) {
        self.stages[stage as usize].record(time);
    }

    /// Counts the stages of a frame. Wait-free, no allocation.
    pub fn record_frame(&self, times: &StageTimes) {
        for (stage, time) in Stage::of_frame(times) {
            self.record(stage, time);
        }
    }

    /// Takes over what the classifier thread counts itself.
    pub fn take_over(&self, counters: &RecognizerCounters) {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        self.poses.set(of(&counters.poses));
        self.poses_lost.set(of(&counters.lost));
        self.poses_waiting.set(of(&counters.waiting));
        self.windows.set(of(&counters.windows));
        self.windows_skipped
            .set(of(&counters.skipped) + of(&counters.stale));
        self.window_errors.set(of(&counters.errors));
    }

    /// The vision thread's allocator calls since its loop began.
    pub fn set_vision_calls(&self, calls: AllocatorCalls) {
        self.vision_calls.set(calls);
    }

    /// The classifier thread's allocator calls since its loop began.
    pub fn set_classifier_calls(&self, calls: AllocatorCalls) {
        self.classifier_calls.set(calls);
    }

    /// Calls of both threads that a full pool passed on to the system.
    #[must_use]
    pub fn pool_misses(&self) -> u64 {
        self.vision_calls.misses.get() + self.classifier_calls.misses.get()
    }

    /// The times of one stage so far.
    #[must_use]
    pub fn quantiles(&self, stage: Stage) -> Quantiles {
        self.stages[stage as usize].quantiles()
    }

    /// Reads everything. Allocates: not for the hot loops.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            frames: self.frames.get(),
            frames_skipped: self.frames_skipped.get(),
            frames_bad: self.frames_bad.get(),
            camera_reopened: self.camera_reopened.get(),
            live_frames: self.live_frames.get(),
            live_frames_peak: self.live_frames_peak.get(),
            hands: self.hands.get(),
            searches_skipped: self.searches_skipped.get(),
            poses: self.poses.get(),
            poses_lost: self.poses_lost.get(),
            windows: self.windows.get(),
            windows_skipped: self.windows_skipped.get(),
            frame_errors: self.frame_errors.get(),
            window_errors: self.window_errors.get(),
            events: self.events.get(),
            events_lost: self.events_lost.get(),
            stages: Stage::ALL.map(|s| (s, self.stages[s as usize].quantiles())),
            vision_calls: self.vision_calls.get(),
            classifier_calls: self.classifier_calls.get(),
            memory: Memory::now(),
            page_faults: process_page_faults(),
        }
    }
}

/// All counters at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// Frames worked on.
    pub frames: u64,
    /// Complete frames given back unseen, because a newer one was there or, while nobody is there,
    /// to save the decoding.
    pub frames_skipped: u64,
    /// Broken frames.
    pub frames_bad: u64,
    /// Times that the camera was closed and opened again.
    pub camera_reopened: u64,
    /// Camera buffers held at this moment.
    pub live_frames: u64,
    /// The most camera buffers that were held at once.
    pub live_frames_peak: u64,
    /// Hands in view.
    pub hands: u64,
    /// Frames without a hand that weren't searched for one, because nothing moved or because
    /// another was searched shortly before.
    pub searches_skipped: u64,
    /// Poses handed over to the classifier thread.
    pub poses: u64,
    /// Poses lost because the ring was full.
    pub poses_lost: u64,
    /// Windows classified.
    pub windows: u64,
    /// Windows not classified because newer poses were already there, or because they were old.
    pub windows_skipped: u64,
    /// Frames on which a network failed.
    pub frame_errors: u64,
    /// Windows on which the classifier failed or gave no probabilities.
    pub window_errors: u64,
    /// Events published.
    pub events: u64,
    /// Events lost because the publishing thread did not keep up.
    pub events_lost: u64,
    /// Time of each stage.
    pub stages: [(Stage, Quantiles); Stage::ALL.len()],
    /// The vision thread's allocator calls.
    pub vision_calls: AllocatorCalls,
    /// The classifier thread's allocator calls.
    pub classifier_calls: AllocatorCalls,
    /// Memory of the process.
    pub memory: Memory,
    /// Page faults of the process.
    pub page_faults: PageFaults,
}

impl Snapshot {
    /// The time of one stage.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> &Quantiles {
        &self.stages[stage as usize].1
    }
}

impl std::fmt::Display for Snapshot {
    /// One line for the log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let frame = self.stage(Stage::Frame);
        write!(
            f,
            "frames {} (skipped {}, bad {}), frame time median {:.1} ms p95 {:.1} ms, \
             buffers held {} (peak {}), poses {} (lost {}), windows {} (skipped {}), events {} (lost {}), \
             allocator calls {} vision {} classifier (in pools {} and {}, missed {}), \
             resident {:.1} MB, page faults {} minor {} major",
            self.frames,
            self.frames_skipped,
            self.frames_bad,
            frame.median_ms,
            frame.p95_ms,
            self.live_frames,
            self.live_frames_peak,
            self.poses,
            self.poses_lost,
            self.windows,
            self.windows_skipped,
            self.events,
            self.events_lost,
            self.vision_calls.total(),
            self.classifier_calls.total(),
            self.vision_calls.pooled,
            self.classifier_calls.pooled,
            self.vision_calls.misses + self.classifier_calls.misses,
            self.memory.resident_bytes as f64 / 1e6,
            self.page_faults.minor,
            self.page_faults.major,
        )
    }
}
