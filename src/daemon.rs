//! The daemon: the stations, their threads, and the queues between them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crate::camera::{Next, Source, SourceError, SourceStats};
use crate::clock::{Clock, SystemClock};
use crate::gesture::{
    CameraEvent, CameraPhase, Event, Recognizer, RecognizerParams, RulesError, Score, ScoreError,
    worker,
};
use crate::health::{
    AllocatorCalls, Counter, Memory, Metrics, ServiceManager, Stage, Watch, WatchParams,
    thread_calls,
};
use crate::memory;
use crate::pose::PoseTracker;
use crate::publish::{Outbox, queue};
use crate::window::{Grid, Handover, Window, ring};

/// Events that may wait for the publishing thread, from each of the other two.
const EVENT_QUEUE: usize = 256;

/// Poses that may wait for the classifier thread: over two seconds of two hands.
const POSE_RING: usize = 64;

/// The longest wait for a frame before the stop flag is looked at.
const FRAME_WAIT: Duration = Duration::from_millis(100);

/// While nobody is there, one frame in so long is enough: a hand that comes into view is found
/// within 150 ms all the same.
const IDLE_FRAMES: Duration = Duration::from_millis(75);

/// The longest sleep of the publishing thread; it is woken for events and at the end.
const PUBLISH_WAIT: Duration = Duration::from_secs(1);

/// The parts of a pipeline, ready to go.
pub struct Stations<S> {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// Frames to poses.
    pub tracker: PoseTracker,
    /// Poses onto the classifier's grid.
    pub grid: Grid,
    /// Windows to probabilities.
    pub scorer: S,
}

/// Who classifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classify {
    /// A thread of its own, which never holds the vision thread up.
    Aside,
    /// The vision thread, between two frames: a recording then always gives the same events.
    InLine,
}

/// How the daemon runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who classifies.
    pub classify: Classify,
    /// When gestures start and end.
    pub recognizer: RecognizerParams,
    /// A summary goes to the log (at level `debug`) so often.
    pub summary_interval: Duration,
}

/// Why the daemon ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A recording can't be read on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The rules don't go with the classifier's labels.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Events can't be written.
    #[error("writing events: {0}")]
    Publish(io::Error),
    /// A thread could not be started.
    #[error("starting a thread: {0}")]
    Thread(io::Error),
    /// A thread panicked; its message is in the log.
    #[error("the {0} thread failed; please report this with the log")]
    Panicked(&'static str),
}

/// Runs the stations until the source ends, or `stop` is set and the calling thread unparked.
///
/// The calling thread publishes: it hands each event to `publish`. Camera trouble does not end
/// the daemon.
///
/// # Errors
/// [`DaemonError`], once all threads have ended.
pub fn run<S: Score + Send + 'static>(
    stations: Stations<S>,
    options: &Options,
    metrics: &Arc<Metrics>,
    stop: &Arc<AtomicBool>,
    mut publish: impl FnMut(&Event) -> io::Result<()>,
) -> Result<(), DaemonError> {
    let outbox = || queue(EVENT_QUEUE, thread::current(), Arc::clone(metrics));
    let (camera_events, mut camera_inbox) = outbox();
    let (mut gesture_events, mut gesture_inbox) = outbox();

    let scorer = Timed {
        scorer: stations.scorer,
        metrics: Arc::clone(metrics),
        calls: None,
    };
    let mut recognizer = Recognizer::new(scorer, &options.recognizer)?;
    let counters = recognizer.counters();
    let mut vision = Vision {
        source: stations.source,
        tracker: stations.tracker,
        grid: stations.grid,
        events: camera_events,
        metrics: Arc::clone(metrics),
        stop: Arc::clone(stop),
        turns: Arc::default(),
    };
    let turns = Arc::clone(&vision.turns);
    let running = Running::default();
    let (vision, classifier) = match options.classify {
        Classify::InLine => {
            let work = move || {
                let seen = vision.run(|item| recognizer.push(&item, |e| gesture_events.send(e)));
                recognizer.all_left(|e| gesture_events.send(e));
                seen
            };
            (running.spawn("vision", work)?, None)
        }
        Classify::Aside => {
            let (mut producer, consumer) = ring(POSE_RING);
            let stop = Arc::clone(stop);
            let classifier = running.spawn("classifier", move || {
                let send = |event| gesture_events.send(event);
                worker::run(consumer, recognizer, &SystemClock, &stop, send);
            })?;
            // The producer ends with the vision thread, and so does the classifier's work.
            let work = move || {
                vision.run(|item| {
                    producer.push(item);
                })
            };
            (running.spawn("vision", work)?, Some(classifier))
        }
    };

    let mut health = Health::new(options.summary_interval, metrics);
    health.service_manager.ready();
    let mut published = Ok(());
    let mut ended = false;
    while !ended {
        // Looked at before the queues, so that what was sent before the end is still taken.
        ended = running.is_none();
        while let Some(event) = camera_inbox.take().or_else(|| gesture_inbox.take()) {
            health.see(&event);
            if published.is_ok() {
                published = publish(&event);
                metrics.events.add(1);
            }
        }
        // Frames without a classifier are of no use to anybody.
        if published.is_err() || classifier.as_ref().is_some_and(JoinHandle::is_finished) {
            stop.store(true, SeqCst);
        }
        metrics.take_over(&counters);
        health.step(turns.get());
        if !ended {
            thread::park_timeout(PUBLISH_WAIT);
        }
    }
    let seen = vision.join().map_err(|_| DaemonError::Panicked("vision"))?;
    if let Some(classifier) = classifier {
        classifier
            .join()
            .map_err(|_| DaemonError::Panicked("classifier"))?;
    }
    seen?;
    published.map_err(DaemonError::Publish)
}

/// The daemon's threads that still run.
#[derive(Clone, Default)]
struct Running(Arc<AtomicUsize>);

impl Running {
    /// Starts a thread that wakes the calling one when it ends, however it does.
    fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, DaemonError> {
        let end = End {
            running: self.clone(),
            waiter: thread::current(),
        };
        self.0.fetch_add(1, SeqCst);
        thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let _end = end;
                memory::touch_stack();
                work()
            })
            .map_err(DaemonError::Thread)
    }

    fn is_none(&self) -> bool {
        self.0.load(SeqCst) == 0
    }
}

/// Dropped by a thread as the last thing that it does. `JoinHandle::is_finished` would be true
/// only some time after the waiter has been woken.
struct End {
    running: Running,
    waiter: Thread,
}

impl Drop for End {
    fn drop(&mut self) {
        self.running.0.fetch_sub(1, SeqCst);
        self.waiter.unpark();
    }
}

/// A scorer whose time and allocator calls are counted.
struct Timed<S> {
    scorer: S,
    metrics: Arc<Metrics>,
    /// The thread's calls before its first window.
    calls: Option<AllocatorCalls>,
}

impl<S: Score> Score for Timed<S> {
    fn labels(&self) -> &[Arc<str>] {
        self.scorer.labels()
    }

    fn score(&mut self, window: &Window) -> Result<&[f32], ScoreError> {
        let before = *self.calls.get_or_insert_with(thread_calls);
        let began = SystemClock.now();
        let scores = self.scorer.score(window);
        self.metrics
            .record(Stage::Window, SystemClock.now() - began);
        self.metrics.set_classifier_calls(thread_calls() - before);
        scores
    }
}

/// The vision thread's part.
struct Vision {
    source: Box<dyn Source>,
    tracker: PoseTracker,
    grid: Grid,
    events: Outbox,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    /// Rounds of its loop, with a frame or without.
    turns: Arc<Counter>,
}

impl Vision {
    fn run(&mut self, mut hand_over: impl FnMut(Handover)) -> Result<(), SourceError> {
        let clock = SystemClock;
        let info = self.source.info();
        let mut lost = false;
        let mut t = Duration::ZERO;
        let calls = thread_calls();
        while !self.stop.load(SeqCst) {
            let mut news = None;
            match self.source.next_frame(FRAME_WAIT) {
                Ok(Next::Frame(frame)) => {
                    let began = clock.now();
                    t = frame.t;
                    let captured = frame.captured.unwrap_or(began);
                    if info.stills {
                        self.tracker.forget();
                    }
                    let poses = self.tracker.process(&frame);
                    drop(frame);
                    match poses {
                        Ok(poses) => {
                            self.metrics.hands.set(poses.hands.len() as u64);
                            self.grid.push(poses, Some(captured), &mut hand_over);
                        }
                        Err(_) => self.metrics.frame_errors.add(1),
                    }
                    self.metrics.frames.add(1);
                    let skipped = self.tracker.searches_skipped();
                    self.metrics.searches_skipped.set(skipped);
                    self.metrics.record(Stage::Frame, clock.now() - began);
                    self.metrics.record_frame(&self.tracker.times());
                    if std::mem::take(&mut lost) {
                        news = Some(CameraPhase::Found);
                    }
                }
                Ok(Next::Timeout) => {}
                Ok(Next::End) => break,
                Err(error) if info.live => {
                    if !std::mem::replace(&mut lost, true) {
                        log::warn!("{error}; trying again");
                        news = Some(CameraPhase::Lost);
                    }
                }
                Err(error) => return Err(error),
            }
            if let Some(phase) = news {
                self.tell(phase, t);
            }
            self.source.rest(if self.tracker.is_idle() {
                IDLE_FRAMES
            } else {
                Duration::ZERO
            });
            count_source(&self.metrics, self.source.stats());
            self.metrics.set_vision_calls(thread_calls() - calls);
            self.turns.add(1);
        }
        self.grid.finish(hand_over);
        Ok(())
    }

    /// Says that the camera was lost or found, and which one.
    fn tell(&mut self, phase: CameraPhase, t: Duration) {
        let name = self.source.info().name;
        if phase == CameraPhase::Found {
            log::info!("{name}: frames come again");
        }
        let camera = name.into();
        let event = CameraEvent { phase, camera, t };
        self.events.send(Event::Camera(event));
    }
}

fn count_source(metrics: &Metrics, stats: SourceStats) {
    metrics.frames_skipped.set(stats.skipped);
    metrics.frames_bad.set(stats.bad);
    metrics.camera_reopened.set(stats.reopened);
    metrics.live_frames.set(stats.live_frames.into());
    metrics.live_frames_peak.set(stats.live_frames_peak.into());
}

/// The look at the counters now and then.
struct Health<'a> {
    metrics: &'a Metrics,
    watch: Watch,
    service_manager: ServiceManager,
    camera_lost: bool,
    interval: Duration,
    due: Duration,
    missed: bool,
}

impl<'a> Health<'a> {
    fn new(interval: Duration, metrics: &'a Metrics) -> Self {
        Self {
            metrics,
            watch: Watch::new(WatchParams::default()),
            service_manager: ServiceManager::from_env(),
            camera_lost: false,
            interval,
            due: SystemClock.now() + interval,
            missed: false,
        }
    }

    fn see(&mut self, event: &Event) {
        if let Event::Camera(camera) = event {
            self.camera_lost = camera.phase == CameraPhase::Lost;
        }
    }

    /// `turns` is how often the vision thread has come round.
    fn step(&mut self, turns: u64) {
        let now = SystemClock.now();
        self.service_manager.alive(now, turns);
        self.service_manager.status(if self.camera_lost {
            "The camera is lost; trying again"
        } else if self.metrics.frames.get() == 0 {
            "Waiting for the first frame"
        } else {
            "Watching"
        });
        let live = self.metrics.live_frames.get();
        if let Some(warning) = self.watch.step(now, live, Memory::now().resident_bytes) {
            log::warn!("{warning}");
        }
        let misses = self.metrics.pool_misses();
        if misses > 0 && !std::mem::replace(&mut self.missed, true) {
            log::warn!(
                "a network needed more memory than its pool has: {misses} calls went to the system"
            );
        }
        if now >= self.due {
            self.due = now + self.interval;
            log::debug!("{}", self.metrics.snapshot());
        }
    }
}
