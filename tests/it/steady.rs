//! The steady state: once they are warm, the vision thread and the classifier thread ask nobody
//! for memory and touch none that isn't there.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palmd::camera::synthetic::{Script, Synthetic};
use palmd::camera::{
    Frame, Image, Next, PixelFormat, Range, Source, SourceError, SourceInfo, SourceStats,
};
use palmd::control::Control;
use palmd::daemon::{self, Classify, Options, Stations};
use palmd::gesture::{Classifier, Event, RecognizerParams, Score, ScoreError};
use palmd::health::{AllocatorCalls, Metrics, PageFaults, thread_calls, thread_page_faults};
use palmd::pose::{PoseParams, PoseTracker};
use palmd::publish::{Feed, Output, Socket, SocketParams, Work};
use palmd::window::{Grid, GridParams, Window};

const SIZE: (u32, u32) = (320, 240);

/// Of the film; an emulator gets no more than the grid's poses.
fn frames_a_second() -> usize {
    if super::emulator().is_some() { 15 } else { 30 }
}

/// The hand is in view for a second, and then away for a moment: it comes and goes for as long as
/// the film is played.
fn in_view() -> usize {
    frames_a_second() + 1
}

fn away() -> usize {
    frames_a_second() / 5
}

/// Windows in a round of the film: its poses on the grid, but the first ones of a hand are no
/// window yet.
const WINDOWS: usize = 15 - 8;

/// Rounds of the film before anything is counted.
const WARM_UP: usize = 1;

/// What a thread asked for between two moments.
#[derive(Debug, Default, Clone, Copy)]
struct Meter {
    before: Option<(AllocatorCalls, PageFaults)>,
    times: u64,
    calls: AllocatorCalls,
    faults: PageFaults,
}

impl Meter {
    /// The first call begins, and each further one ends.
    fn read(&mut self) {
        let now = (thread_calls(), thread_page_faults());
        let before = self.before.get_or_insert(now);
        self.calls = now.0 - before.0;
        self.faults = now.1 - before.1;
        self.times += 1;
    }
}

/// Pictures of the hand in the format YUYV, handed out again and again like a camera's.
struct Film {
    fps: u32,
    pictures: Vec<Vec<u8>>,
    rounds: usize,
    next: usize,
    /// Allocates in each frame.
    fault: bool,
    meter: Arc<Mutex<Meter>>,
}

impl Film {
    fn new(rounds: usize, meter: &Arc<Mutex<Meter>>) -> Self {
        let (width, height) = SIZE;
        let fps = frames_a_second();
        let script = format!("size {width}x{height}; fps {fps}; fist 3s");
        let mut hand = Synthetic::new(Script::parse(&script).expect("a script"));
        let held = (fps..fps + in_view()).map(|i| yuyv(hand.draw(i as u64)));
        let mut pictures: Vec<_> = held.collect();
        let nothing = Script::parse(&format!("size {width}x{height}; hide 1s"));
        let mut nothing = Synthetic::new(nothing.expect("a script"));
        pictures.extend((0..away() as u64).map(|i| yuyv(nothing.draw(i))));
        Self {
            fps: fps as u32,
            pictures,
            rounds: WARM_UP + rounds,
            next: 0,
            fault: false,
            meter: Arc::clone(meter),
        }
    }
}

/// Two pixels of R G B, four bytes of Y U Y V (BT.601, full range).
fn yuyv(rgb: &[u8]) -> Vec<u8> {
    let pair = |two: &[u8]| {
        let y = |i: usize| {
            let [r, g, b] = [0, 1, 2].map(|c| f32::from(two[3 * i + c]));
            0.299 * r + 0.587 * g + 0.114 * b
        };
        let mean = |c: usize| (f32::from(two[c]) + f32::from(two[c + 3])) / 2.0;
        let luma = (y(0) + y(1)) / 2.0;
        let u = 128.0 + (mean(2) - luma) / 1.772;
        let v = 128.0 + (mean(0) - luma) / 1.402;
        [y(0), u, y(1), v].map(|x| x.round() as u8)
    };
    rgb.chunks_exact(6).flat_map(pair).collect()
}

impl Source for Film {
    fn next_frame(&mut self, _: Duration) -> Result<Next<'_>, SourceError> {
        if self.next >= WARM_UP * self.pictures.len() {
            self.meter.lock().expect("no panic").read();
        }
        if self.next >= self.rounds * self.pictures.len() {
            return Ok(Next::End);
        }
        if self.fault {
            std::hint::black_box(vec![self.next]);
        }
        let i = self.next;
        self.next += 1;
        let (width, height) = (SIZE.0 as usize, SIZE.1 as usize);
        let image = Image {
            format: PixelFormat::Yuyv,
            range: Range::Full,
            width,
            height,
            planes: [&self.pictures[i % self.pictures.len()], &[], &[]],
            strides: [width * 2, 0, 0],
        };
        let t = Duration::from_secs(i as u64) / self.fps;
        Ok(Next::Frame(Frame::borrowed(image, i as u64, t)))
    }

    fn info(&self) -> SourceInfo {
        SourceInfo {
            name: "film".into(),
            size: SIZE,
            fps: self.fps as f32,
            format: "YUYV".into(),
            live: false,
            stills: false,
            frames: None,
        }
    }

    fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}

/// A classifier that is looked at.
struct Metered {
    classifier: Classifier,
    warm_up: u64,
    /// Allocates in each window.
    fault: bool,
    meter: Arc<Mutex<Meter>>,
}

impl Score for Metered {
    fn labels(&self) -> &[Arc<str>] {
        self.classifier.labels()
    }

    fn score(&mut self, window: &Window) -> Result<&[f32], ScoreError> {
        match self.warm_up.checked_sub(1) {
            Some(left) => self.warm_up = left,
            None => self.meter.lock().expect("no panic").read(),
        }
        if self.fault {
            std::hint::black_box(vec![self.warm_up]);
        }
        self.classifier.score(window)
    }
}

/// The meters of the vision thread (by frames) and of the classifier's (by windows), and whether
/// gestures were seen.
struct Run {
    vision: Meter,
    classifier: Meter,
    gestures: u64,
    /// Whether poses and probabilities were shown.
    watched: bool,
}

/// An output that looks at the newest poses and probabilities, as a page does.
struct Watches(Arc<AtomicBool>);

impl Output for Watches {
    fn name(&self) -> &'static str {
        "watches"
    }

    fn check(&self) -> Result<String, String> {
        Ok("always works".into())
    }

    fn run(self: Box<Self>, mut feed: Feed) -> Work {
        Box::pin(async move {
            let watching = feed.live.watch();
            while feed.next().await.is_some() {
                if watching.poses().seq > 0 && !watching.scores().scores.is_empty() {
                    self.0.store(true, SeqCst);
                }
            }
        })
    }
}

fn run(models: &Path, rounds: usize, classify: Classify, fault: bool) -> Run {
    let (vision, classifier) = <(Arc<Mutex<Meter>>, Arc<Mutex<Meter>>)>::default();
    let watched = Arc::<AtomicBool>::default();
    let mut source = Film::new(rounds, &vision);
    source.fault = fault;
    let gestures = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/gestures.onnx");
    // The calls that share a frame with another thread are counted as well.
    let params = PoseParams {
        threads: 2,
        ..PoseParams::default()
    };
    let stations = Stations {
        source: Box::new(source),
        tracker: PoseTracker::load(models, params).expect("the hand models"),
        grid: Grid::new(GridParams::default()),
        scorer: Metered {
            classifier: Classifier::load(&gestures, None).expect("the classifier"),
            warm_up: (WINDOWS * WARM_UP) as u64,
            fault,
            meter: Arc::clone(&classifier),
        },
    };
    let options = Options {
        classify,
        // The film's hand stays, however slowly an emulator sees it.
        recognizer: RecognizerParams {
            stall_limit: Duration::from_secs(3600),
            ..RecognizerParams::default()
        },
        summary_interval: Duration::from_secs(3600),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let socket = Socket::new(&SocketParams {
        path: folder.path().join("events.sock"),
        ..SocketParams::default()
    });
    let outputs: Vec<Box<dyn Output>> = vec![
        Box::new(socket.expect("it is on")),
        Box::new(Watches(Arc::clone(&watched))),
    ];
    let mut events = 0;
    daemon::run(
        stations,
        &options,
        outputs,
        &Arc::new(Metrics::default()),
        &Arc::new(Control::default()),
        |event| events += u64::from(matches!(event, Event::Gesture(_))),
    )
    .expect("the daemon");
    let read = |meter: Arc<Mutex<Meter>>| {
        let mut meter = *meter.lock().expect("no panic");
        // An emulator's own are among them: it needs memory for code that it meets for the first time.
        if super::emulator().is_some() {
            meter.faults = PageFaults::default();
        }
        meter
    };
    Run {
        vision: read(vision),
        classifier: read(classifier),
        gestures: events,
        watched: watched.load(SeqCst),
    }
}

fn asks_nobody(rounds: usize, classify: Classify, pooled: bool) {
    let Some(models) = super::hand_models_folder() else {
        return;
    };
    // The kernel may move a page at any time, which is a fault as well; but hardly in three runs.
    let runs = || run(&models, rounds, classify, false);
    let mut seen = runs();
    for _ in 0..2 {
        let faults = seen.vision.faults + seen.classifier.faults;
        if faults != PageFaults::default() {
            seen = runs();
        }
    }
    let frames = rounds * (in_view() + away());
    let windows = rounds * WINDOWS;
    assert!(seen.vision.times > frames as u64, "{:?}", seen.vision);
    assert!(
        seen.classifier.times > windows as u64,
        "{:?}",
        seen.classifier
    );
    assert!(seen.gestures > 0 && seen.watched);
    for (thread, meter) in [("vision", seen.vision), ("classifier", seen.classifier)] {
        let calls = meter.calls;
        assert!(
            calls.total() == 0 && calls.misses == 0,
            "{thread}: {meter:?}"
        );
        assert_eq!(meter.faults, PageFaults::default(), "{thread}: {meter:?}");
        assert!(pooled || calls.pooled == 0, "{thread}: {meter:?}");
    }
}

#[test]
fn two_threads_ask_the_system_for_nothing() {
    asks_nobody(2, Classify::Aside, true);
}

#[test]
fn a_single_thread_asks_the_system_for_nothing() {
    asks_nobody(1, Classify::InLine, true);
}

#[test]
fn two_threads_do_not_even_ask_a_pool() {
    asks_nobody(2, Classify::Aside, false);
}

#[test]
#[ignore = "takes minutes: cargo test --test it -- --ignored ten_thousand"]
fn ten_thousand_frames_and_five_thousand_windows() {
    asks_nobody(720, Classify::Aside, false);
}

#[test]
fn a_single_vec_would_be_seen() {
    let Some(models) = super::hand_models_folder() else {
        return;
    };
    let seen = run(&models, 1, Classify::Aside, true);
    // The first reading of a meter is before the first one of these.
    let vecs = |meter: &Meter| meter.times - 1;
    for meter in [seen.vision, seen.classifier] {
        let (calls, vecs) = (meter.calls, vecs(&meter));
        assert_eq!((calls.allocations, calls.frees), (vecs, vecs), "{meter:?}");
    }
}
