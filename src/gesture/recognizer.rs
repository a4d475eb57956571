//! The recognizer: windows, classifier and rules of one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Event, HandEvent, HandPhase, Rules, RulesError, RulesParams, Score};
use crate::pose::MAX_HANDS;
use crate::window::{GridPose, HandLeft, Handover, Window};

/// Parameters of a [`Recognizer`].
#[derive(Debug, Clone, PartialEq)]
pub struct RecognizerParams {
    /// Real poses that a window needs, see [`Window::new`].
    pub min_poses: usize,
    /// A window whose newest pose is older than this is not classified, and a hand that has
    /// given no pose for so long has left.
    pub stall_limit: Duration,
    /// When gestures start and end.
    pub rules: RulesParams,
}

impl Default for RecognizerParams {
    fn default() -> Self {
        Self {
            min_poses: Window::MIN_POSES,
            stall_limit: Duration::from_secs(1),
            rules: RulesParams::default(),
        }
    }
}

/// What a recognizer has done, for anyone to read at any time. All only grow, except `waiting`.
#[derive(Debug, Default)]
pub struct RecognizerCounters {
    /// Poses taken.
    pub poses: AtomicU64,
    /// Windows classified, those that failed included.
    pub windows: AtomicU64,
    /// Windows passed over because something newer of the same hand was waiting.
    pub skipped: AtomicU64,
    /// Windows passed over because they were older than the stall limit.
    pub stale: AtomicU64,
    /// Windows that the classifier failed on.
    pub errors: AtomicU64,
    /// Items that never came because the ring was full.
    pub lost: AtomicU64,
    /// Items that were waiting when the thread last looked.
    pub waiting: AtomicU64,
}

/// Keeps a window for each hand, has it scored, and tells what the rules make of it.
///
/// It allocates nothing once it is made, but for the text of an error when errors begin.
#[derive(Debug)]
pub struct Recognizer<S> {
    scorer: S,
    rules: Rules,
    hands: heapless::Vec<Hand, MAX_HANDS>,
    min_poses: usize,
    stall_limit: Duration,
    /// Time of the newest item's frame.
    t: Duration,
    failing: bool,
    counters: Arc<RecognizerCounters>,
}

#[derive(Debug)]
struct Hand {
    window: Window,
    /// Whether the window is to be classified.
    pending: bool,
}

impl<S: Score> Recognizer<S> {
    /// A recognizer that has seen nothing yet.
    ///
    /// # Errors
    /// [`RulesError`] if the rules don't go with the scorer's labels.
    pub fn new(scorer: S, params: &RecognizerParams) -> Result<Self, RulesError> {
        Ok(Self {
            rules: Rules::new(scorer.labels(), &params.rules)?,
            scorer,
            hands: heapless::Vec::new(),
            min_poses: params.min_poses,
            stall_limit: params.stall_limit,
            t: Duration::ZERO,
            failing: false,
            counters: Arc::default(),
        })
    }

    /// Its counters, to be read elsewhere.
    #[must_use]
    pub fn counters(&self) -> Arc<RecognizerCounters> {
        Arc::clone(&self.counters)
    }

    /// How old the newest pose of a window may be, see [`RecognizerParams::stall_limit`].
    #[must_use]
    pub fn stall_limit(&self) -> Duration {
        self.stall_limit
    }

    /// Takes an item and classifies the window that it completes: for callers with no thread
    /// between poses and recognizer.
    pub fn push(&mut self, item: &Handover, mut out: impl FnMut(Event)) {
        self.take(item, &mut out);
        self.classify(item.t(), &mut out);
    }

    /// Takes an item without classifying yet. A window that was still to be classified is
    /// skipped if this is a newer one of the same hand.
    pub fn take(&mut self, item: &Handover, mut out: impl FnMut(Event)) {
        if item.t() != self.t {
            // A frame is complete: whoever was not in it for long enough has left.
            self.drop_stalled(&mut out);
            self.t = item.t();
        }
        match item {
            Handover::Pose(pose) => self.take_pose(pose, &mut out),
            Handover::Left(left) => self.hand_left(left, &mut out),
        }
    }

    /// Classifies every window that has a new pose and isn't older than the stall limit at the
    /// time `now` since the source began.
    pub fn classify(&mut self, now: Duration, mut out: impl FnMut(Event)) {
        for hand in &mut self.hands {
            if !std::mem::take(&mut hand.pending) {
                continue;
            }
            if hand.window.age(now) > self.stall_limit {
                count(&self.counters.stale);
                continue;
            }
            count(&self.counters.windows);
            match self.scorer.score(&hand.window) {
                Ok(scores) => {
                    let pose = hand.window.newest();
                    self.rules.step(pose, scores, |e| out(Event::Gesture(e)));
                    if std::mem::take(&mut self.failing) {
                        log::info!("the gesture classifier works again");
                    }
                }
                Err(error) => {
                    count(&self.counters.errors);
                    if !std::mem::replace(&mut self.failing, true) {
                        log::error!("no gestures: {error}");
                    }
                }
            }
        }
    }

    /// Every hand leaves: the stream has ended or stands still.
    pub fn all_left(&mut self, mut out: impl FnMut(Event)) {
        while let Some(hand) = self.hands.first() {
            let left = hand.last_seen();
            self.hand_left(&left, &mut out);
        }
    }

    fn take_pose(&mut self, pose: &GridPose, mut out: impl FnMut(Event)) {
        count(&self.counters.poses);
        let Some(hand) = self.hands.iter_mut().find(|hand| hand.is(pose.track)) else {
            return self.hand_appeared(pose, out);
        };
        hand.window.push(pose);
        if std::mem::replace(&mut hand.pending, hand.window.is_usable()) {
            count(&self.counters.skipped);
        }
        self.rules.see(pose, |e| out(Event::Gesture(e)));
    }

    fn hand_appeared(&mut self, pose: &GridPose, mut out: impl FnMut(Event)) {
        // If the ring lost the news of a leave, there is no room.
        let longest_unseen = self.hands.iter().min_by_key(|hand| hand.window.newest().t);
        if let Some(hand) = longest_unseen.filter(|_| self.hands.is_full()) {
            let left = hand.last_seen();
            self.hand_left(&left, &mut out);
        }
        let window = Window::new(self.min_poses, pose);
        let pending = window.is_usable();
        if self.hands.push(Hand { window, pending }).is_err() {
            return;
        }
        self.rules.see(pose, |e| out(Event::Gesture(e)));
        out(Event::Hand(HandEvent {
            phase: HandPhase::Appear,
            hand: pose.handedness,
            track: pose.track,
            seq: pose.seq,
            t: pose.t,
        }));
    }

    /// Of a hand that never appeared nobody is told that it left.
    fn hand_left(&mut self, left: &HandLeft, mut out: impl FnMut(Event)) {
        let Some(i) = self.hands.iter().position(|hand| hand.is(left.track)) else {
            return;
        };
        if self.hands.swap_remove(i).pending {
            count(&self.counters.skipped);
        }
        self.rules.hand_left(left, |e| out(Event::Gesture(e)));
        out(Event::Hand(HandEvent {
            phase: HandPhase::Leave,
            hand: left.handedness,
            track: left.track,
            seq: left.seq,
            t: left.t,
        }));
    }

    fn drop_stalled(&mut self, mut out: impl FnMut(Event)) {
        let (t, limit) = (self.t, self.stall_limit);
        let is_stalled = |hand: &&Hand| hand.window.newest().t.abs_diff(t) > limit;
        while let Some(hand) = self.hands.iter().find(is_stalled) {
            let left = hand.last_seen();
            self.hand_left(&left, &mut out);
        }
    }
}

impl Hand {
    fn is(&self, track: u32) -> bool {
        self.window.newest().track == track
    }

    fn last_seen(&self) -> HandLeft {
        let pose = self.window.newest();
        HandLeft {
            track: pose.track,
            handedness: pose.handedness,
            seq: pose.seq,
            t: pose.t,
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gesture::{Phase, ScoreError};
    use crate::pose::Handedness;

    /// A scorer that sees a fist in every window, or fails.
    struct Fists {
        labels: Vec<Arc<str>>,
        fails: bool,
    }

    impl Score for Fists {
        fn labels(&self) -> &[Arc<str>] {
            &self.labels
        }

        fn score(&mut self, _window: &Window) -> Result<&[f32], ScoreError> {
            match self.fails {
                false => Ok(&[0.9, 0.1]),
                true => Err(ScoreError::Sum { sum: 7.0 }),
            }
        }
    }

    fn recognizer() -> Recognizer<Fists> {
        let scorer = Fists {
            labels: ["fist", "none"].map(Arc::from).into(),
            fails: false,
        };
        Recognizer::new(scorer, &RecognizerParams::default()).expect("rules")
    }

    fn pose(track: u32, tick: u64) -> Handover {
        Handover::Pose(GridPose {
            track,
            handedness: Handedness::Right,
            tick,
            seq: tick,
            t: Duration::from_secs(tick) / 15,
            captured: None,
            aspect: 0.75,
            points: std::array::from_fn(|i| [0.5, 0.01 * i as f32, 0.0]),
        })
    }

    /// Pushes poses of these tracks at each of the ticks and returns the events, as `1 appear`,
    /// `1 start`.
    fn push(
        recognizer: &mut Recognizer<Fists>,
        tracks: &[u32],
        ticks: std::ops::Range<u64>,
    ) -> String {
        let mut events = Vec::new();
        for tick in ticks {
            for &track in tracks {
                recognizer.push(&pose(track, tick), |e| events.push(told(&e)));
            }
        }
        events.join(", ")
    }

    fn told(event: &Event) -> String {
        match event {
            Event::Hand(e) => format!("{} {:?}", e.track, e.phase),
            Event::Gesture(e) => format!("{} {:?} {}", e.track, e.phase, e.gesture),
            Event::Camera(e) => format!("{:?}", e.phase),
        }
        .to_lowercase()
    }

    fn value(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    #[test]
    fn a_hand_appears_makes_its_gesture_and_leaves() {
        let mut recognizer = recognizer();
        assert_eq!(push(&mut recognizer, &[1], 0..14), "1 appear, 1 start fist");
        let mut events = Vec::new();
        let left = Handover::Left(HandLeft {
            track: 1,
            handedness: Handedness::Right,
            seq: 14,
            t: Duration::from_secs(1),
        });
        for _ in 0..2 {
            recognizer.push(&left, |e| events.push(told(&e)));
        }
        assert_eq!(events, ["1 end fist", "1 leave"]);
        let counters = recognizer.counters();
        assert_eq!((value(&counters.poses), value(&counters.windows)), (14, 7));
    }

    #[test]
    fn a_hand_of_which_nothing_more_is_heard_has_left() {
        // The other hand's poses tell the time.
        let mut recognizer = recognizer();
        assert_eq!(push(&mut recognizer, &[1, 2], 0..2), "1 appear, 2 appear");
        assert_eq!(push(&mut recognizer, &[2], 2..21), "2 start fist, 1 leave");
        // A third hand needs its place.
        assert_eq!(
            push(&mut recognizer, &[3, 4], 21..22),
            "3 appear, 2 end fist, 2 leave, 4 appear"
        );
        let mut events = Vec::new();
        recognizer.all_left(|e| events.push(told(&e)));
        assert_eq!(events, ["3 leave", "4 leave"]);
    }

    #[test]
    fn a_classifier_that_fails_is_counted_and_starts_and_keeps_nothing() {
        let mut recognizer = recognizer();
        recognizer.scorer.fails = true;
        assert_eq!(push(&mut recognizer, &[1], 0..30), "1 appear");
        assert_eq!(value(&recognizer.counters().errors), 23);
        recognizer.scorer.fails = false;
        assert_eq!(push(&mut recognizer, &[1], 30..37), "1 start fist");
        recognizer.scorer.fails = true;
        assert_eq!(push(&mut recognizer, &[1], 37..60), "1 end fist");
    }

    #[test]
    fn windows_that_newer_ones_overtake_are_skipped_and_old_ones_are_stale() {
        let mut recognizer = recognizer();
        let mut starts = 0;
        let mut count_starts = |e| {
            starts += usize::from(matches!(e, Event::Gesture(e) if e.phase == Phase::Start));
        };
        for tick in 0..20 {
            recognizer.take(&pose(1, tick), &mut count_starts);
        }
        recognizer.classify(Duration::from_secs(20), &mut count_starts);
        recognizer.classify(Duration::ZERO, &mut count_starts);
        let counters = recognizer.counters();
        let counted = [&counters.windows, &counters.skipped, &counters.stale].map(value);
        assert_eq!((starts, counted), (0, [0, 12, 1]));
    }
}
