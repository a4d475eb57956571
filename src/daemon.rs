//! The daemon: the stations, their threads, and the queues between them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::camera::{Next, Source, SourceError, SourceStats};
use crate::clock::{Clock, SystemClock};
use crate::control::Control;
use crate::gesture::{
    CameraEvent, CameraPhase, Event, Recognizer, RecognizerParams, RulesError, Score, ScoreError,
    worker,
};
use crate::health::{
    AllocatorCalls, CameraState, Counter, Memory, Metrics, ServiceManager, Stage, Watch,
    WatchParams, thread_calls,
};
use crate::memory;
use crate::pose::PoseTracker;
use crate::publish::{
    Bell, LivePoses, LiveScores, MOST_SCORES, Outbox, Output, Publisher, Show, Viewfinder, live,
    queue,
};
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

/// The counters are looked at so often.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

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
    /// The publishing thread's runtime could not be made.
    #[error("starting the outputs: {0}")]
    Runtime(io::Error),
    /// A thread could not be started.
    #[error("starting a thread: {0}")]
    Thread(io::Error),
    /// A thread panicked; its message is in the log.
    #[error("the {0} thread failed; please report this with the log")]
    Panicked(&'static str),
}

/// Runs the stations until the source ends or `control` says stop. Returns the source, as open as
/// it was, for whoever goes on with it.
///
/// The calling thread publishes: it calls `seen` with each event and gives it to the `outputs`.
/// Neither camera trouble nor that of an output ends the daemon.
///
/// # Errors
/// [`DaemonError`], once all threads have ended.
pub fn run<S: Score + Send + 'static>(
    stations: Stations<S>,
    options: &Options,
    outputs: Vec<Box<dyn Output>>,
    metrics: &Arc<Metrics>,
    control: &Arc<Control>,
    seen: impl FnMut(&Event),
) -> Result<Box<dyn Source>, DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(DaemonError::Runtime)?;
    let outbox = || queue(EVENT_QUEUE, control.bell().clone(), Arc::clone(metrics));
    let (camera_events, camera_inbox) = outbox();
    let (mut gesture_events, gesture_inbox) = outbox();
    let (live_poses, live_scores, live) = live(stations.scorer.labels());

    let scorer = Timed {
        scorer: stations.scorer,
        metrics: Arc::clone(metrics),
        live: live_scores,
        calls: None,
    };
    let mut recognizer = Recognizer::new(scorer, &options.recognizer)?;
    let counters = recognizer.counters();
    let vision = Vision {
        source: stations.source,
        tracker: stations.tracker,
        grid: stations.grid,
        events: camera_events,
        live: live_poses,
        viewfinder: live.viewfinder(),
        metrics: Arc::clone(metrics),
        control: Arc::clone(control),
        turns: Arc::default(),
    };
    let turns = Arc::clone(&vision.turns);
    let running = Running::new(control.bell());
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
            metrics.poses_room.set(POSE_RING as u64);
            let (mut producer, consumer) = ring(POSE_RING);
            let control = Arc::clone(control);
            let classifier = running.spawn("classifier", move || {
                let send = |event| gesture_events.send(event);
                worker::run(
                    consumer,
                    recognizer,
                    &SystemClock,
                    control.stop_flag(),
                    send,
                );
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

    runtime.block_on(async {
        let mut health = Health::new(options.summary_interval, metrics);
        health.service_manager.ready();
        let round = || {
            let ended = running.is_none();
            // Frames without a classifier are of no use to anybody.
            if !control.is_stopped() && classifier.as_ref().is_some_and(JoinHandle::is_finished) {
                control.stop();
            }
            metrics.take_over(&counters);
            health.step(turns.get());
            ended
        };
        Publisher::start(outputs, &live, metrics, control)
            .run(&mut [camera_inbox, gesture_inbox], round, seen)
            .await;
    });
    runtime.shutdown_background();
    let seen = vision.join().map_err(|_| DaemonError::Panicked("vision"))?;
    if let Some(classifier) = classifier {
        classifier
            .join()
            .map_err(|_| DaemonError::Panicked("classifier"))?;
    }
    Ok(seen?)
}

/// The daemon's threads that still run.
#[derive(Clone)]
struct Running {
    threads: Arc<AtomicUsize>,
    bell: Bell,
}

impl Running {
    fn new(bell: &Bell) -> Self {
        Self {
            threads: Arc::default(),
            bell: bell.clone(),
        }
    }

    /// Starts a thread that rings the bell when it ends, however it does.
    fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, DaemonError> {
        let end = End(self.clone());
        self.threads.fetch_add(1, SeqCst);
        thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let _end = end;
                memory::touch_stack();
                Bell::ready();
                work()
            })
            .map_err(DaemonError::Thread)
    }

    fn is_none(&self) -> bool {
        self.threads.load(SeqCst) == 0
    }
}

/// Dropped by a thread as the last thing that it does. `JoinHandle::is_finished` would be true
/// only some time after the bell was heard.
struct End(Running);

impl Drop for End {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, SeqCst);
        self.0.bell.ring();
    }
}

/// A scorer whose time and allocator calls are counted.
struct Timed<S> {
    scorer: S,
    metrics: Arc<Metrics>,
    live: Show<LiveScores>,
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
        if let Ok(scores) = &scores {
            self.live.show(|live| {
                let pose = window.newest();
                (live.seq, live.t, live.track) = (pose.seq, pose.t, pose.track);
                live.scores.clear();
                live.scores.extend(scores.iter().copied().take(MOST_SCORES));
            });
        }
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
    live: Show<LivePoses>,
    viewfinder: Option<Viewfinder>,
    metrics: Arc<Metrics>,
    control: Arc<Control>,
    /// Rounds of its loop, with a frame or without.
    turns: Arc<Counter>,
}

impl Vision {
    /// Returns the source.
    fn run(mut self, mut hand_over: impl FnMut(Handover)) -> Result<Box<dyn Source>, SourceError> {
        let clock = SystemClock;
        let info = self.source.info();
        let mut lost = false;
        let (mut streams, mut told) = (false, false);
        let mut t = Duration::ZERO;
        self.metrics.camera.set(CameraState::Opening, info.clone());
        let mut calls = thread_calls();
        while !self.control.is_stopped() {
            if self.control.is_paused() {
                (streams, told) = (false, false);
                self.pause(&mut hand_over);
                continue;
            }
            let mut news = None;
            match self.source.next_frame(FRAME_WAIT) {
                Ok(Next::Frame(frame)) => {
                    let began = clock.now();
                    t = frame.t;
                    streams = true;
                    let captured = frame.captured.unwrap_or(began);
                    if info.stills {
                        self.tracker.forget();
                    }
                    let poses = self.tracker.process(&frame);
                    if let Some(viewfinder) = &mut self.viewfinder {
                        viewfinder.take(&frame.image(), began);
                    }
                    drop(frame);
                    match poses {
                        Ok(poses) => {
                            self.metrics.hands.set(poses.hands.len() as u64);
                            self.live.show(|live| live.clone_from(poses));
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
                        streams = false;
                        self.metrics.camera.lost(error.to_string());
                        news = Some(CameraPhase::Lost);
                    }
                }
                Err(error) => return Err(error),
            }
            if std::mem::replace(&mut told, streams) != streams && streams {
                let before = thread_calls();
                let info = self.source.info();
                self.metrics.camera.set(CameraState::Streaming, info);
                // What is said of a change isn't the loop's work.
                calls = calls + (thread_calls() - before);
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
        Ok(self.source)
    }

    /// Closes the camera, lets all hands leave, and waits until the pause is over.
    fn pause(&mut self, mut hand_over: impl FnMut(Handover)) {
        log::info!("paused: the camera is closed");
        self.source.close();
        let info = self.source.info();
        self.metrics.camera.set(CameraState::Closed, info.clone());
        count_source(&self.metrics, self.source.stats());
        self.tracker.forget();
        self.grid.finish(&mut hand_over);
        self.metrics.hands.set(0);
        self.live.show(|live| live.hands.clear());
        if let Some(viewfinder) = &mut self.viewfinder {
            viewfinder.close();
        }
        while self.control.is_paused() && !self.control.is_stopped() {
            SystemClock.sleep(FRAME_WAIT);
            self.turns.add(1);
        }
        self.metrics.camera.set(CameraState::Opening, info);
        log::info!("going on after the pause");
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
    metrics.pool_buffers.set(stats.buffers.into());
    metrics.live_frames_peak.set(stats.live_frames_peak.into());
}

/// The look at the counters now and then.
struct Health<'a> {
    metrics: &'a Metrics,
    watch: Watch,
    service_manager: ServiceManager,
    interval: Duration,
    due: Duration,
    next_step: Duration,
    missed: bool,
}

impl<'a> Health<'a> {
    fn new(interval: Duration, metrics: &'a Metrics) -> Self {
        Self {
            metrics,
            watch: Watch::new(WatchParams::default()),
            service_manager: ServiceManager::from_env(),
            interval,
            due: SystemClock.now() + interval,
            next_step: SystemClock.now(),
            missed: false,
        }
    }

    /// `turns` is how often the vision thread has come round.
    fn step(&mut self, turns: u64) {
        let now = SystemClock.now();
        if now < self.next_step {
            return;
        }
        self.next_step = now + HEALTH_INTERVAL;
        self.service_manager.alive(now, turns);
        self.service_manager
            .status(match self.metrics.camera.state() {
                CameraState::Opening => "Waiting for the first frame",
                CameraState::Streaming => "Watching",
                CameraState::Lost => "The camera is lost; trying again",
                CameraState::Closed => "Paused: the camera is closed",
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
