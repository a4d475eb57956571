use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use proptest::prelude::*;

use super::*;
use crate::control::Control;
use crate::gesture::{
    CameraEvent, CameraPhase, GestureEvent, HandEvent, HandPhase, Phase, RulesParams,
};
use crate::health::Metrics;
use crate::pose::Handedness;
use crate::publish::{Condition, Decided, OutputStatus, Publisher, live};

/// A keyboard that writes down what is done to it, and bears nothing that a real one would not see.
#[derive(Debug, Clone, Default)]
struct Paper(Arc<Mutex<Sheet>>);

#[derive(Debug, Default)]
struct Sheet {
    text: String,
    down: BTreeSet<Key>,
    /// Fails from now on.
    torn: bool,
}

impl Paper {
    fn sheet(&self) -> MutexGuard<'_, Sheet> {
        self.0.lock().expect("no panic while it is held")
    }

    /// What was done since this was last asked.
    fn text(&self) -> String {
        std::mem::take(&mut self.sheet().text).trim_end().to_owned()
    }

    fn is_up(&self) -> bool {
        self.sheet().down.is_empty()
    }
}

impl Keyboard for Paper {
    fn report(&mut self, strokes: &[(Key, Stroke)]) -> io::Result<()> {
        let mut sheet = self.sheet();
        if sheet.torn {
            return Err(io::ErrorKind::NotConnected.into());
        }
        assert!(!strokes.is_empty());
        for &(key, stroke) in strokes {
            let (mark, right) = match stroke {
                Stroke::Up => ('-', sheet.down.remove(&key)),
                Stroke::Down => ('+', sheet.down.insert(key)),
                Stroke::Repeat => ('=', sheet.down.contains(&key)),
            };
            sheet.text.push_str(&format!("{mark}{} ", key.0));
            assert!(right, "{}", sheet.text);
        }
        Ok(())
    }
}

const MAX_HOLD: Duration = Duration::from_secs(10);

fn keys(params: &str) -> Keys {
    let params: KeysParams = toml::from_str(params).expect("keys");
    Keys::new(&params, &RulesParams::default()).expect("some keys")
}

/// Two shapes with a key in common, a movement with the same, and one of each alone.
fn some_keys() -> Keys {
    keys(
        "gesture = { fist = 'ctrl+w', ok = 'ctrl+shift+t', wave = 'ctrl+r', swipe-left = 'right', \
         victory = 'space' }",
    )
}

fn gesture(phase: Phase, name: &str, track: u32) -> Event {
    Event::Gesture(GestureEvent {
        phase,
        gesture: name.into(),
        score: 0.9,
        hand: Handedness::Right,
        track,
        seq: 1,
        t: Duration::ZERO,
        captured: None,
    })
}

fn hand(phase: HandPhase, track: u32) -> Event {
    Event::Hand(HandEvent {
        phase,
        hand: Handedness::Right,
        track,
        seq: 1,
        t: Duration::ZERO,
    })
}

fn camera(phase: CameraPhase) -> Event {
    Event::Camera(CameraEvent {
        phase,
        camera: "cam".into(),
        t: Duration::ZERO,
    })
}

/// An event of a script: `fist start 1`, `hand leave 1`, `camera lost`.
fn event(text: &str) -> Event {
    let words: Vec<_> = text.split(' ').collect();
    let track = || words[2].parse().expect("a track");
    match words[..2] {
        ["hand", "appear"] => hand(HandPhase::Appear, track()),
        ["hand", "leave"] => hand(HandPhase::Leave, track()),
        ["camera", "lost"] => camera(CameraPhase::Lost),
        ["camera", "found"] => camera(CameraPhase::Found),
        [name, "start"] => gesture(Phase::Start, name, track()),
        [name, "hold"] => gesture(Phase::Hold, name, track()),
        [name, "end"] => gesture(Phase::End, name, track()),
        _ => panic!("{text}"),
    }
}

/// `EVENTS => STROKES`: codes after `+` for down, `-` for up, `=` for repeated. ctrl is 29, shift 42,
/// w 17, t 20, r 19, right 106, space 57.
fn holds(line: &str) {
    let (script, wanted) = line.split_once(" =>").expect("events => strokes");
    let (paper, keys) = (Paper::default(), some_keys());
    let mut typist = Typist::new(paper.clone(), MAX_HOLD);
    for text in script.split(", ") {
        let taken = typist.take(&event(text), &keys.bindings, Duration::ZERO);
        taken.expect("paper is patient");
    }
    assert_eq!(paper.text(), wanted.trim(), "{script}");
}

#[test]
fn shapes_hold_their_keys_and_movements_tap_them() {
    holds("fist start 1 => +29 +17");
    holds("fist start 1, fist hold 1, fist hold 1, fist end 1 => +29 +17 =17 =17 -17 -29");
    holds("swipe-left start 1, swipe-left start 1 => +106 -106 +106 -106");
    holds("victory start 1, wave start 1, victory end 1 => +57 +29 +19 -19 -29 -57");
    holds("open-palm start 1, hand appear 1, camera found, fist hold 1, fist end 1 =>");
}

#[test]
fn keys_go_up_with_the_hand_the_camera_and_the_next_shape() {
    holds("fist start 1, hand leave 1, fist end 1 => +29 +17 -17 -29");
    holds("fist start 1, hand leave 2 => +29 +17");
    holds("fist start 1, victory start 2, camera lost => +29 +17 +57 -17 -29 -57");
    holds("fist start 1, victory start 1, victory end 1 => +29 +17 -17 -29 +57 -57");
    holds("fist start 1, fist start 1 => +29 +17 -17 -29 +29 +17");
    // More hands than palmd follows: the oldest must have gone.
    holds("fist start 1, victory start 2, ok start 3 => +29 +17 +57 -17 -29 +29 +42 +20");
}

#[test]
fn a_key_of_two_chords_is_down_until_both_are_over() {
    holds("fist start 1, ok start 2, fist end 1, ok end 2 => +29 +17 +42 +20 -17 -20 -42 -29");
    holds("fist start 1, fist start 2, fist end 1, fist end 2 => +29 +17 -17 -29");
    holds("fist start 1, wave start 2, fist end 1 => +29 +17 +19 -19 -17 -29");
}

#[test]
fn no_key_is_down_for_too_long() {
    let (paper, keys) = (Paper::default(), some_keys());
    let mut typist = Typist::new(paper.clone(), MAX_HOLD);
    let second = Duration::from_secs(1);
    let fist = event("fist start 1");
    assert_eq!(typist.deadline(), None);
    typist.take(&fist, &keys.bindings, second).expect("paper");
    assert_eq!(typist.deadline(), Some(second + MAX_HOLD));
    typist.release_overdue(MAX_HOLD).expect("paper");
    assert!(!paper.is_up());
    typist.release_overdue(second + MAX_HOLD).expect("paper");
    assert!(paper.is_up() && typist.deadline().is_none());
    // What goes on is not pressed again.
    let hold = event("fist hold 1");
    let pressed = typist.take(&hold, &keys.bindings, second + MAX_HOLD);
    assert!(!pressed.expect("paper") && paper.is_up());
}

#[test]
fn a_panic_lets_all_keys_go() {
    let (paper, keys) = (Paper::default(), some_keys());
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let mut typist = Typist::new(paper.clone(), MAX_HOLD);
        let fist = event("fist start 1");
        typist.take(&fist, &keys.bindings, MAX_HOLD).expect("paper");
        assert!(!paper.is_up());
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(caught.is_err() && paper.is_up());
}

#[test]
fn what_is_held_is_configuration() {
    let hold = |params: &str, rules: &str| {
        let params = toml::from_str(params).expect("keys");
        let keys = Keys::new(&params, &toml::from_str(rules).expect("rules"));
        keys.map(|keys| keys.bindings.into_values().next().expect("one"))
    };
    let space = || Chord::try_from("space".to_owned()).expect("a key");
    let fist = "gesture.fist = 'space'";
    assert_eq!(hold(fist, ""), Some(Binding::Hold(space())));
    let tapped = hold(&format!("hold = false\n{fist}"), "");
    assert_eq!(tapped, Some(Binding::Tap(space())));
    let moved = hold(fist, "gesture.fist.kind = 'movement'");
    assert_eq!(moved, Some(Binding::Tap(space())));
    assert_eq!(hold(&format!("enabled = false\n{fist}"), ""), None);
    assert_eq!(hold("", ""), None);
}

fn any_event() -> impl Strategy<Value = Event> {
    let names = ["fist", "ok", "wave", "swipe-left", "victory", "push"];
    let names = prop::sample::select(names.to_vec());
    let phases = prop::sample::select(vec![Phase::Start, Phase::Hold, Phase::End]);
    prop_oneof![
        8 => (phases, names, 0..4u32).prop_map(|(phase, name, track)| gesture(phase, name, track)),
        1 => (0..4u32).prop_map(|track| hand(HandPhase::Leave, track)),
        1 => (0..4u32).prop_map(|track| hand(HandPhase::Appear, track)),
        1 => Just(camera(CameraPhase::Lost)),
        1 => Just(camera(CameraPhase::Found)),
    ]
}

proptest! {
    /// Whatever comes: no key is pressed or released twice (the paper sees to that), none is down
    /// for longer than the limit, none without a hand, and none at the end.
    #[test]
    fn all_keys_are_up_at_the_end(
        events in prop::collection::vec((any_event(), 0..3000u64), 0..60),
        leave in any::<bool>(),
    ) {
        let (paper, keys) = (Paper::default(), some_keys());
        let mut typist = Typist::new(paper.clone(), MAX_HOLD);
        let mut now = Duration::ZERO;
        for (event, pause_ms) in &events {
            typist.take(event, &keys.bindings, now).expect("paper");
            now += Duration::from_millis(*pause_ms);
            typist.release_overdue(now).expect("paper");
            prop_assert!(typist.deadline().is_none_or(|at| now < at && at <= now + MAX_HOLD));
            prop_assert_eq!(typist.deadline().is_none(), paper.is_up());
        }
        if leave {
            for track in 0..4 {
                typist.take(&hand(HandPhase::Leave, track), &keys.bindings, now).expect("paper");
            }
            prop_assert!(paper.is_up());
        }
        drop(typist);
        prop_assert!(paper.is_up());
    }
}

/// The output on paper.
struct OnPaper<F>(Keys, F);

impl<F: FnMut() -> Result<Paper, String> + Send + 'static> Output for OnPaper<F> {
    fn name(&self) -> &'static str {
        "keys"
    }

    fn check(&self) -> Result<String, String> {
        Ok(String::new())
    }

    fn run(self: Box<Self>, feed: Feed) -> Work {
        Box::pin(async move { self.0.work(feed, self.1).await })
    }
}

fn run(
    keys: Keys,
    open: impl FnMut() -> Result<Paper, String> + Send + 'static,
    work: impl AsyncFnOnce(Publisher),
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (_, _, live) = live(&[]);
    runtime.expect("a runtime").block_on(async {
        let outputs: Vec<Box<dyn Output>> = vec![Box::new(OnPaper(keys, open))];
        let (metrics, control) = (Arc::<Metrics>::default(), Arc::<Control>::default());
        work(Publisher::start(outputs, &live, &metrics, &control)).await;
    });
}

fn publish(publisher: &mut Publisher, text: &str) {
    let (event, at) = (event(text), SystemClock.now());
    publisher.publish(Decided { event, at });
}

async fn until(publisher: &Publisher, so: impl Fn(&OutputStatus) -> bool) {
    for _ in 0..5000 {
        if so(&publisher.outputs()[0]) {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("{:?}", publisher.outputs());
}

#[test]
fn the_end_lets_go_of_what_a_gesture_holds() {
    let paper = Paper::default();
    let sheet = paper.clone();
    run(
        some_keys(),
        move || Ok(sheet.clone()),
        async |mut publisher| {
            for text in ["push start 1", "swipe-left start 1", "fist start 1"] {
                publish(&mut publisher, text);
            }
            until(&publisher, |s| s.sent == 2).await;
            assert!(!paper.is_up());
            publisher.close().await;
            assert_eq!(paper.text(), "+106 -106 +29 +17 -17 -29");
        },
    );
}

#[test]
fn an_output_that_is_dropped_lets_go() {
    let paper = Paper::default();
    let sheet = paper.clone();
    run(
        some_keys(),
        move || Ok(sheet.clone()),
        async |mut publisher| {
            publish(&mut publisher, "fist start 1");
            until(&publisher, |s| s.sent == 1).await;
            assert!(!paper.is_up());
            drop(publisher);
        },
    );
    assert!(paper.is_up());
}

#[test]
fn a_key_goes_up_by_itself_when_nothing_more_comes() {
    let paper = Paper::default();
    let sheet = paper.clone();
    let keys = keys("max-hold = '100ms'\ngesture.fist = 'space'");
    run(
        keys,
        move || Ok(sheet.clone()),
        async |mut publisher| {
            publish(&mut publisher, "fist start 1");
            until(&publisher, |s| s.sent == 1).await;
            until(&publisher, |_| paper.is_up()).await;
            assert_eq!(paper.text(), "+57 -57");
            publisher.close().await;
        },
    );
}

#[test]
fn lost_events_let_all_keys_go() {
    let paper = Paper::default();
    let sheet = paper.clone();
    run(
        some_keys(),
        move || Ok(sheet.clone()),
        async |mut publisher| {
            publish(&mut publisher, "fist start 1");
            until(&publisher, |s| s.sent == 1).await;
            for _ in 0..=crate::publish::BACKLOG {
                publish(&mut publisher, "fist hold 1");
            }
            until(&publisher, |s| s.dropped == 1).await;
            until(&publisher, |_| paper.is_up()).await;
            publisher.close().await;
            assert_eq!(paper.text(), "+29 +17 -17 -29");
        },
    );
}

#[test]
fn a_keyboard_that_fails_is_given_up_and_said() {
    let paper = Paper::default();
    let sheet = paper.clone();
    run(
        some_keys(),
        move || Ok(sheet.clone()),
        async |mut publisher| {
            publish(&mut publisher, "swipe-left start 1");
            until(&publisher, |s| s.sent == 1).await;
            paper.sheet().torn = true;
            publish(&mut publisher, "swipe-left start 1");
            until(&publisher, |s| s.condition == Condition::Fails).await;
            publish(&mut publisher, "push start 1");
            publish(&mut publisher, "swipe-left start 1");
            until(&publisher, |s| s.dropped == 2).await;
            publisher.close().await;
        },
    );
    let missing = || Err("it is not there".into());
    run(some_keys(), missing, async |publisher| {
        until(&publisher, |s| s.says == "it is not there").await;
        publisher.close().await;
    });
}
