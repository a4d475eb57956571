//! From the vision thread to the classifier thread: what arrives is whole, and nobody waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use palmd::clock::{Clock, SimulatedClock, SystemClock};
use palmd::gesture::{
    Event, HandPhase, Recognizer, RecognizerCounters, RecognizerParams, Score, ScoreError, worker,
};
use palmd::pose::{FramePoses, HandPose, Handedness, LANDMARKS};
use palmd::window::{Consumer, Grid, GridParams, Handover, WINDOW, WINDOW_LEN, Window, ring};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// A frame whose hands tell in every landmark whose it is, when it was, and which landmark:
/// `[track, t, index]`. Linear in time, so interpolated poses tell the time of their tick.
fn frame(seq: u64, t: Duration, tracks: impl IntoIterator<Item = u32>) -> FramePoses {
    let hand = |track| HandPose {
        track,
        handedness: Handedness::Right,
        presence: 1.0,
        landmarks: std::array::from_fn(|i| [track as f32, t.as_secs_f32(), i as f32]),
        world: [[0.0; 3]; LANDMARKS],
    };
    FramePoses {
        seq,
        t,
        size: (480, 480),
        hands: tracks.into_iter().map(hand).collect(),
    }
}

fn grid() -> Grid {
    Grid::new(GridParams {
        mirror: false,
        ..GridParams::default()
    })
}

fn labels() -> Vec<Arc<str>> {
    ["fist", "none"].map(Arc::from).into()
}

fn recognizer<S: Score>(scorer: S) -> Recognizer<S> {
    Recognizer::new(scorer, &RecognizerParams::default()).expect("the labels go with the rules")
}

/// Fails the test if what one thread waits for doesn't come about.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "waited in vain: {what}"
        );
        thread::yield_now();
    }
}

mod whole_windows {
    use super::*;

    /// A scorer that looks at the windows themselves.
    #[derive(Default)]
    struct Inspector {
        labels: Vec<Arc<str>>,
        last_tick: BTreeMap<u32, u64>,
        full: Arc<AtomicU64>,
        /// What the producer did, where it does nothing in the meantime.
        produced: Option<Arc<Mutex<Produced>>>,
    }

    #[derive(Default)]
    struct Produced {
        /// Track and tick of every pose that found room, and whether it is the first one, or the
        /// first one since that hand left.
        accepted: BTreeMap<(u32, u64), bool>,
        present: BTreeSet<u32>,
        lost: u64,
        newest: Duration,
    }

    impl Score for Inspector {
        fn labels(&self) -> &[Arc<str>] {
            &self.labels
        }

        fn score(&mut self, window: &Window) -> Result<&[f32], ScoreError> {
            let newest = window.newest();
            let mut numbers = [f32::NAN; WINDOW_LEN];
            window.copy_into(&mut numbers);
            for (i, pose) in numbers.chunks(LANDMARKS * 3).enumerate() {
                let back = (WINDOW - 1 - i).min(window.len() - 1);
                let t = (newest.tick - back as u64) as f32 / 15.0;
                for (landmark, point) in pose.chunks(3).enumerate() {
                    let whole = point[0] == newest.track as f32
                        && (point[1] - t).abs() < 1e-3
                        && point[2] == landmark as f32;
                    assert!(
                        whole,
                        "{point:?} is not landmark {landmark} {back} ticks before {newest:?}"
                    );
                }
            }
            let last = self.last_tick.insert(newest.track, newest.tick);
            assert!(last < Some(newest.tick), "{last:?} before {newest:?}");
            self.full
                .fetch_add(u64::from(window.len() == WINDOW), Relaxed);

            if let Some(produced) = &self.produced {
                let produced = produced.lock().expect("no panic");
                let ticks = (0..=newest.tick).rev().take(WINDOW);
                let firsts = ticks.map_while(|tick| produced.accepted.get(&(newest.track, tick)));
                let mut ended = false;
                let run = firsts
                    .take_while(|&&first| !std::mem::replace(&mut ended, first))
                    .count();
                assert!(window.len() <= run, "{} of {run}: {newest:?}", window.len());
                if produced.lost == 0 {
                    assert_eq!(window.len(), run, "{newest:?}");
                }
                let age = produced.newest - newest.t;
                assert!(age <= RecognizerParams::default().stall_limit, "{age:?}");
            }
            Ok(&[0.0, 1.0])
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// The vision thread sees the next frame.
        Frame {
            ms: u64,
            hands: [Seen; 2],
            swapped: bool,
        },
        /// The classifier thread takes so many items and classifies then, or after each.
        Take { items: usize, classify_each: bool },
    }

    #[derive(Debug, Clone, Copy)]
    enum Seen {
        Yes,
        No,
        AsAnother,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let ms = prop_oneof![30 => 10..100u64, 1 => 100..2000u64];
        let seen = || {
            prop_oneof![
                40 => Just(Seen::Yes),
                2 => Just(Seen::No),
                1 => Just(Seen::AsAnother),
            ]
        };
        let frame = (ms, [seen(), seen()], any::<bool>())
            .prop_map(|(ms, hands, swapped)| Step::Frame { ms, hands, swapped });
        let take = (0..24usize, any::<bool>()).prop_map(|(items, classify_each)| Step::Take {
            items,
            classify_each,
        });
        prop::collection::vec(prop_oneof![4 => frame, 1 => take], 1..400)
    }

    #[test]
    fn in_every_schedule() {
        let (full, lost, stale) = (Arc::default(), AtomicU64::new(0), AtomicU64::new(0));
        let schedules = (steps(), 1..64usize);
        // A failing schedule is printed; nothing is written into the sources.
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        TestRunner::new(config)
            .run(&schedules, |(steps, capacity)| {
                let counters = play(&steps, capacity, Arc::clone(&full));
                lost.fetch_add(counters.lost.load(Relaxed), Relaxed);
                stale.fetch_add(counters.stale.load(Relaxed), Relaxed);
                Ok(())
            })
            .expect("windows are whole");
        // The schedules were worth playing.
        for (what, count) in [("full", &*full), ("lost", &lost), ("stale", &stale)] {
            assert!(count.load(Relaxed) > 0, "no {what} windows");
        }
    }

    fn play(steps: &[Step], capacity: usize, full: Arc<AtomicU64>) -> Arc<RecognizerCounters> {
        let produced = Arc::new(Mutex::new(Produced::default()));
        let mut recognizer = recognizer(Inspector {
            labels: labels(),
            full,
            produced: Some(Arc::clone(&produced)),
            ..Inspector::default()
        });
        let (mut producer, mut consumer) = ring(capacity);
        let mut grid = grid();
        let (mut seq, mut t) = (0, Duration::ZERO);
        let (mut tracks, mut next_track) = ([1, 2], 3);
        for step in steps {
            match *step {
                Step::Frame { ms, hands, swapped } => {
                    seq += 1;
                    t += Duration::from_millis(ms);
                    let mut seen = Vec::new();
                    for (track, hand) in tracks.iter_mut().zip(hands) {
                        if let Seen::AsAnother = hand {
                            *track = next_track;
                            next_track += 1;
                        }
                        if !matches!(hand, Seen::No) {
                            seen.push(*track);
                        }
                    }
                    if swapped {
                        seen.reverse();
                    }
                    grid.push(&frame(seq, t, seen), None, |item| {
                        let mut produced = produced.lock().expect("no panic");
                        produced.newest = item.t();
                        match (producer.push(item), item) {
                            (true, Handover::Pose(pose)) => {
                                let first = produced.present.insert(pose.track);
                                produced.accepted.insert((pose.track, pose.tick), first);
                            }
                            (true, Handover::Left(left)) => {
                                produced.present.remove(&left.track);
                            }
                            (false, _) => produced.lost += 1,
                        }
                    });
                }
                Step::Take {
                    items,
                    classify_each,
                } => take(&mut consumer, &mut recognizer, items, classify_each),
            }
        }
        let counters = recognizer.counters();
        counters.lost.store(consumer.lost(), Relaxed);
        assert_eq!(consumer.lost(), produced.lock().expect("no panic").lost);
        counters
    }

    fn take(
        consumer: &mut Consumer,
        recognizer: &mut Recognizer<Inspector>,
        items: usize,
        classify_each: bool,
    ) {
        for _ in 0..items {
            let Some(item) = consumer.pop() else { break };
            recognizer.take(&item, |_| {});
            if classify_each {
                recognizer.classify(consumer.newest(), |_| {});
            }
        }
        recognizer.classify(consumer.newest(), |_| {});
    }

    #[test]
    fn between_two_threads() {
        let full = Arc::new(AtomicU64::new(0));
        let recognizer = recognizer(Inspector {
            labels: labels(),
            full: Arc::clone(&full),
            ..Inspector::default()
        });
        let counters = recognizer.counters();
        let (mut producer, consumer) = ring(16);
        let classifier = thread::spawn(move || {
            let stop = AtomicBool::new(false);
            worker::run(consumer, recognizer, &SystemClock, &stop, |_| {});
        });

        let mut grid = grid();
        let (mut accepted, mut lost) = (0, 0);
        let mut random = 1_u32;
        for seq in 0..20_000_u64 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let track = (seq / 300) as u32 * 2;
            let gone = random >> 16 & 0xff < 2;
            let hands = [track, track + 1].into_iter().skip(usize::from(gone));
            let t = Duration::from_millis(seq * 33);
            grid.push(&frame(seq, t, hands), None, |item| {
                match (producer.push(item), item) {
                    (true, Handover::Pose(_)) => accepted += 1,
                    (true, Handover::Left(_)) => {}
                    (false, _) => lost += 1,
                }
            });
            // Room for the other thread, sometimes enough and sometimes not.
            let in_time = seq < 500 || random >> 24 < 48;
            if in_time && seq % 3 == 0 {
                wait_until("all poses are taken", || {
                    counters.poses.load(Relaxed) == accepted
                });
            }
        }
        drop(producer);
        classifier.join().expect("windows are whole");
        assert_eq!(counters.poses.load(Relaxed), accepted);
        assert_eq!(counters.lost.load(Relaxed), lost);
        assert!(full.load(Relaxed) > 0);
    }
}

mod slow_classifier {
    use super::*;

    const FRAME: Duration = Duration::from_millis(50);
    const FRAMES: u64 = 201;
    /// Poses that come before a window is usable.
    const UNUSABLE: u64 = Window::MIN_POSES as u64 - 1;

    /// A scorer that takes its time, as the vision thread's clock has it.
    struct Slow {
        labels: Vec<Arc<str>>,
        takes: Duration,
        desk: Arc<Desk>,
    }

    /// What both threads look at.
    #[derive(Default)]
    struct Desk {
        clock: SimulatedClock,
        busy_until: Mutex<Duration>,
        frames: AtomicU64,
        windows: AtomicU64,
        /// Frames that were finished while a window was being scored.
        frames_meanwhile: Mutex<Vec<u64>>,
    }

    impl Score for Slow {
        fn labels(&self) -> &[Arc<str>] {
            &self.labels
        }

        fn score(&mut self, _window: &Window) -> Result<&[f32], ScoreError> {
            let desk = &self.desk;
            let frames = desk.frames.load(SeqCst);
            let end = desk.clock.now() + self.takes;
            *desk.busy_until.lock().expect("no panic") = end;
            wait_until("the vision thread goes on", || desk.clock.now() >= end);
            let meanwhile = desk.frames.load(SeqCst) - frames;
            desk.frames_meanwhile
                .lock()
                .expect("no panic")
                .push(meanwhile);
            desk.windows.fetch_add(1, SeqCst);
            Ok(&[0.0, 1.0])
        }
    }

    struct Watched {
        /// When each frame was taken and when its pose had been handed over.
        frame_times: Vec<(Duration, Duration)>,
        frames_meanwhile: Vec<u64>,
        counters: Arc<RecognizerCounters>,
    }

    /// Ten seconds of a hand before a camera, with 20 ms for the pose in each frame.
    fn watch(takes: Duration, capacity: usize) -> Watched {
        let desk = Arc::new(Desk::default());
        let recognizer = recognizer(Slow {
            labels: labels(),
            takes,
            desk: Arc::clone(&desk),
        });
        let counters = recognizer.counters();
        let (mut producer, consumer) = ring(capacity);
        let classifier = thread::spawn({
            let desk = Arc::clone(&desk);
            move || {
                let stop = AtomicBool::new(false);
                worker::run(consumer, recognizer, &desk.clock, &stop, |_| {});
            }
        });

        let mut grid = grid();
        let mut pushed = 0;
        let mut frame_times = Vec::new();
        // Simulated time stands still until the classifier is busy until later, or has nothing to do.
        let settle = |pushed: u64| {
            wait_until("the classifier takes what is there", || {
                let done = desk.windows.load(SeqCst) + counters.skipped.load(Relaxed);
                let busy_until = *desk.busy_until.lock().expect("no panic");
                busy_until > desk.clock.now() || done == pushed.saturating_sub(UNUSABLE)
            });
        };
        for seq in 0..FRAMES {
            let begin = desk.clock.now();
            desk.clock.sleep(Duration::from_millis(20));
            settle(pushed);
            let t = FRAME * seq as u32;
            grid.push(&frame(seq, t, [1]), None, |item| {
                producer.push(item);
                pushed += 1;
            });
            frame_times.push((begin, desk.clock.now()));
            settle(pushed);
            desk.frames.fetch_add(1, SeqCst);
            desk.clock.sleep(FRAME - Duration::from_millis(20));
        }
        drop(producer);
        wait_until("the classifier ends", || {
            desk.clock.advance(Duration::from_secs(3600));
            classifier.is_finished()
        });
        classifier.join().expect("the classifier");
        let frames_meanwhile = desk.frames_meanwhile.lock().expect("no panic").clone();
        Watched {
            frame_times,
            frames_meanwhile,
            counters,
        }
    }

    #[test]
    fn delays_no_frame_and_its_skipped_windows_are_counted() {
        let undisturbed: Vec<_> = (0..FRAMES)
            .map(|seq| FRAME * seq as u32)
            .map(|begin| (begin, begin + Duration::from_millis(20)))
            .collect();
        // 201 frames in ten seconds are 151 poses, and 144 windows after the first seven poses.
        // At 500 ms a window the second to 20th find 7 or 8 poses waiting, and the last one, 1.
        // A classifier that hangs finds 16 old poses when it comes back; 127 were lost.
        for (takes, capacity, [windows, skipped, stale, lost]) in [
            (Duration::ZERO, 64, [144, 0, 0, 0]),
            (Duration::from_millis(500), 64, [21, 123, 0, 0]),
            (Duration::from_secs(1000), 16, [1, 15, 1, 127]),
        ] {
            // On a thread of its own, so that a vision thread that waits for ever is found out.
            let vision = thread::spawn(move || watch(takes, capacity));
            wait_until("the vision thread goes on", || vision.is_finished());
            let watched = vision.join().expect("the vision thread");
            assert_eq!(watched.frame_times, undisturbed, "{takes:?}");
            let counters = &watched.counters;
            let counted = [
                &counters.windows,
                &counters.skipped,
                &counters.stale,
                &counters.lost,
            ];
            assert_eq!(
                counted.map(|counter| counter.load(Relaxed)),
                [windows, skipped, stale, lost],
                "{takes:?}"
            );
            if takes == Duration::from_millis(500) {
                assert_eq!(watched.frames_meanwhile[..19], [10; 19]);
            }
        }
    }
}

#[test]
fn hands_leave_when_the_camera_stands_still_and_the_thread_ends_when_told() {
    struct Nothing(Vec<Arc<str>>);
    impl Score for Nothing {
        fn labels(&self) -> &[Arc<str>] {
            &self.0
        }
        fn score(&mut self, _window: &Window) -> Result<&[f32], ScoreError> {
            Ok(&[0.0, 1.0])
        }
    }

    let recognizer = recognizer(Nothing(labels()));
    let counters = recognizer.counters();
    let (mut producer, consumer) = ring(4);
    let (clock, stop) = (SimulatedClock::default(), AtomicBool::new(false));
    let phases = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let classifier = scope.spawn(|| {
            worker::run(consumer, recognizer, &clock, &stop, |event| match event {
                Event::Hand(hand) => phases.lock().expect("no panic").push(hand.phase),
                other => panic!("{other:?}"),
            });
        });
        let phases = || phases.lock().expect("no panic").clone();
        grid().push(&frame(0, Duration::ZERO, [1]), None, |item| {
            producer.push(item);
        });
        wait_until("the pose is taken", || counters.poses.load(Relaxed) == 1);
        assert_eq!(phases(), [HandPhase::Appear]);
        clock.advance(Duration::from_secs(2));
        wait_until("the hand leaves", || phases().len() == 2);
        assert_eq!(phases(), [HandPhase::Appear, HandPhase::Leave]);
        stop.store(true, Relaxed);
        wait_until("the thread ends", || classifier.is_finished());
    });
}
